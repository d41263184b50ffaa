"""What is written is what is read, in every format, lazily, in other processes, and after being closed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core.contracts import Reader
from parscope.core.frames import Frames, Sliceable
from parscope.core.registry import load, names
from parscope.io import open_frames
from parscope.io._scan import LazyScan
from parscope.io.write import Layout, write_frames

Write = Callable[[str], tuple[Path, NDArray[Any]]]
Open = Callable[[str], tuple[Frames, NDArray[Any]]]


def test_every_byte_comes_back(opened: Open, name: str) -> None:
    frames, data = opened(name)
    lazy = frames.data
    assert isinstance(lazy, LazyScan)
    assert isinstance(lazy, Sliceable)
    assert lazy.dtype == data.dtype
    assert lazy.dtype.isnative
    for key in (
        np.s_[:],
        np.s_[1:3],
        np.s_[2:5, 1:4],
        np.s_[3, 2],
        np.s_[-1, -1],
        np.s_[2],
        np.s_[::2, ::-1],
        np.s_[4:1:-2, 2],
        np.s_[1:2, :, 3:7, 4],
        np.s_[..., 3, 4],
        np.s_[2:2],
        np.s_[5:99],
        np.s_[np.int64(1), np.int64(2)],
    ):
        part = lazy[key]
        assert type(part) is np.ndarray
        np.testing.assert_array_equal(part, data[key])
        assert part.dtype == data.dtype


def test_the_data_travel_to_other_processes_and_survive_closing(opened: Open, name: str) -> None:
    frames, data = opened(name)
    before = frames.data[1:2]
    sent = pickle.dumps(frames)
    assert len(sent) < 20_000
    assert isinstance(frames.data, LazyScan)
    frames.data.close()
    frames.data.close()
    there = pickle.loads(sent)
    np.testing.assert_array_equal(there.data[4, 1:3], data[4, 1:3])
    there.data.close()
    np.testing.assert_array_equal(frames.data[1:2], before)


def test_positions_outside_the_scan_are_refused(opened: Open, name: str) -> None:
    frames, _ = opened(name)
    for key in (99, (0, 99), (0, -6), ([0, 1], 0), (0, 0, 0, 0, 0)):
        with pytest.raises(IndexError):
            frames.data[key]


@pytest.mark.parametrize("name", ["hdf5", "emd", "nexus", "zarr"])
def test_calibration_comes_back(opened: Open, calibration: dict[str, tuple[str, float, float]], name: str) -> None:
    frames, _ = opened(name)
    for axis in frames.axes:
        unit, scale, offset = calibration[axis.name]
        assert axis.unit == unit
        assert (axis.scale, axis.offset) == pytest.approx((scale, offset))


def test_scan_calibration_of_empad_and_blo(opened: Open) -> None:
    for name in ("empad", "blo"):
        frames, _ = opened(name)
        assert [a.unit for a in frames.axes] == ["nm", "nm", "px", "px"]
        assert [a.scale for a in frames.axes[:2]] == pytest.approx([2.5, 2.5])


@pytest.mark.parametrize("name", ["hdf5", "emd", "nexus", "dectris", "electron-events", "zarr"])
def test_metadata_come_back(opened: Open, name: str) -> None:
    frames, _ = opened(name)
    told = {key.rpartition("@")[2]: value for key, value in frames.metadata.items()}
    assert (told["operator"], told["kV"]) == ("Ruska", 200)


def test_metadata_are_json(opened: Open, name: str) -> None:
    frames, _ = opened(name)
    assert len(json.dumps(frames.metadata, allow_nan=False)) < 1 << 20


def test_only_its_own_reader_or_a_general_one_accepts_a_file(written: Write, name: str) -> None:
    path, _ = written(name)
    readers = {n: load("parscope.readers", n)() for n in names("parscope.readers")}
    assert all(isinstance(reader, Reader) for reader in readers.values())
    own = {"npy": "numpy", "npz": "numpy", "emd": "hdf5", "nexus": "hdf5", "blo": "em"}.get(name, name)
    said = {n for n, reader in readers.items() if reader.accepts(path)}
    assert own in said
    assert said <= {own, "raw", "hdf5"}


def test_a_mask_and_a_multiple_file_set_of_dectris(tmp_path: Path) -> None:
    data = np.random.default_rng(3).poisson(1.0, (4, 4, 10, 9)).astype(np.uint16)
    data[..., 7, 7] = 65535
    mask = np.zeros((10, 9), bool)
    mask[2, 3] = True
    plain = Layout.plain(data.shape, "uint16")
    layout = Layout(plain.axes, plain.dtype, {"nimages_per_file": 5}, mask)
    path = write_frames(tmp_path / "au_master.h5", iter([data]), layout)
    assert sorted(p.name for p in tmp_path.iterdir())[:4] == [f"au_data_00000{i}.h5" for i in range(1, 5)]
    frames = open_frames(path)
    np.testing.assert_array_equal(frames.data[:], data)
    expected = mask.copy()
    expected[7, 7] = True
    np.testing.assert_array_equal(frames.mask, expected)
    assert frames.metadata["scan_shape_guessed"] is False
    # reading across the seam of two data files
    np.testing.assert_array_equal(frames.data[1, 0:3], data[1, 0:3])
