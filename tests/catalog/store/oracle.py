"""What a query is true of, said once more: straight from the meaning in `parscope.catalog.query.ast`, one document
after the other, without index, keys or SQL. It shares no code with what it judges; units are those of pint.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from math import isfinite
from typing import Any

import pint

from parscope.catalog.query import ast
from parscope.catalog.query.ast import Aspect, Deep, Order

COMPARE: dict[Order, Callable[[Any, Any], bool]] = {
    Order.EQUAL: operator.eq,
    Order.LESS: operator.lt,
    Order.LESS_EQUAL: operator.le,
    Order.GREATER: operator.gt,
    Order.GREATER_EQUAL: operator.ge,
}
UNITS = pint.UnitRegistry()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Known:
    """A record, and what people and the collector know of it."""

    uid: str
    document: dict[str, Any]
    error: str | None = None
    tags: set[str] = field(default_factory=set)
    collections: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    present: list[bool] = field(default_factory=list)
    copied: bool = False
    sources: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Element:
    """One value that a path names, with the key it is under."""

    value: Any
    key: str

    def plain(self) -> tuple[str, Any] | None:
        """Sort and value, unless it is a mapping or too long a text."""
        too_long = isinstance(self.value, str) and len(self.value.encode("utf-8", "surrogatepass")) > 512
        return None if too_long else sorted_value(self.value)

    def quantity(self) -> tuple[str, Any] | None:
        """Dimension and number in SI units, where it has a unit."""
        if isinstance(self.value, dict):
            return measured(self.value.get("value"), self.value.get("units", self.value.get("unit")))
        if isinstance(self.value, str):
            found = re.fullmatch(r"([-+]?[0-9.]+(?:e[-+]?[0-9]+)?) ?([^0-9.].*)", self.value)
            return measured(float(found[1]), found[2]) if found and self.plain() else None
        found = re.fullmatch(r".+[(\[](.+)[)\]]", self.key)
        return measured(self.value, found[1]) if found else None

    def date(self) -> tuple[str, Any] | None:
        """Microsecond at which it begins, where it is a date with a day."""
        if not isinstance(self.value, str) or not re.match(r"\d{4}-\d\d-\d\d", self.value):
            return None
        try:
            time = datetime.fromisoformat(self.value)
        except ValueError:
            return None
        return "date", microseconds(time if time.tzinfo else time.replace(tzinfo=UTC))

    def readings(self) -> list[tuple[str, Any]]:
        """All that it can be compared as."""
        return [found for found in (self.plain(), self.quantity(), self.date()) if found]


def sorted_value(value: Any) -> tuple[str, Any] | None:
    """Sort and value of what is no mapping."""
    if isinstance(value, bool):
        return "truth", value
    if value is None:
        return "nothing", 0
    if isinstance(value, int | float):
        return ("nan", 0) if value != value else ("number", value)
    return ("text", value) if isinstance(value, str) else None


def microseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def measured(value: Any, unit: Any) -> tuple[str, Any] | None:
    if not isinstance(unit, str) or not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        return None
    return in_si(float(value), unit) if abs(value) < 1e308 or isinstance(value, float) else None


@cache
def in_si(value: float, unit: str) -> tuple[str, Any] | None:
    """Dimension and twelve digits, by pint."""
    if not re.fullmatch(r"[^\W\d_]+", unit):
        return None
    try:
        found = UNITS.Quantity(value, unit).to_base_units()
    except pint.PintError:
        return None
    size = float(found.magnitude)
    return f"measure {found.dimensionality}", float(f"{size:.11e}") + 0.0 if isfinite(size) else size


def flat(values: list[Any]) -> list[Any]:
    return [one for value in values for one in (flat(value) if isinstance(value, list) else [value])]


def lengths(values: list[Any]) -> list[int]:
    return [len(values)] + [one for value in values if isinstance(value, list) for one in lengths(value)]


def slots(mapping: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All paths of a document with what stands there, lists as they are."""
    for key, value in mapping.items():
        path = (*above, key)
        yield path, value
        for one in elements_of(value):
            if isinstance(one, dict):
                yield from slots(one, path)


