"""Bytes sort as values do, to the last bit, and become the values again."""

from __future__ import annotations

import sys
from math import inf, isnan, nan, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.catalog.store import keys
from parscope.catalog.store.keys import Type, quantity_type, typed, value_of

INTEGERS = st.one_of(
    st.integers(),
    st.integers(-(2**1100), 2**1100),  # beyond all floats
    st.builds(lambda power, near: 2**power + near, st.integers(50, 1030), st.integers(-3, 3)),
)
FLOATS = st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 5e-324, -5e-324, inf, -inf, sys.float_info.max])
NUMBERS = INTEGERS | FLOATS
TEXTS = st.text(st.characters()) | st.text(st.characters(categories=["Cs"]))


@given(NUMBERS, NUMBERS)
def test_numbers_sort_as_their_keys(one: float, other: float) -> None:
    a, b = keys.number(one), keys.number(other)
    assert (a < b, a == b) == (one < other, one == other)


@given(FLOATS)
def test_neighbouring_floats_are_told_apart(value: float) -> None:
    above = nextafter(value, inf)
    assert (keys.number(value) < keys.number(above)) == (value < above)


@given(INTEGERS, st.integers(-3, 3))
def test_whole_numbers_next_to_each_other_are_told_apart(value: int, step: int) -> None:
    a, b = keys.number(value), keys.number(value + step)
    assert (a < b, a == b) == (step > 0, step == 0)


@given(NUMBERS)
def test_a_number_comes_back(value: float) -> None:
    kind, key = typed(value)
    assert kind == Type.NUMBER
    assert value_of(kind, key) == value


@given(TEXTS, TEXTS)
def test_texts_sort_by_code_points(one: str, other: str) -> None:
    a, b = keys.text(one), keys.text(other)
    assert (a < b, a == b) == (one < other, one == other)


@given(TEXTS)
def test_a_text_comes_back(value: str) -> None:
    assert value_of(*typed(value)) == value


@given(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62))
def test_dates_sort_and_come_back(one: int, other: int) -> None:
    a, b = keys.date(one), keys.date(other)
    assert (a < b, a == b) == (one < other, one == other)
    assert value_of(Type.DATE, a) == one


def test_other_values_come_back() -> None:
    assert [value_of(*typed(value)) for value in (True, False, None)] == [True, False, None]
    assert typed(False)[1] < typed(True)[1]
    none = value_of(*typed(nan))
    assert isinstance(none, float) and isnan(none)
    assert typed(nan)[0] == Type.NAN
    assert value_of(Type.CONTAINER, b"") is None


@pytest.mark.parametrize("digits", [1, 300, 400, 4300])
def test_keys_of_numbers_fit_into_an_index(digits: int) -> None:
    assert len(keys.number(-(10**digits) + 1)) < 2000


def test_dimensions_have_types_of_their_own_the_same_for_ever() -> None:
    kinds = {quantity_type(name) for name in ("1", "V", "m", "m^-1", "s", "K", "px", "bit", "eV", "J", "Hz")}
    assert len(kinds) == 11
    assert all(Type.QUANTITY <= kind < 2**31 for kind in kinds)
    assert quantity_type("V") == 1134883713
