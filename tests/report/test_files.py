"""Files appear whole under their name, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from parscope.core.errors import OutputError
from parscope.report.files import write_whole


def test_folders_are_made_and_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "page.html"
    assert write_whole(path, b"first") == path
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="choose another folder"):
        write_whole(tmp_path / "file" / "page.html", b"new")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_failure_leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "page.html" / "full").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"page\.html"):
        write_whole(tmp_path / "page.html", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
