"""The large scan and the watching of a command, in small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  its filters read the file back
import numpy as np
import pytest

from benchmarks.spectroscopy import memory as spectroscopy_memory
from benchmarks.strain import memory
from benchmarks.watch import watch
from parscope import open_spectra


def test_the_scan_is_as_large_as_asked_and_repeats_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "COLUMNS", 32)
    monkeypatch.setattr(memory, "TILE", 2)
    monkeypatch.setattr(memory, "SPARE", 0.0)
    scan = memory.write_scan(tmp_path / "scan.h5", size=5e6)
    with h5py.File(tmp_path / "scan.h5") as file:
        data = file["data"]
        assert data.nbytes >= 5e6
        assert data.shape[:2] == scan == (6, 32)
        np.testing.assert_array_equal(data[:2], data[4:])
        assert 1500 < data[0, 0].sum() < 2500
    assert (tmp_path / "scan.h5").stat().st_size < data_bytes(scan) / 3
    assert [f.name for f in tmp_path.iterdir()] == ["scan.h5"]


def data_bytes(scan: tuple[int, int]) -> int:
    return scan[0] * scan[1] * 128 * 128 * 2


def test_no_two_spectra_of_the_large_scan_are_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectroscopy_memory, "COLUMNS", 4)
    monkeypatch.setattr(spectroscopy_memory, "STEPS", 5)
    case, count = spectroscopy_memory.large_scan(tmp_path / "scan.h5", size=3 * 4 * 5 * 165 * 8)
    assert (case, count) == ("scan of 3 x 4 x 5 spectra, 0.0 GB", 60)
    spectra = open_spectra(tmp_path / "scan.h5")
    assert spectra.data.shape == (3, 4, 5, 165)
    assert len(np.unique(np.asarray(spectra.data[:])[..., 0])) == 60


def test_a_command_is_watched_with_its_children() -> None:
    child = "x = bytearray(60_000_000); import time; time.sleep(0.5)"
    parent = f"import subprocess, sys; x = bytearray(60_000_000); subprocess.run([sys.executable, '-c', {child!r}])"
    usage = watch([sys.executable, "-c", parent])
    assert 120e6 < usage.memory < 250e6
    assert usage.wall > 0.5


def test_a_failing_command_is_an_error_and_a_slow_one_is_stopped() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        watch([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(subprocess.CalledProcessError):
        watch([sys.executable, "-c", "import time; time.sleep(60)"], time_limit=0.3)
