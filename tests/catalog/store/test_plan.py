"""Queries at their limits, and about a few records only."""

from __future__ import annotations

import pytest

from parscope.catalog.query.ast import (
    Between,
    Compare,
    Date,
    Deep,
    DerivedFrom,
    Exists,
    Expression,
    Fields,
    In,
    Like,
    Matches,
    Not,
    Or,
    Order,
    Quantity,
    Term,
    Text,
)
from parscope.catalog.query.limits import DEPTH, PARTS, checked
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.plan import matching
from parscope.core.errors import QueryError

A = Term(("a",))
MANY = PARTS - 10


LIMITS: list[tuple[Expression, str]] = [
    (Compare(A, Order.EQUAL, 3), "1"),
    (In(A, tuple(range(3, MANY))), "1"),
    (In(A, tuple(range(3, MANY)), every=True), "1"),
    (In(A, tuple(f"{i} V" for i in range(MANY)), every=True), "2"),
    (In(A, tuple(Quantity(i, "V") for i in range(300)), every=True), "2"),
    (In(A, tuple(Date(f"{year}-{month:02}") for year in range(1990, 2026) for month in range(1, 13)), every=True), "3"),
    (Or(tuple(Compare(A, Order.EQUAL, i) for i in range(1010))), "1"),
    (Like(A, "%_" * 499 + "%"), ""),
    (Matches(A, "(V|T)" * 9), ""),
    (Exists(Term((Deep.DEEP, Deep.DEEP, "a", Deep.DEEP))), "123"),
    (Between(A, Date("2024"), Date("2024-05-07")), "3"),
    (Compare(Term(("'; drop table value; --",)), Order.EQUAL, "'; drop table value; --"), ""),
    (Text("'; drop table value; --"), ""),
    (DerivedFrom("no such"), ""),
    (Fields(A, Order.EQUAL, A), "123"),
]


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    catalog.add_many([{"n": "0", "b": 1}, {"n": "1", "a": 3}, {"n": "2", "a": "5 V"}, {"n": "3", "a": "2024-05-06"}])
    return catalog


def test_queries_at_their_limits_are_answered(filled: Catalog) -> None:
    for query, numbers in LIMITS:
        found = [record.document["n"] for record in filled.find(checked(query), newest=False).records]
        assert (str(query)[:200], "".join(found)) == (str(query)[:200], numbers)


def test_a_query_is_as_deep_as_may_be(filled: Catalog) -> None:
    query: Expression = Compare(A, Order.EQUAL, 3)
    for level in range(DEPTH - 1):
        query = Not(query) if level % 2 else Or((query,))
    assert filled.count(checked(query)) == 3


def test_of_few_records_a_query_tells_the_same(filled: Catalog) -> None:
    with filled.reading() as connection:
        for query in (
            Compare(A, Order.EQUAL, 3),
            Like(A, "5%"),
            Exists(A),
            Fields(A, Order.EQUAL, A),
            Text("5"),
            Or(()),
        ):
            whole = matching(connection, query).tolist()
            assert matching(connection, query, within=[2, 4]).tolist() == [one for one in whole if one in (2, 4)]
            assert matching(connection, Not(query), within=[2]).tolist() == [one for one in [2] if one not in whole]


def test_many_paths_are_one_path_of_any_depth(catalog: Catalog) -> None:
    catalog.add({f"key {i}": {"x": i} for i in range(600)})
    catalog.add({"x": 599})
    for value, count in ((599, 2), (510, 1), (600, 0)):
        assert catalog.count(Compare(Term((Deep.DEEP, "x")), Order.EQUAL, value)) == count
    assert catalog.count(Fields(Term((Deep.DEEP, "x")), Order.LESS, Term((Deep.DEEP, "x")))) == 1


def test_what_no_pattern_or_unit_is_is_told(filled: Catalog) -> None:
    for query in (
        Matches(A, "("),
        Compare(A, Order.EQUAL, Quantity(1, "nonsense")),
        Compare(A, Order.LESS, Date("soon")),
    ):
        with pytest.raises(QueryError):
            filled.count(query)
