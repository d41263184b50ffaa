"""Signals that are copies of one template at positions linear in six parameters: a bank of matched filters."""

from parscope.solvers.lattice.filters import LatticeFilters as LatticeFilters
