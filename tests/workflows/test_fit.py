"""Spectra become maps with honest errors; stopped, resumed or done elsewhere, they are the same to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

import parscope
from parscope.core.axes import Axis
from parscope.core.errors import InputError, OptionError
from parscope.core.solver import Status
from parscope.core.spectra import Spectra
from parscope.io.usid_write import write_spectra
from parscope.techniques.band_excitation import BandExcitation
from parscope.workflows.fit import map_spectra
from parscope.workflows.fit.block import Plan, Prior

FREQUENCY = np.linspace(280e3, 359e3, 80)
SHAPE = (6, 5)
RNG = np.random.default_rng(3)
TRUTH = np.stack(
    [
        RNG.uniform(310e3, 330e3, 30),
        RNG.uniform(80, 150, 30),
        0.5 * np.cos(0.7) * np.where(np.arange(30) % 2, 1, -1),
        0.5 * np.sin(0.7) * np.where(np.arange(30) % 2, 1, -1),
    ],
    axis=1,
)
NOISE = RNG.normal(size=(2, 30, 80))
SIGNALS = (BandExcitation(FREQUENCY).render(TRUTH) + NOISE[0] + 1j * NOISE[1]).reshape(*SHAPE, 80)
AXES = (Axis("y", 6, "nm", 10.0), Axis("x", 5, "nm", 10.0), Axis.from_values("frequency", FREQUENCY, "Hz"))


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_spectra(tmp_path / "scan.h5", [SIGNALS], AXES)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One spectrum a block, so that a small scan is a long job."""
    monkeypatch.setattr("parscope.workflows.fit.block._BLOCK_BYTES", 1)


def same(one: xr.Dataset, other: xr.Dataset) -> None:
    assert set(one) == set(other)
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name].values, other[name].values)


def test_maps_are_at_the_truth_within_their_errors(scan: Path) -> None:
    maps = parscope.map_spectra(scan, "be-sho")
    assert (maps["status"] == Status.OK).all()
    for k, name in enumerate(("resonance", "quality")):
        away = (maps[name].values.ravel() - TRUTH[:, k]) / maps[f"{name}_std"].values.ravel()
        assert 0.6 < np.sqrt(np.mean(away**2)) < 1.5
    phase = np.arctan2(TRUTH[:, 3], TRUTH[:, 2])
    turned = np.angle(np.exp(1j * (maps["phase"].values.ravel() - phase)))
    assert 0.6 < np.sqrt(np.mean((turned / maps["phase_std"].values.ravel()) ** 2)) < 1.5


def test_a_result_has_units_axes_and_provenance(scan: Path) -> None:
    maps = map_spectra(scan, "be_sho", scan.with_name("maps.nc"))
    with xr.open_dataset(scan.with_name("maps.nc"), engine="h5netcdf", chunks=None) as stored:
        same(stored, maps)
        assert stored["amplitude"].attrs["units"] == "V"
        assert stored["resonance"].attrs["units"] == "Hz"
        assert stored["x"].attrs["units"] == "nm"
        assert '"technique": "be_sho"' in stored.attrs["settings"]
        assert stored.attrs["source_fingerprint"]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("prior", "stopped_in"), [(None, "fit"), ("scan", "fit"), ("neighbours", "survey"), ("neighbours", "fit")]
)
def test_stopped_and_resumed_is_the_same_to_the_last_bit(scan: Path, prior: Prior | None, stopped_in: str) -> None:
    def stop(phase: str, done: int, total: int) -> None:
        if (phase, done) == (stopped_in, 3):
            raise KeyboardInterrupt

    seen: list[tuple[str, int]] = []
    whole = map_spectra(scan, "be-sho", scan.with_name("whole.nc"), prior=prior)
    with pytest.raises(KeyboardInterrupt) as stopped:
        map_spectra(scan, "be-sho", scan.with_name("maps.nc"), prior=prior, progress=stop)
    assert "3 of 30 spectra are kept" in "".join(stopped.value.__notes__)
    resumed = map_spectra(
        scan,
        "be-sho",
        scan.with_name("maps.nc"),
        prior=prior,
        progress=lambda phase, done, _: seen.append((phase, done)),
    )
    assert next(done for phase, done in seen if phase == stopped_in) == 3
    same(resumed, whole)
    assert not list(scan.parent.glob("*.parts"))


