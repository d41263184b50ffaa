"""A fingerprint changes with the content and with nothing else; provenance survives a file's attributes."""

from __future__ import annotations

import json
from pathlib import Path

from parscope.core import Provenance
from parscope.core.record import fingerprint


def test_equal_content_has_one_fingerprint_whatever_the_name(tmp_path: Path) -> None:
    first, second = tmp_path / "a.raw", tmp_path / "b.raw"
    first.write_bytes(b"electrons" * 1000)
    second.write_bytes(b"electrons" * 1000)
    assert fingerprint(first) == fingerprint(second)
    assert fingerprint(first).startswith("sampled-sha256:")


def test_one_changed_byte_of_a_small_file_shows(tmp_path: Path) -> None:
    file = tmp_path / "scan.raw"
    file.write_bytes(bytes(3 << 20))
    before = fingerprint(file)
    with file.open("r+b") as stream:
        stream.seek(2_500_000)
        stream.write(b"\x01")
    assert fingerprint(file) != before


def test_a_longer_file_has_another_fingerprint_even_if_all_samples_agree(tmp_path: Path) -> None:
    short, long = tmp_path / "short.raw", tmp_path / "long.raw"
    for file, size in ((short, 128 << 20), (long, (128 << 20) + 5)):
        with file.open("wb") as stream:
            stream.truncate(size)
    assert fingerprint(short) != fingerprint(long)


def test_a_folder_is_its_files_and_their_names(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    part = tmp_path / "scan" / "part0"
    part.write_bytes(b"abc")
    before = fingerprint(tmp_path / "scan")
    assert fingerprint(tmp_path / "scan") == before
    part.rename(part.with_name("part1"))
    assert fingerprint(tmp_path / "scan") != before


def test_attributes_are_strings_and_settings_come_back() -> None:
    attributes = Provenance("scan.mib", "sampled-sha256:0", "0.1.0", {"gain": 12.5, "reference": [0, 1]}).attributes()
    assert all(isinstance(value, str) for value in attributes.values())
    assert json.loads(attributes["settings"]) == {"gain": 12.5, "reference": [0, 1]}
