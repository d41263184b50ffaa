"""Expressions as text that `parscope.catalog.query.text.parse` reads: one spelling for each."""

from __future__ import annotations

import json
import re
from math import isnan

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
    Matches,
    Not,
    Or,
    Order,
    Quantity,
    SourceOf,
    Step,
    Tagged,
    Term,
    Text,
    joined,
)
from parscope.catalog.query.limits import checked

# Words that mean something where a path begins or ends; as a key that stands there they are quoted.
_RESERVED = {"and", "or", "not", "in", "like", "exists", "true", "false", "null", "nan", "inf", "file"}

# As in the grammar, which a test holds these to.
_WORD = re.compile(r"[^\W\d]\w*(-\w+)*")
_INNER = re.compile(r"\w+(-\w+)*")
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2}(T[0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?)?)?Z?")
_UNIT = re.compile(r"(1/)?[^\W\d_]+(\^-?[0-9])?(/[^\W\d_]+(\^-?[0-9])?)*|%")

# What JSON leaves as it is and a terminal does not: control characters, half pairs, ends of lines.
_UNSEEN = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_ONE_TEXT = {Text: "text", Tagged: "tagged", Collected: "in collection", Located: "file like"}
_RECORDS = {DerivedFrom: "derived from", SourceOf: "source of"}


def spell(expression: Expression) -> str:
    """Spell an expression as text, the same for the same meaning of `normal`.

    Parameters
    ----------
    expression : Expression
        Any.

    Returns
    -------
    str
        One line, from which `parscope.catalog.query.text.parse` makes `normal` of the expression.

    Raises
    ------
    QueryError
        If it is too large or means nothing.

    Examples
    --------
    >>> spell(Not(Compare(Term(("Cs(mm)",)), Order.EQUAL, Quantity(1.0, "mm"))))
    '"Cs(mm)" != 1.0 mm'
    """
    return _spelled(normal(checked(expression)))


def normal(expression: Expression) -> Expression:
    """Same expression without needless nesting: ``and`` in ``and``, ``or`` in ``or``, and either of one part.

    Parameters
    ----------
    expression : Expression
        That has been `checked`.

    Returns
    -------
    Expression
    """
    if isinstance(expression, Not):
        return Not(normal(expression.part))
    if isinstance(expression, And | Or):
        return joined(type(expression), map(normal, expression.parts))
    return expression


def _spelled(expression: Expression) -> str:
    match expression:
        case And(()) | Or(()):
            return "true" if isinstance(expression, And) else "false"
        case And(parts):
            return " and ".join(_bracketed(part) if isinstance(part, Or) else _spelled(part) for part in parts)
        case Or(parts):
            return " or ".join(map(_spelled, parts))
        case Not(part):
            return _negated(part)
        case Is(state):
            return f"is {state.value}"
        case Text() | Tagged() | Collected() | Located() | DerivedFrom() | SourceOf():
            return _one_word(expression)
        case _:
            return _condition(expression, negated=False)


def _one_word(expression: Text | Tagged | Collected | Located | DerivedFrom | SourceOf) -> str:
    (word,) = vars(expression).values()
    if isinstance(expression, DerivedFrom | SourceOf):
        return f"{_RECORDS[type(expression)]} {word if _NAME.fullmatch(word) else _quoted(word)}"
    return f"{_ONE_TEXT[type(expression)]} {_quoted(word)}"


def _negated(part: Expression) -> str:
    match part:
        case Compare(_, Order.EQUAL) | Fields(_, Order.EQUAL) | Between() | In() | Like() | Matches():
            return _condition(part, negated=True)
        case And() | Or():
            return f"not {_bracketed(part)}"
        case _:
            return f"not {_spelled(part)}"


def _bracketed(part: Expression) -> str:
    return f"({_spelled(part)})" if not isinstance(part, And | Or) or part.parts else _spelled(part)


def _condition(part: Compare | Between | In | Like | Matches | Exists | Fields, *, negated: bool) -> str:
    no = "not " if negated else ""
    match part:
        case Exists(term):
            return f"{_term(term)} exists"
        case Fields(left, order, right):
            return f"{_term(left)} {'!=' if negated else order.value} {_right(right)}"
        case Compare(_, order, literal):
            told = f"{'!=' if negated else order.value} {_literal(literal)}"
        case Between(_, low, high):
            told = f"{no}in {_range(low, high)}"
        case In(_, literals):
            told = f"{no}in ({', '.join(map(_literal, literals))})"
        case Like(_, pattern):
            told = f"{no}like {_quoted(pattern)}"
        case Matches(_, pattern):
            told = f"{'!~' if negated else '~'} {_quoted(pattern)}"
    return f"{f'all({_term(part.term)})' if part.every else _term(part.term)} {told}"


def _term(term: Term) -> str:
    first = term.path[0]
    plain = isinstance(first, str) and _WORD.fullmatch(first) and first.lower() not in _RESERVED
    path = ".".join([str(first) if plain else _quoted(first), *map(_step, term.path[1:])])
    return path if term.aspect is Aspect.VALUE else f"{term.aspect.value}({path})"


def _right(term: Term) -> str:
    """A path on the right of a comparison: a single key alone would be taken for a text."""
    alone = term.aspect is Aspect.VALUE and len(term.path) == 1
    return f"$.{_step(term.path[0])}" if alone else _term(term)


def _step(step: Step) -> str:
    return step if isinstance(step, str) and _INNER.fullmatch(step) else _quoted(step)


def _quoted(text: Step) -> str:
    if isinstance(text, Deep):
        return text.value
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _range(low: Literal, high: Literal) -> str:
    shared = isinstance(low, Quantity) and isinstance(high, Quantity) and low.unit == high.unit
    return f"{_literal(low.value if shared and isinstance(low, Quantity) else low)}..{_literal(high)}"


def _literal(literal: Literal) -> str:
    match literal:
        case Quantity(value, unit):
            return f"{_literal(value)} {unit if _UNIT.fullmatch(unit) else _quoted(unit)}"
        case Date(text):
            return text if _DATE.fullmatch(text) else f"date {_quoted(text)}"
        case str():
            return _quoted(literal)
        case None | bool():
            return {None: "null", True: "true", False: "false"}[literal]
        case float() if isnan(literal):
            return "nan"
        case _:
            return repr(literal)
