"""From the detector to the catalog, as people do it: two commands, and a browser that watches."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from docs.make_live_figure import ANALYSE, watch
from parscope.cli.main import app
from parscope.io.open import open_frames

SCAN, PLACE = (32, 32), (9, 21)


def test_a_scan_is_watched_recorded_and_found_again(tmp_path: Path) -> None:
    seen = watch(tmp_path, SCAN, 250, PLACE, None)
    assert seen.errors == []
    assert 0.3 < seen.shares[0] < seen.shares[1] < 1
    assert seen.told["report"]["fates"]["answered"] == seen.told["written"] == 1024

    (master,) = seen.told["recorded"]
    counts = np.asarray(open_frames(master).data[PLACE], np.float64)
    y, x = counts.sum(1) @ np.arange(192) / counts.sum(), counts.sum(0) @ np.arange(192) / counts.sum()
    with xr.open_zarr(seen.told["maps"]) as maps:
        here = {name: float(maps[name][PLACE]) for name in maps if name.startswith(tuple(ANALYSE.split(",")))}
    assert (here["com.y"], here["com.x"]) == pytest.approx((y, x), abs=1e-4)
    assert set(seen.values) == {*here, "dpc.angle", "icom"}
    for name, value in here.items():
        number, thousands = re.fullmatch(rf"y {PLACE[0]}, x {PLACE[1]}: (\S+)\s(k?)\s?\w+", seen.values[name]).groups()
        assert float(number.replace("−", "-")) * (1000 if thousands else 1) == pytest.approx(
            value, rel=0.005, abs=0.006
        )

    found = CliRunner().invoke(app, ["find", "--json", 'kind = "4D-STEM"', "--catalog", str(tmp_path / "lab.db")])
    assert [json.loads(line)["document"]["name"] for line in found.stdout.splitlines()] == [Path(master).name]
