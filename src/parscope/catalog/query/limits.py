"""What every expression keeps to, however it was spelled: its size, its types, and that each part means something.

Regular expressions are those of RE2, which runs in linear time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import isnan
from typing import Any

from parscope.catalog.query.ast import (
    And,
    Aspect,
    Between,
    Collected,
    Compare,
    Date,
    Deep,
    DerivedFrom,
    Exists,
    Expression,
    Fields,
    In,
    Is,
    Like,
    Literal,
    Located,
    Logic,
    Matches,
    Not,
    Or,
    Order,
    Quantity,
    SourceOf,
    State,
    Tagged,
    Term,
    Text,
)
from parscope.catalog.query.dates import span
from parscope.catalog.query.shown import shown
from parscope.catalog.query.units import si
from parscope.core.errors import MissingExtraError, QueryError

DEPTH = 100
"""How deep parts may stand in each other, and how many keys a path may have, [1]."""

PARTS = 10_000
"""How many parts, literals and keys there may be in all, [1]."""

LETTERS = 10_000
"""Length of the longest text, [1]."""

PATTERN = 1000
"""Length of the longest pattern, [1]."""

DIGITS = 1000
"""Digits of the largest whole number, [1]."""

SHORTEST_NAME = 4
"""Characters of a record's name that are enough to begin with, [1]."""


def checked(expression: Expression) -> Expression:
    """Refuse an expression that is too large or means nothing; what comes through may be run.

    Parameters
    ----------
    expression : Expression
        However it was made.

    Returns
    -------
    Expression
        The same.

    Raises
    ------
    QueryError
        With the part at fault.
    MissingExtraError
        If a library is not installed that a unit or pattern needs.
    """
    waiting: list[tuple[Any, int]] = [(expression, 1)]
    size = 0
    while waiting:
        part, depth = waiting.pop()
        if not isinstance(part, Logic):
            raise QueryError(f"a part of the query is a {type(part).__name__}, which is no expression")
        if isinstance(part, And | Or | Not):
            inner = (part.part,) if isinstance(part, Not) else part.parts
            waiting += ((one, depth + 1) for one in inner)
            size += 1
        else:
            size += 1 + _CHECKS[type(part)](part)
        if depth > DEPTH:
            raise QueryError(f"the query is nested more than {DEPTH} deep")
        if size + len(waiting) > PARTS:
            raise QueryError(f"the query has more than {PARTS} parts")
    return expression


def check_literal(literal: Literal) -> None:
    """Refuse a literal that means nothing.

    Parameters
    ----------
    literal : Literal
        A value.

    Raises
    ------
    QueryError
        With the value.
    MissingExtraError
        If pint is needed and not installed.
    """
    match literal:
        case Quantity(value, unit):
            _number(value)
            _text(unit, LETTERS)
            if isnan(value):
                raise QueryError("NaN has no unit")
            if si(0.0, unit) is None:
                raise QueryError(f"{shown(unit)} is no unit that is known")
            if si(value, unit) is None:
                raise QueryError(f"{value:g} {unit} is more than can be calculated with")
        case Date(text):
            span(text)
        case str():
            _text(literal, LETTERS)
        case None | bool():
            pass
        case _:
            _number(literal)


def check_ends(low: Literal, high: Literal) -> None:
    """Refuse a range between values of different types.

    Parameters
    ----------
    low, high : Literal
        Its ends.

    Raises
    ------
    QueryError
        If they cannot be ordered.
    MissingExtraError
        If pint is needed and not installed.
    """
    check_literal(low)
    check_literal(high)
    if _sort(low) != _sort(high):
        raise QueryError(f"a range goes from {_sort(low)} to {_sort(high)}; both ends need the same")


@lru_cache(256)
def check_regex(pattern: str) -> None:
    """Refuse what RE2 does not take for a regular expression, and what is longer than people write.

    Parameters
    ----------
    pattern : str
        A regular expression.

    Raises
    ------
    QueryError
        With the pattern and the fault.
    MissingExtraError
        If RE2 is not installed.
    """
    _text(pattern, PATTERN)
    try:
        import re2
    except ImportError as error:
        raise MissingExtraError("google-re2", "catalog") from error
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        fault = error.args[0] if isinstance(error, re2.error) else "a surrogate stands alone"
        told = fault.decode("utf-8", "replace") if isinstance(fault, bytes) else fault
        raise QueryError(f"{shown(pattern)} is no regular expression: {told}") from error


