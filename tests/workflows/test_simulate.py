"""Simulated scans in files: what is read back is what was drawn, and the truth lies beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from parscope.core.errors import OptionError, OutputError
from parscope.io import open_frames
from parscope.techniques.diffraction.lattice import strain
from parscope.techniques.diffraction.simulate import Detector, ScanDesign, simulate
from parscope.workflows.simulate import simulate_scan, truth_dataset, truth_path

SMALL = ScanDesign(scan=(3, 4)).sized((32, 32))
FILES = ["scan.npy", "scan.npz", "scan.h5", "scan.emd", "scan.nxs", "scan.zarr", "scan.mib", "scan_master.h5"]


@pytest.mark.parametrize("name", FILES)
def test_scan_is_read_back_as_it_was_drawn(tmp_path: Path, name: str) -> None:
    made = simulate_scan(tmp_path / name, SMALL)
    np.testing.assert_array_equal(np.asarray(open_frames(made).data[:]), simulate(SMALL).rows(0, 3))
    assert truth_path(made).exists()


def test_analogue_scan_is_read_back_as_it_was_drawn(tmp_path: Path) -> None:
    design = ScanDesign(scan=(2, 2), detector=Detector("float32", gain=12.0, readout=1.0))
    made = simulate_scan(tmp_path / "scan.raw", design)
    np.testing.assert_array_equal(np.asarray(open_frames(made).data[:]), simulate(design).rows(0, 2))


def test_truth_has_units_and_is_that_of_the_simulation(tmp_path: Path) -> None:
    simulate_scan(tmp_path / "scan.npy", SMALL)
    known = simulate(SMALL).truth
    with xr.open_dataset(tmp_path / "scan.truth.nc", engine="h5netcdf") as truth:
        np.testing.assert_array_equal(truth.e_xx, known.e_xx)
        np.testing.assert_array_equal(truth.position, known.positions)
        affine = np.stack([truth[f"A_{k}"] for k in ("yy", "yx", "xy", "xx")], -1).reshape(3, 4, 2, 2)
        np.testing.assert_allclose(strain(affine)[..., 3], truth.rotation, atol=1e-12)
        assert truth.rotation.units == "rad"
        assert truth.crystal_rotation.units == "rad"
        assert all("units" in variable.attrs for variable in truth.data_vars.values())
        assert truth.reference.values.astype(bool).tolist() == known.reference.tolist()
        assert json.loads(truth.attrs["design"])["electrons"] == 1000


def test_progress_counts_rows_to_the_end(tmp_path: Path) -> None:
    seen = []
    simulate_scan(
        tmp_path / "scan.npy", ScanDesign(scan=(5, 300)), progress=lambda done, rows: seen.append((done, rows))
    )
    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "scan.npy"
    simulate_scan(path, SMALL)
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"scan\.npy: exists already"):
        simulate_scan(path, ScanDesign(scan=(2, 2)))
    path.unlink()
    with pytest.raises(OutputError, match=r"scan\.truth\.nc: exists already"):
        simulate_scan(path, SMALL)
    assert not path.exists()
    simulate_scan(path, SMALL, overwrite=True)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scan.npy", "scan.truth.nc"]


def test_unknown_and_unfit_formats_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="names no format"):
        simulate_scan(tmp_path / "scan.jpg", SMALL)
    with pytest.raises(OptionError, match="'tape'"):
        simulate_scan(tmp_path / "scan.npy", SMALL, format="tape")
    with pytest.raises(OutputError):
        simulate_scan(tmp_path / "scan_master.h5", ScanDesign(scan=(2, 2), detector=Detector("float32")))
    assert list(tmp_path.iterdir()) == []


def test_truth_of_a_polycrystal_names_grains_and_boundaries() -> None:
    truth = truth_dataset(simulate(ScanDesign(scan=(12, 12), grains=4, vacuum=0.1)))
    assert set(np.unique(truth.grain)) == {-1, 0, 1, 2, 3}
    assert truth.share.max() <= 0.5
    assert np.isnan(truth.e_xx.values[truth.grain.values == -1]).all()
