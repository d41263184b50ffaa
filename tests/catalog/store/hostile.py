"""Documents and queries that are as odd as they may be, drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import inf, nan
from typing import Any

from parscope.catalog.query import ast
from parscope.catalog.query.ast import Aspect, Deep, Order, Quantity, State, Term

KEYS = (
    "a",
    "b",
    "a.b",
    'x "q"',
    "Cs(mm)",
    "dwell [us]",
    "",
    "\0",
    "😀",
    "\ud800",
    "[0]",
    "%_",
    "**",
    "é",
    "e\u0301",
    "value",
)
NUMBERS = (
    0,
    3,
    3.0,
    -0.0,
    1.5,
    -2,
    2**53,
    2**53 + 1,
    2.0**53,
    10**30,
    -(10**400),
    5e-324,
    -5e-324,
    1e308,
    inf,
    -inf,
    nan,
)
TEXTS = (
    *(
        "",
        "3",
        "300 kV",
        "0.3 MV",
        "299 kV",
        "3 apples",
        "5 mm",
        "HAADF",
        "haadf",
        "domain wall",
        "Domäne-wand",
        "Doma\u0308ne",
    ),
    *(
        "\0",
        "\ud800x",
        "x\udfff",
        "a%b",
        "a_b",
        "a\\b",
        "%",
        "line\nbreak",
        "true",
        "null",
        "nan",
        "😀 wall",
        "'; drop table",
    ),
    *(
        "2024-03-05",
        "2024-03-05T10:30:00+02:00",
        "2024-03-05T08:30:00Z",
        "2024-02-30",
        "2024-03",
        "2023-12-31 23:59:59",
    ),
    *("x" * 512, "x" * 513, "ü" * 256, "ü" * 257 + " wall", "9 kV", "10 kV"),
)
QUANTITIES = (
    Quantity(300, "kV"),
    Quantity(0.3, "MV"),
    Quantity(5, "mm"),
    Quantity(3, "um"),
    Quantity(299.5, "kV"),
    Quantity(9, "kV"),
)
DATES = ("2024", "2024-03", "2024-03-05", "2024-03-05T08:30", "2023-12-31", "2024-03-05T08:30:00")
LIKES = (
    "%",
    "",
    "_",
    "3%",
    "%kV",
    "%wall",
    "x%",
    "a\\%b",
    "a\\_b",
    "a_b",
    "%\n%",
    "_%_",
    "%\\\\%",
    "dom%",
    "D_m%",
    "%😀%",
    "HAADF",
)
REGEXES = ("^3", "k[VW]", "wall|HAADF", "(?i)haadf", "a.b", "^$|x{5}", "[0-9]{4}-", "\\bwall\\b", "^[^0-9]+ ", "ü")
WORDS = (
    "wall",
    "WALL",
    "dom*",
    "domäne",
    "doma\u0308*",
    "domain wall",
    "3 kv",
    "kV*",
    "wall* x",
    "haadf",
    "2024-03*",
    "b_a",
)
TAGS = ("good", "bad", "über", "'; drop table")
COLLECTIONS = ("PZT", "Paper 3")
PLACES = ("/data/2024/a.dm4", "/data/2024/b_1.dm4", "/data/2023/ü.emd", "/scratch/%.tif")
ORDERS = tuple(Order)


def document(draw: random.Random) -> dict[str, Any]:
    """A document of a few keys."""
    return {_key(draw): _value(draw, 3) for _ in range(draw.randint(0, 12))}


def _key(draw: random.Random) -> str:
    """A key: the first ones often, so that documents have some in common."""
    return KEYS[min(draw.randrange(len(KEYS)), draw.randrange(len(KEYS)))]


def _value(draw: random.Random, depth: int) -> Any:
    """A value with at most so many levels below."""
    kind = draw.random()
    if kind < 0.25:
        return draw.choice(NUMBERS)
    if kind < 0.5:
        return draw.choice(TEXTS)
    if kind < 0.58:
        return draw.choice((True, False, None))
    if kind < 0.68:
        quantity = draw.choice(QUANTITIES)
        return {
            "value": draw.choice((quantity.value, quantity.value, "5", True)),
            draw.choice(("units", "unit")): quantity.unit,
        }
    if kind < 0.72:
        return [draw.choice((draw.randint(-9, 9), 0.5, "wall")) for _ in range(draw.choice((63, 64, 65, 70)))]
    if depth == 0:
        return draw.choice(([], {}, [[]]))
    if kind < 0.86:
        return [_value(draw, depth - 1) for _ in range(draw.randint(0, 4))]
    return {_key(draw): _value(draw, depth - 1) for _ in range(draw.randint(0, 3))}


class Queries:
    """Draws queries about documents with these values.

    Parameters
    ----------
    draw : Random
        What chance says.
    slots : sequence of (tuple of str, object)
        Paths that occur, as often as they do, with what stands there.
    uids : sequence of str
        Names of records.
    """

    def __init__(self, draw: random.Random, slots: Sequence[tuple[tuple[str, ...], Any]], uids: Sequence[str]) -> None:
        self._draw, self._slots, self._uids = draw, slots, uids
        self._met: Any = None

    def expression(self, depth: int) -> ast.Expression:
        """An expression with at most so many levels."""
        if depth == 0 or self._draw.random() < 0.2:
            return self._draw.choice(_LEAVES)(self)
        parts = tuple(self.expression(depth - 1) for _ in range(self._draw.choice((0, 2, 2, 2, 2, 3, 3))))
        return self._draw.choice((ast.And(parts), ast.Or(parts), ast.Or(parts), ast.Not(self.expression(depth - 1))))

    def compare(self) -> ast.Expression:
        return ast.Compare(self.term(), self.order(), self.literal(), self.every())

    def between(self) -> ast.Expression:
        low, high = self._draw.choice(
            ((self.literal(),) * 2, (-2, 2**53), ("3", "b"), (Quantity(9, "kV"), QUANTITIES[1]))
        )
        return ast.Between(self.term(), low, high, self.every())

    def be_in(self) -> ast.Expression:
        return ast.In(self.term(), tuple(self.literal() for _ in range(self._draw.randint(0, 4))), self.every())

    def like(self) -> ast.Expression:
        return ast.Like(self.term(), self._draw.choice(LIKES), self.every())

    def matches(self) -> ast.Expression:
        return ast.Matches(self.term(), self._draw.choice(REGEXES), self.every())

    def exists(self) -> ast.Expression:
        return ast.Exists(self.term())

    def fields(self) -> ast.Expression:
        return ast.Fields(self.term(), self.order(), self.term())

    def text(self) -> ast.Expression:
        return ast.Text(self._draw.choice(WORDS))

    def lineage(self) -> ast.Expression:
        name = self._draw.choice(self._uids)[: self._draw.choice((4, 6, 32))]
        return self._draw.choice((ast.DerivedFrom, ast.SourceOf))(name)

    def by_people(self) -> ast.Expression:
        return self._draw.choice(
            (
                ast.Tagged(self._draw.choice((*TAGS, "\0", "\ud800"))),
                ast.Collected(self._draw.choice(COLLECTIONS)),
                ast.Located(self._draw.choice(("%/2024/%", "/data/%", "%.dm4", "%\\%%", "%ü%", "%b_1%"))),
                ast.Is(self._draw.choice(tuple(State))),
            )
        )

    def term(self) -> Term:
        """Elements of a path that occurs, perhaps with steps of any depth in it, or of one that does not."""
        path: tuple[ast.Step, ...]
        path, self._met = self._draw.choice(self._slots)
        kind = self._draw.random()
        if kind < 0.1:
            path = (Deep.DEEP, path[-1])
        elif kind < 0.15:
            path = (*path[:1], Deep.DEEP)
        elif kind < 0.2:
            path = (Deep.DEEP, *path[: self._draw.randint(0, 2)], Deep.DEEP, path[-1])
        elif kind < 0.24:
            path = (*path, self._draw.choice(KEYS))
        elif kind < 0.26:
            path = (Deep.DEEP,)
        return Term(path, self._draw.choice((Aspect.VALUE,) * 7 + (Aspect.LENGTH, Aspect.LEAST, Aspect.GREATEST)))

    def literal(self) -> ast.Literal:
        """A value, often one that stands where the last term is about."""
        kind = self._draw.random()
        if kind < 0.6 and not isinstance(self._met, dict | list):
            return self._met
        kind = self._draw.random()
        if kind < 0.4:
            return self._draw.choice(NUMBERS)
        if kind < 0.7:
            return self._draw.choice(TEXTS)
        if kind < 0.8:
            return self._draw.choice(QUANTITIES)
        return ast.Date(self._draw.choice(DATES)) if kind < 0.9 else self._draw.choice((True, False, None))

    def order(self) -> Order:
        return self._draw.choice(ORDERS)

    def every(self) -> bool:
        return self._draw.random() < 0.3


_LEAVES: tuple[Callable[[Queries], ast.Expression], ...] = (
    *(Queries.compare,) * 4,
    *(Queries.between, Queries.be_in, Queries.like, Queries.matches, Queries.exists, Queries.fields),
    *(Queries.text, Queries.lineage, Queries.by_people),
)
