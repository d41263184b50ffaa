"""Random expressions of every kind, with keys and texts that nobody would choose."""

from __future__ import annotations

import json

from hypothesis import strategies as st

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

HOSTILE = ["Cs(mm)", "a.b", 'say "so"', "\\", "'", "", " ", "$", "**", "]", "%", "\0", "\n", "😀", "\ud800", "\u2028"]
HOSTILE += [
    "and",
    "NOT",
    "file",
    "text",
    "nan",
    "2024-03",
    "x-y",
    "x-",
    "é",
    "²",
    "min",
    "any",
    "is",
    "true",
    "date",
    "0",
]


def whole_pairs(text: str) -> str:
    """As JSON reads it: half pairs that fit each other are one character."""
    return str(json.loads(json.dumps(text)))


texts = st.sampled_from(HOSTILE) | st.text(st.characters(codec=None), max_size=8).map(whole_pairs)
steps = texts | st.just(Deep.DEEP)
terms = st.builds(Term, st.lists(steps, min_size=1, max_size=4).map(tuple), st.sampled_from(Aspect))
numbers = st.integers() | st.integers(-(10**40), 10**40) | st.floats()
units = st.sampled_from(["kV", "1/nm", "m s^-1", "%", "e-/Å^2", "in", "degC", "1"])
quantities = st.builds(Quantity, numbers.filter(lambda number: abs(number) < 1e290), units)
dates = st.builds(Date, st.sampled_from(["2024", "2024-03", "2024-03-05T10:30", "2024-03-05 10:30:05.5+02:00"]))
literals = st.none() | st.booleans() | numbers | texts | quantities | dates
likes = st.lists(texts.filter(lambda text: "\\" not in text) | st.sampled_from(["\\%", "%", "_", "\\\\"])).map("".join)
regexes = st.sampled_from(["a", "\\d+", "\\.dm4$", '"', "[^\\n]", "\\\\", "(?i)x|y", ""])
names = st.sampled_from(["3fa9", "3FA9-b", "not a name", "😀😀😀😀"])


@st.composite
def ranges(draw: st.DrawFn) -> Expression:
    kind = draw(st.sampled_from([numbers, texts, dates, st.none(), st.booleans()]))
    same = st.builds(Quantity, st.floats(-1e9, 1e9), st.sampled_from(["kV", "V", "MV"]))
    low, high = draw(st.tuples(kind, kind) | st.tuples(same, same))
    return Between(draw(terms), low, high, draw(st.booleans()))


conditions = st.one_of(
    st.builds(Compare, terms, st.sampled_from(Order), literals, st.booleans()),
    ranges(),
    st.builds(In, terms, st.lists(literals, max_size=3).map(tuple), st.booleans()),
    st.builds(Like, terms, likes, st.booleans()),
    st.builds(Matches, terms, regexes, st.booleans()),
    st.builds(Exists, terms),
    st.builds(Fields, terms, st.sampled_from(Order), terms),
    st.builds(Text, st.sampled_from(["domain wall", 'dom* "x"', "é"])),
    st.builds(DerivedFrom, names),
    st.builds(SourceOf, names),
    st.builds(Tagged, texts),
    st.builds(Collected, texts),
    st.builds(Located, likes),
    st.builds(Is, st.sampled_from(State)),
)


def _joined(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(parts, max_size=3).map(tuple)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, parts)


expressions = st.recursive(conditions, _joined, max_leaves=8)
