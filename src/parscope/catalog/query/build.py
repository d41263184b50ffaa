"""Makes the expression while the text of a query is parsed: one method for each rule of the grammar.

What means nothing is refused here already, since here it is known where it stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from parscope.catalog.query.ast import (
    EVERYTHING,
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
    Matches,
    Not,
    Or,
    Order,
    Quantity,
    SourceOf,
    State,
    Step,
    Tagged,
    Term,
    Text,
    joined,
)
from parscope.catalog.query.limits import (
    DIGITS,
    LETTERS,
    check_ends,
    check_literal,
    check_name,
    check_pattern,
    check_regex,
    check_words,
)
from parscope.catalog.query.shown import shown
from parscope.core.errors import QueryError

Token = Any
"""A word of the text, with `line` and `column`; lark is not imported to say so."""


class _Every(NamedTuple):
    """Elements of a term, all of which are asked for; and the word that says so."""

    term: Term
    token: Token


class Builder:
    """Callbacks of the parser; each is given what the parts of its rule made."""

    def everything(self, _: list[Any]) -> Expression:
        """Hold for all records."""
        return EVERYTHING

    def nothing(self, _: list[Any]) -> Expression:
        """Hold for no record."""
        return Or(())

    def any_of(self, parts: list[Expression]) -> Expression:
        """``a or b or c``."""
        return joined(Or, parts)

    def all_of(self, parts: list[Expression]) -> Expression:
        """``a and b and c``."""
        return joined(And, parts)

    def negation(self, parts: list[Expression]) -> Expression:
        """``not a``."""
        return Not(parts[0])

    def step(self, parts: list[Token]) -> Step:
        """One key of a path."""
        return Deep.DEEP if parts[0] == Deep.DEEP.value else _plain(parts[0])

    inner = step

    def path(self, steps: list[Step]) -> Term:
        """``a.b``."""
        return Term(tuple(steps))

    def aspect(self, parts: list[Any]) -> Term:
        """``length(a.b)``."""
        return Term(parts[1].path, Aspect(parts[0].lower()))

    def every(self, parts: list[Any]) -> _Every:
        """``all(a.b)``."""
        return _Every(parts[1], parts[0])

    def exists(self, parts: list[Term | _Every]) -> Expression:
        """``a.b exists``."""
        return Exists(_alone(parts[0]))

    def compare(self, parts: list[Any]) -> Expression:
        """``a.b >= 3``."""
        subject, order, literal = parts
        if order == "!=":
            return Not(Compare(*_term(subject, Order.EQUAL, literal)))
        return Compare(*_term(subject, _order(order), literal))

    def fields(self, parts: list[Any]) -> Expression:
        """``a.b > c.d``."""
        left, order, right = parts
        if order == "!=":
            return Not(Fields(_alone(left), Order.EQUAL, right))
        return Fields(_alone(left), _order(order), right)

    def among(self, parts: list[Any]) -> Expression:
        """``a.b in (1, 2)``."""
        subject, *negation, literals = parts
        return _negated(negation, In(*_term(subject, tuple(literals))))

    def between(self, parts: list[Any]) -> Expression:
        """``a.b in 3..5 keV``: the unit at the end holds for both."""
        subject, *negation, low, dots, high = parts
        if isinstance(high, Quantity) and isinstance(low, int | float) and not isinstance(low, bool):
            low = Quantity(low, high.unit)
        _checked(dots, check_ends, low, high)
        return _negated(negation, Between(*_term(subject, low, high)))

    def like(self, parts: list[Any]) -> Expression:
        """``a.b like "%.dm4"``."""
        subject, *negation, pattern = parts
        return _negated(negation, Like(*_term(subject, _pattern(pattern))))

    def matches(self, parts: list[Any]) -> Expression:
        """``a.b ~ "[0-9]+"``."""
        subject, sign, token = parts
        pattern = _plain(token)
        _checked(token, check_regex, pattern)
        return _negated([sign] if sign == "!~" else [], Matches(*_term(subject, pattern)))

    def text(self, parts: list[Token]) -> Expression:
        """``text "domain wall"``."""
        words = _plain(parts[0])
        _checked(parts[0], check_words, words)
        return Text(words)

    def derived(self, parts: list[str]) -> Expression:
        """``derived from 3fa9``."""
        return DerivedFrom(parts[0])

    def source(self, parts: list[str]) -> Expression:
        """``source of 3fa9``."""
        return SourceOf(parts[0])

    def tagged(self, parts: list[Token]) -> Expression:
        """``tagged "good"``."""
        return Tagged(_plain(parts[0]))

    def collected(self, parts: list[Token]) -> Expression:
        """``in collection "PZT"``."""
        return Collected(_plain(parts[0]))

    def located(self, parts: list[Token]) -> Expression:
        """``file like "%/2024/%"``."""
        return Located(_pattern(parts[0]))

    def state(self, parts: list[Token]) -> Expression:
        """``is missing``."""
        return Is(State(parts[0].split()[1].lower()))

    def values(self, literals: list[Literal]) -> list[Literal]:
        """``(1, 2, 3)``."""
        return literals

    def name(self, parts: list[Token]) -> str:
        """Name of a record, or how it begins."""
        name = _plain(parts[0])
        _checked(parts[0], check_name, name)
        return name

    def words(self, parts: list[Token]) -> Literal:
        """``"HAADF"``."""
        return _plain(parts[0])

    def number(self, parts: list[Token]) -> Literal:
        """``3``, ``-1.5e-9``, ``nan``."""
        return _number(parts[0])

    def quantity(self, parts: list[Token]) -> Literal:
        """``200 kV``, ``5 "m s^-1"``."""
        made = Quantity(_number(parts[0]), _plain(parts[1]))
        _checked(parts[1], check_literal, made)
        return made

    def date(self, parts: list[Token]) -> Literal:
        """``2024-03``, ``date "2024"``."""
        made = Date(_plain(parts[0]))
        _checked(parts[0], check_literal, made)
        return made

    def truth(self, _: list[Token]) -> Literal:
        """``true``."""
        return True

    def untruth(self, _: list[Token]) -> Literal:
        """``false``."""
        return False

    def null(self, _: list[Token]) -> Literal:
        """``null``."""
        return None

    def bare(self, parts: list[Token]) -> Literal:
        """Refuse a word without quotes: as a path it would be found nowhere, and nobody would know why."""
        word = shown(parts[0])
        advice = f"a text is written {word}, a path $.{word[1:-1]}"
        raise QueryError(f"expected a value, found {word}", _place(parts[0]), advice)


def place(line: int, column: int) -> str:
    """Where something stands, for people: lines and columns are counted from 1, and the first line is not named."""
    return f"column {column}" if line == 1 else f"line {line}, column {column}"


def _place(token: Token) -> str:
    return place(token.line, token.column)


def _checked(token: Token, check: Callable[..., None], *values: Any) -> None:
    """Run a check, and say where what it refuses stands."""
    try:
        check(*values)
    except QueryError as error:
        raise QueryError(error.what, _place(token), error.advice) from error


def _plain(token: Token) -> str:
    """Text of a word, or what is between its quotes, where JSON's escapes hold."""
    try:
        text = str(json.loads(token, strict=False) if token.type == "STRING" else token)
    except ValueError as error:
        what = "a backslash that begins no escape"
        raise QueryError(what, _place(token), 'write \\\\ for a backslash, \\" for a quote') from error
    if len(text) > LETTERS:
        raise QueryError(f"a text has {len(text)} characters, of {LETTERS} at most", _place(token))
    return text


def _number(token: Token) -> int | float:
    if not token.lstrip("+-").isdigit():
        return float(token)
    if len(token) > DIGITS:
        raise QueryError(f"a number has more than {DIGITS} digits", _place(token))
    return int(token)


def _pattern(token: Token) -> str:
    pattern = _plain(token)
    _checked(token, check_pattern, pattern)
    return pattern


def _order(sign: str) -> Order:
    return Order("=" if sign == "==" else str(sign))


def _term(subject: Term | _Every, *others: Any) -> tuple[Any, ...]:
    """Fields of a comparison: the term, the others, and whether it holds for every element."""
    if isinstance(subject, _Every):
        return (subject.term, *others, True)
    return (subject, *others)


def _alone(subject: Term | _Every) -> Term:
    if isinstance(subject, _Every):
        raise QueryError("all(...) is compared with values only", _place(subject.token))
    return subject


def _negated(negation: list[Any], expression: Expression) -> Expression:
    return Not(expression) if negation else expression
