"""What is saved of a series is what was on the board, with names, units, provenance and the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from parscope.core.errors import OutputError
from parscope.core.record import Provenance
from parscope.core.stream import Fate
from parscope.live.kernels.contract import Output
from parscope.live.kernels.integrate import integrated
from parscope.live.pipeline.board import Board, cell_of
from parscope.live.pipeline.results import Result, dataset, save
from tests.cli.full_disk import files_up_to

OUTPUTS = (Output("com.y", "px", "centre of mass, y"), Output("bf.counts", "counts", "bright field"))
PROVENANCE = Provenance("out/x_master.h5", "sampled-sha256:00", "0.1", {"analyse": ["com"]})


@pytest.fixture
def board() -> Board:
    made = Board.create(12, OUTPUTS, (8, 8))
    for series in (1, 2):
        bank = made.begin({"series": series, "channel": "threshold_1"}, (3, 4))
        bank.values[:] = np.arange(24).reshape(12, 2) * series
        bank.stamps[:, 0] = 1000 + np.arange(12) * 200_000
        bank.stamps[:, 1:4] = bank.stamps[:, :1] + [[10_000, 40_000, 40_000]]
        bank.fate[:] = Fate.ANSWERED
        bank.fate[5] = Fate.LOST
    yield made
    made.close()


def test_a_result_is_a_copy(board: Board) -> None:
    result = Result.of(board, 1)
    assert result is not None
    board.of(1).values[:] = 0
    assert result.values[11].tolist() == [22, 23]
    assert result.head["series"] == 1
    assert result.report(200_000).fates["lost"] == 1


def test_a_series_whose_place_was_taken_is_gone(board: Board) -> None:
    board.begin({"series": 3}, (3, 4))
    assert Result.of(board, 1) is None
    assert Result.of(board, 2) is not None


def test_maps_are_saved_with_all_that_explains_them(board: Board, tmp_path: Path) -> None:
    result = Result.of(board, 2)
    assert result is not None
    report = result.report(200_000)
    path = save(tmp_path / "new" / "stem", dataset(result, report, PROVENANCE, "pinned"), report.lines())
    with xr.open_zarr(path) as maps:
        assert maps["com.y"].dims == ("y", "x")
        assert maps["bf.counts"].values.tolist() == (np.arange(24).reshape(3, 4, 2)[..., 1] * 2).tolist()
        assert maps["com.y"].attrs == {"units": "px", "long_name": "centre of mass, y"}
        assert maps["fate"].values[1, 1] == Fate.LOST
        assert maps["fate"].attrs["flag_meanings"] == "waiting answered skipped lost damaged filled"
        assert maps["stamps"].sel(stamp="decided").values[0, 0] == 41_000
        assert maps.attrs["source"] == "out/x_master.h5"
        assert json.loads(maps.attrs["latency"])["answer"]["max"] == 40
        assert maps.attrs["realtime"] == "pinned"
    assert (tmp_path / "new" / "stem_report.txt").read_text().startswith("12 positions: 11 answered, 1 lost\n")


def test_deflections_are_saved_with_their_integral_and_drawn_detectors_as_they_were_spelled(tmp_path: Path) -> None:
    pair = (Output("com.y", "px", "centre of mass, y"), Output("com.x", "px", "centre of mass, x"))
    board = Board.create(12, pair, (8, 8))
    bank = board.begin({"series": 1}, (3, 4))
    y, x = np.indices((3, 4)).reshape(2, -1)
    bank.values[:] = np.stack([40 + y * x, 30 + 0.5 * x * x - x * y], axis=1)
    bank.values[5] = np.nan
    bank.tell({"com": {"zero": "corner"}})
    result = Result.of(board, 1)
    board.close()
    assert result is not None
    sums = np.arange(12, dtype=np.float32)
    sums[3] = np.nan
    drawn = {"vd1.counts": (Output("vd1.counts", "counts", "virtual detector vd1"), sums, "vd1=ring:4,4,1,3")}
    made = dataset(result, result.report(1), PROVENANCE, drawn=drawn)
    save(tmp_path / "stem", made, [])
    with xr.open_zarr(tmp_path / "stem_live.zarr") as maps:
        expected = integrated("com", *(result.values[:, k].reshape(3, 4).astype(np.float64) for k in (0, 1)))
        np.testing.assert_array_equal(maps["icom"].values, expected.astype(np.float32))
        assert np.isnan(maps["icom"].values[1, 1]) and np.isfinite(maps["icom"].values).sum() == 11
        assert maps["icom"].attrs["units"] == "px·step"
        assert maps["vd1.counts"].attrs["detector"] == "vd1=ring:4,4,1,3"
        np.testing.assert_array_equal(maps["vd1.counts"].values.ravel(), sums)
        assert json.loads(maps.attrs["found"]) == {"com": {"zero": "corner"}}


def test_counters_of_a_series_are_its_own() -> None:
    board = Board.create(12, OUTPUTS, (8, 8))
    for received, series in ((10, 1), (14, 2), (20, 3)):
        board.begin({"series": series}, (3, 4))
        board.cells[cell_of("received")] += received
        board.cells[cell_of("ring_high_water")] = 1000 * series
        board.cells[cell_of("finished")] = series
    before, last = Result.of(board, 2), Result.of(board, 3)
    board.close()
    assert before is not None and last is not None
    assert (before.counters["received"], last.counters["received"]) == (14, 20)
    assert (before.counters["ring_high_water"], last.counters["ring_high_water"]) == (2000, 3000)


def test_what_is_there_is_not_replaced(board: Board, tmp_path: Path) -> None:
    result = Result.of(board, 2)
    assert result is not None
    report = result.report(200_000)
    made = dataset(result, report, PROVENANCE)
    save(tmp_path / "stem", made, [])
    with pytest.raises(OutputError, match="cannot be written"):
        save(tmp_path / "stem", made, ["another"])
    assert (tmp_path / "stem_report.txt").read_text() == "\n"


def test_a_full_disk_leaves_nothing_half_written(board: Board, tmp_path: Path) -> None:
    result = Result.of(board, 2)
    assert result is not None
    made = dataset(result, result.report(200_000), PROVENANCE)
    with files_up_to(100), pytest.raises(OutputError, match="cannot be written"):
        save(tmp_path / "stem", made, ["x" * 200])
    assert list(tmp_path.iterdir()) == []
