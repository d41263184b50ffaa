"""Text and JSON lose nothing, whatever the expression, and every spelling is read as it is meant."""

from __future__ import annotations

import json
import re
from importlib import import_module
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from lark import Lark

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
from parscope.catalog.query.spell import normal, spell
from parscope.catalog.query.text import parse
from parscope.catalog.query.wire import dumps, loads
from tests.catalog.query.expressions import expressions

# The checks of types in the tests draw at random which item of a tuple they look at, also of those drawn here.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

A, B = Term(("a",)), Term(("b", "c"))
EQ, GE = Order.EQUAL, Order.GREATER_EQUAL


@settings(max_examples=200)
@given(expressions)
def test_json_loses_nothing(expression: Expression) -> None:
    """Told by `repr`, which tells 1 from 1.0 and True, and NaN from nothing else."""
    assert repr(loads(dumps(expression))) == repr(expression)
    assert dumps(expression).isascii()


@settings(max_examples=200)
@given(expressions)
def test_text_loses_nothing_but_nesting(expression: Expression) -> None:
    text = spell(expression)
    assert repr(parse(text)) == repr(normal(expression))
    assert "\n" not in text
    assert spell(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("", EVERYTHING),
        ("true", EVERYTHING),
        ("false", Or(())),
        ('a = "HAADF"', Compare(A, EQ, "HAADF")),
        ("a == 3", Compare(A, EQ, 3)),
        ("a != 3", Not(Compare(A, EQ, 3))),
        ("a >= -1.5e-9", Compare(A, GE, -1.5e-9)),
        ("a = .5", Compare(A, EQ, 0.5)),
        ("a = TRUE", Compare(A, EQ, True)),
        ("a = null", Compare(A, EQ, None)),
        ("a >= -inf", Compare(A, GE, -inf)),
        ("b.c >= 200 kV", Compare(B, GE, Quantity(200, "kV"))),
        ("b.c >= 200kV", Compare(B, GE, Quantity(200, "kV"))),
        ("a >= 3 1/nm", Compare(A, GE, Quantity(3, "1/nm"))),
        ("a >= 50 %", Compare(A, GE, Quantity(50, "%"))),
        ("a >= 5e-/Å^2", Compare(A, GE, Quantity(5, "e-/Å^2"))),
        ('a >= 5 "m s^-1"', Compare(A, GE, Quantity(5, "m s^-1"))),
        ("a >= 2 in", Compare(A, GE, Quantity(2, "in"))),
        ("a >= 2024-03", Compare(A, GE, Date("2024-03"))),
        ("a >= 2024-03-05T10:30:00Z", Compare(A, GE, Date("2024-03-05T10:30:00Z"))),
        ('a = date "2024"', Compare(A, EQ, Date("2024"))),
        ('"Cs(mm)" > 1.0 mm', Compare(Term(("Cs(mm)",)), Order.GREATER, Quantity(1.0, "mm"))),
        ('**."a\\u0020b".and.0 exists', Exists(Term((Deep.DEEP, "a b", "and", "0")))),
        ("exists b.c", Exists(B)),
        ("$.and = 1", Compare(Term(("and",)), EQ, 1)),
        ("file.bytes = 1", Compare(Term(("file", "bytes")), EQ, 1)),
        ('text = "x"', Compare(Term(("text",)), EQ, "x")),
        ("a in 3..5 keV", Between(A, Quantity(3, "keV"), Quantity(5, "keV"))),
        ("a in 1 s..2 min", Between(A, Quantity(1, "s"), Quantity(2, "min"))),
        ("a in 2024-01..2024-03", Between(A, Date("2024-01"), Date("2024-03"))),
        ("a not in 3..5", Not(Between(A, 3, 5))),
        ('a in ("BF", "DF",)', In(A, ("BF", "DF"))),
        ("a not in ()", Not(In(A, ()))),
        ('a like "%.dm4"', Like(A, "%.dm4")),
        ('a ~ "\\\\.dm[34]$"', Matches(A, "\\.dm[34]$")),
        ('a !~ "x"', Not(Matches(A, "x"))),
        ("all(b.c) >= 64", Compare(B, GE, 64, every=True)),
        ('any(b.c) = "x"', Compare(B, EQ, "x")),
        ("length(a) >= 2", Compare(Term(("a",), Aspect.LENGTH), GE, 2)),
        ("all(max(a)) >= 2", Compare(Term(("a",), Aspect.GREATEST), GE, 2, every=True)),
        ("a >= b.c", Fields(A, GE, B)),
        ("b.c != $.a", Not(Fields(B, EQ, A))),
        ("min(a) = max(a)", Fields(Term(("a",), Aspect.LEAST), EQ, Term(("a",), Aspect.GREATEST))),
        ('text "domain wall"', Text("domain wall")),
        ("derived from 3fa9", DerivedFrom("3fa9")),
        ("source of 3fa9", SourceOf("3fa9")),
        ('tagged "good"', Tagged("good")),
        ('in collection "PZT"', Collected("PZT")),
        ('file like "%/2024/%"', Located("%/2024/%")),
        ("is missing", Is(State.MISSING)),
        ("IS\nUNREAD", Is(State.UNREAD)),
        ("a exists and b.c exists or not a exists", Or((And((Exists(A), Exists(B))), Not(Exists(A))))),
        ("a exists and (b.c exists or not(a exists))", And((Exists(A), Or((Exists(B), Not(Exists(A))))))),
        ("(a exists and b.c exists) and a exists", And((Exists(A), Exists(B), Exists(A)))),
        ("not not a exists", Not(Not(Exists(A)))),
    ],
)
def test_what_is_written_is_what_is_meant(text: str, expression: Expression) -> None:
    assert repr(parse(text)) == repr(expression)


def test_brackets_may_stand_as_deep_as_the_text_is_long() -> None:
    assert parse("(" * 40_000 + "a=1" + ")" * 40_000) == Compare(A, EQ, 1)


def test_json_is_what_it_is_said_to_be() -> None:
    text = 'a = "HAADF" and b.c >= 200 kV and not **.tags ~ "test"'
    assert json.loads(dumps(parse(text))) == {
        "version": 1,
        "query": {
            "and": [
                {"path": ["a"], "=": "HAADF"},
                {"path": ["b", "c"], ">=": {"quantity": [200, "kV"]}},
                {"not": {"path": [None, "tags"], "matches": "test"}},
            ]
        },
    }


def test_the_speller_knows_words_as_the_grammar_does() -> None:
    spelling: Any = import_module("parscope.catalog.query.spell")
    grammar = Path(spelling.__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    terminals = {terminal.name: terminal.pattern.value for terminal in Lark(grammar, parser="lalr").terminals}
    assert terminals["WORD"] == spelling._WORD.pattern
    assert terminals["INNER"] == spelling._INNER.pattern
    assert terminals["ID"] == spelling._NAME.pattern
    words = {
        word
        for name in ("_AND", "_OR", "NOT", "_IN", "_LIKE", "_EXISTS", "TRUE", "FALSE", "NULL")
        for word in re.findall("[a-z]{2,}", terminals[name])
    }
    assert words <= spelling._RESERVED
