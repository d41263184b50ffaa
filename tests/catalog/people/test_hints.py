"""A query that finds nothing is told why, as far as the catalog knows."""

from __future__ import annotations

import pytest

from parscope.catalog.people.hints import hints
from parscope.catalog.query.text import parse
from parscope.catalog.store.catalog import Catalog

NOWHERE = "no record has {}; parscope find --paths lists what there is"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("acquired > 2020", ['acquired holds date and text, and no number; write a year as date "2024"']),
        ("beam.voltage > 200", ["beam.voltage holds quantity, and no number; give the unit, as in 200 kV"]),
        ("size > 1 MB", ["size holds number, and no quantity; leave out the unit"]),
        ('size in ("1", 2)', ["size holds number, and no text; write a number without quotes"]),
        ('beam.volt > 200 kV or kind like "x"', [NOWHERE.format("beam.volt")]),
        ('**."a b" exists and not nothing = 3', [NOWHERE.format('**."a b"')]),
        ("acquired in 2024-01..2024-02 and length(list) = 3", []),
        ("length(size) = 3", [NOWHERE.format("length(size)")]),
        ("kind = null", ["kind holds text, and no nothing"]),
        ("kind = true", ["kind holds text, and no truth"]),
        ("beam = 3", ["beam holds mappings or lists, and no number"]),
    ],
)
def test_what_could_not_match_is_told(catalog: Catalog, query: str, told: list[str]) -> None:
    catalog.add(
        {
            "kind": "image",
            "acquired": "2020-03-05T10:30:00Z",
            "beam": {"voltage": {"value": 300, "units": "kV"}},
            "size": 5_000_000,
            "list": [1, 2],
        }
    )
    assert hints(catalog, parse(query)) == told


def test_letters_that_are_other_characters_are_told(catalog: Catalog) -> None:
    composed, apart = "Müller", "Mu\N{COMBINING DIAERESIS}ller"
    catalog.add({"operator": apart, composed: 1})
    query = f'operator = "{composed}"'
    assert hints(catalog, parse(query)) == [
        f'1 records match with other characters for the same letters (NFD): operator = "{apart}"'
    ]
    assert hints(catalog, parse(f'"{apart}" = 1'))[-1].endswith('(NFC): "Müller" = 1')
