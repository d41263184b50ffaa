"""Files that want to blow up, or to be let out of the folder: said in one line, and nothing outside is read."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from parscope.core.errors import FormatError, InputError
from parscope.io.describe import describe

SECRET = "the secret of another folder"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """An HDF5 file out of the folder that is collected."""
    path = tmp_path / "outside.h5"
    with h5py.File(path, "w") as file:
        file["text"] = SECRET
        file["array"] = np.arange(100.0).reshape(10, 10)
        file["deep/array"] = np.arange(100.0).reshape(10, 10)
    (tmp_path / "outside.raw").write_bytes(np.arange(100.0).tobytes())
    return path


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """The folder that is collected."""
    folder = tmp_path / "inside"
    folder.mkdir()
    return folder


def told(path: Path, within: Path) -> tuple[str, str]:
    """Everything that a description says, and its warnings."""
    found = describe(path, within)
    return json.dumps([found.vendor, [str(s) for s in found.signals]]), " ".join(found.warnings)


def test_external_links_out_of_the_folder_are_not_followed(outside: Path, inside: Path) -> None:
    for name in ("../outside.h5", str(outside)):
        with h5py.File(inside / "links.h5", "w") as file:
            file["own"] = 1.0
            file["out"] = h5py.ExternalLink(name, "/text")
            file["all"] = h5py.ExternalLink(name, "/")
            file["soft"] = h5py.SoftLink("/all/text")
        said, warned = told(inside / "links.h5", inside)
        assert SECRET not in said
        assert "out of the folder" in warned
        assert json.loads(said)[0]["out"] == {"link": f"{name}:/text"}


def test_external_links_within_the_folder_are_followed(outside: Path, inside: Path) -> None:
    (inside / "data.h5").write_bytes(outside.read_bytes())
    with h5py.File(inside / "links.h5", "w") as file:
        file["in"] = h5py.ExternalLink("data.h5", "/text")
        file["loop"] = h5py.ExternalLink("links.h5", "/")
    found = describe(inside / "links.h5", inside)
    assert found.vendor["in"]["value"] == SECRET
    assert {part.name for part in found.parts} == {"data.h5"}


def test_a_link_by_way_of_a_file_within_is_not_followed_either(outside: Path, inside: Path) -> None:
    (inside / "friend.h5").symlink_to(outside)
    with h5py.File(inside / "middle.h5", "w") as file:
        file["out"] = h5py.ExternalLink("../outside.h5", "/text")
    with h5py.File(inside / "links.h5", "w") as file:
        file["two"] = h5py.ExternalLink("middle.h5", "/")
        file["one"] = h5py.ExternalLink("friend.h5", "/")
    said, warned = told(inside / "links.h5", inside)
    assert SECRET not in said
    assert warned.count("out of the folder") == 2


def test_virtual_data_sets_and_samples_elsewhere_are_not_read(outside: Path, inside: Path) -> None:
    with h5py.File(inside / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((10, 10), np.float64)
        layout[...] = h5py.VirtualSource("../outside.h5", "array", (10, 10))
        file.create_virtual_dataset("virtual", layout)
        raw = str(inside.parent / "outside.raw")
        file.create_dataset("raw", (10, 10), np.float64, external=[(raw, 0, h5py.h5f.UNLIMITED)])
    with h5py.File(inside / "twice.h5", "w") as file:
        layout = h5py.VirtualLayout((10, 10), np.float64)
        layout[...] = h5py.VirtualSource("virtual.h5", "virtual", (10, 10))
        file.create_virtual_dataset("virtual", layout)
    for name in ("virtual.h5", "twice.h5"):
        found = describe(inside / name, inside)
        assert all("max" not in dataset for dataset in found.vendor.values())
        assert found.previews == ()
    _, warned = told(inside / "virtual.h5", inside)
    assert "out of the folder" in warned


def test_virtual_data_sets_within_the_folder_are_read(outside: Path, inside: Path) -> None:
    (inside / "data.h5").write_bytes(outside.read_bytes())
    with h5py.File(inside / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((10, 10), np.float64)
        layout[...] = h5py.VirtualSource("data.h5", "array", (10, 10))
        file.create_virtual_dataset("virtual", layout)
    assert describe(inside / "virtual.h5", inside).vendor["virtual"][9][9] == 99.0


@pytest.mark.parametrize("name", ["image.dm3", "link.h5", "table.csv"])
def test_symbolic_links_out_of_the_folder_are_refused(outside: Path, inside: Path, name: str) -> None:
    (inside / name).symlink_to(outside)
    with pytest.raises(InputError, match="leads out of the folder"):
        describe(inside / name, inside)


def test_companions_out_of_the_folder_are_not_read(inside: Path, sample_files: Path) -> None:
    series = next(sample_files.rglob("16_STOimage_1.ser"))
    (inside / series.name).write_bytes(series.read_bytes())
    (inside / "16_STOimage.emi").symlink_to(series.with_name("16_STOimage.emi"))
    found = describe(inside / series.name, inside)
    assert list(found.vendor) == [series.name]
    assert "leads out of the folder" in found.warnings[0]


BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<Document xmlns="www.anasysinstruments.com">&c;</Document>"""
FETCH = """<?xml version="1.0"?><!DOCTYPE d [<!ENTITY f SYSTEM "file:///etc/hostname">]>
<Document xmlns="www.anasysinstruments.com">&f;</Document>"""


