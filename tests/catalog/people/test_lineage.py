"""What was made from what: as a graph, without circles."""

from __future__ import annotations

from itertools import pairwise

import pytest

from parscope.catalog.people.lineage import Lineage, lineage
from parscope.catalog.people.links import Making, derive
from parscope.catalog.people.notes import Note, note
from parscope.catalog.query.ast import DerivedFrom, SourceOf
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.records import resolve
from parscope.core.errors import InputError


def line(catalog: Catalog, uid: str) -> Lineage:
    with catalog.reading() as connection:
        return lineage(connection, resolve(connection, uid))


def records(catalog: Catalog, *names: str) -> list[str]:
    return [catalog.add({"name": name, "kind": "image"}) for name in names]


def test_a_lineage_has_ancestors_and_descendants_and_no_cousins(catalog: Catalog) -> None:
    raw, dark, clean, strain, figure, cousin = records(catalog, "raw", "dark", "clean", "strain", "figure", "cousin")
    note(catalog, clean, Note(sources=(raw, dark), program="denoise 2.1", parameters={"sigma": 1.5}), who="ann")
    note(catalog, strain, Note(sources=(clean[:12],)))
    note(catalog, figure, Note(sources=(strain, clean)))
    note(catalog, cousin, Note(sources=(raw,)))
    found = line(catalog, strain)
    assert {node.name for node in found.nodes} == {"strain", "clean", "raw", "dark", "figure"}
    assert {(edge.source, edge.target) for edge in found.edges} == {
        (raw, clean),
        (dark, clean),
        (clean, strain),
        (strain, figure),
    }
    (edge,) = [edge for edge in found.edges if edge.source == raw]
    assert (edge.kind, edge.program, edge.parameters, edge.who) == (
        "derived from",
        "denoise 2.1",
        {"sigma": 1.5},
        "ann",
    )
    assert found.ancestors() == [
        f"{clean[:8]} clean image",
        f"  {raw[:8]} raw image  [denoise 2.1]",
        f"  {dark[:8]} dark image  [denoise 2.1]",
    ]
    assert found.descendants() == [f"{figure[:8]} figure image"]
    assert {*catalog.uids(DerivedFrom(raw))} == {clean, strain, figure, cousin}
    assert {*catalog.uids(SourceOf(strain))} == {clean, raw, dark}
    graph = found.as_json()
    assert {node["uid"] for node in graph["nodes"]} == {raw, dark, clean, strain, figure}
    assert len(graph["edges"]) == 4


def test_what_is_reached_on_two_ways_is_unfolded_once(catalog: Catalog) -> None:
    raw, left, right, both = records(catalog, "raw", "left", "right", "both")
    for target, sources in ((left, (raw,)), (right, (raw,)), (both, (left, right))):
        note(catalog, target, Note(sources=sources))
    note(catalog, raw, Note(sources=(records(catalog, "first")[0],)))
    drawn = [line.split()[1:] for line in line(catalog, both).ancestors()]
    assert drawn == [
        ["left", "image"],
        ["raw", "image"],
        ["first", "image"],
        ["right", "image"],
        ["raw", "image", "(see", "above)"],
    ]


def test_a_record_is_not_made_from_itself(catalog: Catalog) -> None:
    one, two, three = records(catalog, "one", "two", "three")
    note(catalog, two, Note(sources=(one,)))
    note(catalog, three, Note(sources=(two,)))
    for target, source in ((one, one), (one, two), (one, three), (two, three)):
        with pytest.raises(InputError, match="cannot be derived from itself"):
            note(catalog, target, Note(sources=(source,)))
    assert len(line(catalog, one).edges) == 2


def test_one_making_is_noted_and_another_only_after_it_was_taken_back(catalog: Catalog) -> None:
    one, two = records(catalog, "one", "two")
    note(catalog, two, Note(sources=(one,), program="a 1"))
    note(catalog, two, Note(sources=(one,), program="a 1"))
    note(catalog, two, Note(sources=(one,)))
    with pytest.raises(InputError, match="another making is noted: a 1"):
        note(catalog, two, Note(sources=(one,), program="a 2"))
    note(catalog, two, Note(unlink=(one,), sources=(one,), program="a 2"))
    assert [edge.program for edge in line(catalog, two).edges] == ["a 2"]


def test_a_long_chain_is_followed_to_its_end(catalog: Catalog) -> None:
    uids = catalog.add_many({"name": str(i)} for i in range(600))
    with catalog.writing() as connection:
        ids = [resolve(connection, uid) for uid in uids]
        for source, target in reversed([*pairwise(ids)]):  # so that each look for a circle is short
            derive(connection, target, source, Making())
    assert len(line(catalog, uids[-1]).ancestors()) == 599
    assert line(catalog, uids[300]).descendants()[-1].split() == [uids[-1][:8], "599"]
