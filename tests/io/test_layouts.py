"""Files as others write them: calibration of every layout, raw Medipix words, EMPAD and Merlin variants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from parscope.core.errors import FormatError
from parscope.io import open_frames
from parscope.io._meta import axis, flatten

DATA = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)


def test_emd_2(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.emd", "w") as file:
        group = file.create_group("data/scan")
        group.attrs["emd_group_type"] = 1
        group["data"] = DATA
        units = ("[n_m]", "[Å]", "[n_m^-1]", "[Å^-1]")
        for place, (size, unit) in enumerate(zip(DATA.shape, units, strict=True), 1):
            group[f"dim{place}"] = np.arange(size) * 0.5 + 2
            group[f"dim{place}"].attrs["units"] = np.bytes_(unit.encode())
    frames = open_frames(tmp_path / "a.emd")
    assert [(a.unit, a.scale, a.offset) for a in frames.axes] == [
        ("nm", 0.5, 2.0),
        ("nm", pytest.approx(0.05), pytest.approx(0.2)),
        ("1/nm", 0.5, 2.0),
        ("1/nm", 5.0, 20.0),
    ]
    np.testing.assert_array_equal(frames.data[:], DATA)


def test_py4dstem_calibration_fills_axes_that_only_count_pixels(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        cube = file.create_group("datacube_root/datacube")
        cube.attrs["python_class"] = "DataCube"
        cube["data"] = DATA
        for place in range(4):
            cube[f"dim{place}"] = [0, 1]
            cube[f"dim{place}"].attrs["units"] = "pixels"
        file["datacube_root/virtual/data"] = np.zeros((1, 1, 2, 2))
        told = file.create_group("datacube_root/metadatabundle/calibration")
        told["R_pixel_size"], told["R_pixel_units"] = 5.0, "A"
        told["Q_pixel_size"], told["Q_pixel_units"] = 0.02, "A^-1"
    frames = open_frames(tmp_path / "a.h5")
    assert frames.scan_shape == (2, 3)
    assert [(a.unit, a.scale) for a in frames.axes] == [("nm", 0.5)] * 2 + [("1/nm", pytest.approx(0.2))] * 2


def test_hyperspy_in_hdf5_and_zarr(tmp_path: Path) -> None:
    told = [{"scale": 2.0, "offset": 1.0, "units": u} for u in ("µm", "nm", "mrad", "rad")]
    store = zarr.open_group(str(tmp_path / "a.zspy"), mode="w", zarr_format=2)
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        for group in (file.create_group("Experiments/scan"), store.create_group("Experiments/scan")):
            if isinstance(group, h5py.Group):
                group["data"] = DATA
            else:
                group.create_array("data", data=DATA, chunks=(2, 2, 4, 5))
            for place, entry in enumerate(told):
                group.create_group(f"axis-{place}").attrs.update(entry)
    for name in ("a.hspy", "a.zspy"):
        frames = open_frames(tmp_path / name)
        assert [a.unit for a in frames.axes] == ["nm", "nm", "mrad", "mrad"]
        assert [a.scale for a in frames.axes] == [2000.0, 2.0, 2.0, 2000.0]
        np.testing.assert_array_equal(frames.data[1, 1:], DATA[1, 1:])
        for row in (0, 1, 0):
            np.testing.assert_array_equal(frames.data[row], DATA[row])


@pytest.mark.parametrize(("version", "zipped"), [(2, False), (3, False), (3, True)])
def test_zarr_versions_and_zip_files(tmp_path: Path, version: int, zipped: bool) -> None:
    path = tmp_path / ("a.zarr.zip" if zipped else "a.zarr")
    with_store = zarr.storage.ZipStore(path, mode="w") if zipped else zarr.storage.LocalStore(path)
    zarr.create_array(with_store, data=DATA, chunks=(2, 2, 3, 5), zarr_format=version)
    with_store.close()
    np.testing.assert_array_equal(open_frames(path).data[:, 1], DATA[:, 1])


def test_nexus_default_is_preferred(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs["default"] = "four_d"
        for name, value in (("four_d", 1), ("processed", 2)):
            group = entry.create_group(name)
            group.attrs["signal"] = "counts"
            group["counts"] = DATA * 0 + value
    assert open_frames(tmp_path / "a.nxs").data[0].max() == 1


def test_fortran_order_and_foreign_byte_order(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.asfortranarray(DATA))
    np.save(tmp_path / "b.npy", DATA.astype(">u2"))
    np.savez_compressed(tmp_path / "b.npz", data=DATA.astype(">f8"))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["data"] = DATA.astype(">i4")
    for name in ("f.npy", "b.npy", "b.npz", "b.h5"):
        frames = open_frames(tmp_path / name)
        part = frames.data[1, 1:]
        np.testing.assert_array_equal(part, DATA[1, 1:])
        assert part.dtype.isnative
        assert frames.data.dtype.isnative


def mib(depth: int, chips: int, frames: list[NDArray[Any]]) -> bytes:
    """Encode patterns as the raw words of the detector, by the definition of the format: pixel by pixel."""
    height, width = frames[0].shape
    rows, columns = (height // 2, width * 2) if chips == 4 else (height, width)
    layout = "2x2" if chips == 4 else "1x1"
    head = f"MQ1,000001,00768,{chips:02d},{columns:04d},{rows:04d},R64,{layout},0F,t,1,0,0,0,{depth}"
    out = b""
    for frame in frames:
        if chips == 4:
            half = height // 2
            lower = [frame[half:, half:][::-1, ::-1], frame[half:, :half][::-1, ::-1]]
            line_up = np.concatenate([*lower, frame[:half, half:], frame[:half, :half]], axis=1)
        else:
            line_up = frame
        out += head.encode().ljust(768, b"\0")
        per_word = {1: 64, 6: 8, 12: 4}[depth]
        bits = 64 // per_word
        for row in line_up:
            for start in range(0, columns, per_word):
                word = sum(int(v) << (bits * i) for i, v in enumerate(row[start : start + per_word]))
                out += word.to_bytes(8, "big")
    return out


@pytest.mark.parametrize("depth", [1, 6, 12])
@pytest.mark.parametrize("chips", [1, 4])
def test_raw_medipix_words(tmp_path: Path, depth: int, chips: int) -> None:
    rng = np.random.default_rng(depth)
    side = 128 if chips == 4 else 64
    data = rng.integers(0, 2**depth, (2, 2, side, side)).astype(np.uint16)
    (tmp_path / "a.mib").write_bytes(mib(depth, chips, list(data.reshape(-1, side, side))))
    frames = open_frames(tmp_path / "a.mib", scan_shape=(2, 2))
    assert frames.data.dtype == (np.uint16 if depth == 12 else np.uint8)
    np.testing.assert_array_equal(frames.data[:], data)
    np.testing.assert_array_equal(frames.data[1, 0], data[1, 0])


def test_raw_medipix_of_24_bit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mib").write_bytes(mib(12, 1, [np.zeros((64, 64), int)]).replace(b",0,12\0", b",0,24\0"))
    with pytest.raises(FormatError, match="24 bit"):
        open_frames(tmp_path / "a.mib", scan_shape=(1, 1))


def test_a_merlin_quad_by_its_header_file(tmp_path: Path) -> None:
    from parscope.io.write import Layout, write_frames

    data = np.random.default_rng(0).integers(0, 9, (1, 2, 512, 512), dtype=np.uint8)
    path = write_frames(tmp_path / "q.mib", [data], Layout.plain(data.shape, "uint8"))
    frames = open_frames(path.with_suffix(".hdr"))
    assert frames.metadata["chips"] == "04"
    np.testing.assert_array_equal(frames.data[0, 1], data[0, 1])


def test_empad_without_its_metadata_rows_or_its_xml(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((2, 3, 128, 128), np.float32)
    (tmp_path / "scan_x3_y2.raw").write_bytes(data.tobytes())
    frames = open_frames(tmp_path / "scan_x3_y2.raw")
    np.testing.assert_array_equal(frames.data[1], data[1])
    assert not frames.axes[0].calibrated
    (tmp_path / "other.raw").write_bytes(data.tobytes())
    frames = open_frames(tmp_path / "other.raw", format="empad", scan_shape=(3, 2))
    np.testing.assert_array_equal(frames.data[2, 1], data.reshape(3, 2, 128, 128)[2, 1])


def test_events_of_several_frames_at_one_position_add_up(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("electron_events")
        lists = group.create_dataset("frames", (5,), h5py.vlen_dtype(np.uint32))
        for i, hits in enumerate([[0, 5, 5], [5], [19], [], [7]]):
            lists[i] = np.array(hits, np.uint32)
        lists.attrs["Nx"], lists.attrs["Ny"] = 4, 5
        group["scan_positions"] = np.array([1, 0, 1, 3, 2])
        group["scan_positions"].attrs["Nx"], group["scan_positions"].attrs["Ny"] = 1, 4
    data = open_frames(tmp_path / "a.h5").data
    assert data.shape == (4, 1, 4, 5)
    flat = data[:].reshape(4, 20)
    assert {i: int(n) for i, n in enumerate(flat[1]) if n} == {0: 1, 5: 2, 19: 1}
    assert [int(row.sum()) for row in flat] == [1, 4, 1, 0]


def test_dectris_guesses_a_square_and_says_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d_data_000001.h5", "w") as file:
        file["entry/data/data"] = np.arange(9 * 4, dtype=np.uint16).reshape(9, 2, 2)
    with h5py.File(tmp_path / "d_master.h5", "w") as file:
        file["entry/data/data_000001"] = h5py.ExternalLink("/acquisition/d_data_000001.h5", "/entry/data/data")
        file["entry/instrument/detector/saturation_value"] = 700
        specific = file.create_group("entry/instrument/detector/detectorSpecific")
        specific["ntrigger"], specific["nimages"] = 9, 1
    frames = open_frames(tmp_path / "d_master.h5")
    assert frames.scan_shape == (3, 3)
    assert frames.metadata["scan_shape_guessed"] is True
    assert frames.metadata["saturation_value"] == 700
    assert open_frames(tmp_path / "d_master.h5", scan_shape=(1, 9)).metadata["scan_shape_guessed"] is False


@pytest.mark.parametrize(
    ("unit", "place", "expected"),
    [
        ("Å", 0, ("nm", 0.2)),
        (b"um", 0, ("nm", 2000.0)),
        ("A^-1", 2, ("1/nm", 20.0)),
        ("nm⁻¹", 3, ("1/nm", 2.0)),
        ("mrad", 2, ("mrad", 2.0)),
        ("deg", 2, ("mrad", pytest.approx(34.9066, rel=1e-5))),
        ("nm", 2, ("px", 1.0)),
        ("1/nm", 0, ("px", 1.0)),
        ("furlong", 0, ("px", 1.0)),
    ],
)
def test_units(unit: str | bytes, place: int, expected: tuple[str, Any]) -> None:
    made = axis(place, 4, 2.0, unit)
    assert (made.unit, made.scale) == expected


def test_calibration_that_is_no_number_leaves_pixels() -> None:
    for scale in (0.0, float("nan"), float("inf")):
        assert not axis(0, 4, scale, "nm").calibrated
    assert (axis(0, 4, -2.0, "nm", 8.0).scale, axis(0, 4, -2.0, "nm", 8.0).offset) == (2.0, 0.0)


def test_metadata_stay_small() -> None:
    flat = flatten({"a": {"b": np.arange(10_000), b"c": b"text"}, "long": "x" * 10_000, "nan": float("nan")})
    assert flat["a/b"] == "array of shape (10000,), int64"
    assert flat["a/c"] == "text"
    assert len(flat["long"]) == 2000
    assert flat["nan"] == "nan"
    assert len(flatten({i: i for i in range(5000)})) == 2000


Write = Callable[[str], tuple[Path, NDArray[Any]]]


def test_emd_has_the_tags_that_py4dstem_looks_for(written: Write) -> None:
    path, _ = written("emd")
    with h5py.File(path) as file:
        assert (file.attrs["emd_group_type"], file.attrs["version_major"]) == ("file", 1)
        root = file["datacube_root"]
        assert root.attrs["emd_group_type"] == "root"
        cube = root["datacube"]
        assert (cube.attrs["emd_group_type"], cube.attrs["python_class"]) == ("array", "DataCube")
        assert "units" in cube["data"].attrs
        assert [cube[f"dim{i}"].attrs["name"] for i in range(4)] == ["Rx", "Ry", "Qx", "Qy"]
        told = root["metadatabundle/calibration"]
        assert (told["Q_pixel_units"][()], told["Q_pixel_size"][()]) == (b"nm^-1", 0.05)