@pytest.mark.parametrize("text", [BOMB, FETCH], ids=["bomb", "fetch"])
@pytest.mark.parametrize("name", ["doc.xml", "map.axz", "map.axd"])
def test_entities_of_xml_are_refused(tmp_path: Path, text: str, name: str) -> None:
    raw = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("axz") else raw)
    with pytest.raises(FormatError, match="declares XML entities"):
        describe(tmp_path / name)


def test_a_bomb_of_gzip_is_refused(tmp_path: Path) -> None:
    text = b'<?xml version="1.0"?><Document xmlns="www.anasysinstruments.com">' + b" " * (130 << 20)
    (tmp_path / "bomb.axz").write_bytes(gzip.compress(text, 1))
    del text
    with pytest.raises(FormatError, match="more than"):
        describe(tmp_path / "bomb.axz")


@pytest.mark.parametrize("depth", [95, 3000, 100_000])
def test_deep_documents_are_refused(tmp_path: Path, depth: int) -> None:
    (tmp_path / "deep.json").write_text('{"a":' * depth + "1" + "}" * depth)
    (tmp_path / "deep.xml").write_text('<?xml version="1.0"?>' + "<a>" * depth + "</a>" * depth)
    for name in ("deep.json", "deep.xml"):
        with pytest.raises(FormatError, match=f"{name}: "):
            describe(tmp_path / name)


KEYS = ["Cs(mm)", 'q"uote', "a.b", "[0]", "", "nul\0", "\N{MICROSCOPE}", "line\nbreak", "../..", "__class__", "$x", " "]


def test_hostile_keys_stay_as_they_are(tmp_path: Path) -> None:
    tree: dict[str, Any] = {key: {"value": place} for place, key in enumerate(KEYS)}
    (tmp_path / "keys.json").write_text(json.dumps(tree))
    assert describe(tmp_path / "keys.json").vendor == tree
    with h5py.File(tmp_path / "keys.h5", "w") as file:
        for place, key in enumerate(KEYS):
            if key and "\0" not in key and "/" not in key and key != ".":
                file.attrs[key] = place
    assert describe(tmp_path / "keys.h5").vendor == {
        key: place for place, key in enumerate(KEYS) if key and "\0" not in key and "/" not in key
    }


def test_numbers_that_are_none_are_kept(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text('{"a": NaN, "b": Infinity, "c": 123456789012345678901234567890, "d": 1e999}')
    told_tree = describe(tmp_path / "odd.json").vendor
    assert np.isnan(told_tree["a"]) and told_tree["b"] == np.inf
    assert told_tree["c"] == 123456789012345678901234567890


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.save(tmp_path / "trap.npy", np.array([Trap()], object), allow_pickle=True)
    np.savez(tmp_path / "trap.npz", a=np.zeros(3))
    with pytest.raises(FormatError):
        describe(tmp_path / "trap.npy")
    assert not (tmp_path / "sprung").exists()


def test_a_small_file_that_asks_for_much_memory(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file.create_dataset("sparse", (1 << 20, 1 << 20), np.float64, chunks=(1024, 1024), compression="gzip")
        file.create_dataset("chunk", (1 << 14, 1 << 14), np.float64, chunks=(1 << 14, 1 << 14), compression="gzip")
    assert {s.shape for s in describe(tmp_path / "large.h5").signals} <= {(1 << 20, 1 << 20), (1 << 14, 1 << 14)}
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 9), }".ljust(
        117
    )
    (tmp_path / "large.npy").write_bytes(header + b"\n" + bytes(64))
    with pytest.raises(InputError):
        describe(tmp_path / "large.npy")


def test_what_is_no_known_format(tmp_path: Path) -> None:
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(FormatError, match="of no format that is known"):
        describe(tmp_path / "noise.bin")
    with pytest.raises(InputError, match="no such file"):
        describe(tmp_path / "absent.dm3")
    (tmp_path / "empty.dm3").touch()
    with pytest.raises(FormatError, match="empty"):
        describe(tmp_path / "empty.dm3")
