"""Latencies are counted from given times, so that every number of the report is known beforehand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from parscope.core.stream import Fate
from parscope.live.pipeline.latency import report_of

MS, US = 1_000_000, 1_000


def series(latencies: list[int], dwell: int = 200 * US) -> np.ndarray:
    stamps = np.zeros((len(latencies), 7), np.int64)
    stamps[:, 0] = 5 * MS + dwell * np.arange(len(latencies))
    stamps[:, 1] = stamps[:, 0] + 10 * US
    stamps[:, 2] = stamps[:, 3] = stamps[:, 0] + latencies
    return stamps


def test_percentiles_and_misses_are_those_of_the_stamps() -> None:
    latencies = [40 * US] * 98 + [250 * US, 900 * US]
    report = report_of(series(latencies), np.full(100, Fate.ANSWERED, np.uint8), 200 * US)
    assert report.answer["p50"] == 40
    assert report.answer["max"] == 900
    assert report.answer["p99"] == pytest.approx(np.percentile(np.array(latencies) / 1e3, 99))
    assert (report.missed, report.in_time) == (2, 0.98)
    assert report.steps["decode"]["max"] == 10
    assert report.steps["analyse"]["p50"] == 30
    assert report.dwell_us == 200
    assert report.lag_pixels["max"] == 4.5
    assert sum(report.histogram["counts"]) == 100
    json.dumps(report.as_json())


def test_what_was_not_answered_is_not_in_time() -> None:
    fate = np.array([Fate.ANSWERED, Fate.LOST, Fate.SKIPPED, Fate.DAMAGED, Fate.WAITING], np.uint8)
    report = report_of(series([40 * US] * 5), fate, 200 * US)
    assert report.in_time == 0.25
    assert dict(report.fates) == {"answered": 1, "lost": 1, "skipped": 1, "damaged": 1, "waiting": 1, "filled": 0}
    assert report.lines()[0] == "5 positions: 1 not measured, 1 answered, 1 passed over, 1 lost, 1 damaged"
    assert report.lines()[1] == "25.00 % answered within 200 us of arrival"


@pytest.mark.parametrize("exposed", [False, True])
def test_the_lag_is_told_in_steps_of_the_probe_whatever_was_passed_over(exposed: bool) -> None:
    stamps = series([600 * US] * 90)
    if exposed:
        stamps[:, 5] = 7 + 200 * US * np.arange(90)
    fate = np.full(90, Fate.SKIPPED, np.uint8)
    fate[::3] = Fate.ANSWERED
    report = report_of(stamps, fate, 200 * US)
    assert (report.dwell_us, report.lag_pixels["p50"]) == (200, 3)


def test_an_answer_that_was_sent_is_there_when_it_was_handed_over() -> None:
    stamps = series([40 * US] * 10)
    stamps[3, 4] = stamps[3, 3] + 300 * US
    report = report_of(stamps, np.full(10, Fate.ANSWERED, np.uint8), 200 * US)
    assert report.answer["max"] == 340
    assert report.missed == 1
    assert report.steps["emit"] == dict.fromkeys(("p50", "p90", "p99", "p99.9", "max"), 300.0)


def test_the_time_of_rules_is_a_step_of_its_own() -> None:
    stamps = series([40 * US] * 10)
    fate = np.full(10, Fate.ANSWERED, np.uint8)
    assert report_of(stamps, fate, 200 * US).steps["decide"] == {}  # without rules
    stamps[:, 3] += 5 * US
    report = report_of(stamps, fate, 200 * US)
    assert [report.steps[name]["p50"] for name in ("decode", "analyse", "decide")] == [10, 30, 5]
    assert report.answer["max"] == 45
    assert [line.split(":")[0] for line in report.lines()[2:6]] == [
        "arrival to answer", "  of which decode", "  of which analyse", "  of which decide"
    ]  # fmt: skip


def test_clocks_of_another_zero_and_rate_are_no_jitter() -> None:
    stamps = series([40 * US] * 4000)
    true = stamps[:, 0] - 70 * US
    stamps[:, 5] = (true * (1 + 30e-6)).astype(np.int64) + 123 * MS  # 30 ppm fast
    stamps[1234, 2:4] += 500 * US
    report = report_of(stamps, np.full(4000, Fate.ANSWERED, np.uint8), 200 * US)
    assert report.jitter["p99"] < 1
    assert report.jitter["max"] == pytest.approx(500, abs=1)


def test_a_series_without_answers_has_a_report_too() -> None:
    report = report_of(np.zeros((4, 7), np.int64), np.full(4, Fate.LOST, np.uint8), 200 * US)
    assert report.lines() == ["4 positions: 4 lost"]
    assert report.in_time == 0
    assert report.answer == report.jitter == report.lag_pixels == {}
    nothing = report_of(np.zeros((4, 7), np.int64), np.zeros(4, np.uint8), 200 * US)
    assert nothing.as_json()["in_time"] is None
