"""The page beside a real frame loop: patterns from its ring, values of its kernels, commands to its rules."""

from __future__ import annotations

import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from parscope.core.errors import OutputError, ParscopeError
from parscope.core.stream import Fate, Series
from parscope.live.kernels.discs import Disc, Ring
from parscope.live.pipeline.analysis import analyser_of
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.board import Board
from parscope.live.pipeline.commands import Commands
from parscope.live.pipeline.engine import Engine
from parscope.live.pipeline.ring import Ring as MessageRing
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.rules.actuator import Actuator
from parscope.live.rules.decider import Decider
from parscope.live.rules.file import RuleSet
from parscope.live.rules.journal import read
from parscope.live.sinks.udp import UdpSink
from parscope.live.sources.address import Wishes
from parscope.live.wire.encode import end_message, image_message, start_message
from parscope.serve.live.contract import Control, VirtualDetector
from parscope.serve.live.feed import Feed
from parscope.serve.live.hub import Hub
from parscope.serve.live.messages import Kind, unpack
from parscope.serve.live.patterns import RingPatterns
from parscope.serve.live.session import SessionControl, page_of
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
    assert state["fates"] == {"waiting": 0, "answered": 22, "skipped": 0, "lost": 1, "damaged": 1, "filled": 0}
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


def test_the_page_of_a_session_arms_it_and_stops_and_starts_its_analysis(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daq:
        daq.bind(("127.0.0.1", 0))
        daq.settimeout(60)
        rules = RuleSet.of_texts([f"{RULE.format(port=daq.getsockname()[1])} else send udp://127.0.0.1:9"])
        orders = Orders("physics:16x16", ("sum",), Wishes(rate=200.0, series=1000), rules=rules, folder=tmp_path)
        with Session(orders) as session, page_of(session, 0) as server:
            control = SessionControl(session)
            assert isinstance(control, Control) and control.running and not control.armed
            token = {"authorization": f"Bearer {server.token}"}

            def command(verb: str) -> str:
                return httpx.post(f"{server.url.split('#')[0]}control/{verb}", headers=token).json()["told"]

            assert command("arm") == "Armed from the next pattern on."
            assert json.loads(daq.recv(2000))["rule"] and control.armed
            assert command("disarm") == "Disarmed from the next pattern on."
            while not {"sent", "would have sent"} <= {entry["outcome"] for entry in control.journal(100)}:
                time.sleep(0.05)
                assert control.rules()[0]["text"] == rules.rules[0].text
            control.arm()
            assert command("stop") == "Stopped: patterns are passed over, and recorded as before."
            assert not control.running and not control.armed
            with pytest.raises(ParscopeError, match="rules: cannot be armed while the analysis is stopped; start it"):
                control.arm()
            answered, skipped = (session.board.counters[name] for name in ("answered", "skipped"))
            while session.board.counters["skipped"] < skipped + 5:
                time.sleep(0.01)
            assert session.board.counters["answered"] == answered
            assert command("start").startswith("Started: ") and control.running and not control.armed
            while session.board.counters["answered"] < answered + 5:
                time.sleep(0.01)
            session.stop()
            assert not control.running
            session.run()
    lines = list(read(next(tmp_path.glob("*_decisions.jsonl"))))
    assert [line["reason"] for line in lines if line["t"] == "watchdog"] == ["the analysis was stopped by hand"]


class Held(Session):
    """A session before its frame loop has begun."""

    def __init__(self, orders: Orders) -> None:
        super().__init__(orders)
        self.desk, self.loop = multiprocessing.Pipe()


@pytest.fixture
def held() -> Iterator[Held]:
    rules = RuleSet.of_texts([RULE.format(port=9)])
    made = Held(Orders("physics:16x16", ("sum",), rules=rules, policy=Policy((4, 4)), buffer=1 << 16))
    yield made
    made.close()


def actuator(dry: bool = False) -> Actuator:
    rules = RuleSet.of_texts([RULE.format(port=9)]).rules
    decider = Decider(rules, analyser_of(["sum"]).outputs, dry=dry)
    return Actuator(decider, {address: UdpSink(address) for address in decider.addresses})


def commands(held: Held, rules: Actuator | None) -> Commands:
    answers = Engine.of(Messages(), held.ring, held.board, analyser_of(["sum"]), Policy((4, 4)), rules).answers
    return Commands(held.loop, held.board, answers, rules)


@contextmanager
def looking(looked: Commands) -> Iterator[None]:
    """A frame loop that does nothing but look for commands."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.002):
            looked.look()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("rules", "line"),
    [(None, "rules: there are none; give them with --rule"), (actuator(dry=True), "")],
    ids=["none", "dry"],
)
def test_what_cannot_be_armed_says_so(held: Held, rules: Actuator | None, line: str) -> None:
    control = SessionControl(held)
    with looking(commands(held, rules)), pytest.raises(ParscopeError) as caught:
        control.arm()
    assert str(caught.value).startswith(line) and not control.armed
    assert "\n" not in str(caught.value)
    assert [rule["text"] for rule in control.rules()] == [held.orders.rules.rules[0].text]
    assert control.journal(3) == []


def test_a_command_that_comes_too_late_is_not_done(held: Held) -> None:
    ruled = actuator()
    control = SessionControl(held, patience=-1.0)
    with pytest.raises(OutputError, match="frame loop: does not answer, and has not done it"):
        control.arm()
    late = commands(held, ruled)
    late.look()
    assert not ruled.armed and not held.desk.poll()
    with looking(late):
        assert SessionControl(held).arm() == "Armed from the next pattern on." and ruled.armed
    held.loop.close()
    with pytest.raises(OutputError, match="session: has ended"):
        SessionControl(held).disarm()


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


def test_messages_that_were_lost_stand_in_the_journal_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    lost = {"t": "sink", "address": "https://b/x", "given": 40, "lost": 12, "fault": "answered 500", "at_ns": 1}
    path.write_text(json.dumps(lost) + "\n")
    tail = JournalTail(path)
    tail.follow()
    (entry,) = tail.last(5)
    assert (entry["rule"], entry["outcome"]) == ("https://b/x", "12 of 40 messages lost: answered 500")
    assert entry["position"] is None and entry["latency_us"] is None
