"""Rules as people type them: ``when strain.e_xx > 2 % for 3 frames every 10 ms within 200 us: send udp://daq:9000``."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from parscope.core.errors import MissingExtraError, OptionError
from parscope.core.units import conversion
from parscope.live.rules.rule import And, Compare, Condition, Not, Number, Or, Rule, Send, Signal, signals

LONGEST = 1000
"""Characters of the longest rule, [1]."""

# What may come next, in words, by a terminal of the grammar that may: the first that fits is told.
_EXPECTED = {
    "WHEN": 'a name and a colon, or "when"',
    "ABS": "an output of the analysis or a number",
    "ORDER": "a comparison (<, <=, >, >=, =, !=)",
    "ADDRESS": "an address such as udp://host:port",
    "FOR": '"for", "every", "within" or ":", then "send"',
    "COLON": 'a ":" and "when"',
    "SEND": '"send"',
    "ANSWERED": '"frames"',
    "FRAMES": '"frames"',
    "UNIT": "a unit of time such as ms or us",
    "NUMBER": "a number",
    "ELSE": '"else send" or the end',
    "TO": '"to" and an address',
    "NAME": "the name of an output",
    "LPAR": '"("',
    "RPAR": '")"',
}


def parse(text: str) -> Rule:
    """Read a rule as a person types it.

    Parameters
    ----------
    text : str
        ``[name:] when CONDITION [for N [answered] frames] [every TIME] [within TIME]: send [OUTPUT, ... to] ADDRESS
        [else send [OUTPUT, ... to] ADDRESS]``. A condition is made of comparisons of outputs with numbers or with
        each other, ``abs( )``, ``and``, ``or``, ``not`` and parentheses. Numbers may carry a unit.

    Returns
    -------
    Rule

    Raises
    ------
    OptionError
        In one line, with the column and what was expected there.
    MissingExtraError
        If the library that reads it is not installed.

    Examples
    --------
    >>> rule = parse("hot: when strain.e_xx > 2 % for 3 frames within 200 us: send udp://daq:9000")
    >>> rule.name, rule.frames, rule.within, rule.then.address
    ('hot', 3, 200000, 'udp://daq:9000')
    >>> parse("when bf.counts > : send udp://daq:9000")
    Traceback (most recent call last):
    ...
    parscope.core.errors.OptionError: rule, column 18: expected an output of the analysis or a number, found ":"
    """
    rule: Rule = _parsed(text, "rule")
    return replace(rule, text=" ".join(text.split()))


def parse_condition(text: str) -> Condition:
    """Read a condition alone, as of an interlock.

    Parameters
    ----------
    text : str
        What would stand behind ``when``.

    Returns
    -------
    Compare, And, Or or Not

    Raises
    ------
    OptionError
        As for `parse`.
    MissingExtraError
        As for `parse`.

    Examples
    --------
    >>> parse_condition("sum.counts > 100")
    Compare(left=Signal(name='sum.counts', absolute=False), order='>', right=Number(value=100.0, unit=''))
    """
    condition: Condition = _parsed(text, "any_of")
    return condition


class _Builder:
    """Callbacks of the parser; each is given what the parts of its rule made."""

    def rule(self, parts: list[Any]) -> Rule:
        """The whole: label, condition, clauses, one or two actions."""
        label, condition, *clauses, then, otherwise = parts
        told: dict[str, Any] = dict(clauses)
        if len(told) < len(clauses):
            raise OptionError('says "for", "every" or "within" twice', "rule")
        frames, gaps = told.pop("frames", (1, False))
        return Rule(condition, then, otherwise, frames=frames, gaps=gaps, name=label or "", **told)

    def label(self, parts: list[Any]) -> str:
        """``name:``."""
        return str(parts[0])

    def any_of(self, parts: list[Condition]) -> Condition:
        """``a or b``."""
        return Or(tuple(parts))

    def all_of(self, parts: list[Condition]) -> Condition:
        """``a and b``."""
        return And(tuple(parts))

    def negation(self, parts: list[Condition]) -> Condition:
        """``not a``."""
        return Not(parts[0])

    def compare(self, parts: list[Any]) -> Condition:
        """``a > b``."""
        left, order, right = parts
        made = Compare(left, "=" if order == "==" else str(order), right)  # type: ignore[arg-type]
        if not signals(made):
            raise OptionError("compares a number with a number", _at(order), "name an output of the analysis")
        return made

    def signal(self, parts: list[Any]) -> Signal:
        """An output."""
        return Signal(str(parts[0]))

    def absolute(self, parts: list[Any]) -> Signal:
        """``abs(output)``."""
        return Signal(str(parts[0]), absolute=True)

    def number(self, parts: list[Any]) -> Number:
        """A number and its unit."""
        return Number(float(parts[0]), str(parts[1] or ""))

    def frames(self, parts: list[Any]) -> tuple[str, Any]:
        """``for 3 frames``."""
        number, answered = parts
        if not str(number).isdigit() or not 1 <= int(number) <= 1_000_000:
            raise OptionError(f"{number} is no number of frames", _at(number), "write a whole number from 1")
        return "frames", (int(number), answered is not None)

    def every(self, parts: list[Any]) -> tuple[str, int]:
        """``every 10 ms``."""
        return "every", _duration(*parts)

    def within(self, parts: list[Any]) -> tuple[str, int]:
        """``within 200 us``."""
        return "within", _duration(*parts)

    def send(self, parts: list[Any]) -> Send:
        """``send a, b to udp://...``."""
        *outputs, address = map(str, parts)
        return Send(address, tuple(outputs))


