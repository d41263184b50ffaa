"""A condition as a function of the numbers of one pattern: names looked up, units converted, unknowns never true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import pi

from parscope.core.errors import OptionError
from parscope.core.units import conversion
from parscope.live.kernels.contract import Output
from parscope.live.rules.rule import And, Compare, Condition, Not, Number, Order, Signal

Row = list[float]
"""The numbers of one pattern, in the order of the outputs."""

Predicate = Callable[[Row], bool]
"""Whether a condition holds for a pattern."""

_OPPOSITE: dict[Order, Order] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "!=", "!=": "="}
_TURNED: dict[Order, Order] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
_SHARES = {"%": 1e-2, "‰": 1e-3}
_DEGREES = {"°", "deg"}


def find(name: str, outputs: Sequence[Output]) -> int:
    """Which output a name means.

    Parameters
    ----------
    name : str
        Name of an output, or of a kernel alone for its first one.
    outputs : sequence of Output
        What the analysis gives.

    Returns
    -------
    int
        Index into `outputs`.

    Raises
    ------
    OptionError
        If there is none of that name.

    Examples
    --------
    >>> outputs = (Output("com.y", "px", ""), Output("com.x", "px", ""))
    >>> find("com.x", outputs), find("com", outputs)
    (1, 0)
    """
    names = [output.name for output in outputs]
    if name in names:
        return names.index(name)
    of_kernel = [index for index, one in enumerate(names) if one.partition(".")[0] == name]
    if not of_kernel:
        raise OptionError(f"there is no output {name!r}", "rule", f"the analysis gives {', '.join(names) or 'nothing'}")
    return of_kernel[0]


def predicate(condition: Condition, outputs: Sequence[Output]) -> Predicate:
    """Make a function of a condition.

    A number that is NaN (a fit that failed, a pixel that was not read) is unknown. A comparison with it is not true,
    and neither is its opposite: ``not`` is carried down to the comparisons, so that ``not bf > 3`` is ``bf <= 3``. What
    is not known to be true never fires.

    Parameters
    ----------
    condition : Compare, And, Or or Not
        Of a rule.
    outputs : sequence of Output
        What the analysis gives, in the order of the numbers.

    Returns
    -------
    callable
        Of the list of the numbers of a pattern.

    Raises
    ------
    OptionError
        For a name that is none, or a unit that does not fit that of the output.

    Examples
    --------
    >>> from parscope.live.rules.text import parse_condition
    >>> holds = predicate(parse_condition("not strain.e_xx > 2 %"), (Output("strain.e_xx", "1", ""),))
    >>> holds([0.01]), holds([0.03]), holds([float("nan")])
    (True, False, False)
    """
    return _made(condition, outputs, straight=True)


def in_unit(number: Number, unit: str) -> float:
    """A number of a rule, in the unit of what it is compared with.

    Parameters
    ----------
    number : Number
        As written.
    unit : str
        Unit of the output.

    Returns
    -------
    float
        In `unit`.

    Raises
    ------
    OptionError
        If the units do not fit.

    Examples
    --------
    >>> in_unit(Number(2.0, "%"), "1"), in_unit(Number(5.0, "mrad"), "rad"), in_unit(Number(3.0), "px")
    (0.02, 0.005, 3.0)
    """
    factor = _factor(number.unit, unit)
    if factor is None:
        raise OptionError(f"{number.value:g} {number.unit} does not fit, which is in {unit}", "rule")
    return float(f"{number.value * factor:.15g}")


def _factor(unit: str, wanted: str) -> float | None:
    """What a number is multiplied by; none for units that do not fit."""
    if unit in ("", wanted):
        return 1.0
    if unit in _DEGREES:
        return pi / 180 if wanted == "rad" else None
    if unit in _SHARES:
        return _SHARES[unit] if wanted == "1" else None
    return conversion(unit, wanted)


def _made(condition: Condition, outputs: Sequence[Output], straight: bool) -> Predicate:
    """Function of a condition, or of its opposite."""
    if isinstance(condition, Not):
        return _made(condition.part, outputs, not straight)
    if isinstance(condition, Compare):
        return _comparison(condition, outputs, straight)
    parts = [_made(part, outputs, straight) for part in condition.parts]
    # De Morgan: the opposite of "all of them" is "the opposite of any of them".
    return reduce(_both if isinstance(condition, And) is straight else _either, parts)


def _both(one: Predicate, other: Predicate) -> Predicate:
    return lambda row: one(row) and other(row)


def _either(one: Predicate, other: Predicate) -> Predicate:
    return lambda row: one(row) or other(row)


def _comparison(compare: Compare, outputs: Sequence[Output], straight: bool) -> Predicate:
    """Function of one comparison; a number comes to its right."""
    left, order, right = compare.left, compare.order, compare.right
    if isinstance(left, Number):
        left, order, right = right, _TURNED[order], left
    if not isinstance(left, Signal):
        raise OptionError("compares a number with a number", "rule", "name an output of the analysis")
    order = order if straight else _OPPOSITE[order]
    output = outputs[find(left.name, outputs)]
    if isinstance(right, Number):
        return _with_number(_value(left, outputs), order, in_unit(right, output.unit))
    other = outputs[find(right.name, outputs)]
    factor = _factor(other.unit, output.unit)
    if factor is None:
        raise OptionError(f"{output.name} is in {output.unit} and {other.name} in {other.unit}", "rule")
    return _with_value(_value(left, outputs), order, _value(right, outputs), factor)


def _value(signal: Signal, outputs: Sequence[Output]) -> Callable[[Row], float]:
    """Function that takes the number of a signal out of a row."""
    index = find(signal.name, outputs)
    if signal.absolute:
        return lambda row: abs(row[index])
    return lambda row: row[index]


def _with_number(value: Callable[[Row], float], order: Order, limit: float) -> Predicate:
    """NaN makes all of them false; that `!=` does so, too, takes two comparisons."""
    made: dict[Order, Predicate] = {
        "<": lambda row: value(row) < limit,
        "<=": lambda row: value(row) <= limit,
        ">": lambda row: value(row) > limit,
        ">=": lambda row: value(row) >= limit,
        "=": lambda row: value(row) == limit,
        "!=": lambda row: value(row) < limit or value(row) > limit,
    }
    return made[order]


def _with_value(value: Callable[[Row], float], order: Order, other: Callable[[Row], float], factor: float) -> Predicate:
    """The same for two signals, the second of them times a factor of the units."""

    def difference(row: Row) -> float:
        return value(row) - factor * other(row)

    return _with_number(difference, order, 0.0)