def check_pattern(pattern: str) -> None:
    """Refuse a pattern of `Like` that ends in the middle.

    Parameters
    ----------
    pattern : str
        With ``%``, ``_`` and backslashes.

    Raises
    ------
    QueryError
        If its last backslash takes nothing literally.
    """
    _text(pattern, PATTERN)
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise QueryError(f"{shown(pattern)} ends with half a pair of backslashes")


def check_words(words: str) -> None:
    """Refuse a full text without a word.

    Parameters
    ----------
    words : str
        What is looked for.

    Raises
    ------
    QueryError
        If there is none.
    """
    _text(words, LETTERS)
    if not any(letter.isalnum() for letter in words):
        raise QueryError("there is no word to look for")


def check_name(name: str) -> None:
    """Refuse the beginning of a record's name that is that of too many.

    Parameters
    ----------
    name : str
        Of a record, or how it begins.

    Raises
    ------
    QueryError
        With the name.
    """
    _text(name, LETTERS)
    if len(name) < SHORTEST_NAME:
        raise QueryError(f"the name of a record has at least {SHORTEST_NAME} characters, not {shown(name)}")


def _sort(literal: Literal) -> str:
    """What a literal can be compared with, in words."""
    match literal:
        case Quantity(value, unit):
            measure = si(value, unit)
            return f"a quantity in {measure.dimension}" if measure else "nothing"
        case Date():
            return "a date"
        case str():
            return "text"
        case None | bool():
            return "null" if literal is None else "true or false"
        case _:
            return "a number"


def _number(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise QueryError(f"a {type(value).__name__} is no value that is known")
    if isinstance(value, int) and abs(value) >= 10**DIGITS:
        raise QueryError(f"a number has more than {DIGITS} digits")


def _text(value: object, longest: int) -> None:
    if not isinstance(value, str):
        raise QueryError(f"a {type(value).__name__} stands where a text is needed")
    if len(value) > longest:
        raise QueryError(f"a text has {len(value)} characters, of {longest} at most", shown(value))


def _term(term: Term) -> int:
    if not term.path:
        raise QueryError("a path has no key")
    if len(term.path) > DEPTH:
        raise QueryError(f"a path has more than {DEPTH} keys")
    for step in term.path:
        if not isinstance(step, Deep):
            _text(step, LETTERS)
    if not isinstance(term.aspect, Aspect):
        raise QueryError(f"{term.aspect!r} is no aspect of a path")
    return len(term.path)


def _order(order: Order) -> None:
    if not isinstance(order, Order):
        raise QueryError(f"{order!r} is no comparison")


def _compare(part: Compare) -> int:
    _order(part.order)
    check_literal(part.literal)
    return 1 + _term(part.term)


def _between(part: Between) -> int:
    check_ends(part.low, part.high)
    return 2 + _term(part.term)


def _in(part: In) -> int:
    if len(part.literals) > PARTS:
        raise QueryError(f"the query has more than {PARTS} parts")
    for literal in part.literals:
        check_literal(literal)
    return len(part.literals) + _term(part.term)


def _like(part: Like) -> int:
    check_pattern(part.pattern)
    return 1 + _term(part.term)


def _matches(part: Matches) -> int:
    check_regex(part.pattern)
    return 1 + _term(part.term)


def _fields(part: Fields) -> int:
    _order(part.order)
    return _term(part.left) + _term(part.right)


def _words(part: Text) -> int:
    check_words(part.words)
    return 1 + part.words.count(" ")


def _name(part: DerivedFrom | SourceOf) -> int:
    check_name(part.record)
    return 1


def _label(part: Tagged | Collected) -> int:
    _text(part.tag if isinstance(part, Tagged) else part.collection, LETTERS)
    return 1


def _located(part: Located) -> int:
    check_pattern(part.pattern)
    return 1


def _state(part: Is) -> int:
    if not isinstance(part.state, State):
        raise QueryError(f"{part.state!r} is no state of a record")
    return 1


def _exists(part: Exists) -> int:
    return _term(part.term)


_CHECKS: dict[type, Callable[[Any], int]] = {
    Compare: _compare,
    Between: _between,
    In: _in,
    Like: _like,
    Matches: _matches,
    Exists: _exists,
    Fields: _fields,
    Text: _words,
    DerivedFrom: _name,
    SourceOf: _name,
    Tagged: _label,
    Collected: _label,
    Located: _located,
    Is: _state,
}
