"""Detectors that a person draws: summed while the probe scans, given to whoever saves the maps of a series."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core.errors import OptionError
from parscope.core.stream import Fate, Series
from parscope.live.kernels.contract import Output
from parscope.live.kernels.discs import ring
from parscope.live.pipeline.analysis import analyser_of
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.board import Board
from parscope.live.pipeline.engine import Engine
from parscope.live.pipeline.ring import Ring as MessageRing
from parscope.live.wire.encode import end_message, image_message, start_message
from parscope.serve.live.feed import command
from parscope.serve.live.hub import Hub
from parscope.serve.live.messages import Kind, unpack
from parscope.serve.live.patterns import RingPatterns
from parscope.serve.live.server import PageServer
from tests.serve.live.test_feed import watched
from tests.serve.scene import DETECTOR, OUTPUTS, SCAN, Desk, pattern, scene


def test_detectors_that_are_drawn_are_summed_over_while_patterns_are_kept() -> None:
    with scene() as shown:
        hub, feed = watched(shown, Desk())
        shown.begin()
        shown.lines(0, 20)
        feed.news()
        told = command(hub, "masks", [RING])
        assert told == (
            "In use, and saved with the maps of this series if those are. "
            "To have them in rules, next time: --analyse vd1=ring:3,4,1,5"
        )
        shown.lines(20, 26, {(21, 2): Fate.LOST})
        sums, fates = np.full(SCAN, np.nan, np.float32), np.zeros(SCAN, np.uint8)
        for _ in range(2000):
            for kind, text, rest in map(unpack, feed.news()):
                if kind == Kind.HELLO:
                    assert text["maps"][0]["name"] == "vd1.counts"
                if kind == Kind.LINES and text["first"] == len(OUTPUTS) + 1:
                    size = len(text["rows"]) * SCAN[1]
                    sums[text["rows"]] = np.frombuffer(rest, "<f4", size).reshape(-1, SCAN[1])
                    fates[text["rows"]] = np.frombuffer(rest, np.uint8, offset=4 * size).reshape(-1, SCAN[1])
            if (fates[:26] == Fate.ANSWERED).sum() == 26 * SCAN[1] - 1:
                break
        area = ring(DETECTOR, (3, 4), 1, 5)
        expected = [[pattern(y, x)[area].sum() for x in range(SCAN[1])] for y in range(24)]
        expected[21][2] = np.nan
        np.testing.assert_array_equal(sums[:24], expected)
        output, values, spelled = hub.drawn_of(1)["vd1.counts"]
        assert (output, spelled) == (Output("vd1.counts", "counts", "virtual detector vd1"), "vd1=ring:3,4,1,5")
        np.testing.assert_array_equal(values, sums.ravel())
        assert np.isnan(sums[24:]).all() and fates[21, 2] == Fate.LOST
        shown.begin(13)
        assert unpack(feed.news()[0])[1]["maps"][0]["name"] == "vd1.counts"
        assert command(hub, "masks", []) == "No detector is in use."
        assert unpack(feed.news()[0])[1]["maps"][0]["name"] == "com.y"
        with pytest.raises(OptionError, match="no patterns are kept"):
            command(Hub(shown.board, Desk()), "masks", [RING])
        with pytest.raises(OptionError, match="are 9, more than 8"):
            command(hub, "masks", [{**RING, "name": f"vd{n}"} for n in range(9)])


RING = {"name": "vd1", "y": 3, "x": 4, "inner": 1, "outer": 5}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ([RING, RING], "masks: two have one name; give every detector its own"),
        ([{**RING, "inner": 6}], "vd1: has no area; draw it with an outer radius above the inner one"),
        ([{**RING, "y": float("nan")}], "vd1: has no area"),
        ([{**RING, "name": "a-b"}], "'a-b': no name for a map"),
        ([{"name": "vd1"}], "masks: cannot be read; give a list with name, y, x, inner and outer"),
        (None, "masks: cannot be read"),
        ([3], "masks: cannot be read"),
    ],
)
def test_detectors_that_are_none_are_refused_in_one_line(given: object, line: str) -> None:
    with scene() as shown:
        hub, _ = watched(shown, Desk())
        with pytest.raises(OptionError) as caught:
            command(hub, "masks", given)
        assert str(caught.value).startswith(line)


def test_the_name_of_another_map_is_refused() -> None:
    with scene() as shown:
        hub, _ = watched(shown, Desk())
        with pytest.raises(OptionError, match="bf: is the name of another map; give the detector its own"):
            command(hub, "masks", [{**RING, "name": "bf"}])


class Kept:
    """Keeps patterns as long as it is told to."""

    def __init__(self) -> None:
        self.open = True

    def __call__(self, position: int, _generation: int | None = None) -> NDArray[Any] | None:
        return pattern(*divmod(position, SCAN[1])) if self.open else None


def test_they_are_summed_over_also_while_no_page_is_open() -> None:
    with scene() as shown:
        kept = Kept()
        hub = Hub(shown.board, Desk(), kept)
        with PageServer(hub, 0):
            shown.begin()
            command(hub, "masks", [RING])
            shown.lines(0, 2)
            end = time.monotonic() + 20
            while hub.parts[2][1].fate[:2].sum() < 2 * SCAN[1] * Fate.ANSWERED:
                assert time.monotonic() < end
                time.sleep(0.01)
            kept.open = False
            shown.lines(2, 3)
            values = hub.drawn_of(1)["vd1.counts"][1].reshape(SCAN)
    assert np.isfinite(values[:2]).all() and np.isnan(values[2:]).all()


class ThreeSeries:
    """A detector that sends three series of 3 x 4 patterns; one pattern of each is lost."""

    name = "series"

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        for number in (7, 8, 9):
            told = Series(number, "", 12, DETECTOR, "uint8", ("c",), metadata={"user_data": {"scan_shape": (3, 4)}})
            images = [bytes(image_message(told, n, {"c": pattern(number, n)})) for n in range(12) if n != number % 7]
            self.waiting += [bytes(start_message(told)), *images, bytes(end_message(told))]

    def open(self) -> None: ...

    def close(self) -> None: ...

    def receive(self, wait: float) -> memoryview | None:
        if not self.waiting:
            raise EOFError
        return memoryview(self.waiting.pop(0))


@pytest.fixture
def session() -> Iterator[tuple[Board, MessageRing, ThreeSeries, Engine]]:
    analyser = analyser_of(["sum"])
    board, ring = Board.create(12, analyser.outputs, DETECTOR), MessageRing.create(1 << 20)
    source = ThreeSeries()
    yield board, ring, source, Engine.of(source, ring, board, analyser, Policy())
    ring.close()
    board.close()


def test_those_of_the_series_before_are_completed_when_they_are_asked_for(
    session: tuple[Board, MessageRing, ThreeSeries, Engine],
) -> None:
    board, ring_of, source, engine = session
    patterns = RingPatterns(board, ring_of.name)
    hub = Hub(board, Desk(), patterns)
    assert hub.drawn_of(0) == {}
    told = command(hub, "masks", [RING])  # before the first series
    assert told.endswith("--analyse vd1=ring:3,4,1,5")
    third = source.waiting[26:]
    del source.waiting[26:]
    engine.run()
    assert board.generation == 2
    area = ring(DETECTOR, (3, 4), 1, 5)
    for generation, number in ((1, 7), (2, 8)):  # nobody has looked meanwhile
        _, values, _ = hub.drawn_of(generation)["vd1.counts"]
        expected = [pattern(number, n)[area].sum() if n != number % 7 else np.nan for n in range(12)]
        np.testing.assert_array_equal(values, np.array(expected, np.float32))
    assert hub.drawn_of(3) == {} and len(third) == 13
    board.begin({"series": 9}, (3, 4))
    assert hub.drawn_of(1) == {} and hub.drawn_of(2).keys() == {"vd1.counts"}
    patterns.close()
    assert patterns(0, 2) is None
