"""Strain maps against the truth: errors, their claims, and why positions have no value."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import LocalCluster

from parscope.core.frames import Frames
from parscope.core.solver import Status
from parscope.techniques.diffraction.simulate import Detector, ScanDesign, simulate
from parscope.workflows.demo import compare
from parscope.workflows.simulate import simulate_scan, truth_dataset
from parscope.workflows.strain import map_strain

EXAMPLE = Path(__file__).parents[2] / "examples" / "strain.py"


def mapped(design: ScanDesign, **settings: Any) -> tuple[xr.Dataset, xr.Dataset]:
    simulation = simulate(design)
    return map_strain(Frames.from_array(simulation.rows(0, design.scan[0])), **settings), truth_dataset(simulation)


def test_errors_are_those_that_are_claimed() -> None:
    result, truth = mapped(ScanDesign(scan=(30, 30), electrons=1000.0, max_strain=0.01).sized((64, 64)))
    assert (result.status == Status.OK).mean() > 0.995
    for score in compare(result, truth):
        assert 0.85 < score.spread < 1.15
        assert score.error < 1.15 * score.claimed
        assert score.limit < score.claimed < 1.3 * score.limit


def test_vacuum_has_no_value_and_a_second_lattice_is_told() -> None:
    design = ScanDesign(scan=(20, 20), electrons=10000.0, vacuum=0.2, overlap=0.2, detector=Detector(hot=4, dead=4))
    result, truth = mapped(design)
    status, vacuum = result.status.values, truth.grain.values < 0
    second = truth.share.values > 0
    assert (status[vacuum] == Status.VACUUM).mean() > 0.95
    told = (status == Status.SECOND_LATTICE) | (result.second_share.values > 0)
    assert told[second].mean() > 0.95
    assert told[~vacuum & ~second].mean() < 0.03
    assert (status[~vacuum & ~second] == Status.OK).mean() > 0.97
    assert np.isnan(result.e_xx.values[status != Status.OK]).all()


def test_what_was_never_recorded_has_no_value_and_changes_no_other() -> None:
    simulation = simulate(ScanDesign(scan=(12, 12), electrons=3000.0).sized((64, 64)))
    patterns = np.minimum(simulation.rows(0, 12), 254).astype(np.uint8)
    holed = patterns.copy()
    holes = np.random.default_rng(2).random((12, 12)) < 0.2
    holed[holes] = 255
    result = map_strain(Frames.from_array(holed))
    assert (result.status.values[holes] == Status.UNREADABLE).all()
    assert (result.status.values[~holes] == Status.OK).mean() > 0.95
    assert np.isnan(result.e_xx.values[holes]).all()
    whole = map_strain(Frames.from_array(patterns))
    both = ~holes & (whole.status.values == Status.OK) & (result.status.values == Status.OK)
    assert np.abs((result.e_xx - whole.e_xx).values[both]).std() < float(np.nanmedian(whole.e_xx_std))


def readout(counts: Any) -> Any:
    return 30.0 * counts + np.random.default_rng(3).normal(500.0, 20.0, counts.shape)


@pytest.mark.parametrize(
    ("changes", "detector"),
    [({"descan": 5.0}, None), ({"vacuum": 0.5}, None), ({}, readout), ({}, lambda counts: counts * 1e-7)],
    ids=["descan", "half in vacuum", "dark offset", "normalised"],
)
def test_nothing_need_be_said_of_microscope_and_detector(changes: dict[str, Any], detector: Any) -> None:
    design = ScanDesign(scan=(16, 24), electrons=3000.0, contrast=0.0, **changes).sized((64, 64))
    design = replace(design, descan=design.descan * 2)
    simulation = simulate(design)
    counts = simulation.rows(0, 16)
    result = map_strain(Frames.from_array(counts if detector is None else detector(counts)), pool=1)
    truth = truth_dataset(simulation)
    crystal = truth.grain.values >= 0
    assert (result.status.values[crystal] == Status.OK).mean() > 0.98
    assert (result.status.values[~crystal] == Status.VACUUM).all()
    for score in compare(result, truth):
        assert 0.85 < score.spread < 1.15


@pytest.mark.parametrize("scan", [(1, 40), (2, 2)], ids=["line", "four patterns"])
def test_small_scans_are_mapped(scan: tuple[int, int]) -> None:
    result, _ = mapped(ScanDesign(scan=scan, electrons=3000.0).sized((64, 64)), pool=1)
    assert (result.status == Status.OK).all()
    assert np.isfinite(result.e_xx_std.values).all()


def test_workers_of_a_cluster_find_the_same_to_the_last_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = simulate_scan(tmp_path / "scan.h5", ScanDesign(scan=(6, 8), electrons=3000.0).sized((64, 64)))
    monkeypatch.setattr("parscope.workflows.strain.block._BLOCK_BYTES", 2 * 8 * 64 * 64 * 2)
    alone = map_strain(scan)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        together = map_strain(scan, dask=cluster.scheduler_address)
    for name in alone.data_vars:
        np.testing.assert_array_equal(alone[name], together[name])


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLE))
    said = capsys.readouterr().out
    assert "vacuum: the direct beam only" in said and "zero strain: rows" in said
    assert {path.name for path in tmp_path.iterdir()} == {"scan.h5", "scan.truth.nc", "strain.nc", "strain.png"}
