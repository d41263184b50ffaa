"""Small files of every format that parscope writes, or that is written here, say what was put into them."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.description import Description, Signal
from parscope.core.errors import FormatError
from parscope.io.describe import describe
from parscope.io.describers._common import axis, judge, moment, since
from parscope.io.describers._fit import fitted
from parscope.io.describers._preview import BUDGET, look
from parscope.io.describers._verbatim import verbatim

Write = Callable[[str], tuple[Path, NDArray[Any]]]
SCANS = {
    "npy": "numpy",
    "npz": "numpy",
    "hdf5": "hdf5",
    "emd": "hdf5",
    "nexus": "hdf5",
    "dectris": "hdf5",
    "zarr": "zarr",
    "merlin": "merlin",
    "empad": "empad",
    "blo": "em",
}


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_in_every_format(written: Write, name: str) -> None:
    path, data = written(name)
    told = describe(path)
    assert told.reader == SCANS[name]
    assert told.kind == "4D-STEM"
    shapes = {signal.shape for signal in told.signals}
    assert shapes == {data.shape}
    pattern, image = told.previews
    np.testing.assert_allclose(pattern.data, data.astype(float).mean((0, 1)), rtol=1e-6)
    assert (pattern.title, image.data.shape) == ("mean diffraction pattern", data.shape[:2])


def test_the_parts_of_a_scan(written: Write) -> None:
    for name, count in (("dectris", 3), ("merlin", 1), ("empad", 1)):
        path = written(name)[0]
        parts = describe(path).parts
        assert len(parts) == count and all(part.is_file() and part != path for part in parts)


@pytest.mark.parametrize(("name", "suffixes"), [("merlin", (".mib", ".hdr")), ("empad", (".raw", ".xml"))])
def test_suffixes_in_large_letters(written: Write, name: str, suffixes: tuple[str, str]) -> None:
    path, data = written(name)
    expected = describe(path).vendor
    for suffix in suffixes:
        (small,) = path.parent.glob(f"*{suffix}")
        large = small.rename(small.with_suffix(suffix.upper()))
        if suffix == ".raw":
            about = path.with_suffix(".xml")
            about.write_text(about.read_text().replace(small.name, large.name))
    for suffix in suffixes:
        told = describe(path.with_suffix(suffix.upper()))
        assert (told.reader, len(told.parts)) == (name, 1)
        assert [signal.shape for signal in told.signals] == [data.shape]
        if name == "merlin":
            assert told.vendor == expected
    if name == "merlin":
        other = path.with_suffix(".MIB").rename(path.with_suffix(".dat"))
        assert describe(other).vendor == expected


def test_calibration_at_the_root_of_py4dstem(written: Write) -> None:
    path = written("emd")[0]
    with h5py.File(path, "r+") as file:
        for place in range(4):
            del file[f"datacube_root/datacube/dim{place}"]
    assert [(a.name, a.unit, a.scale) for a in describe(path).signals[0].axes][::2] == [
        ("y", "nm", 2.5),
        ("q_y", "1/nm", 0.05),
    ]


def test_units_of_py4dstem(written: Write) -> None:
    path = written("emd")[0]
    with h5py.File(path, "r+") as file:
        cube, told = file["datacube_root/datacube"], file["datacube_root/metadatabundle/calibration"]
        for place in range(4):
            cube[f"dim{place}"][:] = [0, 1]
            cube[f"dim{place}"].attrs["units"] = "pixels"
        for letter, unit in (("R", "A"), ("Q", "A^-1")):
            told[f"{letter}_pixel_units"][()] = unit
    axes = describe(path).signals[0].axes
    assert [(a.unit, round(a.scale, 9)) for a in axes] == [("nm", 0.25)] * 2 + [("1/nm", 0.5)] * 2
    with h5py.File(path, "r+") as file:
        for place in range(4):
            file[f"datacube_root/datacube/dim{place}"].attrs["units"] = "A" if place < 2 else "A^-1"
    assert [a.unit for a in describe(path).signals[0].axes] == ["Å", "Å", "A^-1", "A^-1"]


def _series(count: int, channels: int) -> bytes:
    """A TIA file with a line of spectra."""
    head = struct.pack("<3H2I2i", 0x4949, 0x0197, 0x0220, 0x4120, 0x4142, count, count)
    dimension = struct.pack("<iddi", count, 1e-9, 2e-9, 0) + struct.pack("<i8si6s", 8, b"Position", 6, b"meters")
    start = len(head) + 12 + len(dimension)
    each = 20 + 2 + 4 + 4 * channels
    data = [start + 16 * count + place * (each + 24) for place in range(count)]
    offsets = struct.pack(f"<{2 * count}q", *data, *(place + each for place in data))
    body = b""
    for place in range(count):
        spectrum = np.full(channels, place, "<i4").tobytes()
        body += struct.pack("<ddihi", 100.0, 0.5, 0, 6, channels) + spectrum
        body += struct.pack("<HxxIdd", 0x4142, 1_300_000_000 + place, 1e-9 * place, 0.0)
    return head + struct.pack("<qi", start, 1) + dimension + offsets + body


def test_a_series_of_spectra(tmp_path: Path) -> None:
    (tmp_path / "line_1.ser").write_bytes(_series(5, 64))
    told = describe(tmp_path / "line_1.ser")
    assert told.kind == "spectrum image"
    assert told.signals[0].axes == (Axis("Position", 5, "m", 2e-9, 1e-9), Axis("energy", 64, "eV", 0.5, 100.0))
    assert told.acquired.startswith("2011-03-13")
    header = told.vendor["line_1.ser"]
    assert [tag["Time"] for tag in header["Tags"]] == [1_300_000_000 + place for place in range(5)]
    ser = pytest.importorskip("ncempy.io.ser")
    with ser.fileSER(tmp_path / "line_1.ser") as opened:
        assert opened.head["Dimensions"][0]["CalibrationDelta"] == header["Dimensions"][0]["CalibrationDelta"]
        assert opened.getDataset(3)[0].tolist() == [3] * 64


def test_results_of_parscope(tmp_path: Path) -> None:
    maps = {name: (("y", "x"), np.random.default_rng(0).normal(size=(5, 4))) for name in ("e_xx", "e_yy", "misfit")}
    places = {"y": ("y", np.arange(5.0), {"units": "nm"}), "x": ("x", 2 * np.arange(4.0), {"units": "nm"})}
    result = xr.Dataset(maps, places, {"gain": 1.5, "range": [1, 2], "names": ["a", "b"], "program": "parscope"})
    result.to_netcdf(tmp_path / "strain.nc", engine="h5netcdf")
    told = describe(tmp_path / "strain.nc")
    kept = {key: told.vendor[key] for key in ("gain", "range", "names", "program")}
    assert kept == {"gain": 1.5, "range": [1, 2], "names": ["a", "b"], "program": "parscope"}
    assert told.kind == "strain map"
    assert [s.name for s in told.signals] == ["/e_xx", "/e_yy", "/misfit"]
    assert told.signals[0].axes == (Axis("y", 5, "nm"), Axis("x", 4, "nm", 2.0))


def test_metadata_that_are_too_large_are_summarised_where_they_are_longest() -> None:
    long, short = [0.1 + n for n in range(1_500_000)], [1.5] * 100
    frames = [{"time": n, "curve": [n] * 1000} for n in range(10)]
    told = Description("image", "dm", "x", {"a": {"long": long}, "short": short, "text": "y" * 500, "frames": frames})
    kept = fitted(told)
    told_length = {"length": 1_500_000, "sha256": hashlib.sha256(json.dumps(long).encode()).hexdigest()}
    assert kept.vendor == {**told.vendor, "a": {"long": told_length}}
    assert kept.warnings[0].startswith("1 long lists or texts")
    assert fitted(kept) is kept
    many = Description("image", "dm", "x", {"frames": [{"name": "z" * 500, "n": n} for n in range(40_000)], "b": 1})
    assert fitted(many).vendor["frames"]["length"] == 40_000
    assert fitted(many).vendor["b"] == 1


def test_a_list_of_one_stays_a_list_where_the_format_has_scalars_too(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update({"one": [1.5], "scalar": 1.5})
    told = describe(tmp_path / "a.h5")
    assert (told.vendor["one"], told.vendor["scalar"]) == ([1.5], 1.5)


@pytest.mark.parametrize("name", ["emd", "nexus", "hdf5", "zarr"])
def test_axes_of_a_scan(written: Write, name: str) -> None:
    axes = describe(written(name)[0]).signals[0].axes
    assert [round(axis.scale, 9) for axis in axes] == [2.5, 2.5, 0.05, 0.05]
    assert axes[0].unit == "nm"


def test_metadata_of_a_scan(written: Write) -> None:
    assert describe(written("hdf5")[0]).vendor["metadata"] == {"operator": "Ruska", "kV": 200, "nimages_per_file": 13}


def test_what_stands_beside_an_array_keeps_its_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["voltage"] = 300.0
        file["voltage"].attrs["units"] = "kV"
        file.attrs["voltage"] = "told twice"
        file["flags"] = np.array([True, False])
        file["complex"] = 1 + 2j
        file["table"] = np.array([(1, 2.5)], [("n", "i4"), ("x", "f8")])
        file["reference"] = file["voltage"].ref
        file["names"] = ["a", "b"]
        file["loop"] = file["/"]
    assert describe(tmp_path / "a.h5").vendor == {
        "@voltage": "told twice",
        "voltage": {"value": 300.0, "units": "kV"},
        "flags": [True, False],
        "complex": {"re": 1.0, "im": 2.0},
        "table": [{"n": 1, "x": 2.5}],
        "reference": "/voltage",
        "names": ["a", "b"],
        "loop": {"link": "/"},
    }


def test_a_table_of_text(tmp_path: Path) -> None:
    (tmp_path / "iv.csv").write_text("# bias sweep\nbias,current\n" + "".join(f"{i},{i * i}\n" for i in range(50)))
    told = describe(tmp_path / "iv.csv")
    assert (told.kind, told.reader) == ("table", "table")
    assert told.vendor == {"head": "# bias sweep\nbias,current", "columns": ["bias", "current"], "rows": 50}
    np.testing.assert_array_equal(told.previews[0].data, np.arange(50.0) ** 2)
    assert told.previews[0].axes[0] == Axis("bias", 50)


def test_json_is_told_as_it_is(tmp_path: Path) -> None:
    tree = {"a": [1, {"b": None}], "ü": True}
    (tmp_path / "a.json").write_text(json.dumps(tree))
    assert describe(tmp_path / "a.json").vendor == tree
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(FormatError, match="is no JSON"):
        describe(tmp_path / "a.json")


def test_a_picture(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(300 * 400, dtype=np.uint32).reshape(300, 400).astype(np.uint8)
    image.fromarray(pixels).save(tmp_path / "a.png", dpi=(300, 300))
    told = describe(tmp_path / "a.png")
    assert told.kind == "picture"
    assert told.signals[0].shape == (300, 400)
    assert told.previews[0].data.shape == (150, 200)


def test_dialects_of_tiff(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    user = ("[User]", "Date=12/18/2017", "Time=01:04:14 PM")
    fei = "\r\n".join((*user, "[Beam]", "HV=5000", "[Scan]", "PixelWidth=1e-09", "PixelHeight=2e-09", ""))
    tifffile.imwrite(tmp_path / "fei.tif", pixels, extratags=[(34682, 2, 0, fei, True)])
    told = describe(tmp_path / "fei.tif")
    assert told.vendor["fei"]["Beam"] == {"HV": 5000}
    assert told.common["beam"] == {"voltage": {"value": 5000.0, "units": "V"}}
    assert [(a.unit, a.scale) for a in told.signals[0].axes] == [("m", 2e-9), ("m", 1e-9)]
    assert told.acquired == "2017-12-18T13:04:14"
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        np.stack([pixels] * 5),
        photometric="minisblack",
        metadata={"axes": "ZYX", "PhysicalSizeX": 0.25},
    )
    told = describe(tmp_path / "a.ome.tif")
    assert told.kind == "image stack"
    assert told.signals[0].axes[2] == Axis("x", 4, "µm", 0.25)


def test_igor_counts_seconds_in_local_time() -> None:
    assert since("1904-01-01", 3.6e9).startswith("2018-")


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-01-12T13:37:28.2283555-05:00", "2024-01-12T13:37:28.228355-05:00"),
        ("12/18/2017 01:04:14 PM", "2017-12-18T13:04:14"),
        ("31/18/2017 01:04:14 PM", ""),
        ("None None", ""),
        ("0001-01-01", ""),
    ],
)
def test_moments(text: str, iso: str) -> None:
    assert moment(text, "%m/%d/%Y %I:%M:%S %p") == iso


def test_kinds_are_judged_by_the_axes() -> None:
    def of(*units: str) -> str:
        axes = tuple(Axis(f"a{i}", 8, unit) for i, unit in enumerate(units))
        return judge([Signal("", (8,) * len(axes), "uint8", axes=axes)])

    assert of("eV") == "spectrum"
    assert of("nm", "nm") == "image"
    assert of("1/nm", "1/nm") == "diffraction pattern"
    assert of("nm", "nm", "eV") == "spectrum image"
    assert of("nm", "nm", "nm") == "image stack"
    assert of("s", "1/nm", "1/nm") == "diffraction stack"
    assert of("px", "px", "px", "px") == "4D-STEM"
    assert judge([]) == "document"


def test_an_axis_that_falls_keeps_its_order() -> None:
    assert axis("x", 3, -2.0, "nm", 1.0).values.tolist() == [1.0, -1.0, -3.0]
    assert axis("x", 3, float("nan"), "nm") == Axis("x", 3)


class Counted:
    """An array that counts the bytes that are read of it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype, self.read = shape, np.dtype(np.uint16), 0

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        counts = [len(range(*k.indices(n))) for k, n in zip(key, self.shape, strict=True) if isinstance(k, slice)]
        self.read += 2 * int(np.prod(counts))
        return np.ones(counts, np.uint16)


