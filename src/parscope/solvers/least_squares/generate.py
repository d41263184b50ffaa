"""From the symbols of a technique to machine code for its columns and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, reduce
from typing import Any

import numba as nb
import numpy as np
import sympy
from numba import types
from numpy.typing import NDArray

from parscope.core.separable import Separable

_POINTER: Any = types.CPointer(types.float64)  # type: ignore[no-untyped-call]
_SIGNATURE = types.void(_POINTER, types.intp, _POINTER, _POINTER)


class SymbolicNamespace:
    """The functions a technique may use, for symbols; of the same names as in array libraries."""

    exp, log, sqrt, erf = sympy.exp, sympy.log, sympy.sqrt, sympy.erf

    @staticmethod
    def where(condition: Any, this: Any, that: Any) -> Any:
        """Choose between two expressions."""
        return sympy.Piecewise((this, condition), (that, True))


@dataclass(frozen=True)
class Columns:
    """Compiled columns of a physics: first those of the linear factors, then their derivatives.

    Parameters
    ----------
    compiled : object
        What numba made; lives as long as its address is in use.
    source : str
        The generated code, to read.
    factor, parameter : ndarray, shape (derivatives,)
        Which column is differentiated, and by which non-linear parameter; zero derivatives are left out.
    """

    compiled: Any
    source: str
    factor: NDArray[np.int64]
    parameter: NDArray[np.int64]

    @property
    def address(self) -> int:
        """Address of the compiled function."""
        return int(self.compiled.address)


def generate(physics: Separable) -> Columns:
    """Derive and compile the columns of a physics.

    Parameters
    ----------
    physics : Separable
        Declares its columns.

    Returns
    -------
    Columns
    """
    x = sympy.Symbol("x", real=True)
    theta = [
        sympy.Symbol(f"t{j}", real=True, positive=p.kind == "log" or None) for j, p in enumerate(physics.nonlinear)
    ]
    columns = [sympy.sympify(column) for column in physics.columns(SymbolicNamespace, x, *theta)]
    slopes = [(m, j, sympy.diff(column, t)) for m, column in enumerate(columns) for j, t in enumerate(theta)]
    slopes = [slope for slope in slopes if slope[2] != 0]
    source = _write([*columns, *(slope[2] for slope in slopes)], len(theta), physics.complex)
    return Columns(
        _compile(source),
        source,
        np.array([slope[0] for slope in slopes], np.int64),
        np.array([slope[1] for slope in slopes], np.int64),
    )


@cache
def _compile(source: str) -> Any:
    """Machine code of a generated function, made once in a process."""
    namespace: dict[str, Any] = {}
    exec(compile(source, "<columns>", "exec"), namespace)
    return nb.cfunc(_SIGNATURE, fastmath=True, error_model="numpy")(namespace["columns"])


def _write(expressions: list[Any], count: int, parts: bool) -> str:
    """Source of a function that fills rows of real, and imaginary, parts."""
    shared, reduced = sympy.cse(expressions, symbols=sympy.numbered_symbols("s"))
    writer = _Writer()
    for symbol, expression in shared:
        writer.known[symbol.name] = writer.split(expression)
    rows = [writer.split(expression) for expression in reduced]
    head = ["import math", "def columns(axis, bins, theta, out):"]
    head += [f"    t{j} = theta[{j}]" for j in range(count)]
    head += ["    for i in range(bins):", "        x = axis[i]"]
    lines = [f"        {line}" for line in writer.lines]
    for a, (re, im) in enumerate(rows):
        lines.append(f"        out[{a * (1 + parts)} * bins + i] = {re or 0.0}")
        if parts:
            lines.append(f"        out[{2 * a + 1} * bins + i] = {im or 0.0}")
    return "\n".join([*head, *lines]) + "\n"


# Real and imaginary part of a value, as names or numbers in the generated code; None where a part is zero.
_Pair = tuple[str | None, str | None]


@dataclass
class _Writer:
    """Writes complex expressions as real arithmetic, one operation a line, without the parts that are zero."""

    lines: list[str] = field(default_factory=list)
    known: dict[str, _Pair] = field(default_factory=dict)

    def split(self, expression: Any) -> _Pair:
        """Write what computes an expression; return the names of its parts."""
        rules: list[tuple[Any, Callable[[Any], _Pair]]] = [
            (sympy.Symbol, lambda e: self.known.get(e.name, (e.name, None))),
            (sympy.core.numbers.ImaginaryUnit, lambda e: (None, "1.0")),
            (sympy.Number, lambda e: (f"({float(e)!r})", None)),
            (sympy.Add, lambda e: reduce(self._add, map(self.split, e.args))),
            (sympy.Mul, lambda e: reduce(self._multiply, map(self.split, e.args))),
            (sympy.Pow, self._power),
            (sympy.Piecewise, self._choose),
            (sympy.core.relational.Relational, self._compare),
            (sympy.Function, self._call),
            (sympy.NumberSymbol, lambda e: (f"({float(e)!r})", None)),
        ]
        for kind, rule in rules:
            if isinstance(expression, kind):
                return rule(expression)
        raise TypeError(f"{expression} is of a kind that is not compiled: {type(expression).__name__}")

    def _name(self, code: str) -> str:
        self.lines.append(f"v{len(self.lines)} = {code}")
        return f"v{len(self.lines) - 1}"

    def _sum(self, one: str | None, two: str | None, sign: str = "+") -> str | None:
        if one is None or two is None:
            return one if two is None else two if sign == "+" else self._name(f"-{two}")
        return self._name(f"{one} {sign} {two}")

    def _product(self, one: str | None, two: str | None) -> str | None:
        return None if one is None or two is None else self._name(f"{one} * {two}")

    def _add(self, one: _Pair, two: _Pair) -> _Pair:
        return self._sum(one[0], two[0]), self._sum(one[1], two[1])

    def _multiply(self, one: _Pair, two: _Pair) -> _Pair:
        (a, b), (c, d) = one, two
        return (
            self._sum(self._product(a, c), self._product(b, d), "-"),
            self._sum(self._product(a, d), self._product(b, c)),
        )

    def _power(self, expression: Any) -> _Pair:
        base, exponent = expression.args
        if base == sympy.E:
            return self._call(sympy.exp(exponent, evaluate=False))
        value = self.split(base)
        if exponent.is_Integer:
            return reduce(self._multiply, [self._inverse(value) if exponent < 0 else value] * abs(int(exponent)))
        return self._name(f"{self._real(value)} ** {self._real(self.split(exponent))}"), None

    def _inverse(self, value: _Pair) -> _Pair:
        re, im = value
        if im is None:
            return self._name(f"1.0 / {re}"), None
        size = self._sum(self._product(re, re), self._product(im, im))
        over = self._name(f"1.0 / {size}")
        return self._product(re, over), self._name(f"-{im} * {over}")

    def _call(self, expression: Any) -> _Pair:
        arguments = ", ".join(self._real(self.split(a)) for a in expression.args)
        return self._name(f"math.{type(expression).__name__}({arguments})"), None

    def _compare(self, expression: Any) -> _Pair:
        left, right = (self._real(self.split(side)) for side in expression.args)
        return self._name(f"{left} {expression.rel_op} {right}"), None

    def _choose(self, expression: Any) -> _Pair:
        (this, condition), (that, _) = expression.args
        test, one, two = self.split(condition)[0], self.split(this), self.split(that)
        return (
            self._name(f"{one[0] or 0.0} if {test} else {two[0] or 0.0}"),
            None if one[1] == two[1] else self._name(f"{one[1] or 0.0} if {test} else {two[1] or 0.0}"),
        )

    @staticmethod
    def _real(value: _Pair) -> str:
        re, im = value
        if im is not None:
            raise TypeError("only arithmetic is compiled for complex values")
        return re or "0.0"
