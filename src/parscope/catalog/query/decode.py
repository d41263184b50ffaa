"""Expressions out of the objects of JSON: everything is looked at, and what is wrong is told with its place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from math import inf, nan
from typing import Any, TypeVar

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
    State,
    Tagged,
    Term,
    Text,
)
from parscope.catalog.query.limits import DEPTH
from parscope.core.errors import QueryError

OF_ONE_TEXT: dict[str, type[Text | DerivedFrom | SourceOf | Tagged | Collected | Located]] = {
    "text": Text,
    "derived_from": DerivedFrom,
    "source_of": SourceOf,
    "tagged": Tagged,
    "collection": Collected,
    "file": Located,
}
"""Parts that are a text and nothing else, by their names in JSON."""

_ORDERS = {order.value: order for order in Order}
_ODD_NUMBERS = {"nan": nan, "inf": inf, "-inf": -inf}
_Kind = TypeVar("_Kind")
_Member = TypeVar("_Member", bound=Enum)


def decoded(value: object, place: str, depth: int) -> Expression:
    """Read one part and all within it.

    Parameters
    ----------
    value : object
        As `json` reads it.
    place : str
        Where it stands, for people.
    depth : int
        How deep it stands in others, [1].

    Returns
    -------
    Expression

    Raises
    ------
    QueryError
        If it is of another form, with the place at fault.
    """
    part = typed(value, dict, "an object", place)
    if depth > DEPTH:
        raise QueryError(f"the query is nested more than {DEPTH} deep", place)
    names = [name for name in part if name in _NAMES]
    if len(names) != 1:
        raise QueryError(f"expected one of {_listed(_NAMES)}; found {_listed(names)}", place)
    (name,) = names
    inner, here = part[name], f"{place}.{name}"
    if name in _TERMS or name == "exists":
        return _decoded_term(part, name, place)
    refuse_others(part, {name}, place)
    if name == "not":
        return Not(decoded(inner, here, depth + 1))
    if name == "is":
        return Is(_one_of(State, inner, here))
    if name in OF_ONE_TEXT:
        return OF_ONE_TEXT[name](typed(inner, str, "a text", here))
    items = enumerate(typed(inner, list, "a list", here))
    parts = tuple(decoded(item, f"{here}[{number}]", depth + 1) for number, item in items)
    return And(parts) if name == "and" else Or(parts)


def _decoded_term(part: Mapping[str, Any], name: str, place: str) -> Expression:
    value, here = part[name], f"{place}.{name}"
    alone = name == "exists" or (name in _ORDERS and isinstance(value, dict) and "path" in value)
    refuse_others(part, {name, "path", "aspect"} | (set() if alone else {"every"}), place)
    term = _term({key: part[key] for key in ("path", "aspect") if key in part}, place)
    if name == "exists":
        if value is not True:
            raise QueryError("expected true", here)
        return Exists(term)
    if alone:
        return Fields(term, _ORDERS[name], _term(value, here))
    every = typed(part.get("every", False), bool, "true or false", f"{place}.every")
    return _TERMS[name](term, value, every, here)


def _term(value: Mapping[str, Any], place: str) -> Term:
    refuse_others(value, {"path", "aspect"}, place)
    steps = typed(value.get("path"), list, "a list of keys", f"{place}.path")
    path = tuple(
        Deep.DEEP if step is None else typed(step, str, "a key or null", f"{place}.path[{number}]")
        for number, step in enumerate(steps)
    )
    return Term(path, _one_of(Aspect, value.get("aspect", "value"), f"{place}.aspect"))


def _compare(name: str) -> Callable[[Term, Any, bool, str], Expression]:
    return lambda term, value, every, place: Compare(term, _ORDERS[name], _literal(value, place), every)


def _between(term: Term, value: Any, every: bool, place: str) -> Expression:
    ends = _literals(value, place)
    if len(ends) != 2:
        raise QueryError("expected two values", place)
    return Between(term, *ends, every)


def _in(term: Term, value: Any, every: bool, place: str) -> Expression:
    return In(term, _literals(value, place), every)


def _like(term: Term, value: Any, every: bool, place: str) -> Expression:
    return Like(term, typed(value, str, "a pattern", place), every)


def _matches(term: Term, value: Any, every: bool, place: str) -> Expression:
    return Matches(term, typed(value, str, "a regular expression", place), every)


def _literals(value: Any, place: str) -> tuple[Literal, ...]:
    items = enumerate(typed(value, list, "a list of values", place))
    return tuple(_literal(item, f"{place}[{number}]") for number, item in items)


def _literal(value: Any, place: str) -> Literal:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    match value:
        case {"quantity": [number, str(unit)], **others} if not others:
            size = _literal(number, place)
            if isinstance(size, int | float) and not isinstance(size, bool):
                return Quantity(size, unit)
        case {"date": str(text), **others} if not others:
            return Date(text)
        case {"number": str(name), **others} if not others and name in _ODD_NUMBERS:
            return _ODD_NUMBERS[name]
    raise QueryError('expected a value, {"quantity": [number, unit]}, {"date": text} or {"number": "nan"}', place)


def _one_of(kind: type[_Member], value: object, place: str) -> _Member:
    members: dict[object, _Member] = {member.value: member for member in kind}
    if not isinstance(value, str) or value not in members:
        raise QueryError(f"expected one of {_listed(members)}", place)
    return members[value]


def typed(value: object, kind: type[_Kind], told: str, place: str) -> _Kind:
    """Refuse a value of another type than `told`."""
    if not isinstance(value, kind):
        raise QueryError(f"expected {told}, found {short(value)}", place)
    return value


def refuse_others(part: Mapping[str, Any], known: set[str], place: str) -> None:
    """Refuse keys that mean nothing here."""
    others = [key for key in part if key not in known]
    if others:
        raise QueryError(f"unknown key {short(others[0])}", place)


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names)) or "none"


def short(value: object) -> str:
    """What was found instead, in few characters."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    told = json.dumps(value) if isinstance(value, str) else str(value)
    return told if len(told) <= 40 else told[:37] + "..."


_TERMS: dict[str, Callable[[Term, Any, bool, str], Expression]] = {
    **{name: _compare(name) for name in _ORDERS},
    "between": _between,
    "in": _in,
    "like": _like,
    "matches": _matches,
}
_NAMES = ("and", "or", "not", *_TERMS, "exists", *OF_ONE_TEXT, "is")
