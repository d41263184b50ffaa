"""Separable physics turned back into parameters: a bank of templates, then a compiled search at the bound."""

from parscope.solvers.least_squares.solver import LeastSquares as LeastSquares
