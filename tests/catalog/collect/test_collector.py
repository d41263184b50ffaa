"""What becomes of files that appear, grow, move, are copied, replaced and deleted."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from parscope.catalog.collect.collector import Collector
from parscope.catalog.collect.status import count, quarantined
from parscope.catalog.collect.verify import verify
from parscope.catalog.query.text import parse
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.tables import file, journal, link, record, sighting, thumbnail, version
from parscope.core.errors import InputError
from tests.catalog.collect.played_describer import play
from tests.catalog.collect.rows import places, rows

Collect = Callable[[], Collector]


def test_a_file_is_collected_once_with_all_that_is_known(catalog: Catalog, folder: Path, collected: Collect) -> None:
    path = play(folder / "a.play", size=1.5e-06)
    collected()
    collected()
    (uid,) = rows(catalog, record, "uid")
    kept = catalog.get(uid)
    assert kept.error is None
    assert kept.document["vendor"]["size"] == 1.5e-06
    assert (kept.number, kept.document["kind"], kept.document["name"]) == (1, "played", "a.play")
    assert rows(catalog, journal, "path", "stage", "owner", "extracted") == [(str(path), "committed", None, None)]
    assert rows(catalog, file, "path", "root", "part", "present") == [(str(path), str(folder), False, True)]
    assert rows(catalog, thumbnail, "record") == [1]


def test_a_file_that_cannot_be_read_is_collected_with_the_reason(
    catalog: Catalog, folder: Path, collected: Collect
) -> None:
    play(folder / "a.play", "refuse")
    play(folder / "b.play", "vanish")
    (folder / "c.bin").write_bytes(b"\0\xffno format at all")
    (folder / "d").touch()
    collected()
    with catalog.reading() as connection:
        counts, wanting = count(connection, folder), quarantined(connection)
    assert (counts.queued, counts.done, counts.quarantined, counts.missing) == (0, 0, 4, 0)
    assert [path.name for path, _ in wanting] == ["a.play", "b.play", "c.bin", "d"]
    assert wanting[0][1] == "this file: is of no use; throw it away"
    assert all(error for error in rows(catalog, record, "error"))


def test_a_renamed_or_moved_file_keeps_its_record(catalog: Catalog, folder: Path, collected: Collect) -> None:
    path = play(folder / "a.play", number=1)
    collected()
    (folder / "old").mkdir()
    path.rename(folder / "old" / "b.play")
    collected()
    assert places(catalog) == {"a.play": (1, False), "b.play": (1, True)}
    assert len(rows(catalog, record)) == 1 and not rows(catalog, version)
    assert len(rows(catalog, sighting)) == 2


def test_a_copy_is_another_place_of_its_record(catalog: Catalog, folder: Path, collected: Collect) -> None:
    path = play(folder / "a.play", number=1)
    collected()
    shutil.copy(path, folder / "b.play")
    collected()
    assert places(catalog) == {"a.play": (1, True), "b.play": (1, True)}


@pytest.mark.parametrize("how", ["append", "replace"])
def test_a_changed_file_is_a_new_version_of_its_record(
    catalog: Catalog, folder: Path, collected: Collect, how: str
) -> None:
    path = play(folder / "a.play", number=1)
    collected()
    if how == "append":
        with path.open("ab") as stream:
            stream.write(b"\nmore")
    else:
        play(folder / "a.play", number=2)
    collected()
    (uid,) = rows(catalog, record, "uid")
    assert catalog.get(uid).number == 2
    assert catalog.get(uid).document["vendor"]["number"] == (1 if how == "append" else 2)
    assert rows(catalog, version, "record", "number") == [(1, 1)]
    assert places(catalog) == {"a.play": (1, True)}


def test_a_changed_copy_is_a_record_of_its_own(catalog: Catalog, folder: Path, collected: Collect) -> None:
    shutil.copy(play(folder / "a.play", number=1), folder / "b.play")
    collected()
    play(folder / "b.play", number=2)
    collected()
    assert places(catalog) == {"a.play": (1, True), "b.play": (2, True)}
    assert rows(catalog, link, "source", "target", "kind") == [(1, 2, "changed from")]
    assert not rows(catalog, version)


def test_a_name_that_is_used_again_leaves_what_was_moved_away_its_record(
    catalog: Catalog, folder: Path, collected: Collect
) -> None:
    """As with latest.dm4, which becomes 001.dm4 when the next one is written."""
    path = play(folder / "latest.play", number=1)
    collected()
    path.rename(folder / "zzz.play")
    play(folder / "latest.play", number=2)
    collected()
    assert places(catalog) == {"latest.play": (2, True), "zzz.play": (1, True)}


def test_files_that_swap_their_names_keep_their_records(catalog: Catalog, folder: Path, collected: Collect) -> None:
    for number, name in enumerate(("a", "b", "c")):
        play(folder / f"{name}.play", number=number)
    (folder / "d").touch()
    (folder / "e").write_bytes(b"no format at all")
    collected()
    for ring in (("a.play", "b.play", "c.play"), ("d", "e")):
        (folder / ring[0]).rename(folder / "aside")
        for name, then in itertools.pairwise(ring):
            (folder / then).rename(folder / name)
        (folder / "aside").rename(folder / ring[-1])
    collected()
    then = {"a.play": 2, "b.play": 3, "c.play": 1, "d": 5, "e": 4}
    assert places(catalog) == {name: (of, True) for name, of in then.items()}
    assert not rows(catalog, version)
    with catalog.reading() as connection:
        assert count(connection, folder).queued == 0


def test_files_that_begin_empty_have_no_more_in_common(catalog: Catalog, folder: Path, collected: Collect) -> None:
    for name in "abc":
        (folder / f"{name}.play").touch()
    collected()
    for name in "abc":
        play(folder / f"{name}.play", name=name)
        collected()
    assert len({of for of, _ in places(catalog).values()}) == 3
    assert rows(catalog, link) == []


def test_content_of_which_the_only_copy_was_written_over_is_missing(
    catalog: Catalog, folder: Path, collected: Collect
) -> None:
    play(folder / "a.play", number=1)
    play(folder / "b.play", number=2)
    collected()
    first, _ = rows(catalog, record, "uid")
    shutil.copy(folder / "b.play", folder / "a.play")
    collected()
    assert places(catalog) == {"a.play": (2, True), "b.play": (2, True)}
    assert list(catalog.uids(parse("is missing"))) == [first]
    assert [(fault.path.name, fault.record, fault.fault) for fault in verify(catalog).faults] == [
        ("a.play", first, "missing")
    ]


def test_files_of_a_folder_with_a_new_name_are_where_they_are_now(catalog: Catalog, folder: Path) -> None:
    for name in ("old", "kept"):
        (folder / name).mkdir()
        play(folder / name / "a.play", number=1)
        Collector(catalog, folder / name, settle=0.0).run(once=True)
    (folder / "old").rename(folder / "new")
    Collector(catalog, folder / "new", settle=0.0).run(once=True)
    there = {Path(path).parent.name: present for path, present in rows(catalog, file, "path", "present")}
    assert there == {"old": False, "kept": True, "new": True}
    assert verify(catalog).faults == []


def test_a_file_that_was_deleted_unread_is_counted_as_missing_only(
    catalog: Catalog, folder: Path, collected: Collect
) -> None:
    play(folder / "a.play", number=1)
    path = play(folder / "b.play", "refuse")
    collected()
    path.unlink()
    collected()
    with catalog.reading() as connection:
        counts = count(connection, folder)
    assert (counts.queued, counts.done, counts.quarantined, counts.missing) == (0, 1, 0, 1)


def test_a_deleted_file_is_missing_and_may_come_back(catalog: Catalog, folder: Path, collected: Collect) -> None:
    path = play(folder / "a.play", number=1)
    collected()
    kept = folder.parent / "a.play"
    path.rename(kept)
    (folder / "more").mkdir()
    collected()
    assert places(catalog) == {"a.play": (1, False)}
    with catalog.reading() as connection:
        assert count(connection, folder).missing == 1
    kept.rename(path)
    collected()
    assert places(catalog) == {"a.play": (1, True)}
    assert len(rows(catalog, record)) == 1


def test_a_growing_file_is_left_until_it_rests(catalog: Catalog, folder: Path) -> None:
    path = play(folder / "a.play", number=1)
    collector = Collector(catalog, folder, settle=0.5)
    told: list[tuple[int, int]] = []
    collector.tell = lambda done, total: told.append((done, total))
    collector.look()
    with path.open("ab") as stream:
        stream.write(b"\nmore")
    assert rows(catalog, journal, "stage") == ["seen"]
    collector.run(once=True)
    assert rows(catalog, journal, "stage", "size") == [("committed", path.stat().st_size)]
    assert len(rows(catalog, record)) == 1 and not rows(catalog, version)
    assert told[-1] == (1, 1)


def test_files_of_one_acquisition_are_one_record_whichever_comes_first(
    catalog: Catalog, folder: Path, collected: Collect
) -> None:
    def parts() -> list[tuple[str, int, bool]]:
        return [(Path(p).name, of, part) for p, of, part in rows(catalog, file, "path", "record", "part")]

    play(folder / "a_1.ser", n=1)
    collected()
    assert parts() == [("a_1.ser", 1, False)]
    play(folder / "a.emi", parts=["a_1.ser", "a_2.ser"])
    collected()
    whole = [("a.emi", 1, False), ("a_1.ser", 1, True), ("a_2.ser", 1, True)]
    assert parts() == whole
    assert places(catalog)["a_2.ser"] == (1, False)
    play(folder / "a_2.ser", n=2)
    collected()
    assert parts() == whole
    assert all(there for _, there in places(catalog).values())
    assert len(rows(catalog, record)) == 1
    assert rows(catalog, version, "record", "number") == [(1, 1)]  # when a_1.ser was alone
    play(folder / "b.emi", parts=["b_1.ser"])
    play(folder / "b_1.ser", n=3)
    collected()
    assert [(name, of) for name, of, _ in parts()] == [(n, 1) for n, _, _ in whole] + [("b.emi", 2), ("b_1.ser", 2)]


def test_a_copied_acquisition_is_another_place_of_its_record(
    catalog: Catalog, folder: Path, collected: Collect
) -> None:
    play(folder / "a.emi", parts=["a_1.ser"])
    play(folder / "a_1.ser", n=1)
    collected()
    shutil.copytree(folder, folder / "copy")
    collected()
    assert rows(catalog, file, "record", "part") == [(1, False), (1, True)] * 2


def test_a_part_outside_of_the_folder_is_none(catalog: Catalog, folder: Path, collected: Collect) -> None:
    (folder.parent / "secret").touch()
    play(folder / "a.play", parts=["../secret", "/etc/passwd", "a.play"])
    collected()
    assert list(places(catalog)) == ["a.play"]


def test_a_result_is_tied_to_its_source_whichever_comes_first(
    catalog: Catalog, folder: Path, collected: Collect
) -> None:
    from parscope.core.record import fingerprint

    source = play(folder.parent / "scan.play", number=1)
    told = {"source_fingerprint": fingerprint(source), "parscope_version": "0.1.0", "settings": '{"gain": 2.5}'}
    play(folder / "before.play", attributes=told, number=1)
    collected()
    source.rename(folder / source.name)
    collected()
    play(folder / "later.play", attributes=told, number=2)
    collected()
    made = [("derived from", "parscope 0.1.0", '{"gain": 2.5}')] * 2
    assert rows(catalog, link, "kind", "program", "parameters") == made
    assert rows(catalog, link, "source", "target") == [(2, 1), (2, 3)]


def test_what_could_not_be_read_is_read_again_when_asked(catalog: Catalog, folder: Path, collected: Collect) -> None:
    play(folder / "a.play")
    path = play(folder / "b.play", "once", note=str(folder.parent / "note"))
    collected()
    assert rows(catalog, journal, "stage") == ["committed", "quarantined"]
    collected()
    assert rows(catalog, journal, "stage") == ["committed", "quarantined"]
    collector = Collector(catalog, folder, settle=0.0)
    assert collector.retry() == 1
    collector.run(once=True)
    assert rows(catalog, journal, "path", "stage")[1] == (str(path), "committed")
    assert rows(catalog, record, "error") == [None, None]
    assert rows(catalog, version, "record", "number") == [(2, 1)]


def test_the_catalog_itself_is_not_collected(folder: Path) -> None:
    with Catalog(folder / "catalog.db") as catalog:
        play(folder / "a.play")
        Collector(catalog, folder, settle=0.0).run(once=True)
        assert list(places(catalog)) == ["a.play"]


def test_hostile_names_are_names(catalog: Catalog, folder: Path, collected: Collect) -> None:
    raw = [
        b"5 \xb5m.play",
        b"'; DROP TABLE file; --",
        b"[bold]\x1b[31m",
        "Ωπ😀.play".encode(),
        b"100%_\\",
        b"new\nline",
    ]
    for number, name in enumerate(raw):
        play(folder / os.fsdecode(name), number=number)
    collected()
    collected()
    assert rows(catalog, journal, "stage") == ["committed"] * len(raw)
    assert all(rows(catalog, file, "present"))


def test_what_is_no_folder_is_refused(catalog: Catalog, folder: Path) -> None:
    with pytest.raises(InputError, match="there is no such folder; check the path"):
        Collector(catalog, folder / "nowhere")
    (folder / "zarr.json").touch()
    with pytest.raises(InputError, match="is one data set; give the folder in which it lies"):
        Collector(catalog, folder)


def test_what_an_older_library_read_is_read_again_when_asked(
    catalog: Catalog, folder: Path, collected: Collect
) -> None:
    shutil.copy(play(folder / "a.play", number=1), folder / "b.play")
    play(folder / "c.play", number=2)
    collector = collected()
    assert collector.retry() == 0
    with catalog.writing() as connection:
        older = {"reader": "played: numpy 0.9", "document": '{"name": "a.play"}'}
        connection.execute(update(record).where(record.c.id == 1).values(**older))
    assert collector.retry() == 1
    collector.run(once=True)
    assert rows(catalog, version, "number", "reader") == [(1, "played: numpy 0.9")]
    assert catalog.get(rows(catalog, record, "uid")[0]).document["vendor"]["number"] == 1


def test_a_part_waits_for_a_main_file_that_is_still_written_but_not_a_whole_run(catalog: Catalog, folder: Path) -> None:
    main = play(folder / "a_master.h5", parts=["a_data_000001.h5"])
    play(folder / "a_data_000001.h5", number=1)
    collector = Collector(catalog, folder, settle=0.3)
    collector.look()
    kept = main.read_bytes()
    stopped = threading.Event()

    def write() -> None:
        while not stopped.wait(0.05):
            main.write_bytes(kept + b"\n" + os.urandom(8))

    writer = threading.Thread(target=write)
    writer.start()
    collector.run(once=True)
    stopped.set()
    writer.join()
    assert rows(catalog, journal, "stage") == ["hashed", "seen"]
    collector.run(once=True)
    assert rows(catalog, file, "record", "part") == [(1, True), (1, False)]
    assert not rows(catalog, version)
