"""The numbers are those that the format's own library gives, and texts of numbers are those numbers."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from parscope.core.description import Description
from parscope.io.describers._verbatim import number
from parscope.io.em import open_signals

Told = Callable[[str], Description]
Real = Callable[[str], Path]


def flat(tree: Any, path: str = "", base: int = 0) -> Iterator[tuple[str, Any]]:
    """Path -> value of every leaf, entries of lists counted from `base`."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from flat(value, f"{path}.{key}", base)
    elif isinstance(tree, list):
        for place, value in enumerate(tree):
            yield from flat(value, f"{path}.{place + base}", base)
    else:
        yield path, tree


@pytest.mark.parametrize("file", ["pyTEMlib_EELS_STO.dm3", "nist_643_Titan_EELS_dataZeroed.dm3", "ncempy_3D_int16.dm4"])
def test_tags_of_digital_micrograph(told: Told, real: Real, file: str) -> None:
    dm = pytest.importorskip("ncempy.io.dm")
    with dm.fileDM(real(file)) as opened:
        theirs = {
            key: value for key, value in opened.allTags.items() if np.ndim(value) == 0 and not isinstance(value, str)
        }
    ours = dict(flat(told(file).vendor, base=1))
    told_too = {key: value for key, value in theirs.items() if "array" not in key.rpartition(".")[2]}
    assert len(told_too) > 90
    assert {key: ours.get(key, "missing") for key in told_too} == {k: v.item() for k, v in told_too.items()}


def test_header_of_a_series(told: Told, real: Real) -> None:
    ser = pytest.importorskip("ncempy.io.ser")
    with ser.fileSER(real("16_STOimage_1.ser")) as opened:
        head, (_, first) = opened.head, opened.getDataset(0)
    ours = told("16_STOimage_1.ser").vendor["16_STOimage_1.ser"]
    for key in ("TotalNumberElements", "DataTypeID", "TagTypeID", "OffsetArrayOffset"):
        assert ours[key] == head[key]
    for mine, its in zip(ours["Elements"][0]["Calibration"], first["Calibration"], strict=True):
        assert mine == {key: value.item() for key, value in its.items()}
    assert ours["Elements"][0]["ArrayShape"] == first["ArrayShape"]


@pytest.mark.parametrize("file", ["BEPS_PTO_50x50.h5", "SingFreqPFM_0003.h5", "ncempy_Acquisition_18.emd"])
def test_attributes_of_hdf5(told: Told, real: Real, file: str) -> None:
    ours, checked = told(file).vendor, 0
    with h5py.File(real(file)) as opened:

        def check(name: str, node: Any) -> None:
            nonlocal checked
            mine = ours
            for step in name.split("/"):
                mine = mine[step]
            for key, value in node.attrs.items():
                plain = np.asarray(value)
                if plain.dtype.kind not in "SUiufb":
                    continue
                theirs = np.char.decode(plain) if plain.dtype.kind == "S" else plain
                np.testing.assert_array_equal(np.asarray(mine.get(f"@{key}", mine.get(key))), theirs, f"{name} {key}")
                checked += 1

        opened.visititems(check)
    assert checked > 10


def test_headers_of_maps(told: Told, real: Real) -> None:
    mrcfile = pytest.importorskip("mrcfile")
    ours = told("EMD-3001.map").vendor
    with mrcfile.open(real("EMD-3001.map"), header_only=True) as opened:
        for name in ("nx", "mode", "mz", "dmin", "rms", "ispg", "mapc"):
            assert ours[name] == opened.header[name].item()
        assert ours["cella"]["z"] == opened.header.cella.z.item()
        assert ours["extended_header"].startswith("X,  Y,  Z")
    assert [axis.name for axis in told("EMD-3001.map").signals[0].axes] == ["y", "x", "z"]


def test_tags_of_tiff(told: Told, real: Real) -> None:
    tifffile = pytest.importorskip("tifffile")
    ours = told("nist_quanta_quad1image_001.tif").vendor
    with tifffile.TiffFile(real("nist_quanta_quad1image_001.tif")) as opened:
        theirs = {tag.name: tag.value for tag in opened.pages.first.tags if isinstance(tag.value, int)}
    assert {key: ours["pages"][0][key] for key in theirs} == theirs
    assert ours["fei"]["EBeam"]["HFW"] == 0.000452548
    assert ours["fei"]["User"]["UserTextUnicode"] == "6C006100620065006C00"


