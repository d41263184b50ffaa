"""What cannot be understood is told in one line with its place; what is too large is refused, in any spelling."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parscope.catalog.query import And, Not, dumps, loads, parse, spell
from parscope.catalog.query.ast import Aspect, Between, Compare, Exists, Expression, In, Like, Matches, Order, Term
from parscope.catalog.query.limits import DEPTH, LETTERS, PARTS, PATTERN, checked
from parscope.catalog.query.text import LONGEST
from parscope.core.errors import QueryError

A = Term(("a",))
COMPARISON = "a comparison (=, !=, <, <=, >, >=, ~, in, like, exists)"
VALUE = "a value (text in double quotes, a number, a date)"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mode =", f"column 7: expected {VALUE}, found the end"),
        ("mode = and", 'column 8: expected a value, found "and"; a text is written "and", a path $.and'),
        ("mode = HAADF", 'column 8: expected a value, found "HAADF"; a text is written "HAADF", a path $.HAADF'),
        ("mode = 'BF'", f'column 8: expected {VALUE}, found "\'"; write texts in double quotes: "HAADF"'),
        ("mode = “BF”", f'column 8: expected {VALUE}, found "“"; write texts in double quotes: "HAADF"'),
        ('mode = "BF', "column 8: the quotes that open here are not closed"),
        ('mode "x"', f'column 6: expected {COMPARISON}, found "x"'),
        ("mode", f"column 5: expected {COMPARISON}, found the end"),
        ("a @ 3", f'column 3: expected {COMPARISON}, found "@"'),
        ("(a = 1", 'column 7: expected ")", found the end'),
        ("a = 1)", 'column 6: expected "and", "or" or the end, found ")"'),
        ("a = 1 or ", "column 9: expected a condition, found the end"),
        ("a = 1 # b", 'column 7: expected "and", "or" or the end, found "#"'),
        (".a = 1", 'column 1: expected a condition, found "."'),
        ("a. = 1", 'column 4: expected a key, found "="'),
        ("a = $b", 'column 6: expected a ".", as in $.key, found "b"'),
        ("a in 3", 'column 7: expected "..", as in 3..5, found the end'),
        ("a in (3 4)", 'column 9: expected "," or ")", found "4"'),
        ("a ~ 3", 'column 5: expected a text in double quotes, found "3"'),
        ("a not = 3", 'column 7: expected "in" or "like", found "="'),
        ("length(3)", 'column 8: expected a path, found "3"'),
        ("derived from =", 'column 14: expected the name of a record, found "="'),
        ("a = 3 kVV", 'column 7: "kVV" is no unit that is known'),
        ("a = 1e300 Gm", "column 11: 1e+300 Gm is more than can be calculated with"),
        ("a = nan m", "column 9: NaN has no unit"),
        ("a in 3 kV..5 nm", "column 10: a range goes from a quantity in V to a quantity in m; both ends need the same"),
        ('a in 3.."x"', "column 7: a range goes from a number to text; both ends need the same"),
        ("a in true..2024-01", "column 10: a range goes from true or false to a date; both ends need the same"),
        (
            "a = 2024-13",
            'column 5: "2024-13" is no date; write one as 2024, 2024-03, 2024-03-05 or 2024-03-05T10:30:00Z',
        ),
        ('a ~ "("', 'column 5: "(" is no regular expression: missing ): ('),
        ('a ~ "\\ud800"', 'column 5: "\\ud800" is no regular expression: a surrogate stands alone'),
        ('a ~ "\\d"', 'column 5: a backslash that begins no escape; write \\\\ for a backslash, \\" for a quote'),
        ('a like "x\\\\"', 'column 8: "x\\" ends with half a pair of backslashes'),
        ("all(a) = b.c", "column 1: all(...) is compared with values only"),
        ("all(a) exists", "column 1: all(...) is compared with values only"),
        ("a = 1\n  and b = ?", f'line 2, column 11: expected {VALUE}, found "?"'),
        ("\0", 'column 1: expected a condition, found "\\x00"'),
        ("\ud800", 'column 1: expected a condition, found "\\ud800"'),
        ("derived from 3fa", 'column 14: the name of a record has at least 4 characters, not "3fa"'),
        ('a = 1 and not source of "3fa"', 'column 25: the name of a record has at least 4 characters, not "3fa"'),
        ('text "..."', "column 6: there is no word to look for"),
        (f'tagged "{LETTERS * "x"}é"', f"column 8: a text has {LETTERS + 1} characters, of {LETTERS} at most"),
        (f'a ~ "{(PATTERN + 1) * "x"}"', f"column 5: a text has {PATTERN + 1} characters, of {PATTERN} at most"),
        ("a = " + "9" * 1001, "column 5: a number has more than 1000 digits"),
        ("x" * (LONGEST + 1), f"the query has {LONGEST + 1} characters, of {LONGEST} at most"),
        ("not " * 20_000 + "a = 1", f"the query is nested more than {DEPTH} deep"),
        ("a = 1" + " or a = 1" * 5000, f"the query has more than {PARTS} parts"),
        ("a" + ".a" * 100 + " = 1", f"a path has more than {DEPTH} keys"),
    ],
)
def test_text_is_refused_with_the_column(text: str, told: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert str(caught.value) == told


PIECES = ["a", "b.c", '"x"', "=", "!=", ">=", "~", "!~", "like", "in", "not", "and", "or", "exists", "(", ")", ","]
PIECES += ["3", "kV", "2024-03", "..", "$", ".", "**", "all(", "any(", "length(", "true", "null", "nan", "text", "date"]
PIECES += [
    "is missing",
    "derived from",
    "source of",
    "3fa9",
    "in collection",
    "file like",
    "tagged",
    '"',
    "\\",
    "#",
    "é",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=10), st.sampled_from([" ", "\n", "\0"]))
def test_whatever_is_typed_is_read_or_refused_in_one_line(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    told = refusal(text)
    if told is None:
        assert parse(spell(parse(text))) == parse(text) or "nan" in text
    else:
        assert str(told).isprintable() and len(str(told)) < 200
        assert told.where.startswith(("column ", "line "))


def refusal(text: str) -> QueryError | None:
    try:
        parse(text)
    except QueryError as error:
        return error
    return None


def json_of(query: Any, **others: Any) -> str:
    return json.dumps({"version": 1, "query": query, **others})


def nested(depth: int) -> str:
    return '{"version": 1, "query": ' + '{"not":' * depth + '{"and": []}' + "}" * (depth + 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the query is no JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[]", "the query: expected an object with version and query, found a list"),
        ('{"query": {}}', "the query: the version is None, not 1"),
        ('{"version": 2, "query": {}}', "the query: the version is 2, not 1"),
        ('{"version": true, "query": {}}', "the query: the version is True, not 1"),
        (json_of({"and": []}, more=1), 'the query: unknown key "more"'),
        (json_of(None), "query: expected an object, found None"),
        (json_of({"and": [{"or": 3}]}), "query.and[0].or: expected a list, found 3"),
        (json_of({"not": {"text": 3}}), "query.not.text: expected a text, found 3"),
        (json_of({"is": "lost"}), "query.is: expected one of missing, unread"),
        (json_of({"path": ["a"], "=": 1, "colour": 2}), 'query: unknown key "colour"'),
        (json_of({"path": ["a"], "exists": True, "every": True}), 'query: unknown key "every"'),
        (json_of({"path": ["a"], "exists": 1}), "query.exists: expected true"),
        (json_of({"path": ["a", 3], "=": 1}), "query.path[1]: expected a key or null, found 3"),
        (json_of({"path": "a", "=": 1}), 'query.path: expected a list of keys, found "a"'),
        (json_of({"path": ["a"], "aspect": "size", "=": 1}), "query.aspect: expected one of value, length, min, max"),
        (json_of({"path": ["a"], "every": 1, "=": 1}), "query.every: expected true or false, found 1"),
        (json_of({"path": ["a"], "between": [1]}), "query.between: expected two values"),
        (json_of({"path": ["a"], "=": {"path": ["b"], "every": True}}), 'query.=: unknown key "every"'),
        (json_of({"path": ["a"], "=": {"quantity": [1, "kVV"]}}), '"kVV" is no unit that is known'),
        (json_of({"path": ["a"], "=": {"date": "soon"}}), '"soon" is no date; write one as 2024, 2024-03'),
        (json_of({"path": [], "=": 1}), "a path has no key"),
        ('{"version": 1, "version": 1}', 'the query: the key "version" stands twice in one object'),
        (nested(DEPTH), "query" + ".not" * DEPTH + f": the query is nested more than {DEPTH} deep"),
        (nested(100_000), f"the query is nested more than {DEPTH} deep"),
        ('{"version": 1, "query": {"path": ["a"], "=": NaN}}', "the query: NaN is no JSON; write {"),
        (
            '{"version": 1, "query": {"path": ["a"], "=": ' + "9" * 5000 + "}}",
            "the query is no JSON: Exceeds the limit",
        ),
    ],
)
def test_json_is_refused_with_the_place(text: str, told: str) -> None:
    with pytest.raises(QueryError) as caught:
        loads(text)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("odd", [{"quantity": [True, "V"]}, {"quantity": [1]}, {"number": "big"}, {"date": 3}, [1], {}])
def test_json_knows_no_other_values(odd: Any) -> None:
    with pytest.raises(QueryError, match=r"query\.in\[0\]: expected a value, "):
        loads(json_of({"path": ["a"], "in": [odd]}))


def test_json_of_several_names_or_none() -> None:
    with pytest.raises(QueryError, match=r"expected one of and, or, not, =, .*; found text, tagged"):
        loads(json_of({"text": "a", "tagged": "b"}))
    with pytest.raises(QueryError, match="; found none"):
        loads(json_of({"path": ["a"]}))


def test_depth_up_to_the_limit_runs_through_all_spellings() -> None:
    deep: Expression = Exists(A)
    for _ in range(DEPTH - 1):
        deep = Not(deep)
    assert loads(dumps(deep)) == parse(spell(deep)) == deep
    with pytest.raises(QueryError, match="nested more than"):
        checked(Not(deep))


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (Compare(A, Order.EQUAL, "x" * (LETTERS + 1)), "a text has 10001 characters"),
        (Compare(Term(("x" * (LETTERS + 1),)), Order.EQUAL, 1), "a text has 10001 characters"),
        (Compare(A, Order.EQUAL, -(10**1000)), "a number has more than 1000 digits"),
        (Like(A, "x" * (PATTERN + 1)), "a text has 1001 characters"),
        (Matches(A, "x" * (PATTERN + 1)), "a text has 1001 characters"),
        (Matches(A, "(a{1000}){1000}"), "is no regular expression"),
        (In(A, tuple(range(PARTS + 1))), "more than 10000 parts"),
        (And((In(A, tuple(range(PARTS // 2))),) * 3), "more than 10000 parts"),
        (Between(Term(("a",), Aspect.LENGTH), 1, "x"), "from a number to text"),
    ],
)
def test_expressions_made_in_python_keep_the_same_limits(odd: Expression, told: str) -> None:
    for spelling in (checked, spell, dumps):
        with pytest.raises(QueryError, match=told):
            spelling(odd)
