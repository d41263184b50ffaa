"""Faults of parscope itself surface, and neither lose a file nor stop the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parscope.catalog.collect.collector import Collector
from parscope.catalog.collect.status import quarantined
from parscope.catalog.store import documents, write
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.tables import journal, record
from tests.catalog.collect.played_describer import play
from tests.catalog.collect.rows import places, rows

Collect = Callable[[], Collector]


def test_a_fault_of_parscope_is_raised_when_every_file_is_in(
    catalog: Catalog, folder: Path, collected: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaves(document: Any) -> Any:
        if document.get("vendor", {}).get("number") == 1:
            raise ZeroDivisionError("by nothing")
        return plain(document)

    plain = write.leaves
    monkeypatch.setattr(write, "leaves", leaves)
    for number in range(3):
        play(folder / f"{number}.play", number=number)
    with pytest.raises(ZeroDivisionError, match="by nothing"):
        collected()
    monkeypatch.undo()
    assert rows(catalog, journal, "stage") == ["committed", "quarantined", "committed"]
    reason = "parscope itself failed with ZeroDivisionError: by nothing"
    assert sorted(rows(catalog, record, "error"), key=str) == [None, None, reason]
    assert places(catalog)["1.play"][1]


def test_a_file_that_even_a_record_without_metadata_fails_with_is_in_the_journal(
    catalog: Catalog, folder: Path, collected: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaves(document: Any) -> Any:
        if document["name"] == "1.play":
            raise ZeroDivisionError("by nothing")
        return plain(document)

    plain = write.leaves
    monkeypatch.setattr(write, "leaves", leaves)
    for number in range(3):
        play(folder / f"{number}.play", number=number)
    with pytest.raises(ZeroDivisionError):
        collected()
    monkeypatch.setattr(write, "leaves", plain)
    with catalog.reading() as connection:
        ((path, error),) = quarantined(connection)
    assert (path.name, error) == ("1.play", "parscope itself failed with ZeroDivisionError: by nothing")
    collector = Collector(catalog, folder, settle=0.0)
    assert collector.retry() == 1
    collector.run(once=True)
    assert rows(catalog, journal, "stage") == ["committed"] * 3
    assert rows(catalog, record, "error") == [None] * 3


def test_metadata_that_the_store_refuses_leave_a_record_with_the_reason(
    catalog: Catalog, folder: Path, collected: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "DEEPEST", 3)
    play(folder / "a.play", tree={"in": {"deep": 1}})
    collected()
    (reason,) = rows(catalog, record, "error")
    assert reason == "its metadata cannot be kept: the document is more than 3 levels deep"
