"""Many writers at once lose nothing; one that is killed leaves a catalog that is whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import pytest
from sqlalchemy import func, select, text

from parscope.catalog.query.ast import Compare, Order, Term
from parscope.catalog.store import engine, postgresql, tables
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.leaves import leaves
from parscope.core.errors import CatalogError

WRITER = """
import sys
from parscope.catalog.store.catalog import Catalog

with Catalog(sys.argv[1]) as catalog:
    for number in range(int(sys.argv[3])):
        catalog.add({"writer": int(sys.argv[2]), "number": number, f"key {number} of {sys.argv[2]}": "x"})
        if sys.argv[4:]:
            print(number, flush=True)
"""


def writer(address: str, name: int, records: int, *told: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, address, str(name), str(records), *told]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def assert_whole(catalog: Catalog) -> None:
    """Each record stands in the index with all that it says, and nothing else stands there."""
    value, path, record = tables.value, tables.path, tables.record
    with catalog.reading() as connection:
        found = {}
        its = select(value.c.record, path.c["keys"], path.c.aspect, value.c.type, value.c.key)
        for record_id, *leaf, key in connection.execute(its.join_from(value, path, value.c.path == path.c.id)):
            found.setdefault(record_id, set()).add((*leaf, bytes(key)))
        stated = connection.execute(select(record.c.id, record.c.document))
        assert found == {row.id: leaves(json.loads(row.document)) for row in stated}
        if connection.dialect.name == "sqlite":
            assert connection.scalar(text("PRAGMA integrity_check")) == "ok"


def test_eight_processes_that_make_a_catalog_and_write_lose_nothing(address: str) -> None:
    running = [writer(address, name, 25) for name in range(8)]
    assert [process.communicate()[1] for process in running] == [""] * 8
    with Catalog(address) as catalog:
        assert catalog.count() == 200
        for name in range(8):
            assert catalog.count(Compare(Term(("writer",)), Order.EQUAL, name)) == 25
        assert_whole(catalog)


def test_threads_share_a_catalog(catalog: Catalog) -> None:
    def write(name: int) -> None:
        for number in range(10):
            catalog.add({"writer": name, f"key {number}": number})

    threads = [threading.Thread(target=write, args=(name,)) for name in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalog.count() == 200
    assert_whole(catalog)


@pytest.mark.parametrize("after", [0, 1, 7])
def test_a_writer_that_is_killed_leaves_a_whole_catalog(address: str, after: int) -> None:
    with writer(address, 1, 10_000, "told") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after + 1)]
        process.send_signal(signal.SIGKILL)
        told = len(lines + process.stdout.readlines())
    with Catalog(address) as catalog:
        # a record may be in the catalog of which the writer could not tell any more
        assert catalog.count() in (told, told + 1)
        assert_whole(catalog)
        catalog.add({"writer": 2, "key 9999 of 1": "x"})
        assert_whole(catalog)


def test_a_reader_sees_one_state_and_does_not_wait(catalog: Catalog) -> None:
    catalog.add({"n": 1})
    count = select(func.count()).select_from(tables.record)
    with catalog.reading() as reader:
        assert reader.scalar(count) == 1
        with catalog.writing() as connection:
            connection.execute(tables.record.update().values(reader="x"))
            assert reader.scalar(select(tables.record.c.reader)) == ""
        catalog.add({"n": 2})
        assert reader.scalar(count) == 1
    assert catalog.count() == 2


def test_a_path_that_another_process_wrote_is_the_same_path(address: str) -> None:
    with Catalog(address) as one, Catalog(address) as other:
        one.add({"a": 1})
        other.add({"a": 1, "b": 1})
        one.add({"b": 1})
        assert_whole(one)
        with one.reading() as connection:
            assert connection.scalar(select(func.count()).where(tables.path.c.aspect == 0)) == 2


def test_a_writer_does_not_wait_for_ever(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_PATIENCE", 0)
    with Catalog(address) as catalog:
        with catalog.writing(), pytest.raises(CatalogError, match="others have been writing for 0 seconds"):
            catalog.add({})
        catalog.add({})


def test_who_falls_silent_while_it_writes_holds_up_nobody(
    postgres_address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fall_silent() -> None:
        with silent.writing() as connection:
            connection.execute(text("SELECT 1"))
            other.add({"n": 1})  # waits until the server has ended the silent one
            connection.execute(text("SELECT 1"))

    with Catalog(postgres_address) as other:
        monkeypatch.setattr(postgresql, "_IDLE", 0.2)
        with Catalog(postgres_address) as silent:
            with pytest.raises(CatalogError):
                fall_silent()
            silent.add({"n": 2})
            assert other.count() == 2
    assert not caplog.records  # nothing is told but the error
