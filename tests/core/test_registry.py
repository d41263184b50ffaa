"""Plug-ins are found by name: built-ins first, then those of other packages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from parscope.core import registry
from parscope.core.errors import OptionError

GROUP = "parscope.readers"


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another package that brings a reader, and one more under a name that is taken."""
    (tmp_path / "house.py").write_text("class HouseReader:\n    name = 'house'\n")
    info = tmp_path / "house-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nhouse = house:HouseReader\nraw = house:HouseReader\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry.names.cache_clear()
    yield
    registry.names.cache_clear()
    sys.modules.pop("house", None)


def test_raw_is_asked_last_because_it_accepts_anything() -> None:
    assert registry.names(GROUP)[-1] == "raw"


@pytest.mark.usefixtures("foreign")
def test_a_reader_of_another_package_is_found_after_the_built_in_ones() -> None:
    assert registry.names(GROUP)[-1] == "house"
    assert registry.load(GROUP, "house").name == "house"


@pytest.mark.usefixtures("foreign")
def test_a_taken_name_stays_with_the_built_in() -> None:
    assert registry.names(GROUP).count("raw") == 1


def test_a_built_in_technique_is_imported_when_asked_for() -> None:
    assert registry.load("parscope.techniques", "lines").__name__ == "Lines"


@pytest.mark.parametrize("group", [GROUP, "parscope.unheard-of"])
def test_an_unknown_name_is_answered_with_the_known_ones(group: str) -> None:
    with pytest.raises(OptionError, match="'tiff'") as caught:
        registry.load(group, "tiff")
    assert all(name in caught.value.advice for name in registry.names(group))
