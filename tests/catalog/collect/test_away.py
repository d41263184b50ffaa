"""What cannot be looked at now, or lies on a disk that is not mounted, is not taken for gone."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from parscope.catalog.collect.collector import Collector
from parscope.catalog.collect.verify import verify
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.tables import journal
from parscope.core.errors import CatalogError, InputError
from tests.catalog.collect.played_describer import play
from tests.catalog.collect.rows import places, rows

Collect = Callable[[], Collector]


def test_a_folder_that_is_away_is_not_taken_for_lost(catalog: Catalog, folder: Path, collected: Collect) -> None:
    play(folder / "a.play")
    collector = collected()
    away = folder.rename(folder.parent / "away")
    collector._due = 0.0
    collector._look_again(set())
    assert collector.passed.unreadable == [folder]
    assert places(catalog) == {"a.play": (1, True)}
    away.rename(folder)


def test_nothing_is_missing_from_a_disk_that_is_not_mounted(catalog: Catalog, folder: Path, collected: Collect) -> None:
    """Its mount point is an empty folder, perhaps with what a desktop leaves in every one."""
    play(folder / "a.play", number=1)
    play(folder / "b.play", number=2)
    collected()
    mounted = folder.rename(folder.parent / "mounted")
    folder.mkdir()
    (folder / ".directory").touch()
    told = "is empty, though the catalog has files of it; none of them is marked missing; see that its disk is mounted"
    with pytest.raises(InputError, match=told):
        collected()
    said: list[str] = []
    collector = Collector(catalog, folder, settle=0.0, say=said.append)
    for _ in range(2):
        collector.look()
        collector._look_again({folder / "a.play"})
    assert said == [f"{folder}: {told}"]
    assert places(catalog) == {"a.play": (1, True), "b.play": (2, True)}
    (folder / ".directory").unlink()
    folder.rmdir()
    mounted.rename(folder)
    (folder / "b.play").unlink()
    collector.look()
    assert places(catalog) == {"a.play": (1, True), "b.play": (2, False)}
    assert len(said) == 1


def test_files_that_may_not_be_looked_at_for_a_while_are_not_missing(
    catalog: Catalog, folder: Path, collected: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(folder / "a.play", number=1)
    collected()
    plain = Path.lstat

    def lstat(path: Path) -> os.stat_result:
        """As of a share whose server does not answer; who runs as root may look at everything else."""
        if path.suffix == ".play":
            raise PermissionError(13, "Permission denied")
        return plain(path)

    monkeypatch.setattr(Path, "lstat", lstat)
    collected()
    assert places(catalog) == {"a.play": (1, True)}
    assert [fault.fault for fault in verify(catalog).faults] == ["unreadable"]


@pytest.mark.parametrize("settle", [0.0, 0.3])
def test_a_share_that_goes_away_in_the_middle_takes_nothing_with_it(
    catalog: Catalog, folder: Path, settle: float
) -> None:
    for number in range(3):
        play(folder / f"{number}.play", number=number)
    collector = Collector(catalog, folder, settle=settle)
    mounted = folder.parent / "mounted"

    def unmount(*_: object) -> None:
        if not mounted.exists():
            folder.rename(mounted)
            folder.mkdir()

    if settle:
        collector.look()
        unmount()
    collector.tell = unmount
    with pytest.raises(InputError, match="is empty, though the catalog has files of it"):
        collector.run(once=True)
    assert len(rows(catalog, journal)) == 3
    folder.rmdir()
    mounted.rename(folder)
    Collector(catalog, folder, settle=0.0).run(once=True)
    assert [there for _, there in places(catalog).values()] == [True] * 3


def test_a_collector_outlives_a_database_that_is_away(
    postgres_address: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with Catalog(postgres_address) as catalog:
        collector = Collector(catalog, folder, settle=0.0, say=said.append)

        def restart(*_: object) -> None:
            """As a server does that ends: it lets go of all who are connected."""
            with Catalog(postgres_address) as other, other.reading() as connection:
                others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid, 5000) {others}")

        thread = threading.Thread(target=collector.run)
        thread.start()
        for number in range(3):
            for _ in range(20):
                restart()
            play(folder / f"{number}.play", number=number)
            _until(lambda: len(places(catalog)) == number + 1)  # noqa: B023 - it is waited for here
        collector.stop()
        thread.join()
    assert all("trying again in" in line for line in said)


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        with contextlib.suppress(CatalogError):
            if holds():
                return
        time.sleep(0.05)
    pytest.fail("it did not happen within 30 s")
