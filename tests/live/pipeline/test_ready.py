"""Kernels become ready one by one: what is answered before, filled in afterwards, seen by rules, and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parscope.core.stream import Fate
from parscope.live.kernels.contract import Output
from parscope.live.pipeline.analysis import analyser_of
from parscope.live.pipeline.ring import SMALLEST
from parscope.live.rules.file import RuleSet, act
from parscope.live.rules.journal import read
from parscope.live.wire.encode import end_message, image_message, start_message

from .conftest import SHAPE, Make, series, whole

DISK = np.hypot(*(np.indices(SHAPE) - 7.5)) < 4


def disks(counts: list[int]) -> list[bytes | None]:
    """A series whose patterns have so many counts in each pixel of a disk, (6, 6) positions."""
    of = series(images=36)
    frames = [(DISK * n).astype(np.uint8) for n in counts]
    images = (image_message(of, n, {"threshold_1": frame}) for n, frame in enumerate(frames))
    return [start_message(of), *images, end_message(of)]


def test_the_newest_is_answered_by_what_is_ready_and_the_rest_is_filled_in(bench: Make, tmp_path: Path) -> None:
    counts = [n + 3 for n in range(36)]
    made = bench(disks(counts), analyse=("bf", "sum"), scan=(6, 6), newest=True).run()
    assert set(made.board.bank.fate.tolist()) <= {Fate.ANSWERED, Fate.FILLED}
    assert made.board.map("sum.counts").ravel().tolist() == (DISK.sum() * np.array(counts)).tolist()
    assert np.allclose(made.board.map("bf.counts").ravel(), DISK.sum() * np.array(counts), rtol=0.1)


def test_what_rules_have_seen_is_not_changed_afterwards(bench: Make, tmp_path: Path) -> None:
    counts = [n + 3 for n in range(36)]
    apart = [m for message in disks(counts) for m in (message, None)]
    rules = RuleSet.of_texts(["when sum.counts > 0: send bf, sum to udp://127.0.0.1:9"])
    actuator = act(rules, analyser_of(["bf", "sum"]).outputs, tmp_path / "journal.jsonl", dry=True)
    made = bench(apart, analyse=("bf", "sum"), scan=(6, 6), newest=True, actuator=actuator).run()
    actuator.close()
    bank = made.board.bank
    decided = {line["position"]: line["row"] for line in read(tmp_path / "journal.jsonl") if line["t"] == "decision"}
    assert sorted(decided) == np.flatnonzero(bank.fate == Fate.ANSWERED).tolist()
    for position, row in decided.items():
        assert [None if np.isnan(value) else value for value in bank.values[position].tolist()] == row
    # the rule sends both, and so is not tried before both are there
    assert bank.fate[:16].tolist() == [Fate.FILLED] * 16
    assert np.isfinite(bank.values).all()


def test_a_rule_acts_while_kernels_that_it_does_not_look_at_are_set_up(bench: Make, tmp_path: Path) -> None:
    apart = [m for message in disks([5] * 36) for m in (message, None)]
    rules = RuleSet.of_texts(["when sum.counts > 0: send udp://127.0.0.1:9"])
    actuator = act(rules, analyser_of(["sum", "bf"]).outputs, tmp_path / "journal.jsonl", dry=True)
    made = bench(apart, analyse=("sum", "bf"), scan=(6, 6), newest=True, actuator=actuator).run()
    actuator.close()
    decided = [line["position"] for line in read(tmp_path / "journal.jsonl") if line["t"] == "decision"]
    assert decided == list(range(36))
    assert np.isnan(made.board.bank.values[0, 1])


def test_kernels_that_need_no_examples_answer_from_the_first_pattern_on(bench: Make) -> None:
    made = bench(disks([5] * 36), analyse=("com", "bf"), scan=(6, 6))
    for _ in range(200):
        made.engine.turn()
        if made.board.counters["answered"]:
            break
    assert np.isfinite(made.board.bank.values[0, :2]).all() and np.isnan(made.board.bank.values[0, 2])
    made.run()
    assert made.counted() == {"received": 38, "answered": 36, "series": 1}
    assert np.isfinite(made.board.bank.values).all()
    assert made.told == []


def test_a_kernel_that_fails_at_first_is_tried_again_and_its_map_filled_in(bench: Make) -> None:
    dark = [0] * 18 + [9] * 18  # the beam is blanked while the first examples are taken
    messages = disks(dark)
    messages[17:17] = [None]
    made = bench(messages, analyse=("com", "sum", "bf", "adf:8,8,5,7"), scan=(6, 6))
    made.engine.source.settled = lambda: not made.engine.answers.preparing
    made.run()
    assert made.counted() == {"received": 38, "answered": 36, "series": 1}
    said = "series 1: no bf so far: examples of the patterns: hold no counts; open the beam, or give centre and radii"
    assert made.told in ([said], [])  # nothing if the second attempt has succeeded before anybody looked
    lit = DISK.sum() * np.array(dark)
    assert made.board.map("sum.counts").ravel().tolist() == lit.tolist()
    assert np.allclose(made.board.map("bf.counts").ravel(), lit, rtol=0.1)


@pytest.mark.parametrize("newest", [False, True])
def test_a_kernel_that_cannot_be_set_up_costs_its_own_numbers_alone(bench: Make, newest: bool) -> None:
    analyse = ("com", "sum", "strain", "none=ring:8,8,40,50", "bf:8,8,5")
    made = bench(disks([9] * 36), analyse=analyse, scan=(6, 6), newest=newest).run()
    values = made.board.bank.values
    assert np.isfinite(values[:, [0, 1, 2, 8]]).all()
    assert np.isnan(values[:, 3:7]).all()
    none, strain = sorted(str(one) for one in made.told if not isinstance(one, str))
    assert none.startswith("series 1: no none: a ring of 40.0 to 50.0 px about 8.0,8.0")
    assert strain.startswith("series 1: no strain: examples of the patterns ")
    assert strain.endswith("; show the crystal, its disks apart, from the first pattern on")


def test_when_the_source_ends_kernels_are_set_up_with_what_came_and_its_numbers_are_filled_in(bench: Make) -> None:
    made = bench(disks([5] * 36)[:11], analyse=("com", "bf"), scan=(6, 6)).run()
    assert made.counted() == {"received": 11, "answered": 10, "series": 1, "lost": 26}
    assert np.isfinite(made.board.bank.values[:10]).all()


def test_who_stops_the_analysis_does_not_wait_for_what_is_filled_in(bench: Make) -> None:
    made = bench(disks([5] * 36)[:11], analyse=("com", "bf"), scan=(6, 6))
    while not made.engine._ending:
        made.engine.turn()
    made.board.stop()
    made.engine.close()
    values = made.board.bank.values
    # the turn in which the series ended may have filled one in
    assert np.isfinite(values[:10, :2]).all() and np.isnan(values[1:, 2]).all()
    assert made.board.bank.fate.tolist() == [Fate.ANSWERED] * 10 + [Fate.LOST] * 26


def test_what_goes_wrong_in_a_kernel_in_a_way_nobody_foresaw_ends_nothing(bench: Make) -> None:
    class Odd:
        name, examples = "odd", 0
        outputs = (Output("x", "1", "odd"),)
        function = staticmethod(odd)

        def setup(self, detector: object, examples: object) -> tuple[object, ...]:
            if self.name == "broken":
                raise ZeroDivisionError("of nothing")
            return ()

    odds = Odd(), Odd()
    odds[1].name = "broken"
    made = bench(whole(series()), analyse=("sum", *odds)).run()
    assert made.board.bank.values[:, 0].tolist() == [n + 1 for n in range(12)]
    there = made.board.bank.values[:, 1]
    assert np.isnan(there[5]) and np.isfinite(np.delete(there, 5)).all()
    assert np.isnan(made.board.bank.values[:, 2]).all()
    assert sorted(str(one) for one in made.told) == [
        "series 1: no broken so far: ZeroDivisionError: of nothing",
        "series 1: no broken: ZeroDivisionError: of nothing",
        "series 1: odd has no numbers for image 5: KeyError: 6",
    ]


def odd(frame: np.ndarray, out: np.ndarray) -> None:
    """Fails with one of the patterns."""
    if frame.max() == 6:
        raise KeyError(6)
    out[0] = 1.0


def filled(messages: list[bytes | None], every: int) -> list[bytes | None]:
    """With something large between them, that is no pattern."""
    return [m for n, message in enumerate(messages) for m in ((message, bytes(9000)) if not n % every else (message,))]


def test_where_all_are_answered_the_ring_keeps_what_is_to_be_filled_in(bench: Make) -> None:
    made = bench(filled(disks([9] * 36), 4), analyse=("sum", "bf"), scan=(6, 6), room=SMALLEST).run()
    assert np.isfinite(made.board.bank.values).all()


def test_a_ring_that_is_full_before_the_examples_have_come_holds_nothing_up(bench: Make) -> None:
    made = bench(filled(disks([9] * 36), 1), analyse=("sum", "bf"), scan=(6, 6), room=SMALLEST).run()
    sums, bright = made.board.bank.values.T
    assert np.isfinite(sums).all()
    assert np.isnan(bright[:4]).all() and np.isfinite(bright[16:]).all()


def test_patterns_that_are_examples_are_answered_too(bench: Make) -> None:
    counts = [n + 3 for n in range(36)]
    made = bench(disks(counts), analyse=("bf", "sum"), scan=(6, 6)).run()
    assert made.counted() == {"received": 38, "answered": 36, "series": 1}
    expected = DISK.sum() * np.array(counts)
    assert made.board.map("sum.counts").ravel().tolist() == expected.tolist()
    assert np.allclose(made.board.map("bf.counts").ravel(), expected, rtol=0.1)


def test_a_series_that_cannot_be_analysed_says_why_and_does_no_harm(bench: Make) -> None:
    made = bench([*whole(series(1, 36)), *whole(series(2, 36))], analyse=("strain",), scan=(6, 6)).run()
    assert made.counted() == {"received": 76, "skipped": 72, "series": 2}
    assert [str(one).partition(": examples")[0] for one in made.told] == ["series 1: no strain", "series 2: no strain"]
