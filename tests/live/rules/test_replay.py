"""A recorded stream through the same rules gives the same decisions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parscope.core.errors import ShapeError, UnreadableError
from parscope.live.kernels import Output
from parscope.live.rules.actuator import Actuator
from parscope.live.rules.decider import Decider
from parscope.live.rules.decision import Decision
from parscope.live.rules.journal import Journal
from parscope.live.rules.limits import Limits
from parscope.live.rules.replay import Recording, journalled, replay
from parscope.live.rules.text import parse
from parscope.live.sinks.shm import SharedMemorySink

OUTPUTS = (Output("x.a", "px", ""), Output("x.b", "px", ""), Output("s.c", "1", ""))
TEXTS = (
    "when x.a > 0.1 for 2 frames every 3 us within 4 us: send shm://parscope-test-replay else send shm://parscope-test-replay",
    "when abs(x.b) > 1 px or not s.c < 1 % for 2 answered frames within 5 us: send x.a to shm://parscope-test-replay",
    "when x.a != x.b every 1 us: send shm://parscope-test-replay",
)
LIMITS = {"": Limits(per_second=40, per_scan=9, between={"x.a": (-1, 1)}, only_while="x.b > -2")}


def new() -> Decider:
    return Decider([parse(text) for text in TEXTS], OUTPUTS, LIMITS)


def board(seed: int, rows: int = 6, columns: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Order in which patterns are answered, their numbers, and times of reception and decision."""
    random = np.random.default_rng(seed)
    order = np.flatnonzero(random.random(rows * columns) > 0.1)
    for late in random.integers(0, len(order) - 1, 3):
        order[late : late + 2] = order[late : late + 2][::-1]  # some are answered out of order
    values = random.choice([-3.0, 0.1, 0.05, 0.10000001, 2.0, np.nan], (rows * columns, 3)) * random.choice([1, 0.1])
    received = np.cumsum(random.integers(100, 2000, len(order))) + 1
    return order, values, np.stack([received, received + random.integers(0, 8000, len(order)).cumsum() // 8], axis=1)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 47), st.integers(0, 47))
def test_a_replay_of_the_results_decides_as_the_live_run_did(seed: int, arm: int, disarm: int) -> None:
    live, decisions, recordings, start = new(), list[Decision](), list[Recording](), 0
    for series in (3, 4):
        order, values, times = board(seed + series)
        times += start
        start = int(times.max())
        results = np.full((48, 3), np.nan, np.float32)  # as a board keeps them
        stamps = np.zeros((48, 7), np.int64)
        live.begin(series, columns=8)
        for position, (received, now) in zip(order.tolist(), times.tolist(), strict=True):
            if position == arm:
                live.arm()
            if position == disarm:
                live.disarm()
            decisions += live.decide(position, values[position], received, now, position + 1, 5 * position + 1)
            results[position] = values[position]
            stamps[position] = (received, received, now, now + 3000, 0, 5 * position + 1, 0)
        recordings.append(Recording.of_results(series, 8, results, stamps, first_image=1))
    assert replay(new(), recordings, live.switches) == decisions
    assert decisions


def test_a_replay_that_differs_is_seen() -> None:
    order, values, times = board(1)
    recording = Recording(1, 8, order, values[order], times[:, 0], times[:, 1], order, order)
    changed = dataclasses.replace(recording, values=recording.values + 1)
    assert replay(new(), [recording]) != replay(new(), [changed])


def test_a_journal_holds_the_decisions_of_its_last_run(tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    for seed in (1, 2):
        order, values, times = board(seed)
        decider = new()
        sink = SharedMemorySink("shm://parscope-test-replay")
        with Journal(file) as journal:
            actuator = Actuator(decider, {sink.address: sink}, journal)
            actuator.open()
            actuator.begin(seed, (6, 8))
            for number, (position, (received, now)) in enumerate(zip(order.tolist(), times.tolist(), strict=True)):
                if number == 20:
                    actuator.arm()
                actuator.step(position, values[position], received, now)
            actuator.safe("the end")
            actuator.close()
    none = np.full(len(order), -1)
    recording = Recording(2, 8, order, values[order], times[:, 0], times[:, 1], none, none)
    decisions, switches = journalled(file)
    assert switches == decider.switches
    assert len(switches) == 1
    assert decisions == replay(new(), [recording], switches)
    assert {decision.armed for decision in decisions} == {False, True}


def test_a_file_without_times_of_this_machine_is_replayed_by_the_clock_of_the_detector() -> None:
    values, stop = np.full((4, 3), 2.0), np.arange(4, dtype=np.int64) * 600
    decisions = replay(new(), [Recording.of_values(1, 2, values, stop)])
    assert [d.position for d in decisions if d.rule == 0] == [1]
    assert [d.position for d in decisions if d.rule == 1] == [1, 2, 3]
    assert {d.received for d in decisions} == {600, 1200, 1800}


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="stamps"):
        Recording.of_results(1, 8, np.zeros((4, 3)), np.zeros((4, 6), np.int64))
    with pytest.raises(ShapeError, match="times"):
        Recording.of_values(1, 8, np.zeros((4, 3)), np.zeros(3, np.int64))
    file = tmp_path / "decisions.jsonl"
    file.write_text('{"t":"decision","received":1,"outcome":"act"}\n')
    with pytest.raises(UnreadableError, match="a decision lacks or does not know 'rule'"):
        journalled(file)
