"""The frame loop over given messages: every pattern is accounted for, and every number is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parscope.core.errors import OptionError, ShapeError
from parscope.core.stream import Fate
from parscope.live.pipeline.analysis import analyser_of
from parscope.live.pipeline.latency import report_of
from parscope.live.pipeline.ring import SMALLEST, Reader
from parscope.live.rules.actuator import Actuator
from parscope.live.rules.decider import Decider
from parscope.live.rules.file import RuleSet, act
from parscope.live.rules.journal import Journal, read
from parscope.live.rules.replay import Recording, journalled, replay
from parscope.live.sinks.address import make_sink
from parscope.live.wire.encode import end_message, image_message, start_message

from .conftest import SHAPE, Bench, Clock, Make, image, pattern, series, whole


def truth(images: int) -> np.ndarray:
    """Centre of mass and sum of the patterns, (image, 3)."""
    return np.array([[i % 16, (3 * i) % 16, i % 200 + 1] for i in range(images)], np.float32)


def test_every_pattern_is_answered_with_the_right_numbers(bench: Make) -> None:
    made = bench(whole(series())).run()
    assert made.counted() == {"received": 14, "answered": 12, "series": 1}
    assert np.array_equal(made.board.bank.values, truth(12))
    assert (made.board.bank.fate == Fate.ANSWERED).all()
    assert made.board.map("sum.counts").tolist() == truth(12)[:, 2].reshape(3, 4).tolist()
    assert made.board.counters["finished"] == made.board.generation == 1
    assert made.told == []
    assert np.array_equal(made.board.pattern, pattern(made.board.place))


def test_stamps_are_in_order_and_the_detector_s_own_is_kept(bench: Make) -> None:
    made = bench(whole(series())).run()
    received, decoded, analysed, decided, emitted, exposed, opened = made.board.bank.stamps.T
    assert (received < decoded).all() and (decoded < analysed).all()
    assert (analysed == decided).all()  # there are no rules
    assert not emitted.any()
    assert exposed.tolist() == [200 * i + 190 for i in range(12)]
    assert opened.tolist() == [200 * i for i in range(12)]


def test_with_rules_a_pattern_is_decided_when_they_have_been_tried(bench: Make, tmp_path: Path) -> None:
    rules = RuleSet.of_texts(["when sum.counts > 5 for 2 frames: send shm://parscope-test-stamps"])
    clock = Clock()
    outputs = analyser_of(["com", "sum"]).outputs
    decider = Decider(rules.rules, outputs)
    sinks = {address: make_sink(address) for address in decider.addresses}
    actuator = Actuator(decider, sinks, Journal(tmp_path / "journal.jsonl"), clock)
    actuator.open()
    actuator.arm()
    made = bench(whole(series()), actuator=actuator, clock=clock).run()
    actuator.close()
    stamps = made.board.bank.stamps
    _, decoded, analysed, decided, emitted, *_ = stamps.T
    assert (decoded < analysed).all() and (analysed < decided).all()
    acted = np.flatnonzero(emitted)
    assert acted.tolist() == list(range(6, 12))
    assert (decided < emitted)[acted].all()
    noted, _ = journalled(tmp_path / "journal.jsonl")
    assert [one.decided for one in noted] == analysed[acted].tolist()  # the time that intervals are counted by
    recording = Recording.of_results(1, 4, made.board.bank.values, stamps)
    assert replay(Decider(rules.rules, outputs), [recording], decider.switches) == noted


def test_a_late_answer_is_missed_and_counted_once(bench: Make) -> None:
    made = bench(whole(series()), deadline=1, clock=Clock(1000)).run()
    assert made.counted()["missed"] == 12
    report = report_of(made.board.bank.stamps, made.board.bank.fate, 1)
    assert (report.missed, report.in_time) == (12, 0)
    in_time = bench(whole(series()), deadline=10**15, clock=Clock(1000)).run()
    assert "missed" not in in_time.counted()


def test_holes_doubles_and_late_images(bench: Make) -> None:
    made = bench(whole(series(), [0, 1, 1, 4, 3, 5, 5, 7, 8, 9, 10])).run()
    assert made.counted() == {"received": 13, "answered": 9, "series": 1, "lost": 3, "duplicate": 2, "late": 1}
    lost = np.flatnonzero(made.board.bank.fate == Fate.LOST)
    assert lost.tolist() == [2, 6, 11]
    there = np.setdiff1d(np.arange(12), lost)
    assert np.array_equal(made.board.bank.values[there], truth(12)[there])
    assert np.isnan(made.board.bank.values[lost]).all()


def test_patterns_of_another_series_are_left_out(bench: Make) -> None:
    old, new = series(1), series(2)
    messages = [start_message(new), image(old, 5), *(image(new, n) for n in range(12)), image(old, 6), end_message(new)]
    made = bench(messages).run()
    assert made.counted() == {"received": 16, "answered": 12, "series": 1, "stale": 2}
    assert made.told == ["images of series 1, which has ended, are left out"]


def test_a_stream_that_is_running_is_joined_at_the_next_start(bench: Make) -> None:
    made = bench([image(series(7), 3), image(series(7), 4), end_message(series(7)), *whole(series(8))]).run()
    assert made.counted() == {"received": 17, "answered": 12, "series": 1, "stale": 2}
    assert made.told == ["series 7 was running already; waiting for the start of the next one"]


def test_several_series_in_a_row_each_have_their_bank(bench: Make) -> None:
    made = bench([*whole(series(1)), *whole(series(2), range(11))]).run()
    assert made.counted() == {"received": 27, "answered": 23, "series": 2, "lost": 1}
    assert made.board.counters["finished"] == 2
    assert [made.board.of(g).head["series"] for g in (1, 2)] == [1, 2]
    assert made.board.of(1).values[11].tolist() == truth(12)[11].tolist()
    assert made.board.of(2).fate[11] == Fate.LOST


def test_a_series_without_an_end_ends_with_the_next_one(bench: Make) -> None:
    made = bench([*whole(series(1), [0, 1, 2])[:-1], *whole(series(2))]).run()
    assert made.counted() == {"received": 18, "answered": 15, "series": 2, "lost": 9}


def test_a_complete_series_without_an_end_ends_after_a_while(bench: Make) -> None:
    made = bench([*whole(series())[:-1], *[None] * 10], clock=Clock(1_000_000_000))
    while made.board.counters["finished"] == 0:
        made.engine.run(made.board.stop) if made.engine.over else made.engine.turn()
        made.engine._look()
    assert made.counted() == {"received": 13, "answered": 12, "series": 1}
    made.engine.close()


@pytest.mark.parametrize(("told", "seconds"), [({}, 30), ({"frame_time": 0.2}, 30), ({"frame_time": 1.0}, 100)])
def test_a_series_that_falls_silent_in_its_middle_ends_after_a_longer_while(
    bench: Make, told: dict[str, float], seconds: float
) -> None:
    of = series(metadata=told)
    made = bench([*whole(of, [0, 1, 3])[:-1], *[None] * 5000], clock=Clock(100_000_000))
    while made.board.counters["finished"] == 0:
        made.engine.turn()
        made.engine._look()
    assert seconds < (made.clock.now - made.engine._last) / 1e9 < seconds + 2
    assert made.counted() == {"received": 4, "answered": 3, "series": 1, "lost": 9}
    assert made.told == [f"nothing has come for {seconds} s: the series ends without its last patterns"]
    made.engine.close()


def test_what_was_not_measured_when_stopped_is_not_lost(bench: Make) -> None:
    made = bench([*whole(series(), [0, 1, 3])[:-1]])
    while made.board.counters["answered"] < 3:
        made.engine.turn()
    stopped(made)
    assert made.counted() == {"received": 4, "answered": 3, "series": 1, "lost": 1}
    assert made.board.bank.fate[4:].tolist() == [Fate.WAITING] * 8
    assert made.board.counters["finished"] == 1
    assert made.told == []


def stopped(made: Bench) -> None:
    """A person ends the session, and the loop sees it at once."""
    made.board.stop()
    made.engine._look()
    assert made.engine.over
    made.engine.close()


@pytest.mark.parametrize("newest", [False, True])
def test_a_source_that_ends_in_the_middle_of_a_series_leaves_holes_behind_it(bench: Make, newest: bool) -> None:
    made = bench([*whole(series(), [0, 1, 3])[:-1]], newest=newest).run()
    counted = {"answered": 1, "skipped": 2, "filled": 2} if newest else {"answered": 3}
    assert made.counted() == {"received": 4, "series": 1, "lost": 9} | counted
    there = [0, 1, 3]
    assert np.array_equal(made.board.bank.values[there], truth(12)[there])
    assert (np.delete(made.board.bank.fate, there) == Fate.LOST).all()
    assert made.told == ["series 1 ends without its last patterns: its source has ended"]
    assert made.board.counters["finished"] == 1


def test_a_source_that_ends_without_an_end_of_the_series_is_no_fault(bench: Make) -> None:
    made = bench([*whole(series())[:-1]]).run()
    assert made.counted() == {"received": 13, "answered": 12, "series": 1}
    assert made.told == []


def test_as_many_series_as_were_wanted(bench: Make) -> None:
    made = bench([*whole(series(1)), *whole(series(2))], series=1).run()
    assert made.board.counters["finished"] == 1


def test_newest_first_passes_over_what_is_behind_and_never_the_last(bench: Make) -> None:
    made = bench(whole(series()), newest=True).run()
    assert made.counted() == {"received": 14, "skipped": 11, "answered": 1, "series": 1, "filled": 11}
    assert made.board.bank.fate.tolist() == [Fate.FILLED] * 11 + [Fate.ANSWERED]
    assert np.array_equal(made.board.bank.values, truth(12))
    report = report_of(made.board.bank.stamps, made.board.bank.fate, 10**15)
    assert (report.fates["answered"], report.missed, report.in_time) == (1, 0, 1 / 12)
    assert report.lines()[0] == "12 positions: 1 answered, 11 filled in afterwards"


def test_rules_do_not_see_what_is_filled_in(bench: Make, tmp_path: Path) -> None:
    rules = RuleSet.of_texts(["when sum.counts > 0: send udp://127.0.0.1:9"])
    actuator = act(rules, analyser_of(["com", "sum"]).outputs, tmp_path / "journal.jsonl", dry=True)
    made = bench(whole(series()), newest=True, actuator=actuator).run()
    actuator.close()
    decided = [line["position"] for line in read(tmp_path / "journal.jsonl") if line["t"] == "decision"]
    assert decided == [11]
    assert made.counted()["filled"] == 11


def test_a_break_of_the_stream_is_used_to_fill_in(bench: Make) -> None:
    first, rest = whole(series())[:7], whole(series())[7:]
    made = bench([*first, *[None] * 40, *rest], newest=True, clock=Clock(2_000_000))
    while None in made.engine.source.messages:
        made.engine.turn()
    assert made.board.bank.fate.tolist() == [Fate.FILLED] * 5 + [Fate.ANSWERED] + [Fate.WAITING] * 6
    assert np.array_equal(made.board.bank.values[:6], truth(6))
    short = bench([*first, *[None] * 40, *rest], newest=True, clock=Clock(1))
    while None in short.engine.source.messages:
        short.engine.turn()
    assert short.board.bank.fate.tolist() == [Fate.SKIPPED] * 5 + [Fate.ANSWERED] + [Fate.WAITING] * 6


def test_what_the_ring_has_lost_is_not_filled_in(bench: Make) -> None:
    messages = whole(series())
    messages[6:6] = [bytes(SMALLEST // 3)] * 4  # while these pass, images 0 to 3 are written over
    made = bench(messages, newest=True, room=SMALLEST).run()
    assert made.board.bank.fate.tolist() == [Fate.SKIPPED] * 4 + [Fate.ANSWERED] + [Fate.FILLED] * 6 + [Fate.ANSWERED]
    assert np.isnan(made.board.bank.values[:4]).all()
    assert np.array_equal(made.board.bank.values[4:], truth(12)[4:])


def test_nothing_is_filled_in_while_another_series_waits_unless_it_is_not_wanted(bench: Make) -> None:
    messages = [*whole(series(1)), *whole(series(2))]
    both = bench(messages, newest=True).run()
    assert both.board.of(1).fate.tolist() == [Fate.SKIPPED] * 11 + [Fate.ANSWERED]
    assert both.board.of(2).fate.tolist() == [Fate.FILLED] * 11 + [Fate.ANSWERED]
    one = bench(messages, newest=True, series=1).run()
    assert one.board.of(1).fate.tolist() == [Fate.FILLED] * 11 + [Fate.ANSWERED]
    assert one.board.generation == 1


def test_a_series_that_begins_while_another_is_filled_in_ends_that(bench: Make) -> None:
    messages = [*whole(series(1)), None, *whole(series(2))]
    made = bench(messages, newest=True)
    made.engine.source.settled = lambda: made.board.counters["filled"] >= 3
    made.run()
    assert made.board.of(1).fate.tolist().count(Fate.FILLED) in (3, 4)
    assert made.board.of(2).fate.tolist() == [Fate.FILLED] * 11 + [Fate.ANSWERED]
    assert made.board.counters["finished"] == 2


def test_what_turns_out_to_be_damaged_when_it_is_filled_in_is_a_hole(bench: Make) -> None:
    messages = whole(series())
    messages[4] = messages[4][:-10] + b"\xff" * 10
    made = bench(messages, newest=True).run()
    assert made.board.bank.fate[3] == Fate.DAMAGED
    assert made.counted() == {
        "received": 14, "skipped": 11, "answered": 1, "series": 1, "filled": 10, "damaged": 1,
    }  # fmt: skip


def test_patterns_are_passed_over_while_a_person_has_stopped_the_analysis(bench: Make) -> None:
    made = bench([m for message in whole(series()) for m in (message, None)], newest=False)
    turns = {4: made.engine.answers.stop, 8: made.engine.answers.start}
    recorder = Reader(made.ring.name, lossless=True)
    while not made.engine.over:
        made.engine.turn()
        turns.pop(made.board.counters["received"], lambda: None)()
    made.engine.close()
    fate = made.board.bank.fate.tolist()
    assert fate == [Fate.ANSWERED] * 3 + [Fate.SKIPPED] * 4 + [Fate.ANSWERED] * 5
    assert made.counted() == {"received": 14, "answered": 8, "skipped": 4, "series": 1}
    assert np.isnan(made.board.bank.values[3:7]).all()
    recorded = 0
    while recorder.take() is not None:
        recorded += 1
    assert recorded == 14
    recorder.close()


def test_all_but_the_newest_are_passed_over_at_once(bench: Make) -> None:
    messages = whole(series(images=60))
    made = bench(messages, newest=True, scan=(6, 10))
    while made.board.counters["received"] < 62:
        made.engine.turn()
    while made.engine.answers.held_up:
        made.engine.turn()
    turns = 0
    while not made.board.counters["answered"]:
        made.engine.turn()
        turns += 1
    assert turns <= 3  # the first image is read by itself, to know what the others look like
    made.run()
    assert made.board.bank.fate.tolist() == [Fate.FILLED] * 59 + [Fate.ANSWERED]
    assert made.counted() == {"received": 62, "skipped": 59, "answered": 1, "series": 1, "filled": 59}


def test_newest_first_answers_all_while_it_keeps_up(bench: Make) -> None:
    messages = [m for message in whole(series()) for m in (message, None)]
    made = bench(messages, newest=True).run()
    assert made.counted() == {"received": 14, "answered": 12, "series": 1}


def test_damage_inside_of_a_message_is_a_hole_of_its_own_kind(bench: Make) -> None:
    messages = whole(series())
    broken = bytearray(messages[4])  # image 3
    broken[-10:] = b"\xff" * 10
    messages[4] = bytes(broken)
    messages[8] = messages[8][:-30]  # image 7, cut short
    made = bench(messages).run()
    assert made.board.bank.fate[3] == Fate.DAMAGED
    assert made.board.bank.fate[7] == Fate.LOST
    assert made.counted() == {"received": 14, "answered": 10, "series": 1, "damaged": 2, "lost": 1}
    assert len(made.told) == 1 and made.told[0].startswith("image 3 of series 1 is damaged: ")
    good = [n for n in range(12) if n not in (3, 7)]
    assert np.array_equal(made.board.bank.values[good], truth(12)[good])


def test_messages_that_are_none_do_no_harm(bench: Make) -> None:
    made = bench([b"", b"\xff" * 100, b"\x00", *whole(series())]).run()
    assert made.counted() == {"received": 17, "answered": 12, "series": 1, "damaged": 3}


def test_a_pattern_of_another_shape_is_damaged(bench: Make) -> None:
    messages = whole(series())
    messages[1] = image_message(series(), 0, {"threshold_1": np.zeros((8, 8), np.uint8)})
    made = bench(messages).run()
    assert made.board.bank.fate[0] == Fate.DAMAGED
    assert made.counted()["answered"] == 11


def test_pixels_that_were_not_read_and_masked_ones_are_not_summed(bench: Make) -> None:
    mask = np.zeros(SHAPE, np.bool_)
    mask[15, 15] = True
    of = series(mask=mask)
    messages = whole(of)
    for number in range(12):
        odd = pattern(number)
        odd[0, 15], odd[15, 15] = 255, 99
        messages[number + 1] = image_message(of, number, {"threshold_1": odd})
    made = bench(messages).run()
    assert np.array_equal(made.board.bank.values, truth(12))


def test_one_of_several_channels_is_analysed(bench: Make) -> None:
    of = series(channels=("threshold_1", "threshold_2"))
    messages = whole(of)
    for number in range(12):
        both = {"threshold_2": pattern(number), "threshold_1": np.zeros(SHAPE, np.uint8)}
        messages[number + 1] = image_message(of, number, both)
    made = bench(messages, channel="threshold_2").run()
    assert np.array_equal(made.board.bank.values, truth(12))
    assert made.board.bank.head["channel"] == "threshold_2"
    with pytest.raises(OptionError, match="threshold_1, threshold_2"):
        bench(messages, channel="threshold_3").run()


def test_a_wrong_scan_shape_is_one_line(bench: Make) -> None:
    made = bench(whole(series()), scan=(4, 4))
    with pytest.raises(ShapeError, match="--scan: 4 x 4 are 16 positions, series 1 has 12") as fault:
        made.run()
    assert "\n" not in str(fault.value)


def test_the_detector_may_tell_the_scan_shape(bench: Make) -> None:
    messages = whole(series())
    messages[0] = start_message(series(), {"scan_shape": [2, 6]})
    made = bench(messages, scan=None).run()
    assert made.board.bank.head["scan_shape"] == [2, 6]
    with pytest.raises(OptionError, match="--scan: the detector does not tell the shape of its scan of 12 positions"):
        bench(whole(series()), scan=None).run()


def test_the_loop_waits_for_a_reader_that_must_miss_nothing(bench: Make) -> None:
    messages = whole(series())
    made = bench(messages, room=SMALLEST)
    recorder = Reader(made.ring.name, lossless=True)
    filler = bytes(SMALLEST // 3)
    made.engine.source.messages[1:1] = [filler] * 4
    for _ in range(20):
        made.engine.turn()
    assert made.board.counters["received"] < len(messages) + 4
    assert made.ring.stalls == 1
    got = []
    while len(got) < len(messages) + 4:
        while (taken := recorder.take()) is not None:
            got.append(bytes(taken))
        if not made.engine.over:
            made.engine.turn()
    recorder.close()
    made.run()
    assert got == [messages[0], *[filler] * 4, *messages[1:]]
    counted = made.counted()
    assert counted.pop("stalls") >= 1
    assert counted == {"received": 18, "answered": 12, "series": 1, "damaged": 4}
