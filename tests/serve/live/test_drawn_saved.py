"""What is drawn on the page of a session is in the files of the session."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

import numpy as np
import xarray as xr

from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.sources.address import Wishes
from parscope.serve.live.session import page_of


def test_a_detector_that_is_drawn_in_mid_scan_is_saved_with_the_maps(tmp_path: Path) -> None:
    array = np.random.default_rng(3).poisson(4, (10, 20, 16, 16)).astype(np.uint16)
    np.save(tmp_path / "scan.npy", array)
    orders = Orders(f"replay:{tmp_path / 'scan.npy'}", ("sum",), Wishes(rate=100), folder=tmp_path / "out")
    drawn = [{"name": "vd1", "y": 8, "x": 7, "inner": 2, "outer": 5}]
    with Session(orders) as session, page_of(session, 0) as server:
        while session.board.counters["answered"] < 20:
            assert session.turn()
            time.sleep(0.01)
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}/control/masks",
            json.dumps(drawn).encode(),
            {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        session.run()
    y, x = np.ogrid[:16, :16]
    distance = np.hypot(y - 8, x - 7)
    with xr.open_zarr(session.finished[0].saved) as maps:
        assert maps["vd1.counts"].attrs["detector"] == "vd1=ring:8,7,2,5"
        np.testing.assert_array_equal(
            maps["vd1.counts"].values, array[:, :, (distance > 2) & (distance <= 5)].sum(2, dtype=np.float32)
        )
