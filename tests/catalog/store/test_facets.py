"""Values counted, numbers in bins, and which paths there are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.catalog.query.ast import Compare, Deep, Order, Term
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.facets import Counted, Facet, Histogram, facet, nice_edges
from parscope.catalog.store.paths import PathInfo, paths

BEAM, CS, MODE = Term(("beam", "voltage")), Term(("Cs(mm)",)), Term(("mode",))
DOCUMENTS = [
    {"mode": "BF", "beam": {"voltage": {"value": 300, "units": "kV"}}, "Cs(mm)": 1.2, "tags": ["a", "b", "b"]},
    {"mode": "BF", "beam": {"voltage": "300 kV"}, "Cs(mm)": [1.2, 2.7], "tags": []},
    {"mode": "DF", "beam": {"voltage": {"value": 80, "units": "kV"}}, "when": "2024-03-05", "Cs(mm)": float("inf")},
    {"mode": ["BF", "DF"], "deep": {"mode": "BF"}, "odd.key": None, "long": "x" * 600},
]


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    catalog.add_many(DOCUMENTS)
    return catalog


def counted(catalog: Catalog, *asked: object) -> Facet:
    with catalog.reading() as connection:
        return facet(connection, *asked)  # type: ignore[arg-type]


def test_values_are_counted_by_the_records_that_have_them(filled: Catalog) -> None:
    assert counted(filled, MODE) == Facet((Counted("BF", 3), Counted("DF", 2)), 2, None)
    assert counted(filled, Term((Deep.DEEP, "mode"))).values == (Counted("BF", 3), Counted("DF", 2))
    assert counted(filled, Term(("tags",))).values == (Counted("a", 1), Counted("b", 1))
    assert counted(filled, Term(("when",))).values == (Counted("2024-03-05", 1),)
    assert counted(filled, Term(("none",))) == Facet((), 0, None)
    few = counted(filled, MODE, Compare(MODE, Order.EQUAL, "DF"), 1)
    assert few == Facet((Counted("DF", 2),), 2, None)


def test_numbers_are_binned_and_infinity_is_only_counted(filled: Catalog) -> None:
    found = counted(filled, CS, Compare(CS, Order.GREATER, 0), 4)
    assert found.values == (Counted(1.2, 2), Counted(2.7, 1), Counted(float("inf"), 1))
    assert found.histogram == Histogram((1.0, 1.5, 2.0, 2.5, 3.0), (2, 0, 0, 1))


def test_quantities_are_in_si_units(filled: Catalog) -> None:
    found = counted(filled, BEAM, Compare(MODE, Order.EQUAL, "DF"))
    assert found == Facet((Counted(80_000, 1),), 1, Histogram((0.0, 100_000.0), (1,), "V"))


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.integers(1, 50))
def test_edges_are_few_and_hold_all_numbers(one: float, other: float, most: int) -> None:
    edges = nice_edges(min(one, other), max(one, other), most)
    assert edges[0] <= min(one, other) <= max(one, other) <= edges[-1]
    assert 2 <= len(edges) <= most + 2
    assert all(low <= high for low, high in pairwise(edges))


def test_paths_are_listed_with_what_they_hold(filled: Catalog) -> None:
    with filled.reading() as connection:
        found = {info.path: info for info in paths(connection)}
        some = paths(connection, "beam%")
    assert list(found) == sorted(found)
    assert found["beam", "voltage"] == PathInfo(("beam", "voltage"), 3, ("text", "container", "quantity"), ("V",))
    assert found[("Cs(mm)",)] == PathInfo(("Cs(mm)",), 3, ("number", "quantity"), ("m",))
    assert found[("tags",)] == PathInfo(("tags",), 2, ("text", "container"), ())
    assert found[("when",)] == PathInfo(("when",), 1, ("date", "text"), ())
    assert found[("odd.key",)] == PathInfo(("odd.key",), 1, ("nothing",), ())
    assert found[("long",)] == PathInfo(("long",), 1, ("text",), ())
    assert [info.path for info in some] == [
        ("beam",),
        ("beam", "voltage"),
        ("beam", "voltage", "units"),
        ("beam", "voltage", "value"),
    ]


def test_a_path_that_no_document_has_any_more_is_not_listed(catalog: Catalog) -> None:
    uid = catalog.add({"old": 1})
    catalog.amend(uid, {"new": 2})
    with catalog.reading() as connection:
        assert [info.path for info in paths(connection)] == [("new",)]
