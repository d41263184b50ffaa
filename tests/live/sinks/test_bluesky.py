"""A live scan in a real RunEngine."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.plans import fly
from bluesky.utils import FailedStatus

from parscope.core.errors import MissingExtraError
from parscope.core.stream import Fate
from parscope.live.kernels import Output
from parscope.live.sinks.bluesky import LiveScan


class Scan:
    """Results of a scan of 2 x 3 positions that `arm` fills from a thread, with one hole."""

    outputs = (Output("com.y", "px", "centre of mass"), Output("bf.counts", "counts", "bright field"))
    scan_shape = (2, 3)

    def __init__(self) -> None:
        self.generation, self.finished = 4, True  # of the series before
        self.values = np.full((6, 2), np.nan, np.float32)
        self.fate = np.zeros(6, np.uint8)
        self.thread = threading.Thread(target=self.fill)

    def arm(self) -> None:
        self.finished = False
        self.thread.start()

    def fill(self) -> None:
        self.generation += 1
        for position in range(6):
            if position == 4:
                self.fate[position] = Fate.LOST
            else:
                self.values[position] = (position, 10 * position)
                self.fate[position] = Fate.ANSWERED
        self.finished = True


@pytest.fixture
def engine() -> Any:
    made = RunEngine({}, call_returns_result=True)
    yield made
    made.loop.call_soon_threadsafe(made.loop.stop)
    made._th.join()
    made.loop.close()


def test_a_plan_flies_a_scan_and_gets_its_maps_line_by_line(engine: Any) -> None:
    scan, documents = Scan(), []
    engine(fly([LiveScan("stem", scan, start=scan.arm)]), lambda name, document: documents.append((name, document)))
    scan.thread.join()
    (descriptor,) = [document for name, document in documents if name == "descriptor"]
    assert descriptor["data_keys"]["stem-com-y"]["units"] == "px"
    assert descriptor["data_keys"]["stem-com-y"]["shape"] == [3]
    events = [document["data"] for name, document in documents if name == "event"]
    for _, document in documents:
        if "data" in document and isinstance(document.get("seq_num"), list):  # several events in one page
            events += [
                {key: values[i] for key, values in document["data"].items()} for i in range(len(document["seq_num"]))
            ]
    assert [event["stem-line"] for event in events] == [0, 1]
    np.testing.assert_array_equal(events[0]["stem-bf-counts"], [0, 10, 20])
    np.testing.assert_array_equal(events[1]["stem-com-y"], [3, np.nan, 5])
    np.testing.assert_array_equal(events[1]["stem-fate"], [Fate.ANSWERED, Fate.LOST, Fate.ANSWERED])
    assert documents[-1][1]["exit_status"] == "success"


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ophyd_async.core", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'parscope\[bluesky\]'"):
        LiveScan("stem", Scan()).kickoff()


def test_a_scan_that_does_not_begin_fails_the_plan(engine: Any) -> None:
    with pytest.raises(FailedStatus) as raised:
        engine(fly([LiveScan("stem", Scan(), patience=0.05)]))
    assert "no series began within 0.05 s; start the scan" in str(raised.value.__cause__)


def test_a_scan_that_stands_still_fails_the_plan(engine: Any) -> None:
    scan = Scan()

    def begin() -> None:
        scan.generation, scan.finished = 5, False

    with pytest.raises(FailedStatus) as raised:
        engine(fly([LiveScan("stem", scan, start=begin, patience=0.05)]))
    assert "no pattern came for 0.05 s" in str(raised.value.__cause__)
