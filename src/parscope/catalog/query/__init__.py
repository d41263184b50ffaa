"""Questions to a catalog: one logical expression, spelled as text, as Python, as JSON, and compiled by the store."""

from parscope.catalog.query.ast import (
    EVERYTHING,
    And,
    Collected,
    Date,
    DerivedFrom,
    Expression,
    Is,
    Located,
    Not,
    Or,
    SourceOf,
    State,
    Tagged,
    Text,
)
from parscope.catalog.query.fields import M, Q
from parscope.catalog.query.spell import spell
from parscope.catalog.query.text import parse
from parscope.catalog.query.wire import dumps, loads

__all__ = [
    "EVERYTHING",
    "And",
    "Collected",
    "Date",
    "DerivedFrom",
    "Expression",
    "Is",
    "Located",
    "M",
    "Not",
    "Or",
    "Q",
    "SourceOf",
    "State",
    "Tagged",
    "Text",
    "dumps",
    "loads",
    "parse",
    "spell",
]
