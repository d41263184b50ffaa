"""How the live table judges: what is late, lost or wrong in it must be seen as such."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import zmq

from benchmarks.live import beside, faults, latency, stream, truth
from benchmarks.live.stream import CHANNEL, POOL, Load
from parscope.core.stream import Fate
from parscope.live.emulator.job import Report
from parscope.live.kernels.plan import Plan, examples_of
from parscope.live.pipeline.board import STAMPS
from parscope.live.pipeline.results import Result
from parscope.live.wire.encode import image_message

SMALL = Load((2, POOL), 5000, pixels=96)
CRYSTAL = Load((2, POOL), 5000, dtype="uint16", disks=True)


def answers(load: Load, analyse: tuple[str, ...]) -> tuple[list[str], np.ndarray]:
    """What the kernels say of the patterns of a load, sent twice."""
    pool = stream.patterns(load)
    plan = Plan(analyse, truth.detector_of(load), pool[: examples_of(analyse)])
    out = np.full((POOL, len(plan.outputs)), np.nan)
    plan.run_many(pool, out)
    return [output.name for output in plan.outputs], np.concatenate([out, out]).astype(np.float32)


@pytest.mark.parametrize("analyse", [("com", "bf", "adf"), ("com", "bf:47.5,47.5,20", "adf:47.5,47.5,22,45")])
def test_centres_and_sums_are_held_against_the_patterns_themselves(analyse: tuple[str, ...]) -> None:
    names, values = answers(SMALL, analyse)
    assert truth.judged(SMALL, analyse, names, values) == {"wrong": 0}
    for column, error in enumerate((1e-3, 1e-3, 1, 1)):
        wrong = values.copy()
        wrong[:, column] += error  # all alike, as from a kernel that is wrong
        assert truth.judged(SMALL, analyse, names, wrong)["wrong"] == len(values)
    values[7, 2] = np.nan
    assert truth.judged(SMALL, analyse, names, values) == {"wrong": 1}


def test_strain_is_held_against_what_was_put_in() -> None:
    names, values = answers(CRYSTAL, ("strain",))
    told = truth.judged(CRYSTAL, ("strain",), names, values)
    assert told["wrong"] == 0
    assert told["strain_rms"] < 5e-4
    turned = truth.judged(CRYSTAL, ("strain",), names, -values)
    assert turned["wrong"] > len(values) // 2
    values[3] = np.nan
    assert truth.judged(CRYSTAL, ("strain",), names, values)["wrong"] == 1


def result(count: int = 1000) -> Result:
    """A series at 5 kHz, each pattern answered 50 us after it was sent, the first ones when 100 had come."""
    stamps = np.zeros((count, len(STAMPS)), np.int64)
    sent = 10**9 + 200_000 * np.arange(count)
    decided = np.maximum(sent + 50_000, sent[100] + 10_000)
    stamps[:, :4] = np.stack([sent + 20_000, sent + 30_000, decided, decided], axis=1)
    stamps[:, STAMPS.index("exposed")] = sent
    return Result(1, {}, (), np.zeros((count, 1), np.float32), stamps, np.full(count, Fate.ANSWERED, np.uint8))


def test_a_pattern_without_an_answer_is_late_and_nothing_else_is_left_out() -> None:
    made = result()
    assert latency.account(made, 0)["above_200us"] == pytest.approx(0.1)
    assert latency.account(made, 200)["above_200us"] == 0
    assert latency.account(made, 200)["latency_us"]["max"] == 50
    made.fate[500:600] = Fate.LOST
    made.stamps[500:600] = 0
    told = latency.account(made, 200)
    assert told["above_200us"] == pytest.approx(100 / 800)
    assert (told["latency_us"]["p50"], told["latency_us"]["max"]) == (50, np.inf)
    assert told["per_second"] == pytest.approx(700 / 0.16, rel=1e-2)


def test_the_set_up_and_what_waited_for_it_are_told() -> None:
    made = result()
    whole = int(made.stamps[0, STAMPS.index("decided")])
    assert latency.set_up(made, whole) == {"set_up_ms": 19.99, "before_set_up": 100, "late_for_set_up": 100}
    made.stamps[700, 2:4] += 10**6
    assert latency.set_up(made, whole)["late_for_set_up"] == 100
    assert latency.set_up(made, 0)["set_up_ms"] is None


def test_a_sender_at_a_rate_does_not_wait_and_counts_what_is_refused() -> None:
    load = dataclasses.replace(SMALL, rate=100_000.0)
    message = bytearray(image_message(load.series, 0, {CHANNEL: np.zeros((96, 96), np.uint8)}))
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.bind_to_random_port("tcp://127.0.0.1")
        told = stream._volley(socket, [message] * POOL, load)
        assert told["refused"] == load.series.images
        with context.socket(zmq.PULL) as pull:
            pull.connect(socket.getsockopt(zmq.LAST_ENDPOINT))
            socket.poll(5000, zmq.POLLOUT)
            told = stream._volley(socket, [message] * POOL, load)
    assert told["refused"] == 0
    assert 0 < told["per_second"] <= 100_000


def test_the_time_to_a_result_counts_from_the_first_sending() -> None:
    report = Report(1, 4, 4, 1.0, {}, began_ns=5 * 10**9)
    when = 5.0 + np.arange(4) / beside.RATE + 0.003
    assert beside.late(when, report) == pytest.approx({"p50": 3000, "p99": 3000, "answered": 4, "sent_late": 0})
    when[1:] = np.nan
    assert beside.late(when, report)["p50"] == np.inf


def test_what_a_fault_must_leave_right_is_looked_at() -> None:
    fate = np.full(faults.N, Fate.ANSWERED)
    fate[[3, 5]] = Fate.LOST
    counters = dict.fromkeys(faults._COUNTED, 0) | {"answered": faults.N - 2, "lost": 2, "late": 0}
    hit = {"drop": [3, 5]}
    assert list(faults._miscounted(hit, fate, counters)) == []
    assert list(faults._miscounted(hit, fate, counters | {"lost": 1})) == ["1 lost, not 2"]
    assert list(faults._miscounted(hit | {"reorder": [7]}, fate, counters)) == ["0 late"]
    counts = np.random.default_rng(3).poisson(4, (faults.N, *faults.PATTERN))
    values = np.column_stack([truth.centres(counts), counts.sum((1, 2))]).astype(np.float32)
    assert list(faults._misread(counts, fate, values)) == ["numbers in holes"]
    values[[3, 5]] = np.nan
    assert list(faults._misread(counts, fate, values)) == []
    values[8, 2] += 1
    assert list(faults._misread(counts, fate, values)) == ["1 wrong answers"]
    seen = faults.Seen({"stale": 9}, (), ("series 1 was running already; waiting for the start of the next one",))
    assert list(faults._unannounced(9, seen)) == []
    assert len(list(faults._unannounced(10, dataclasses.replace(seen, told=())))) == 2