def duration(number: float, unit: str) -> int:
    """A time of the text, in whole nanoseconds.

    Parameters
    ----------
    number : float
        In `unit`.
    unit : str
        ``s``, ``ms``, ``us``, ``µs`` or ``ns``.

    Returns
    -------
    int

    Raises
    ------
    OptionError
        If it is no time, or not one from 1 ns to a day.

    Examples
    --------
    >>> duration(0.2, "ms")
    200000
    """
    factor = conversion(unit, "s")
    time = 0 if factor is None or number > 1e15 else round(number * factor * 1e9)
    if not 1 <= time <= 86_400_000_000_000:
        raise OptionError(f"{number:g} {unit} is no time from 1 ns to a day", "rule", "write it as 10 ms or 200 us")
    return time


def _parsed(text: str, start: str) -> Any:
    """What the text says, read as one rule of the grammar."""
    if len(text) > LONGEST:
        raise OptionError(f"has {len(text)} characters, of {LONGEST} at most", "rule")
    parser, unexpected, wrapped = _parser()
    try:
        return parser.parse(text, start=start)
    except unexpected as error:
        _refuse(text, error)
    except wrapped as error:  # what a callback refuses comes wrapped
        raise error.orig_exc from None  # type: ignore[attr-defined]


def _duration(number: Any, unit: Any) -> int:
    """The same, of two words."""
    return duration(float(number), str(unit))


def _at(token: Any) -> str:
    return f"rule, column {token.column}"


@cache
def _parser() -> tuple[Any, type[Exception], type[Exception]]:
    try:
        from lark import Lark, UnexpectedInput
        from lark.exceptions import VisitError
    except ImportError as error:
        raise MissingExtraError("lark", "live") from error
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    builder: Any = _Builder()
    lark = Lark(grammar, parser="lalr", transformer=builder, maybe_placeholders=True, start=["rule", "any_of"])
    return lark, UnexpectedInput, VisitError


def _refuse(text: str, error: Any) -> NoReturn:
    """Say what stands where something else was expected."""
    token = getattr(error, "token", None)
    end = getattr(token, "type", "") == "$END"
    at = len(text.rstrip()) if end else error.pos_in_stream
    found = "the end" if end else f'"{token or text[at]}"'
    may_come = {name.lstrip("_") for name in error.interactive_parser.accepts()}
    expected = next((told for name, told in _EXPECTED.items() if name in may_come), "the end")
    raise OptionError(f"expected {expected}, found {found}", f"rule, column {at + 1}") from None
