"""Whatever is wrong with a file is said in one line, with what to do."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from parscope.core.errors import (
    FormatError,
    InputError,
    OptionError,
    ParscopeError,
    ShapeError,
    TruncatedError,
    UnreadableError,
)
from parscope.core.registry import names
from parscope.io import open_frames

Write = Callable[[str], tuple[Path, NDArray[Any]]]
Options = Callable[[str], dict[str, Any]]


def refusal(kind: type[ParscopeError], *words: str, path: Path, **options: Any) -> None:
    """Open a file and check that the refusal is one line with these words."""
    with pytest.raises(kind) as caught:
        open_frames(path, **options)
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line


def test_a_missing_file_and_a_near_miss(tmp_path: Path) -> None:
    np.save(tmp_path / "scan_01.npy", np.zeros((2, 2, 4, 4)))
    refusal(InputError, "no such file", "scan_01.npy", path=tmp_path / "scan_1.npy")
    refusal(InputError, "no such file", path=tmp_path / "nowhere" / "scan.npy")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "scan.mib").touch()
    refusal(FormatError, "empty", path=tmp_path / "scan.mib")


def test_a_folder_that_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    refusal(FormatError, "folder", "a.tif", path=tmp_path)


def test_a_file_of_no_known_format(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("sample 12: gold")
    refusal(FormatError, "no format", "--scan-shape", path=tmp_path / "notes.txt")


def test_an_unknown_reader(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 2, 4, 4)))
    refusal(OptionError, "numpy", path=tmp_path / "a.npy", format="nmupy")


def test_a_stack_needs_its_scan_shape_and_the_right_one(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 9, (6, 5, 4), dtype=np.uint8)
    np.save(tmp_path / "a.npy", stack)
    np.savez_compressed(tmp_path / "a.npz", stack=stack)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["stack"] = stack
    zarr.save_array(str(tmp_path / "a.zarr"), stack)
    refusal(ShapeError, "6 patterns of 5 x 4", "--scan-shape", path=tmp_path / "a.npy")
    for name in ("a.npy", "a.npz", "a.h5", "a.zarr"):
        refusal(ShapeError, "holds 6 patterns", "4 x 2 has 8", path=tmp_path / name, scan_shape=(4, 2))
        refusal(ShapeError, "5 x 4 pixels, not 9 x 9", path=tmp_path / name, scan_shape=(3, 2), pattern_shape=(9, 9))
        frames = open_frames(tmp_path / name, scan_shape=(3, 2))
        np.testing.assert_array_equal(frames.data[1:, 1], stack.reshape(3, 2, 5, 4)[1:, 1])
        np.testing.assert_array_equal(frames.data[:], stack.reshape(3, 2, 5, 4))


def test_what_is_not_4d_says_what_it_is(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.zeros((7, 9)))
    refusal(ShapeError, "(7, 9)", "not 4D", path=tmp_path / "image.npy")
    with h5py.File(tmp_path / "image.h5", "w") as file:
        file["survey/image"] = np.zeros((7, 9))
    refusal(FormatError, "no 4D", "/survey/image (7, 9) float64", path=tmp_path / "image.h5")
    zarr.save_array(str(tmp_path / "image.zarr"), np.zeros((7, 9)))
    refusal(FormatError, "no 4D", "(7, 9)", path=tmp_path / "image.zarr")
    np.savez(tmp_path / "image.npz", image=np.zeros((7, 9)))
    refusal(FormatError, "no 4D", "image (7, 9)", path=tmp_path / "image.npz")


def test_several_candidates_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    cubes = {"first": np.full((2, 2, 3, 3), 1.0), "second": np.full((2, 2, 3, 3), 2.0)}
    with h5py.File(tmp_path / "two.h5", "w") as file:
        for name, cube in cubes.items():
            file[f"scans/{name}"] = cube
    np.savez(tmp_path / "two.npz", **cubes)
    store = zarr.open_group(str(tmp_path / "two.zarr"), mode="w")
    for name, cube in cubes.items():
        store.create_array(name, data=cube)
    for file_name, prefix in (("two.h5", "scans/"), ("two.npz", ""), ("two.zarr", "")):
        refusal(FormatError, "first", "second", "--dataset", path=tmp_path / file_name)
        refusal(FormatError, "third", path=tmp_path / file_name, dataset="third")
        frames = open_frames(tmp_path / file_name, dataset=f"{prefix}second")
        assert float(frames.data[1, 1].min()) == 2.0


def test_samples_that_are_no_counts(tmp_path: Path) -> None:
    np.save(tmp_path / "complex.npy", np.zeros((2, 2, 3, 3), complex))
    refusal(FormatError, "complex128", path=tmp_path / "complex.npy")
    np.save(tmp_path / "object.npy", np.array([{"a": 1}]), allow_pickle=True)
    refusal(FormatError, "object", path=tmp_path / "object.npy")


def test_plain_numbers_must_be_described(tmp_path: Path) -> None:
    data = np.arange(2 * 3 * 4 * 5, dtype=">i2").reshape(2, 3, 4, 5)
    (tmp_path / "a.bin").write_bytes(b"HEADER.." + data.tobytes())
    shapes = {"scan_shape": (2, 3), "pattern_shape": (4, 5)}
    refusal(OptionError, "--dtype", path=tmp_path / "a.bin", **shapes)
    refusal(OptionError, "int17", path=tmp_path / "a.bin", **shapes, dtype="int17")
    refusal(TruncatedError, "248 bytes", path=tmp_path / "a.bin", **shapes, dtype="float64")
    refusal(OptionError, "shape", path=tmp_path / "a.bin", scan_shape=(-2, 3), pattern_shape=(4, 5), dtype="i2")
    frames = open_frames(tmp_path / "a.bin", **shapes, dtype=">i2")
    assert frames.metadata["header_bytes_skipped"] == 8
    np.testing.assert_array_equal(frames.data[:], data)


def test_a_scan_shape_is_missing_or_contradicted(written: Write) -> None:
    mib, _ = written("merlin")
    mib.with_suffix(".hdr").unlink()
    refusal(ShapeError, "30 patterns", "--scan-shape", path=mib)
    refusal(ShapeError, "30 patterns", "7 x 7", path=mib, scan_shape=(7, 7))
    assert open_frames(mib, scan_shape=(5, 6)).scan_shape == (5, 6)
    xml, _ = written("empad")
    refusal(ShapeError, "30", "7 x 7", path=xml, scan_shape=(7, 7))
    master, _ = written("dectris")
    refusal(ShapeError, "30 patterns", path=master, scan_shape=(7, 7))
    hdf, _ = written("hdf5")
    refusal(ShapeError, "30 patterns", path=hdf, scan_shape=(7, 7))


@pytest.mark.parametrize("name", ["npy", "npz", "raw", "hdf5", "emd", "nexus", "dectris", "electron-events"])
def test_a_file_cut_short_is_found_on_opening(written: Write, options: Options, name: str) -> None:
    path, _ = written(name)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(InputError, match=r"cut short|needs|is a damaged"):
        open_frames(path, **options(name))


def test_detector_files_cut_short(written: Write) -> None:
    mib, _ = written("merlin")
    mib.write_bytes(mib.read_bytes()[:-1000])
    refusal(TruncatedError, "within pattern 30", path=mib)
    mib.write_bytes(mib.read_bytes()[: 20 * (384 + 256 * 256 * 2)])
    refusal(TruncatedError, "20 patterns of the 6 x 5", path=mib)
    assert open_frames(mib, scan_shape=(4, 5)).scan_shape == (4, 5)
    xml, _ = written("empad")
    raw = xml.with_suffix(".raw")
    raw.write_bytes(raw.read_bytes()[:-1000])
    refusal(TruncatedError, "6 x 5", path=xml)
    raw.unlink()
    refusal(InputError, "scan.raw", "missing", path=xml)
    master, _ = written("dectris")
    part = master.with_name("scan_data_000002.h5")
    part.write_bytes(part.read_bytes()[:-1000])
    refusal(TruncatedError, "scan_data_000002.h5", path=master)


def test_a_dangling_link_is_named(written: Write, tmp_path: Path) -> None:
    master, _ = written("dectris")
    master.with_name("scan_data_000003.h5").unlink()
    refusal(UnreadableError, "scan_data_000003.h5", "missing", path=master)
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["data"] = h5py.ExternalLink("elsewhere.h5", "/data")
    refusal(UnreadableError, "elsewhere.h5", path=tmp_path / "linked.h5")
    layout = h5py.VirtualLayout((2, 2, 3, 3), np.uint8)
    layout[:] = h5py.VirtualSource("gone.h5", "data", (2, 2, 3, 3))
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("data", layout)
    # HDF5 itself would hand out zeros
    refusal(UnreadableError, "gone.h5", path=tmp_path / "virtual.h5")


def test_loops_of_links_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "loop.h5", "w") as file:
        file["a/data"] = np.ones((2, 2, 3, 3))
        file["a/again"] = file["a"]
        file["a/soft"] = h5py.SoftLink("/a")
    assert open_frames(tmp_path / "loop.h5").scan_shape == (2, 2)


def test_a_damaged_chunk_is_named_and_the_others_are_still_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    data = rng.integers(0, 60000, (4, 3, 16, 16), dtype=np.uint16)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("data", data=data, chunks=(1, 1, 16, 16), compression="gzip", fletcher32=True)
        place = file["data"].id.get_chunk_info_by_coord((2, 1, 0, 0))
    content = bytearray((tmp_path / "scan.h5").read_bytes())
    content[place.byte_offset + 4 : place.byte_offset + 30] = b"\x55" * 26
    (tmp_path / "scan.h5").write_bytes(content)
    array = zarr.create_array(str(tmp_path / "chunks.zarr"), shape=data.shape, dtype=data.dtype, chunks=(1, 1, 16, 16))
    array[:] = data
    chunk = next(p for p in (tmp_path / "chunks.zarr").rglob("*") if p.parts[-4:] == ("2", "1", "0", "0"))
    chunk.write_bytes(b"\x00" * 20)
    for name in ("scan.h5", "chunks.zarr"):
        frames = open_frames(tmp_path / name)
        with pytest.raises(UnreadableError, match=r"positions y 2:3, x 0:3") as caught:
            frames.data[2]
        assert name in str(caught.value)
        with pytest.raises(UnreadableError, match=r"y 2:3, x 1:2"):
            frames.data[2, 1]
        np.testing.assert_array_equal(frames.data[2, 0], data[2, 0])
        np.testing.assert_array_equal(frames.data[3:], data[3:])


def test_a_damaged_pattern_of_a_detector_does_not_keep_the_scan_shut(written: Write) -> None:
    master, data = written("dectris")
    part = master.with_name("scan_data_000001.h5")
    with h5py.File(part) as file:
        place = file["entry/data/data"].id.get_chunk_info(0)
    content = bytearray(part.read_bytes())
    content[place.byte_offset : place.byte_offset + place.size] = b"\xff" * place.size
    part.write_bytes(content)
    frames = open_frames(master)
    with pytest.raises(UnreadableError):
        frames.data[0, 0]
    np.testing.assert_array_equal(frames.data[1:], data[1:])


def test_a_file_that_vanishes_after_opening(written: Write, options: Options) -> None:
    for name in ("npy", "npz", "hdf5", "merlin"):
        path, _ = written(name)
        frames = open_frames(path, **options(name))
        path.unlink()
        with pytest.raises(InputError):
            frames.data[0]


def test_a_compressed_archive_that_is_damaged(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 9, (8, 4, 32, 32), dtype=np.uint8)
    np.savez_compressed(tmp_path / "scan.npz", data=data)
    frames = open_frames(tmp_path / "scan.npz")
    np.testing.assert_array_equal(frames.data[5], data[5])
    np.testing.assert_array_equal(frames.data[1], data[1])
    with zipfile.ZipFile(tmp_path / "scan.npz") as archive:
        size = archive.infolist()[0].compress_size
    content = bytearray((tmp_path / "scan.npz").read_bytes())
    content[size * 3 // 4 : size * 3 // 4 + 50] = b"\xff" * 50
    (tmp_path / "bad.npz").write_bytes(content)
    spoiled = open_frames(tmp_path / "bad.npz")
    np.testing.assert_array_equal(spoiled.data[0], data[0])
    with pytest.raises(UnreadableError):
        spoiled.data[:]
    np.testing.assert_array_equal(spoiled.data[0], data[0])


def test_an_event_outside_the_pattern_or_too_many_for_the_type(written: Write) -> None:
    path, data = written("electron-events")
    with h5py.File(path, "r+") as file:
        file["electron_events/frames"][3] = np.full(300, 17, np.uint32)
        file["electron_events/frames"][4] = np.array([99_999], np.uint32)
    frames = open_frames(path)
    for position in (3, 4):
        with pytest.raises(UnreadableError, match=f"scan position {position}"):
            frames.data[0, position]
    wide = open_frames(path, dtype="uint16").data[0, 3]
    assert (wide.reshape(-1)[17], wide.sum()) == (300, 300)
    np.testing.assert_array_equal(frames.data[0, :3], data[0, :3])


def test_a_copied_folder_is_self_contained(written: Write, tmp_path: Path) -> None:
    master, data = written("dectris")
    new = tmp_path / "copy"
    new.mkdir()
    for file in master.parent.glob("scan*.h5"):
        shutil.move(file, new / file.name)
    np.testing.assert_array_equal(open_frames(new / master.name).data[:], data)


def test_a_format_that_is_insisted_on_wrongly_is_refused_in_one_line(written: Write) -> None:
    lines = []
    for name in ("npy", "hdf5", "merlin"):
        path, _ = written(name)
        for kind in names("parscope.readers"):
            try:
                open_frames(path, format=kind)
            except ParscopeError as error:
                lines.append(str(error))
    assert len(lines) == 3 * (len(names("parscope.readers")) - 1)
    assert [line for line in lines if "\n" in line] == []