@pytest.mark.parametrize(
    ("file", "plugin", "least"),
    [
        ("pyTEMlib_AL-DFoffset0.00.dm3", "digitalmicrograph", 40),
        ("ncempy_Camera_Ceta_Imaging_Micro.emd", "emd", 80),
        ("16_STOimage_1.ser", "tia", 10),
        ("nist_647_leo_edax_test.msa", "msa", 10),
    ],
)
def test_numbers_of_rosettasciio(told: Told, real: Real, file: str, plugin: str, least: int) -> None:
    if importlib.util.find_spec("rsciio") is None:
        pytest.skip("rosettasciio is not installed")
    helper, signals = open_signals(real(file), plugin, whole=True)
    helper.close()
    ours = {(path.rpartition(".")[2], _number(value)) for path, value in flat(told(file).vendor)}
    theirs = {(key.rpartition(".")[2], _number(value)) for s in signals for key, value in flat(s["metadata"])}
    # places in lists, and flags, are counted otherwise
    numbers = {(key, n) for key, n in theirs if isinstance(n, float) and not key.isdigit() and n not in (0.0, 1.0)}
    assert len(numbers) >= least
    values = {value for _, value in ours}
    absent = [(key, n) for key, n in numbers if (key, n) not in ours and key not in _THEIR_OWN]
    # what they name otherwise has the same value
    assert sorted(pair for pair in absent if pair[1] not in values) == []
    assert plugin == "tia" or len(absent) < len(numbers) / 10


# what RosettaSciIO computes, or names otherwise
_THEIR_OWN = {"Data0", "offset", "size", "size_bytes", "Dim-1_DescriptionLength"}


def _number(value: Any) -> Any:
    read = number(value) if isinstance(value, str) else value
    return float(read) if isinstance(read, (int, float)) else str(read)


