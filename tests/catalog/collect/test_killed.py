"""Collectors that are killed at every write, and several that work on one folder: the catalog is the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from parscope.catalog.collect.collector import Collector
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.tables import file, metadata, record, version
from tests.catalog.collect.played_describer import play

SCRIPT = Path(__file__).with_name("doomed.py")
Doom = Callable[[str, Path, int], int]
PASSING = {"id", "uid", "created", "changed", "since", "first", "last", "mtime_ns", "verified", "lease"}


@pytest.fixture(scope="module")
def doom(played: Path) -> Iterator[Doom]:
    """Has a collector killed in its write transaction of a number; returns the signal, or 0 if it ended before."""
    paths = [str(played), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen([sys.executable, str(SCRIPT)], **pipes) as process:
        assert process.stdin is not None and process.stdout is not None

        def collect(address: str, folder: Path, number: int) -> int:
            process.stdin.write(json.dumps([address, str(folder), number]) + "\n")
            process.stdin.flush()
            return -int(process.stdout.readline())

        yield collect
        process.stdin.close()


def content(catalog: Catalog, folder: Path) -> dict[str, list[Any]]:
    """All that a catalog says, but for numbers and times that differ from one to the next."""
    told: dict[str, list[Any]] = {}
    with catalog.reading() as connection:
        records = {row.id: row.hash for row in connection.execute(select(metadata.tables["record"]))}
        paths = {row.id: (row[1], row.aspect) for row in connection.execute(select(metadata.tables["path"]))}
        for name, table in metadata.tables.items():
            if name in ("path", "root"):
                continue
            found = []
            for row in connection.execute(select(table)).mappings():
                plain = {key: value for key, value in row.items() if key not in PASSING}
                plain |= {key: records[plain[key]] for key in ("record", "source", "target") if key in plain}
                plain |= {"path": paths[plain["path"]]} if name == "value" else {}
                found.append(sorted((key, str(value).replace(str(folder), "FOLDER")) for key, value in plain.items()))
            told[name] = sorted(found)
    return told


def before(folder: Path) -> None:
    """What lies in the folder at first."""
    folder.mkdir(exist_ok=True)
    play(folder / "moves.play", number=1)
    play(folder / "stays.play", number=2)


def after(folder: Path) -> None:
    """What happens then: new ones, good and bad, one of several files, one that moves and one that changes."""
    (folder / "moves.play").rename(folder / "moved.play")
    play(folder / "stays.play", number=3)
    play(folder / "bad.play", "refuse")
    play(folder / "a_1.ser", number=4)
    play(folder / "a.emi", parts=["a_1.ser"])


def collect(catalog: Catalog, folder: Path) -> None:
    Collector(catalog, folder, settle=0.0).run(once=True)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, played: Path) -> Iterator[dict[str, list[Any]]]:
    """What a catalog says if nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed").resolve()
    with pytest.MonkeyPatch.context() as patch, Catalog(folder.parent / "undisturbed.db") as catalog:
        patch.syspath_prepend(str(played))
        before(folder)
        collect(catalog, folder)
        after(folder)
        collect(catalog, folder)
        yield content(catalog, folder)


def test_killed_again_and_again_the_catalog_is_the_same(
    postgres_address: str, folder: Path, doom: Doom, expected: dict[str, list[Any]]
) -> None:
    before(folder)
    with Catalog(postgres_address) as catalog:
        collect(catalog, folder)
    after(folder)
    killed = 0
    while (ended := doom(postgres_address, folder, 1 + killed % 6)) == signal.SIGKILL:
        killed += 1
    assert ended == 0 and killed >= 6
    with Catalog(postgres_address) as catalog:
        collect(catalog, folder)
        assert content(catalog, folder) == expected


def test_killed_at_every_write_and_run_again_the_catalog_is_the_same(
    tmp_path: Path, folder: Path, doom: Doom, expected: dict[str, list[Any]]
) -> None:
    start, address = tmp_path / "start.db", tmp_path / "catalog.db"
    before(folder)
    with Catalog(start) as catalog:
        collect(catalog, folder)
    after(folder)
    number, ended = 0, signal.SIGKILL.value
    while ended == signal.SIGKILL:
        for old in tmp_path.glob("catalog.db*"):
            old.unlink()
        shutil.copy(start, address)
        number += 1
        ended = doom(str(address), folder, number)
        with Catalog(address) as catalog:
            collect(catalog, folder)
            assert content(catalog, folder) == expected
    assert ended == 0 and number > 15


def test_collectors_that_share_a_folder_neither_double_nor_lose(
    address: str, folder: Path, played: Path, tmp_path: Path
) -> None:
    for number in range(30):
        play(folder / f"{number}.play", number=number % 22)
    play(folder / "slow.play", "wait", seconds=0.5)
    command = [sys.executable, "-c", "from parscope.cli.main import run; run()", "collect", str(folder)]
    command += ["--once", "--json", "--settle", "0", "--catalog", address]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(played), *sys.path])}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [json.loads(one.communicate()[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert told == [{"queued": 0, "done": 31, "quarantined": 0, "missing": 0, "errors": []}] * 2
    with Catalog(address) as catalog, catalog.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(record)) == 23
        assert connection.scalar(select(func.count()).select_from(file).where(file.c.present)) == 31
        assert connection.scalar(select(func.count()).select_from(version)) == 0
