"""Pages go on from each other, whatever happens in between."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parscope.catalog.query.ast import EVERYTHING, Compare, Deep, Exists, Expression, Not, Order, Quantity, Term
from parscope.catalog.store import cursors, orders
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.orders import Place
from parscope.core.errors import QueryError

A, ANY = Term(("a",)), Term((Deep.DEEP,))
VALUES = (
    3,
    3.0,
    -1,
    2.5,
    float("nan"),
    float("inf"),
    "x",
    "",
    "9 kV",
    "10 kV",
    True,
    False,
    None,
    [3, "x", 1],
    [],
    {"b": 3},
)
DOCUMENTS = [{"a": value} for value in VALUES] + [{}, {"c": 1}, {"a": 3, "c": [1, 5]}]
ORDERS = (None, "changed", A, ANY, Term(("c",)))


def listed(catalog: Catalog, query: Expression, order: Any, newest: bool, limit: int) -> list[str]:
    """Uids of all pages."""
    uids: list[str] = []
    cursor = None
    while True:
        page = catalog.find(query, order=order, newest=newest, limit=limit, cursor=cursor)
        uids += [record.uid for record in page.records]
        assert page.total == catalog.count(query)
        if page.cursor is None:
            return uids
        assert len(page.records) == limit
        cursor = page.cursor


def test_pages_together_are_the_whole_list(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.add_many(DOCUMENTS)
    catalog.amend(next(catalog.uids()), {"a": 2})
    for query, order, newest in product((EVERYTHING, Not(Compare(A, Order.EQUAL, 3))), ORDERS, (True, False)):
        whole = listed(catalog, query, order, newest, 1000)
        assert sorted(whole) == sorted(catalog.uids(query))
        for few in (1000, 0):  # places are looked up, or found on a walk
            monkeypatch.setattr(orders, "_FEW", few)
            assert listed(catalog, query, order, newest, 4) == whole


def test_the_smallest_element_counts_upwards_and_the_largest_downwards(catalog: Catalog) -> None:
    for value in ([1, 9], 5, [0, 2], "text", "10 kV", "9 kV", None, float("nan"), [], {"b": 1}):
        catalog.add({"a": value, "n": str(value)})
    catalog.add({"n": "none"})

    def order(newest: bool) -> list[str]:
        return [record.document["n"] for record in catalog.find(order=A, newest=newest).records]

    nothing = ["[]", "{'b': 1}", "none"]
    assert order(newest=False) == ["9 kV", "10 kV", "None", "[0, 2]", "[1, 9]", "5", "nan", "text", *nothing]
    assert order(newest=True) == ["10 kV", "9 kV", "None", "[1, 9]", "5", "[0, 2]", "nan", "text", *nothing[::-1]]


@settings(max_examples=20)
@given(
    before=st.lists(st.sampled_from(VALUES), max_size=12),
    during=st.lists(st.lists(st.sampled_from(VALUES), max_size=3), max_size=6),
    order=st.sampled_from(ORDERS),
    newest=st.booleans(),
    few=st.sampled_from([0, 1000]),
    limit=st.integers(1, 5),
)
def test_what_was_there_is_in_the_pages_once_whatever_is_added(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[Any],
    during: list[list[Any]],
    order: Any,
    newest: bool,
    few: int,
    limit: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch, Catalog(tmp_path_factory.mktemp("pages") / "catalog.db") as catalog:
        patch.setattr(orders, "_FEW", few)
        there = catalog.add_many({"a": value} for value in before)
        uids: list[str] = []
        cursor = None
        while True:
            page = catalog.find(order=order, newest=newest, limit=limit, cursor=cursor)
            uids += [record.uid for record in page.records]
            if page.cursor is None:
                break
            cursor = page.cursor
            catalog.add_many({"a": value} for value in (during.pop() if during else ()))
        assert [uid for uid in uids if uid in there] == [
            uid for uid in listed(catalog, EVERYTHING, order, newest, 1000) if uid in there
        ]
        assert len(set(uids)) == len(uids)


def test_a_cursor_that_is_broken_or_of_another_list_is_refused(catalog: Catalog) -> None:
    catalog.add_many(DOCUMENTS)
    cursor = catalog.find(limit=2).cursor
    assert cursor is not None
    for text in ("", "x", "é", cursor[:-1], cursor + "A", cursor[::-1], "A" * 40):
        with pytest.raises(QueryError, match="no cursor of this query"):
            catalog.find(limit=2, cursor=text)
    for other in ({"newest": False}, {"order": "changed"}, {"query": Exists(A)}):
        with pytest.raises(QueryError, match="no cursor of this query"):
            catalog.find(limit=2, cursor=cursor, **other)
    with pytest.raises(QueryError, match="is no order"):
        catalog.find(order="size")


@given(st.integers(), st.binary(), st.integers())
def test_a_cursor_brings_back_its_place(rank: int, key: bytes, one: int) -> None:
    place = Place(rank, key, one)
    assert Place.unpacked(cursors.unseal(cursors.seal(place.packed(), "about"), "about")) == place


def test_a_unit_that_is_none_is_told(catalog: Catalog) -> None:
    with pytest.raises(QueryError, match="apples"):
        catalog.find(Compare(A, Order.EQUAL, Quantity(3, "apples")))