@pytest.mark.usefixtures("small_blocks")
def test_other_settings_do_not_take_the_blocks_of_these(scan: Path) -> None:
    def stop(phase: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        map_spectra(scan, "be-sho", scan.with_name("maps.nc"), progress=stop)
    output = scan.with_name("maps.nc")
    map_spectra(scan, "be-sho", output, background=True, progress=lambda _, done, __: seen.append(done))
    assert seen[0] == 0


@pytest.mark.usefixtures("small_blocks")
def test_a_cluster_gives_the_same_to_the_last_bit(scan: Path) -> None:
    distributed = pytest.importorskip("dask.distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as some:
        there = map_spectra(scan, "be-sho", prior="neighbours", dask=some.scheduler_address)
    same(there, map_spectra(scan, "be-sho", prior="neighbours"))


def test_neighbours_need_a_scan() -> None:
    axes = (Axis("bias", 30, "V"), AXES[-1])
    with pytest.raises(OptionError, match="neighbours"):
        map_spectra(Spectra(SIGNALS.reshape(30, 80), axes), "be-sho", prior="neighbours")


def test_one_spectrum_is_a_scan_of_one() -> None:
    maps = map_spectra(Spectra.from_array(SIGNALS[0, 0], FREQUENCY), "be-sho")
    assert maps["resonance"].dims == ("position",)
    assert abs(maps["resonance"].values[0] - TRUTH[0, 0]) < 5 * maps["resonance_std"].values[0]


def test_what_cannot_be_fitted_is_not_a_number() -> None:
    broken = SIGNALS.copy()
    broken[2, 3, 5] = np.nan
    maps = map_spectra(Spectra.from_array(broken, FREQUENCY), "be-sho")
    assert maps["status"].values[2, 3] == Status.BAD_INPUT
    values = [maps[n].values for n in ("amplitude", "resonance", "quality", "phase", "phase_std")]
    assert all(np.isnan(v[2, 3]) and np.isfinite(v).sum() == 29 for v in values)


class Watched:
    """An array that notes how many bytes are read at a time."""

    def __init__(self, data: NDArray[Any]) -> None:
        self.data, self.read = data, [0]
        self.shape, self.dtype = data.shape, data.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        part = self.data[key]
        self.read.append(part.nbytes)
        return part


@pytest.mark.parametrize("prior", [None, "scan", "neighbours"])
@pytest.mark.parametrize("shape", [(1, 30), (2, 15), (3, 2, 5)])
def test_however_long_a_row_is_little_is_read_at_a_time(
    shape: tuple[int, ...], prior: Prior | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 7 * SIGNALS[0, 0].nbytes
    monkeypatch.setattr("parscope.workflows.fit.block._BLOCK_BYTES", limit)
    data = Watched(SIGNALS.reshape(*shape, 80))
    maps = map_spectra(Spectra.from_array(data, FREQUENCY), "be-sho", prior=prior)
    assert limit / 2 < max(data.read) <= limit
    assert maps["resonance"].shape == shape
    if not prior:
        whole = map_spectra(Spectra.from_array(SIGNALS, FREQUENCY), "be-sho")
        np.testing.assert_array_equal(maps["resonance"].values.ravel(), whole["resonance"].values.ravel())


@pytest.mark.parametrize("shape", [(1,), (1, 1_000_000), (4, 500_000), (300, 2, 7), (7, 3, 60_000), (5, 1, 1)])
def test_blocks_are_every_spectrum_once(shape: tuple[int, ...]) -> None:
    data = np.broadcast_to(np.complex128(0), (*shape, 80))
    blocks = Plan(Spectra.from_array(data, FREQUENCY), BandExcitation(FREQUENCY), prior=None).blocks()
    starts, stops = np.array(blocks).T
    assert starts.tolist() == [0, *stops[:-1]] and stops[-1] == np.prod(shape)
    assert (stops - starts).min() > 0 and (stops - starts).max() * 80 * 16 <= 8 << 20
    assert len(blocks) <= 2 * -(-data.nbytes // (8 << 20)) + shape[0]


def test_of_a_damaged_file_only_what_cannot_be_read_is_lost(scan: Path) -> None:
    with h5py.File(scan, "r+") as file:
        channel = file["Measurement_000/Channel_000"]
        told = dict(channel["Raw_Data"].attrs)
        del channel["Raw_Data"]
        raw = channel.create_dataset("Raw_Data", data=SIGNALS.reshape(30, 80), chunks=(2, 80), compression="gzip")
        raw.attrs.update(told)
        chunk = raw.id.get_chunk_info_by_coord((16, 0))
    with scan.open("r+b") as stream:
        stream.seek(chunk.byte_offset)
        stream.write(b"\xff" * chunk.size)
    maps = map_spectra(scan, "be-sho")
    lost = np.flatnonzero(maps["status"].values.ravel() == Status.UNREADABLE)
    assert lost.tolist() == [16, 17]
    assert np.flatnonzero(np.isnan(maps["resonance"].values.ravel())).tolist() == [16, 17]


@pytest.mark.parametrize(
    ("spectra", "word"),
    [
        (Spectra.from_array(SIGNALS, np.arange(80), "channel", "1"), "channels"),
        (Spectra.from_array(SIGNALS.real, FREQUENCY), "complex"),
        (Spectra.from_array(SIGNALS, FREQUENCY, unit="px"), "'px', not in Hz"),
        (Spectra.from_array(SIGNALS, FREQUENCY[::-1]), "rising"),
    ],
)
def test_what_is_not_of_the_technique_is_refused(spectra: Spectra, word: str) -> None:
    with pytest.raises(InputError, match=word):
        map_spectra(spectra, "be-sho")


@pytest.mark.parametrize(("unit", "size"), [("kHz", 1e3), ("MHz", 1e6), ("mHz", 1e-3)])
def test_an_axis_in_another_prefix_of_the_unit_is_converted(unit: str, size: float) -> None:
    maps = map_spectra(Spectra.from_array(SIGNALS, FREQUENCY / size, unit=unit), "be-sho")
    assert maps["resonance"].attrs["units"] == "Hz"
    here = map_spectra(Spectra.from_array(SIGNALS, FREQUENCY), "be-sho")
    away = (maps["resonance"] - here["resonance"]) / here["resonance_std"]
    assert abs(away).max() < 1e-3


def test_maps_of_the_signal_are_in_its_unit() -> None:
    axes = (Axis("y", 6), Axis("x", 5), Axis.from_values("frequency", FREQUENCY, "Hz"))
    maps = map_spectra(Spectra(SIGNALS, axes, unit="pm"), "be-sho", background=True)
    units = {name: maps[name].attrs["units"] for name in ("amplitude", "background_re", "quality", "phase")}
    assert units == {"amplitude": "pm", "background_re": "pm", "quality": "1", "phase": "rad"}


def test_an_option_the_technique_does_not_have_is_refused() -> None:
    with pytest.raises(OptionError, match="has no temperature; it has background, "):
        map_spectra(Spectra.from_array(SIGNALS, FREQUENCY), "be-sho", temperature=300.0)


@pytest.mark.parametrize("technique", ["be-shoe", "diffraction"])
def test_no_such_technique_is_refused(technique: str) -> None:
    with pytest.raises(OptionError, match=technique):
        map_spectra(Spectra.from_array(SIGNALS, FREQUENCY), technique)