def elements_of(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return flat(value) if len(flat(value)) <= 64 else []


def fits(steps: tuple[ast.Step, ...], path: tuple[str, ...]) -> bool:
    if not steps:
        return not path
    if steps[0] is Deep.DEEP:
        return any(fits(steps[1:], path[skipped:]) for skipped in range(len(path) + 1))
    return bool(path) and path[0] == steps[0] and fits(steps[1:], path[1:])


def by_aspect(value: Any, key: str, aspect: Aspect) -> list[Element]:
    if aspect is Aspect.VALUE:
        return [Element(one, key) for one in elements_of(value)]
    if not isinstance(value, list):
        return []
    if aspect is Aspect.LENGTH:
        return [Element(one, "") for one in lengths(value)]
    numbers = [one for one in flat(value) if isinstance(one, int | float) and not isinstance(one, bool) and one == one]
    return [Element((min if aspect is Aspect.LEAST else max)(numbers), "")] if numbers else []


def like(pattern: str) -> re.Pattern[str]:
    parts, rest = "", pattern
    while rest:
        sign, rest = rest[0], rest[1:]
        if sign == "\\" and rest:
            sign, rest = rest[0], rest[1:]
            parts += re.escape(sign)
        else:
            parts += {"%": ".*", "_": "."}.get(sign, re.escape(sign))
    return re.compile(parts, re.DOTALL)


def words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return "".join(sign if sign.isalnum() else " " for sign in folded).split()


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(one)


def stretch(text: str) -> tuple[int, int]:
    """First microsecond of a date, and the first one behind it."""
    for form, step in (
        ("%Y-%m-%d", {"days": 1}),
        ("%Y-%m-%dT%H:%M", {"minutes": 1}),
        ("%Y-%m-%dT%H:%M:%S", {"seconds": 1}),
    ):
        try:
            start = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return microseconds(start), microseconds(start + timedelta(**step))
    year, month = int(text[:4]), int(text[5:7] or 1)
    after = (year + 1, 1) if len(text) == 4 or month == 12 else (year, month + 1)
    return microseconds(datetime(year, month, 1, tzinfo=UTC)), microseconds(datetime(*after, 1, tzinfo=UTC))


class Oracle:
    """Answers queries about some records."""

    def __init__(self, records: list[Known]) -> None:
        self.records = records
        self._slots = {known.uid: list(slots(known.document)) for known in records}
        self._words = {known.uid: {word for text in texts(known.document) for word in words(text)} for known in records}
        self._found: dict[Any, dict[str, list[Element]]] = {}

    def answer(self, query: ast.Expression) -> set[str]:
        """Uids of the records that a query is true of."""
        return {known.uid for known in self.records if self.holds(query, known)}

    def holds(self, query: Any, known: Known) -> bool:
        match query:
            case ast.And(parts):
                return all(self.holds(part, known) for part in parts)
            case ast.Or(parts):
                return any(self.holds(part, known) for part in parts)
            case ast.Not(part):
                return not self.holds(part, known)
            case ast.Exists(term):
                return self._exists(term, known)
            case ast.Fields(left, order, right):
                return self._fields(left, order, right, known)
            case ast.Text(asked):
                return all(self._has_word(part, known) for part in asked.split())
            case ast.Compare() | ast.Between() | ast.In() | ast.Like() | ast.Matches():
                return self._any_or_every(query, self.elements(query.term, known))
        return self._by_record(query, known)

    def elements(self, term: ast.Term, known: Known) -> list[Element]:
        key = (term.path, term.aspect)
        if key not in self._found:
            self._found[key] = {
                uid: [
                    one
                    for keys, value in its
                    if fits(term.path, keys)
                    for one in by_aspect(value, keys[-1], term.aspect)
                ]
                for uid, its in self._slots.items()
            }
        return self._found[key][known.uid]

    def _any_or_every(self, query: Any, elements: list[Element]) -> bool:
        tests = TESTS[type(query)](query)
        met = any(test(element) for _, test in tests for element in elements)
        if not met or not query.every:
            return met
        return all(
            any(test(element) for of, test in tests if of == sort)
            for sort in {of for of, _ in tests}
            for element in elements
            if getattr(element, sort)() is not None
        )

    def _exists(self, term: ast.Term, known: Known) -> bool:
        if term.aspect is Aspect.VALUE:
            return any(fits(term.path, keys) for keys, _ in self._slots[known.uid])
        return bool(self.elements(term, known))

    def _fields(self, left: ast.Term, order: Order, right: ast.Term, known: Known) -> bool:
        return any(
            one[0] == other[0] and COMPARE[order](one[1], other[1])
            for first in self.elements(left, known)
            for second in self.elements(right, known)
            for one in first.readings()
            for other in second.readings()
        )

    def _by_record(self, query: Any, known: Known) -> bool:
        match query:
            case ast.DerivedFrom(name):
                return any(uid.startswith(name) for uid in self._above(known))
            case ast.SourceOf(name):
                return any(known.uid in self._above(other) for other in self.records if other.uid.startswith(name))
            case ast.Tagged(tag):
                return tag in known.tags
            case ast.Collected(collection):
                return collection in known.collections
            case ast.Located(pattern):
                return any(like(pattern).fullmatch(path) for path in known.seen)
            case ast.Is(ast.State.MISSING):
                return bool(known.seen or known.present) and not (any(known.present) or known.copied)
            case ast.Is(ast.State.UNREAD):
                return known.error is not None
        raise TypeError(query)

    def _has_word(self, part: str, known: Known) -> bool:
        *whole, last = words(part) or [""]
        if not part.endswith("*"):
            whole.append(last)
        had = self._words[known.uid]
        begun = any(word.startswith(last) for word in had)
        return all(word in had for word in whole if word) and (begun or not last or not part.endswith("*"))

    def _above(self, known: Known) -> set[str]:
        """Uids of all that a record was made from."""
        sources = {one.uid: one.sources for one in self.records}
        reached: set[str] = set()
        waiting = set(known.sources)
        while waiting:
            uid = waiting.pop()
            reached.add(uid)
            waiting |= sources[uid] - reached
        return reached


def against(order: Order, literal: ast.Literal) -> tuple[str, Callable[[Element], bool]]:
    """Sort of elements that a comparison is about, and the test."""
    if isinstance(literal, ast.Date):
        start, end = stretch(literal.text)
        within = {
            Order.EQUAL: lambda time: start <= time < end,
            Order.LESS: lambda time: time < start,
            Order.LESS_EQUAL: lambda time: time < end,
            Order.GREATER: lambda time: time >= end,
            Order.GREATER_EQUAL: lambda time: time >= start,
        }[order]
        return "date", lambda element: (found := element.date()) is not None and within(found[1])
    sort = "quantity" if isinstance(literal, ast.Quantity) else "plain"
    wanted = measured(literal.value, literal.unit) if isinstance(literal, ast.Quantity) else sorted_value(literal)

    def test(element: Element) -> bool:
        found = getattr(element, sort)()
        if found is None or wanted is None or found[0] != wanted[0]:
            return False
        return COMPARE[order](found[1], wanted[1])

    return sort, test


def both(low: tuple[str, Callable[..., bool]], high: tuple[str, Callable[..., bool]]) -> list[Any]:
    return [(low[0], lambda element: low[1](element) and high[1](element))]


def of_pattern(pattern: Callable[[str], Any]) -> list[Any]:
    return [
        (
            "plain",
            lambda element: (found := element.plain()) is not None and found[0] == "text" and bool(pattern(found[1])),
        )
    ]


TESTS: dict[type, Callable[[Any], list[tuple[str, Callable[[Element], bool]]]]] = {
    ast.Compare: lambda query: [against(query.order, query.literal)],
    ast.Between: lambda query: both(against(Order.GREATER_EQUAL, query.low), against(Order.LESS_EQUAL, query.high)),
    ast.In: lambda query: [against(Order.EQUAL, literal) for literal in query.literals],
    ast.Like: lambda query: of_pattern(like(query.pattern).fullmatch),
    ast.Matches: lambda query: of_pattern(re.compile(query.pattern, re.ASCII).search),
}
"""For each comparison: the sorts of elements it is about, with the tests of which one has to be met."""
