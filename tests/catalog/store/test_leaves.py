"""What of a document stands in the index, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from parscope.catalog.store.keys import WORDS, Type, number, quantity_type, typed, value_of
from parscope.catalog.store.leaves import LONGEST_PATH, leaves
from parscope.catalog.store.words import words

LENGTH, LEAST, GREATEST = 1, 2, 3


def found(document: dict[str, Any], path: str, aspect: int = 0) -> list[Any]:
    """Values of one path; types, where they have no value."""
    rows = sorted(leaves(document))
    its = [(kind, key) for one, its_aspect, kind, key in rows if (one, its_aspect) == (path, aspect)]
    return [value_of(*row) if row[1] else Type(row[0]) for row in its]


def test_values_stand_under_their_keys_verbatim() -> None:
    hostile = {"a.b": {'q"[0]\0': 1}, "": {"🔬": True}, "\ud800": None}
    assert {row[0] for row in leaves(hostile)} == {
        '["a.b"]', '["a.b","q\\"[0]\\u0000"]', '[""]', '["","\\ud83d\\udd2c"]', '["\\ud800"]',
    }  # fmt: skip


def test_lists_are_passed_through() -> None:
    document = {"signals": [{"shape": [2, 3]}, {"shape": [[4], [5, 6]]}]}
    assert found(document, '["signals","shape"]') == [2, 3, 4, 5, 6]
    assert found(document, '["signals","shape"]', LENGTH) == [1, 2]
    assert found(document, '["signals"]', LENGTH) == [2]
    assert found(document, '["signals","shape"]', LEAST) == [2, 4]
    assert found(document, '["signals","shape"]', GREATEST) == [3, 6]


@pytest.mark.parametrize("values", [[0.5] * 60 + [1, 2, 3, -4], [[0.5] * 60, [1, 2], [[3, -4]]]])
def test_up_to_64_values_are_elements(values: list[Any]) -> None:
    assert found({"a": values}, '["a"]') == [-4, 0.5, 1, 2, 3]


@pytest.mark.parametrize("values", [[0.5] * 61 + [1, 2, 3, -4], [[0.5] * 60, [1, 2, 2], [[3, -4]]]])
def test_of_more_only_length_least_and_greatest_are_known(values: list[Any]) -> None:
    assert found({"a": values}, '["a"]') == [Type.CONTAINER]
    assert len(values) in found({"a": values}, '["a"]', LENGTH)
    assert found({"a": values}, '["a"]', LEAST) == [-4]
    assert found({"a": values}, '["a"]', GREATEST) == [3]


def test_texts_in_long_lists_are_found_by_their_words_and_nothing_below_is_named() -> None:
    document = {"a": [{"b": f"entry {n}"} for n in range(65)]}
    assert not [row for row in leaves(document) if row[0] == '["a","b"]']
    assert (("[]", WORDS, *typed("entry"))) in leaves(document)


def test_nothing_is_less_than_what_is_no_number() -> None:
    mixed = [float("nan"), "x", True, None, {"b": 0}, 7]
    assert found({"a": mixed}, '["a"]', LEAST) == found({"a": mixed}, '["a"]', GREATEST) == [7]
    assert found({"a": ["x"]}, '["a"]', LEAST) == []


def test_empty_things_exist() -> None:
    assert found({"a": []}, '["a"]') == found({"a": {}}, '["a"]') == found({"a": [[], []]}, '["a"]') == [Type.CONTAINER]


@pytest.mark.parametrize(
    ("document", "dimension", "value"),
    [
        ({"a": {"value": 300, "units": "kV"}}, "V", 3e5),
        ({"a": {"value": 300, "unit": "kV"}}, "V", 3e5),
        ({"a": "300 kV"}, "V", 3e5),
        ({"a": ["x", "300 kV"]}, "V", 3e5),
        ({"a": [{"value": 2, "units": "1/nm"}]}, "m^-1", 2e9),
    ],
)
def test_what_has_a_unit_is_a_quantity_too(document: dict[str, Any], dimension: str, value: float) -> None:
    assert ('["a"]', 0, quantity_type(dimension), number(value)) in leaves(document)


def test_the_unit_of_a_key_holds_for_the_numbers_under_it() -> None:
    rows = leaves({"Cs(mm)": [1.5, [True, "x"], float("inf")], "dwell [us]": 4})
    metres = [key for path, _, kind, key in rows if kind == quantity_type("m")]
    assert sorted(metres) == [number(1.5e-3), number(float("inf"))]
    assert ('["dwell [us]"]', 0, quantity_type("s"), number(4e-6)) in rows


def test_a_text_that_is_a_date_is_one_too() -> None:
    assert found({"a": "1970-01-02"}, '["a"]') == [86_400_000_000, "1970-01-02"]


def test_a_long_text_is_found_by_its_words_only() -> None:
    long = "ß" * 256 + " domain"
    assert found({"a": long}, '["a"]') == [Type.LONG_TEXT]
    assert found({"a": "ß" * 256}, '["a"]') == ["ß" * 256]
    assert found({"a": long}, "[]", WORDS) == ["domain", "s" * 128]


def test_a_long_path_is_found_by_its_words_only() -> None:
    rows = leaves({"k" * LONGEST_PATH: {"b": ["domain"]}, "c": 1})
    assert {row[0] for row in rows} == {"[]", '["c"]'}
    assert ("[]", WORDS, *typed("domain")) in rows


def test_words_have_neither_case_nor_ways_to_compose_accents() -> None:
    assert words("Étude E\u0301TUDE") == ["étude", "étude"]
    assert words("PZT_20nm, (90°-wall)\ud800\0x") == ["pzt", "20nm", "90", "wall", "x"]
