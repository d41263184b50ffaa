"""The page beside a real frame loop: patterns from its ring, values of its kernels, commands to its rules."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from parscope.core.errors import OptionError, OutputError, ParscopeError
from parscope.core.stream import Fate, Series
from parscope.live.kernels.discs import Disc, Ring
from parscope.live.pipeline.analysis import analyser_of
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.board import Board
from parscope.live.pipeline.engine import Engine
from parscope.live.pipeline.ring import Ring as MessageRing
from parscope.live.rules.actuator import Actuator
from parscope.live.rules.decider import Decider
from parscope.live.rules.journal import Journal
from parscope.live.rules.text import parse
from parscope.live.sinks.udp import UdpSink
from parscope.live.wire.encode import end_message, image_message, start_message
from parscope.serve.live.contract import Control, VirtualDetector
from parscope.serve.live.desk import Listener, Remote
from parscope.serve.live.feed import Feed
from parscope.serve.live.hub import Hub
from parscope.serve.live.messages import Kind, unpack
from parscope.serve.live.patterns import RingPatterns
from parscope.serve.live.tail import JournalTail
from tests.serve.scene import pattern

SCAN = (4, 6)
RULE = "when sum.counts > 0 : send udp://127.0.0.1:{port}"
SERIES = Series(
    7,
    "unique",
    24,
    (48, 48),
    "uint8",
    ("threshold_1",),
    metadata={"user_data": {"scan_shape": SCAN, "step_nm": [2, 3]}},
)


def images() -> list[np.ndarray]:
    return [pattern(*divmod(image, SCAN[1])) for image in range(24)]


class Messages:
    """A detector whose patterns all wait already; image 5 is lost, 6 is damaged."""

    name = "messages"

    def __init__(self, holes: bool = True) -> None:
        made = [bytes(image_message(SERIES, n, {"threshold_1": one})) for n, one in enumerate(images())]
        if holes:
            made[6] = made[6][: len(made[6]) - 40] + bytes(40)
            del made[5]
        self._waiting = [bytes(start_message(SERIES)), *made, bytes(end_message(SERIES))]

    def open(self) -> None: ...

    def close(self) -> None: ...

    def receive(self, wait: float) -> memoryview | None:
        if not self._waiting:
            raise EOFError
        return memoryview(self._waiting.pop(0))


@pytest.fixture
def session() -> Iterator[tuple[Board, MessageRing, Engine]]:
    analyser = analyser_of(["com", "sum"])
    board, ring = Board.create(24, analyser.outputs, (48, 48)), MessageRing.create(1 << 20)
    yield board, ring, Engine.of(Messages(), ring, board, analyser, Policy())
    ring.close()
    board.close()


def test_maps_and_patterns_of_a_real_session(session: tuple[Board, MessageRing, Engine]) -> None:
    board, ring, engine = session
    patterns = RingPatterns(board, ring.name)
    assert patterns(0) is None
    engine.run()
    feed = Feed(Hub(board, patterns=patterns))
    told = [unpack(message) for message in feed.news()]
    assert told[0][1]["step_nm"] == [2.0, 3.0] and told[0][1]["scan"] == list(SCAN)
    state = told[-1][1]
    assert (state["phase"], state["series"], state["done"]) == ("finished", 7, 24)
    assert state["fates"] == {"waiting": 0, "answered": 22, "skipped": 0, "lost": 1, "damaged": 1}
    text, rest = next((text, rest) for kind, text, rest in told if kind == Kind.LINES)
    values = np.frombuffer(rest, "<f4", 3 * 24).reshape(3, 24)
    valid = np.where(np.array(images()) == 255, 0, np.array(images())).sum((1, 2)).astype(float)
    valid[[5, 6]] = np.nan
    np.testing.assert_array_equal(values[2], valid)
    fates = np.frombuffer(rest, np.uint8, offset=4 * 3 * 24)
    assert text["columns"] == 3 and [fates[5], fates[6]] == [Fate.LOST, Fate.DAMAGED]
    for image in (0, 7, 23):
        np.testing.assert_array_equal(patterns(image), images()[image])
    assert patterns(5) is None and patterns(6) is None and patterns(24) is None and patterns(-1) is None
    (answer,) = feed.answer(json.dumps({"pattern": [1, 1]}))
    counts = np.frombuffer(unpack(answer)[2], "<f4").reshape(48, 48)
    assert np.isnan(counts[40, 7]) and counts[0, 0] == images()[7][0, 0]
    patterns.close()


def test_detectors_become_kernels() -> None:
    assert VirtualDetector("a", 1.0, 2.0, 0.0, 3.0).kernel == Disc("a", (1.0, 2.0), 3.0)
    assert VirtualDetector("a", 1.0, 2.0, 1.0, 3.0).kernel == Ring("a", (1.0, 2.0), 1.0, 3.0)


class Loop:
    """A frame loop that does nothing but listen, in a thread."""

    def __init__(self, listener: Listener) -> None:
        self._listener, self._over = listener, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(0.002):
            self._listener.poll()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_commands_reach_the_frame_loop_and_decisions_the_page(tmp_path: Path) -> None:
    analyser = analyser_of(["sum"])
    board = Board.create(24, analyser.outputs, (48, 48))
    decider = Decider([parse(RULE.format(port=9))], analyser.outputs)
    address = decider.addresses[0]
    path = tmp_path / "journal.jsonl"
    actuator = Actuator(decider, {address: UdpSink(address)}, Journal(path, pause=0.001))
    actuator.open()
    here, there = multiprocessing.Pipe()
    drawn = []
    remote = Remote(board, here, JournalTail(path))
    assert isinstance(remote, Control)
    actuator.begin(1, SCAN)

    def step(position: int) -> None:
        actuator.step(position, np.array([5.0]), 1000 * position, 1000 * position + 40_000, position)

    with Loop(Listener(there, actuator, lambda given: drawn.append(given) or "From the next series on.")):
        step(0)
        assert not remote.armed
        assert remote.arm() == "Armed from the next pattern on."
        assert remote.armed and decider.armed
        step(7)
        assert remote.disarm() == "Disarmed from the next pattern on." and not decider.armed
        step(8)
        ring = VirtualDetector("vd1", 3.0, 4.0, 1.0, 5.0)
        assert remote.set_masks((ring,)) == "From the next series on." and drawn == [(ring,)]
    actuator.close()
    assert remote.rules() == [{"text": decider.rules[0].text, "fired": 3, "held": 0}]
    newest = remote.journal(2)
    assert [entry["position"] for entry in newest] == [[1, 2], [1, 1]]
    assert [entry["outcome"] for entry in newest] == ["would have sent", "sent"]
    assert newest[0]["latency_us"] == pytest.approx(40.0)
    assert not remote.armed
    assert remote.running and remote.stop() == "Stopped; the report is being written." and board.stopping
    with pytest.raises(OptionError, match="start another"):
        remote.start()
    board.close()


def test_commands_that_cannot_be_done_say_so_in_one_line() -> None:
    board = Board.create(4, (), (8, 8))
    here, there = multiprocessing.Pipe()
    remote = Remote(board, here, patience=-1.0)
    with pytest.raises(OutputError, match="frame loop: does not answer, and has not done it"):
        remote.arm()
    remote = Remote(board, here)
    with Loop(Listener(there)):
        with pytest.raises(ParscopeError) as caught:
            remote.arm()
        assert str(caught.value) == "rules: there are none; give them with --rule"
        with pytest.raises(ParscopeError, match="detectors: cannot be changed while this session runs"):
            remote.set_masks(())
    there.close()
    with pytest.raises(OutputError, match="session: has ended"):
        remote.disarm()
    assert remote.rules() == [] and remote.journal(3) == []
    board.close()


def test_a_journal_is_followed_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    tail = JournalTail(path)
    tail.follow()
    assert tail.rules() == [] and tail.last(3) == []
    rules = json.dumps({"t": "rules", "rules": [{"name": "r1", "text": "when a > 1: send udp://b:1"}]})
    decision = {"t": "decision", "name": "r1", "y": 2, "x": 3, "emitted": 0, "decided": 9000, "received": 1000}
    decision |= {"fault": "", "outcome": "limited", "armed": True}
    with path.open("w") as file:
        file.write(rules + "\nbroken\n3\n" + json.dumps({"t": "decision"}) + "\n" + json.dumps(decision)[:30])
        file.flush()
        tail.follow()
        assert tail.rules()[0]["fired"] == 0
        file.write(json.dumps(decision)[30:] + "\n" + json.dumps({"t": "switch", "armed": True}) + "\n")
        file.flush()
        tail.follow()
    assert tail.rules() == [{"text": "when a > 1: send udp://b:1", "fired": 1, "held": 1}]
    told = {"position": [2, 3], "rule": "r1", "outcome": "held back: limit reached", "latency_us": 8.0}
    assert tail.last(5) == [told] and tail.last(0) == [] and tail.armed


def test_a_command_that_comes_too_late_is_not_done() -> None:
    board = Board.create(4, (), (8, 8))
    decider = Decider([], ())
    here, there = multiprocessing.Pipe()
    with pytest.raises(OutputError):
        Remote(board, here, patience=-1.0).arm()
    Listener(there, Actuator(decider, {})).poll()
    assert not decider.armed and not here.poll()
    board.close()