def _after_colons(text: str) -> list[tuple[str, str]]:
    """Entries of a header of Nanonis: a name between colons, and lines up to the next."""
    parts = re.split(r"^:([^:\n]+(?::[^:\n]+)*):$", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def _after_tabs(text: str) -> list[tuple[str, str]]:
    """Entries of a table of Nanonis."""
    return re.findall(r"^(.+?)\t(.*?)\t?$", text, re.MULTILINE)


def _after_backslashes(text: str) -> list[tuple[str, str]]:
    """Entries of a header of Bruker that are one word."""
    return re.findall(r"^\\(?!@)(.+?): (\S+)$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("file", "stop", "entries", "least"),
    [
        ("nanonis_afm_A151216.123306-02602.sxm", b":SCANIT_END:", _after_colons, 60),
        ("nanonis_stm_Au_mica_195.sxm", b":SCANIT_END:", _after_colons, 60),
        ("nanonis_sts_Bias-Spectroscopy00015.dat", b"[DATA]", _after_tabs, 4),
        ("nanonispy_Bias-Spectroscopy002.dat", b"[DATA]", _after_tabs, 6),
        ("bruker_nanoscope_header.000", b"\\*File list end", _after_backslashes, 250),
    ],
)
def test_headers_of_text_read_once_more(
    told: Told, real: Real, file: str, stop: bytes, entries: Callable[[str], list[tuple[str, str]]], least: int
) -> None:
    text = real(file).read_bytes().partition(stop)[0].decode("latin-1").replace("\r\n", "\n")
    theirs = set()
    for key, said in entries(text):
        with contextlib.suppress(ValueError):
            theirs |= {(key.strip(), float(one)) for one in said.split()}
    ours = {
        (re.sub(r"(\.\d+)*$", "", path)[1:], float(value))
        for path, value in flat(told(file).vendor)
        if isinstance(value, (int, float))
    }
    assert len(theirs) > least
    absent = {(k, n) for k, n in theirs if not any(path.endswith(k) and n == m for path, m in ours)}
    assert absent == set()


def test_variables_of_an_igor_experiment(told: Told, real: Real) -> None:
    packed = pytest.importorskip("igor2.packed")
    _, tree = packed.load(real("igor2_polar-graphs-demo.pxp"))
    ours = told("igor2_polar-graphs-demo.pxp").vendor["root"]
    root = {key.decode() if isinstance(key, bytes) else key: value for key, value in tree["root"].items()}
    theirs = {key: value for key, value in root.items() if isinstance(value, (int, float))}
    assert len(theirs) > 20
    assert {key: ours[key] for key in theirs} == theirs
    waves = {key: value.wave["wave"]["wave_header"] for key, value in root.items() if hasattr(value, "wave")}
    assert len(waves) > 2
    for key, head in waves.items():
        for name in ("npnts", "modDate", "hsA", "sfA"):
            if name in head:
                assert np.array_equal(ours[key]["wave_header"][name], head[name]), (key, name)


def test_notes_of_asylum(told: Told, real: Real) -> None:
    ours = told("scan_0001.ibw").vendor["note"]
    raw = real("scan_0001.ibw").read_bytes()
    note = raw[raw.index(b"ScanSize:") :].split(b"\x00", 1)[0].decode("latin-1")
    pairs = [line.split(":", 1) for line in note.splitlines() if ":" in line]
    assert len(pairs) > 300
    every: dict[str, list[str]] = {}
    for key, value in pairs:
        every.setdefault(key.strip(), []).append(value.strip())
    for key, values in every.items():
        said = ours[key] if isinstance(ours[key], list) else [ours[key]]
        assert len(said) == len(values)
        if "NaN" in values:
            assert all(isinstance(one, float) and math.isnan(one) for one in said)
            continue
        assert all(
            one == (text if isinstance(one, str) else float(text)) for one, text in zip(said, values, strict=True)
        )


def test_a_note_keeps_its_numbers(tmp_path: Path) -> None:
    from parscope.io.describe import describe

    note = (
        "ScanSize: 1.5e-06\rDriveFrequency: 301.25\rSpringConstant: 2.75\rPhaseOffset: -0.5\rSerial: 0012\rGain: inf\r"
    )
    describe_me = tmp_path / "wave.ibw"
    describe_me.write_bytes(_wave(note.encode()))
    assert describe(describe_me).vendor["note"] == {
        "ScanSize": 1.5e-06,
        "DriveFrequency": 301.25,
        "SpringConstant": 2.75,
        "PhaseOffset": -0.5,
        "Serial": "0012",
        "Gain": math.inf,
    }


def _wave(note: bytes) -> bytes:
    """A wave of version 5 of three numbers."""
    sizes = (320 + 24, 0, len(note), 0, 0, 0, 0, 0, 0, 0, 0, 0)
    head = bytearray(384)
    struct.pack_into("<hh", head, 0, 5, 0)
    struct.pack_into("<i", head, 4, sizes[0])
    struct.pack_into("<ii", head, 8, 0, len(note))
    struct.pack_into("<i", head, 64 + 12, 3)
    struct.pack_into("<h", head, 64 + 16, 4)
    struct.pack_into("<4i", head, 64 + 68, 3, 0, 0, 0)
    struct.pack_into("<4d", head, 64 + 84, 1.0, 1.0, 1.0, 1.0)
    total = sum(struct.unpack("<192h", head)) & 0xFFFF
    struct.pack_into("<H", head, 2, -total & 0xFFFF)
    return bytes(head) + struct.pack("<3d", 1.0, 2.0, 3.0) + note


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1.5e-06", 1.5e-06), ("300", 300), ("-0", -0.0), (" 2 ", 2), ("1E5", 1e5), (".5", 0.5), ("5.", 5.0)),
        *(("007", "007"), ("00.5", 0.5), ("1_000", "1_000"), ("0x10", "0x10"), ("٣", "٣"), ("1,5", "1,5")),
        *(("-inf", -math.inf), ("Infinity", "Infinity"), ("nano", "nano"), ("", ""), ("9" * 60, "9" * 60)),
        *(("123456789012345678901234567890", 123456789012345678901234567890), ("5c4e15", "5c4e15")),
    ],
)
def test_texts_of_numbers(text: str, value: Any) -> None:
    read = number(text)
    assert (type(read), read) == (type(value), value)
    assert math.isnan(number("NaN"))
