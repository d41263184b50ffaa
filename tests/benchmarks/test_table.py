"""Which peer a line of the strain table names, and what the sums of neighbouring patterns are."""

from __future__ import annotations

import numpy as np

from benchmarks.report import Target
from benchmarks.scores import Metric, best
from benchmarks.strain.cases import CASES, METRICS, Case
from benchmarks.strain.peers.job import neighbour_sums
from benchmarks.strain.table import rows_of

PEERS = {
    "careless": {"strain_rms": 0.001, "failures": 0.42, "speed": 9000.0},
    "careful": {"strain_rms": 0.002, "failures": 0.01, "speed": 100.0},
    "broken": {},
}


def test_precision_counts_only_for_those_that_seldom_fail() -> None:
    assert best("strain_rms", METRICS["strain_rms"], PEERS) == "careful"
    assert best("failures", METRICS["failures"], PEERS) == "careful"
    assert best("speed", METRICS["speed"], PEERS) == "careless"
    assert best("position_rms", METRICS["position_rms"], PEERS) is None


def test_where_neither_more_nor_less_is_good_the_nearest_to_the_ideal_is_named() -> None:
    coverage = {"wide": {"coverage": 1.0}, "right": {"coverage": 0.94}, "narrow": {"coverage": 0.4}}
    assert best("coverage", Metric("coverage", "%", ideal=0.95), coverage) == "right"


def test_when_all_fail_often_the_one_that_fails_least_is_named() -> None:
    assert best("strain_rms", METRICS["strain_rms"], {"careless": PEERS["careless"]}) == "careless"


def test_a_line_holds_value_peer_limit_and_verdict_in_its_unit() -> None:
    case = Case("A", 10, {"strain_rms": Target(at_most=1.6), "ratio": None, "automatic": Target(at_most=1.03)})
    ours = {
        "parscope": {"strain_rms": 0.0015, "ratio": 1.5, "failures": 0.0},
        "parscope, set-up given": {"strain_rms": 0.00148, "failures": 0.0},
    }
    precision, ratio, automatic = rows_of(case, ours | PEERS, {"strain_rms": 0.001})
    assert (precision.value, precision.peer, precision.peer_value, precision.bound) == (1.5, "careful", 2.0, 1.0)
    assert precision.met
    assert (ratio.value, ratio.bound, ratio.met) == (1.5, 1.0, None)
    assert automatic.peer is None
    assert automatic.met


def test_without_an_answer_of_ours_no_promise_is_kept() -> None:
    case = Case("A", 10, {"strain_rms": Target(at_most=1.6)})
    (row,) = rows_of(case, PEERS, {})
    assert (row.value, row.peer, row.met) == (None, "careful", False)


def test_every_case_is_named_once_and_asks_for_known_metrics() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(key in METRICS for case in CASES for key in case.metrics)


def test_sums_of_neighbours_count_every_pattern_within_reach() -> None:
    patterns = np.arange(12, dtype=np.uint16).reshape(3, 4, 1, 1)
    summed = neighbour_sums(patterns, 3)[..., 0, 0]
    flat = patterns[..., 0, 0]
    assert summed[1, 1] == flat[0:3, 0:3].sum()
    assert summed[0, 0] == flat[0:2, 0:2].sum()
    assert (neighbour_sums(patterns, 1) == patterns).all()
