"""A describer that outsiders wrote is installed, and a folder lies there to be collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from parscope.catalog.collect import collector
from parscope.catalog.collect.collector import Collector
from parscope.catalog.collect.extract import Extractor
from parscope.catalog.store.catalog import Catalog
from parscope.core.registry import names

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which the describer of the tests is installed."""
    folder = tmp_path_factory.mktemp("installed")
    about = folder / "played_describer-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: played-describer\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[parscope.describers]\nplayed = played_describer:PlayedDescriber\n")
    (folder / "played_describer.py").symlink_to(HERE / "played_describer.py")
    return folder


@pytest.fixture(autouse=True)
def _installed(played: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What this process imports, the process that reads files does."""
    monkeypatch.syspath_prepend(str(played))
    names.cache_clear()
    yield
    names.cache_clear()


@pytest.fixture(scope="session")
def reader() -> Iterator[Extractor]:
    """A process that reads files, which all tests share: to start one takes longer than most tests."""
    with Extractor() as made:
        yield made


@pytest.fixture(autouse=True)
def _shared(reader: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Collectors in this process have their files read by it."""
    monkeypatch.setattr(collector, "Extractor", lambda: nullcontext(reader))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the instrument saves."""
    made = tmp_path / "instrument"
    made.mkdir()
    return made.resolve()


@pytest.fixture
def collected(catalog: Catalog, folder: Path) -> Callable[[], Collector]:
    """Collects what lies in the folder now."""

    def collect() -> Collector:
        collector = Collector(catalog, folder, settle=0.0)
        collector.run(once=True)
        return collector

    return collect
