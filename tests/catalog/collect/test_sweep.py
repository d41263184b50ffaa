"""What a sweep finds, and what it passes over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parscope.catalog.collect.digest import digest
from parscope.catalog.collect.names import to_path, to_text
from parscope.catalog.collect.sweep import PassedOver, examine, place_of, sweep


def names(root: Path, passed: PassedOver | None = None) -> list[str]:
    return [str(found.path.relative_to(root)) for found in sweep(root, passed=passed)]


def test_unfinished_and_hidden_files_are_passed_over_and_counted(folder: Path) -> None:
    for name in ("b.dm4", "a.dm4", "c.dm4.part", "~$d.docx", "e~", ".f", "Thumbs.db", "lock.LCK", "g.tmp"):
        (folder / name).touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "h.dm4").touch()
    passed = PassedOver()
    assert names(folder, passed) == ["a.dm4", "b.dm4"]
    assert (passed.hidden, passed.temporary) == (3, 5)


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not yours")
    (folder / "in").mkdir()
    (folder / "in" / "scan.dm4").touch()
    for link, target in (("out", "../secret"), ("dead", "nothing"), ("alias", "in/scan.dm4"), ("in/round", "..")):
        (folder / link).symlink_to(target)
    (folder / "circle").symlink_to("circle")
    (folder / "root").symlink_to("/")
    passed = PassedOver()
    assert names(folder, passed) == ["in/scan.dm4"]
    assert passed.links == 2
    assert sorted(path.name for path in passed.outward) == ["circle", "dead", "out", "root"]


def test_pipes_and_sockets_are_no_files(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert names(folder) == []


def test_a_zarr_folder_is_one_data_set(folder: Path) -> None:
    inner = folder / "maps.zarr" / "e_xx"
    inner.mkdir(parents=True)
    for path in (folder / "maps.zarr", inner):
        (path / "zarr.json").write_text("{}")
    (inner / "c0").write_bytes(b"123")
    assert names(folder) == ["maps.zarr"]
    before = examine(folder / "maps.zarr")
    assert before is not None and before.size == 7
    hashed = digest(folder / "maps.zarr")
    (inner / "c0").write_bytes(b"124")
    os.utime(inner / "c0", ns=(before.mtime_ns + 5, before.mtime_ns + 5))
    assert examine(folder / "maps.zarr") != before
    assert digest(folder / "maps.zarr") != hashed
    assert place_of(inner / "c0", folder) == (folder, False)


def test_a_folder_that_is_gone_is_told_and_one_inside_is_noted(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        names(folder / "nowhere")


def test_names_that_are_not_utf8_come_back_as_they_were(folder: Path) -> None:
    raw = os.fsencode(folder) + b"/5 \xb5m \xff.dm4"
    Path(os.fsdecode(raw)).touch()
    (found,) = sweep(folder)
    assert os.fsencode(to_path(to_text(found.path))) == raw
    assert to_text(found.path).encode()  # is text


@pytest.mark.parametrize(
    ("path", "place"), [("a/b.dm4", ("a", False)), ("a", ("a", True)), (".x/b.dm4", None), ("gone/b.dm4", (".", False))]
)
def test_a_change_is_looked_for_where_it_is(folder: Path, path: str, place: tuple[str, bool] | None) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "b.dm4").touch()
    assert place_of(folder / path, folder) == (place and (folder / place[0], place[1]))
