"""A collector that runs: what appears is in the catalog soon, without a sweep, and a signal ends it kindly."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from parscope.catalog.collect.collector import Collector
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.tables import file
from tests.catalog.collect.played_describer import play


@pytest.fixture
def running(tmp_path: Path, folder: Path) -> Iterator[Catalog]:
    """A catalog into which a collector works, whose next sweep is far away."""
    with Catalog(tmp_path / "catalog.db") as catalog:
        collector = Collector(catalog, folder, settle=0.1)
        thread = threading.Thread(target=collector.run)
        thread.start()
        until(lambda: collector._due > 0)
        yield catalog
        collector.stop()
        thread.join()


def until(holds: Callable[[], bool]) -> None:
    for _ in range(300):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen within 15 s")


def there(catalog: Catalog) -> set[str]:
    with catalog.reading() as connection:
        return {Path(path).name for path in connection.scalars(select(file.c.path).where(file.c.present))}


def test_what_happens_in_the_folder_happens_in_the_catalog(running: Catalog, folder: Path, tmp_path: Path) -> None:
    play(folder / "a.play", number=1)
    until(lambda: there(running) == {"a.play"})
    (folder / "day" / "one").mkdir(parents=True)
    play(folder / "day" / "one" / "b.play", number=2)
    until(lambda: there(running) == {"a.play", "b.play"})
    (tmp_path / "stick").mkdir()
    play(tmp_path / "stick" / "c.play", number=3)
    (tmp_path / "stick").rename(folder / "stick")
    until(lambda: there(running) == {"a.play", "b.play", "c.play"})
    (folder / "a.play").rename(folder / "d.play")
    until(lambda: there(running) == {"d.play", "b.play", "c.play"})
    (folder / "stick").rename(tmp_path / "gone")
    shutil.rmtree(folder / "day")
    until(lambda: there(running) == {"d.play"})


def test_a_slow_writer_is_collected_once_and_whole(running: Catalog, folder: Path) -> None:
    path = folder / "slow.play"
    with path.open("wb") as stream:
        for piece in (b"\0PLAY\0{", b'"number"', b": 1", b"}"):
            stream.write(piece)
            stream.flush()
            time.sleep(0.03)
    until(lambda: there(running) == {"slow.play"})
    with running.reading() as connection:
        assert connection.scalar(select(file.c.size)) == path.stat().st_size


def test_events_of_hidden_and_unfinished_files_are_none(running: Catalog, folder: Path) -> None:
    (folder / ".hidden").mkdir()
    play(folder / ".hidden" / "a.play")
    (folder / "b.play.part").write_bytes(b"half")
    play(folder / "c.play")
    until(lambda: there(running) == {"c.play"})