@pytest.mark.parametrize("shape", [(1 << 28,), (1 << 14, 1 << 14), (64, 1 << 13, 1 << 12), (512, 512, 128, 128)])
def test_pictures_of_large_arrays_read_little(shape: tuple[int, ...]) -> None:
    data = Counted(shape)
    previews = look(data, Signal("", shape, "uint16"))
    assert previews
    assert all(max(p.data.shape) <= 512 and (p.data > 0).all() for p in previews)
    assert data.read <= 1.1 * BUDGET


def test_a_spectrum_image_is_summed_both_ways() -> None:
    data = np.random.default_rng(1).poisson(3.0, (6, 5, 40))
    axes = (Axis("y", 6, "nm"), Axis("x", 5, "nm"), Axis("energy", 40, "eV"))
    picture, spectrum = look(data, Signal("", data.shape, "int64", axes=axes))
    np.testing.assert_array_equal(picture.data, data.sum(2))
    np.testing.assert_array_equal(spectrum.data, data.sum((0, 1)))
    turned = look(data.transpose(2, 0, 1), Signal("", (40, 6, 5), "int64", axes=(axes[2], *axes[:2])))
    np.testing.assert_array_equal(turned[0].data, data.sum(2))


def test_what_json_does_not_know() -> None:
    tree = {
        b"k\0": np.float32(0.1),
        "v": np.void(b"\x01\xff"),
        3: {1},
        "n": np.array([[1, 2]], "i2"),
        "l": np.zeros(10_001),
    }
    told = verbatim(tree)
    assert told["k"] == float(np.float32(0.1)) and told["v"] == "01ff" and told["3"] == [1] and told["n"] == [[1, 2]]
    assert told["l"].keys() == {"shape", "dtype", "min", "max", "sha256"}
