"""What people say about records: kept together, taken back but not lost, found by queries."""

from __future__ import annotations

import getpass
import json
import math
from typing import Any

import pytest

from parscope.catalog.people.card import card
from parscope.catalog.people.names import checked
from parscope.catalog.people.notes import Note, note
from parscope.catalog.people.saved import forget, load, save
from parscope.catalog.query.ast import Collected, Compare, Order, Tagged, Term
from parscope.catalog.store import dimensions
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.paths import paths
from parscope.catalog.store.records import resolve
from parscope.core.errors import CatalogError, InputError


def told(catalog: Catalog, uid: str) -> dict[str, Any]:
    with catalog.reading() as connection:
        return card(connection, resolve(connection, uid))


def annotated(key: str, value: str | float) -> Compare:
    return Compare(Term(("annotation", key)), Order.EQUAL, value)


def test_tags_and_collections_are_found_and_taken_back(catalog: Catalog) -> None:
    one, other = catalog.add({"name": "one"}), catalog.add({"name": "other"})
    note(catalog, one, Note(tags=("good", " good "), collections=("Paper 3",)), who="ann")
    note(catalog, other, Note(tags=("good",)))
    assert {*catalog.uids(Tagged("good"))} == {one, other}
    assert [*catalog.uids(Collected("Paper 3"))] == [one]
    assert [(row["name"], row["who"]) for row in told(catalog, one)["tags"]] == [("good", "ann")]
    assert [row["who"] for row in told(catalog, other)["tags"]] == [getpass.getuser()]
    note(catalog, one, Note(untag=("good",), leave=("Paper 3",)), who="bob")
    assert [*catalog.uids(Tagged("good"))] == [other]
    assert catalog.count(Collected("Paper 3")) == 0


def test_what_is_taken_back_stays_in_the_history_with_who_and_when(catalog: Catalog) -> None:
    one, other = catalog.add({"name": "one"}), catalog.add({"name": "other"})
    said = Note(tags=("good",), collections=("Paper 3",), values={"dose": 3.5}, sources=(other,), program="denoise 2")
    note(catalog, one, said, who="ann")
    note(catalog, one, Note(untag=("good",), leave=("Paper 3",), withdraw=("dose",), unlink=(other[:8],)), who="bob")
    note(catalog, one, Note(tags=("good",)), who="ann")
    note(catalog, one, Note(untag=("good",)), who="cy")
    history = told(catalog, one)["retractions"]
    before = [{"who": "ann"}, {"who": "ann"}, {"who": "ann", "value": 3.5}]
    before += [{"who": "ann", "program": "denoise 2", "parameters": {}}, {"who": "ann"}]
    what = [("tag", "good"), ("collection", "Paper 3"), ("annotation", "dose"), ("derived from", other)]
    kept = [json.loads(row["said"]) for row in history]
    assert [(row["what"], row["name"], row["who"]) for row in history] == [
        *((*each, "bob") for each in what),
        ("tag", "good", "cy"),
    ]
    assert all(old.pop("created") <= row["created"] for old, row in zip(kept, history, strict=True))
    assert kept == before


def test_an_annotation_is_found_replaced_and_withdrawn_and_its_history_stays(catalog: Catalog) -> None:
    uid = catalog.add({"sample": "unknown"})
    note(catalog, uid, Note(values={"sample": "PZT", "dose": 3.5}), who="ann")
    assert [*catalog.uids(annotated("sample", "PZT"))] == [uid]
    note(catalog, uid, Note(values={"sample": "BTO"}), who="bob")
    assert catalog.count(annotated("sample", "PZT")) == 0
    assert [*catalog.uids(annotated("sample", "BTO"))] == [uid]
    note(catalog, uid, Note(withdraw=("sample",)))
    assert catalog.count(annotated("sample", "BTO")) == 0
    assert [*catalog.uids(annotated("dose", 3.5))] == [uid]
    history = [
        (row["key"], row["value"], row["who"], row["withdrawn"] is None) for row in told(catalog, uid)["annotations"]
    ]
    assert sorted(history) == [
        ("dose", "3.5", "ann", True),
        ("sample", '"BTO"', "bob", False),
        ("sample", '"PZT"', "ann", False),
    ]
    assert catalog.get(uid).document == {"sample": "unknown"}


def test_any_value_that_json_holds_is_kept(catalog: Catalog) -> None:
    uid = catalog.add({})
    values = {"a": math.inf, "b": [1, {"c": None}], 'it\'s "odd" [µm]': 2**70, "e": "\ud800 \0 😀", "f": -0.0}
    note(catalog, uid, Note(values=values))
    rows = {row["key"]: row["value"] for row in told(catalog, uid)["annotations"]}
    assert rows["f"] == "-0.0"
    assert rows['it\'s "odd" [µm]'] == str(2**70)
    assert catalog.count(annotated("a", math.inf)) == 1


def test_all_of_a_note_is_kept_or_nothing(catalog: Catalog) -> None:
    uid = catalog.add({})
    with pytest.raises(InputError, match="cannot be kept as JSON"):
        note(catalog, uid, Note(tags=("good",), values={"a": 1, "b": object()}))
    with pytest.raises(CatalogError, match="no such record"):
        note(catalog, uid, Note(tags=("good",), sources=("0" * 32,)))
    assert told(catalog, uid)["tags"] == []
    assert told(catalog, uid)["annotations"] == []


@pytest.mark.parametrize(
    "said", [Note(untag=("good",)), Note(withdraw=("sample",)), Note(leave=("Paper 3",)), Note(unlink=("",))]
)
def test_what_was_never_said_cannot_be_taken_back(catalog: Catalog, said: Note) -> None:
    uid, other = catalog.add({}), catalog.add({})
    if said.unlink:
        said = Note(unlink=(other,))
    with pytest.raises(InputError, match="the record has none"):
        note(catalog, uid, said)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0b", "\ud800", "x" * 201, "\x1b[31m", "a\u202eb"])
def test_a_name_that_cannot_be_read_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="tag: "):
        checked(name, "tag")


def test_quantities_in_annotations_keep_their_unit(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimensions, "_known", {})
    note(catalog, catalog.add({}), Note(values={"thickness": "30 nm", "dose (C)": 2}))
    expected = {"thickness": ("m",), "dose (C)": ("C",)}
    with catalog.reading() as connection:
        assert {info.path[-1]: info.units for info in paths(connection, "annotation.%")} == expected


def test_names_are_the_same_however_their_letters_are_typed(catalog: Catalog) -> None:
    composed, apart = "gerät", "gera\N{COMBINING DIAERESIS}t"
    one = catalog.add({"name": "one"})
    note(catalog, one, Note(tags=(apart,), collections=(apart,), values={apart: 1}))
    assert [row["name"] for row in told(catalog, one)["tags"]] == [composed]
    for name in (composed, apart):
        assert [*catalog.uids(Tagged(name))] == [*catalog.uids(Collected(name))] == [one]
    assert catalog.count(annotated(composed, 1)) == 1
    note(catalog, one, Note(untag=(apart,), leave=(apart,), withdraw=(apart,)))
    assert catalog.count(Tagged(composed)) == catalog.count(Collected(composed)) == 0
    assert catalog.count(annotated(composed, 1)) == 0
    save(catalog, apart, Tagged("good"))
    with catalog.reading() as connection:
        assert load(connection, composed) == load(connection, apart)
    forget(catalog, apart)
