"""A live scan in a real RunEngine."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.plans import fly
from bluesky.utils import FailedStatus

from parscope.core.errors import InputError, MissingExtraError
from parscope.core.stream import Fate
from parscope.live.kernels import Output
from parscope.live.pipeline.board import Bank, Board, cell_of
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.sinks.bluesky import LiveScan
from parscope.live.sources.address import Wishes

OUTPUTS = (Output("com.y", "px", "centre of mass"), Output("bf.counts", "counts", "bright field"))
FINISHED = cell_of("finished")


class Scan:
    """A scan of 2 x 3 positions that `arm` writes to a board from a thread, as the frame loop does, with one hole."""

    def __init__(self) -> None:
        self.board = Board.create(12, OUTPUTS, (8, 8))
        for series in (1, 2):  # those before
            self.board.begin({"series": series}, (3, 4))
            self.board.cells[FINISHED] = series
        self.thread = threading.Thread(target=self.fill)

    def arm(self) -> None:
        self.thread.start()

    def begin(self) -> Bank:
        return self.board.begin({"series": 3}, (2, 3))

    def fill(self) -> None:
        bank = self.begin()
        for position in range(6):
            if position == 4:
                bank.fate[position] = Fate.LOST
            else:
                bank.values[position] = (position, 10 * position)
                bank.fate[position] = Fate.ANSWERED
        self.board.cells[FINISHED] = 3


@pytest.fixture
def scan() -> Iterator[Scan]:
    made = Scan()
    yield made
    made.board.close()


@pytest.fixture
def engine() -> Any:
    made = RunEngine({}, call_returns_result=True)
    yield made
    made.loop.call_soon_threadsafe(made.loop.stop)
    made._th.join()
    made.loop.close()


def told_by(documents: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Data of all events, of which several may come in one page."""
    events = [document["data"] for name, document in documents if name == "event"]
    for name, document in documents:
        if name == "event_page":
            events += [
                {key: values[i] for key, values in document["data"].items()} for i in range(len(document["seq_num"]))
            ]
    return events


def test_a_plan_flies_a_scan_and_gets_its_maps_line_by_line(engine: Any, scan: Scan) -> None:
    documents: list[tuple[str, dict[str, Any]]] = []
    device = LiveScan("stem", scan.board, start=scan.arm)
    engine(fly([device]), lambda name, document: documents.append((name, document)))
    scan.thread.join()
    (descriptor,) = [document for name, document in documents if name == "descriptor"]
    assert descriptor["data_keys"]["stem-com-y"]["units"] == "px"
    assert descriptor["data_keys"]["stem-com-y"]["shape"] == [3]
    events = told_by(documents)
    assert [event["stem-line"] for event in events] == [0, 1]
    np.testing.assert_array_equal(events[0]["stem-bf-counts"], [0, 10, 20])
    np.testing.assert_array_equal(events[1]["stem-com-y"], [3, np.nan, 5])
    np.testing.assert_array_equal(events[1]["stem-fate"], [Fate.ANSWERED, Fate.LOST, Fate.ANSWERED])
    assert documents[-1][1]["exit_status"] == "success"


def test_a_plan_flies_a_scan_that_a_session_analyses(engine: Any) -> None:
    documents: list[tuple[str, dict[str, Any]]] = []
    orders = Orders("physics:32x32", ("sum", "bf:15,15,6"), Wishes(scan=(3, 5), rate=10, series=100))
    with Session(orders) as session:
        engine(fly([LiveScan("stem", session.board)]), lambda name, document: documents.append((name, document)))
    (descriptor,) = [document for name, document in documents if name == "descriptor"]
    assert descriptor["data_keys"]["stem-bf-counts"]["shape"] == [5]
    events = told_by(documents)
    assert [event["stem-line"] for event in events] == [0, 1, 2]
    assert all((np.asarray(event["stem-fate"]) == Fate.ANSWERED).all() for event in events)
    inside = [(np.asarray(event["stem-bf-counts"]) / np.asarray(event["stem-sum-counts"])) for event in events]
    assert 0 < np.min(inside) < np.max(inside) < 1
    assert documents[-1][1]["exit_status"] == "success"


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, scan: Scan) -> None:
    monkeypatch.setitem(sys.modules, "ophyd_async.core", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'parscope\[bluesky\]'"):
        LiveScan("stem", scan.board).kickoff()


def test_a_scan_that_does_not_begin_fails_the_plan(engine: Any, scan: Scan) -> None:
    with pytest.raises(FailedStatus) as raised:
        engine(fly([LiveScan("stem", scan.board, patience=0.05)]))
    assert "no series began within 0.05 s; start the scan" in str(raised.value.__cause__)


def test_a_scan_that_stands_still_fails_the_plan(engine: Any, scan: Scan) -> None:
    with pytest.raises(FailedStatus) as raised:
        engine(fly([LiveScan("stem", scan.board, start=scan.begin, patience=0.05)]))
    assert "no pattern came for 0.05 s" in str(raised.value.__cause__)


def test_maps_whose_place_was_taken_are_said_to_be_lost(scan: Scan) -> None:
    device = LiveScan("stem", scan.board)
    assert len(list(device.collect())) == 3
    for _ in range(2):
        scan.begin()
    with pytest.raises(InputError, match="stem: its maps are lost: the next series came too soon; collect at once"):
        list(device.collect())
    empty = Board.create(12, OUTPUTS, (8, 8))
    with pytest.raises(InputError, match="stem: no series has begun; kick it off before"):
        LiveScan("stem", empty).describe_collect()
    empty.close()
