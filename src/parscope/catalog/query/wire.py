"""Expressions as JSON, which saved queries keep and HTTP carries: each part is one object, named by what it asks.

::

    {"version": 1, "query": {"and": [
        {"path": ["mode"], "=": "HAADF"},
        {"path": ["beam", "voltage"], ">=": {"quantity": [200, "kV"]}},
        {"not": {"path": [null, "tags"], "matches": "test"}}]}}

In a path null stands for any number of keys. Values are those of JSON, and ``{"quantity": [200, "kV"]}``,
``{"date": "2024-03"}``, ``{"number": "nan"}``.
"""

from __future__ import annotations

import json
from math import isfinite, isnan
from typing import Any, NoReturn

from parscope.catalog.query.ast import (
    And,
    Aspect,
    Between,
    Compare,
    Date,
    Deep,
    Exists,
    Expression,
    Fields,
    In,
    Is,
    Like,
    Literal,
    Matches,
    Not,
    Or,
    Quantity,
    Term,
)
from parscope.catalog.query.decode import OF_ONE_TEXT, decoded, refuse_others, short, typed
from parscope.catalog.query.limits import DEPTH, checked
from parscope.core.errors import QueryError

VERSION = 1
"""Of the form above; raised when it changes."""


def dumps(expression: Expression) -> str:
    """Spell an expression as JSON.

    Parameters
    ----------
    expression : Expression
        Any.

    Returns
    -------
    str
        One line of ASCII, from which `loads` makes the same expression.

    Raises
    ------
    QueryError
        If it is too large or means nothing.

    Examples
    --------
    >>> from parscope.catalog.query.text import parse
    >>> dumps(parse("beam.voltage >= 200 kV"))
    '{"version":1,"query":{"path":["beam","voltage"],">=":{"quantity":[200,"kV"]}}}'
    """
    return json.dumps(to_json(expression), separators=(",", ":"), allow_nan=False)


def loads(text: str) -> Expression:
    """Read an expression from JSON.

    Parameters
    ----------
    text : str
        As `dumps` writes it.

    Returns
    -------
    Expression

    Raises
    ------
    QueryError
        If it is no JSON, of another form, too large or means nothing, with the place at fault.

    Examples
    --------
    >>> loads('{"version": 1, "query": {"path": ["mode"], "=": "HAADF"}}')
    Compare(term=Term(path=('mode',), aspect=<Aspect.VALUE: 'value'>), order=<Order.EQUAL: '='>, literal='HAADF',
            every=False)
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_once)
    except RecursionError as error:
        raise QueryError(f"the query is nested more than {DEPTH} deep") from error
    except ValueError as error:  # also for numbers of more digits than Python reads
        raise QueryError(f"the query is no JSON: {error}") from error
    return from_json(value)


def to_json(expression: Expression) -> dict[str, Any]:
    """Expression as the objects of which JSON is made.

    Parameters
    ----------
    expression : Expression
        Any.

    Returns
    -------
    dict
        With ``version`` and ``query``.

    Raises
    ------
    QueryError
        If it is too large or means nothing.
    """
    return {"version": VERSION, "query": _encoded(checked(expression))}


def from_json(value: object) -> Expression:
    """Expression of the objects of which JSON is made.

    Parameters
    ----------
    value : object
        As `to_json` makes it.

    Returns
    -------
    Expression

    Raises
    ------
    QueryError
        If it is of another form, too large or means nothing, with the place at fault.
    """
    whole = typed(value, dict, "an object with version and query", "the query")
    version = whole.get("version")
    if version != VERSION or isinstance(version, bool):
        raise QueryError(f"the version is {version!r}, not {VERSION}", "the query")
    refuse_others(whole, {"version", "query"}, "the query")
    return checked(decoded(whole.get("query"), "query", 1))


def odd(number: float) -> dict[str, str]:
    """Spell a number for which JSON has no form.

    Parameters
    ----------
    number : float
        NaN or an infinity, [1].

    Returns
    -------
    dict of str

    Examples
    --------
    >>> odd(float("-inf"))
    {'number': '-inf'}
    """
    return {"number": "nan" if isnan(number) else "inf" if number > 0 else "-inf"}


def _encoded(expression: Expression) -> dict[str, Any]:
    """One part; `checked` has seen to the depth."""
    match expression:
        case And(parts) | Or(parts):
            return {"and" if isinstance(expression, And) else "or": [_encoded(part) for part in parts]}
        case Not(part):
            return {"not": _encoded(part)}
        case Is(state):
            return {"is": state.value}
        case Compare() | Between() | In() | Like() | Matches() | Exists() | Fields():
            return _encoded_term(expression)
        case _:
            (text,) = vars(expression).values()
            return {next(name for name, kind in OF_ONE_TEXT.items() if isinstance(expression, kind)): text}


def _encoded_term(expression: Compare | Between | In | Like | Matches | Exists | Fields) -> dict[str, Any]:
    every = {} if isinstance(expression, Exists | Fields) or not expression.every else {"every": True}
    match expression:
        case Fields(left, order, right):
            return _named(left) | {order.value: _named(right)}
        case Exists(term):
            return _named(term) | {"exists": True}
        case Compare(term, order, literal):
            told: dict[str, Any] = {order.value: _value(literal)}
        case Between(term, low, high):
            told = {"between": [_value(low), _value(high)]}
        case In(term, literals):
            told = {"in": [_value(literal) for literal in literals]}
        case Like(term, pattern):
            told = {"like": pattern}
        case Matches(term, pattern):
            told = {"matches": pattern}
    return _named(term) | every | told


def _named(term: Term) -> dict[str, Any]:
    aspect = {} if term.aspect is Aspect.VALUE else {"aspect": term.aspect.value}
    return {"path": [None if isinstance(step, Deep) else step for step in term.path], **aspect}


def _value(literal: Literal) -> Any:
    match literal:
        case Quantity(value, unit):
            return {"quantity": [_value(value), unit]}
        case Date(text):
            return {"date": text}
        case float() if not isfinite(literal):
            return odd(literal)
        case _:
            return literal


def _refuse_constant(name: str) -> NoReturn:
    raise QueryError(
        f"{name} is no JSON", "the query", f'write {{"number": "{name.lower().replace("infinity", "inf")}"}}'
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object with the same key twice, of which one would be dropped."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise QueryError(f"the key {short(twice)} stands twice in one object", "the query")
    return made
