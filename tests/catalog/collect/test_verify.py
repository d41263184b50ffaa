"""Whether files still are what they were: what is damaged, changed, missing; slowly, and after a stop."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from parscope.catalog.collect.collector import Collector
from parscope.catalog.collect.verify import Clock, verify
from parscope.catalog.store.catalog import Catalog
from tests.catalog.collect.played_describer import play

Collect = Callable[[], Collector]


def damage(path: Path) -> None:
    """Turn one bit round, as a disk does: size and time stay."""
    told = path.stat()
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def faults(catalog: Catalog) -> dict[str, str]:
    return {fault.path.name: fault.fault for fault in verify(catalog).faults}


def test_whole_files_are_whole(catalog: Catalog, folder: Path, collected: Collect) -> None:
    sizes = [play(folder / f"{number}.play", number=number).stat().st_size for number in range(5)]
    collected()
    report = verify(catalog)
    assert (report.files, report.size, report.faults) == (5, sum(sizes), [])


def test_one_bit_is_found(catalog: Catalog, folder: Path, collected: Collect) -> None:
    for name in ("whole", "damaged", "changed", "missing", "lost", "moved"):
        play(folder / f"{name}.play", name=name)
    collected()
    (folder / "lost.play").unlink()
    (folder / "moved.play").rename(folder / "here.play")
    collected()
    damage(folder / "damaged.play")
    play(folder / "changed.play", number=1)
    (folder / "missing.play").unlink()
    wrong = {"damaged.play": "damaged", "changed.play": "changed", "missing.play": "missing", "lost.play": "missing"}
    assert faults(catalog) == wrong
    assert faults(catalog) == wrong  # telling it changes nothing


def test_what_is_written_while_it_is_read_is_not_damaged(catalog: Catalog, folder: Path, collected: Collect) -> None:
    (folder / "a.play").write_bytes(b"a" * 1_500_000)
    (folder / "b.play").write_bytes(b"b")
    collected()

    def write(_: float) -> None:
        """Between the two blocks of one file it is written to, and another one collected anew."""
        if not waits:
            (folder / "b.play").write_bytes(b"another")
            collected()
            with (folder / "a.play").open("r+b") as file:
                file.seek(-1, os.SEEK_END)
                file.write(b"z")
        waits.append(1.0)

    waits: list[float] = []
    report = verify(catalog, rate=1.0, clock=Clock(lambda: 7.0, write))
    assert [(fault.path.name, fault.fault) for fault in report.faults] == [("a.play", "changed")]
    assert report.files == 1
    again = verify(catalog).faults
    assert [fault.fault for fault in again] == ["changed"]


def test_what_is_gone_is_not_missing_while_a_copy_is_there(catalog: Catalog, folder: Path, collected: Collect) -> None:
    for name in ("one", "two"):
        (folder / f"{name}.play").write_bytes(b"the same")
    collected()
    (folder / "one.play").unlink()
    report = verify(catalog)
    assert (report.files, report.faults) == (1, [])
    (folder / "two.play").unlink()
    assert faults(catalog) == {"one.play": "missing", "two.play": "missing"}


def test_a_stopped_verification_goes_on_where_it_was(catalog: Catalog, folder: Path, collected: Collect) -> None:
    for number in range(6):
        play(folder / f"{number}.play", number=number)
    collected()
    verify(catalog)

    def stop(done: int, total: int) -> None:
        assert total == 6
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(catalog, tell=stop)
    report = verify(catalog, resume=True)
    assert (report.files, report.resumed) == (2, True)
    report = verify(catalog, resume=True)  # it ended: a new one begins
    assert (report.files, report.resumed) == (6, False)
    assert verify(catalog).files == 6


def test_no_more_is_read_than_is_allowed(catalog: Catalog, folder: Path, collected: Collect) -> None:
    for name in "ab":
        (folder / f"{name}.play").write_bytes(name.encode() * 50_000)
    collected()
    waits: list[float] = []
    clock = Clock(lambda: 7.0 + sum(waits), waits.append)
    assert verify(catalog, rate=400e3, clock=clock).size == 100_000
    assert waits == pytest.approx([0.125, 0.125])


def test_a_disk_that_is_slower_than_is_allowed_is_not_waited_for(
    catalog: Catalog, folder: Path, collected: Collect
) -> None:
    (folder / "a.play").write_bytes(b"a" * 50_000)
    collected()
    times = iter([0.0, 2.0])
    waits: list[float] = []
    verify(catalog, rate=400e3, clock=Clock(lambda: next(times), waits.append))
    assert waits == []
