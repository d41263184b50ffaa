"""When rules fire, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from parscope.core.errors import OptionError
from parscope.live.kernels import Output
from parscope.live.rules.decider import Decider
from parscope.live.rules.decision import Decision, Outcome
from parscope.live.rules.limits import SECOND, Limits
from parscope.live.rules.text import parse

OUTPUTS = (Output("x.a", "px", ""), Output("b.counts", "counts", ""))
NAN = float("nan")
MS = 1_000_000


def decider(*written: str, limits: Mapping[str, Limits] | None = None, armed: bool = True) -> Decider:
    made = Decider([parse(text) for text in written], OUTPUTS, limits)
    made.begin(7, columns=4)
    if armed:
        made.arm()
    return made


def run(made: Decider, frames: list[tuple[int, float]], step: int = MS) -> list[int]:
    """Positions at which something fired; frames are positions and values of x.a."""
    fired = []
    for number, (position, value) in enumerate(frames):
        now = number * step
        fired += [d.position for d in made.decide(position, np.array([value, 100.0]), now, now)]
    return fired


def fired(clauses: str, values: list[float], positions: list[int] | None = None) -> list[int]:
    places = list(range(len(values))) if positions is None else positions
    return run(decider(f"when x.a > 1 {clauses}: send udp://h:1"), list(zip(places, values, strict=True)))


def test_a_rule_fires_at_every_pattern_while_its_condition_holds() -> None:
    assert fired("", [0, 2, 2, 0, 2]) == [1, 2, 4]


def test_it_may_have_to_hold_for_some_patterns() -> None:
    assert fired("for 3 frames", [2, 2, 0, 2, 2, 2, 2, 0, 2]) == [5, 6]


def test_a_number_that_is_missing_begins_the_count_anew() -> None:
    assert fired("for 2 frames", [2, NAN, 2, 2]) == [3]
    assert fired("for 2 answered frames", [2, NAN, 2, 2]) == [3]


@pytest.mark.parametrize(("clauses", "at"), [("for 3 frames", [5]), ("for 3 answered frames", [4, 5])])
def test_a_hole_begins_the_count_anew_unless_answered_frames_count(clauses: str, at: list[int]) -> None:
    assert fired(clauses, [2, 2, 2, 2, 2][:4], [0, 3, 4, 5]) == at


def test_a_pattern_that_comes_late_is_not_looked_at() -> None:
    made = decider("when x.a > 1 for 2 frames: send udp://h:1")
    assert run(made, [(0, 2), (2, 2), (1, 0), (2, 0), (3, 2)]) == [3]
    assert made.passed_over == 2


def test_a_new_series_begins_counts_anew_but_no_intervals() -> None:
    made = decider("when x.a > 1 for 2 frames every 3 ms: send udp://h:1")
    assert run(made, [(0, 2), (1, 2)]) == [1]
    made.begin(8)
    decided = [made.decide(p, np.array([2.0, 0.0]), t * MS, t * MS) for p, t in ((0, 2), (1, 3), (2, 4))]
    assert [len(d) for d in decided] == [0, 0, 1]
    assert decided[2][0].series == 8


def test_decisions_may_have_to_be_some_time_apart() -> None:
    assert fired("every 2 ms", [2] * 6) == [0, 2, 4]
    assert fired("every 2.5 ms", [2] * 6) == [0, 3]


def test_conditions_are_tried_on_what_is_recorded() -> None:
    made = decider("when x.a > 0.1: send udp://h:1")
    assert run(made, [(0, 0.1), (1, float(np.nextafter(0.1, 1)))]) == [0, 1]  # 0.1 in float32 is above 0.1


@pytest.mark.parametrize(
    ("otherwise", "late", "outcome"),
    [("", 200, Outcome.ACT), ("", 201, Outcome.MISSED), (" else send udp://h:2", 201, Outcome.SAFE)],
)
def test_a_late_decision_is_a_safe_one_or_none(otherwise: str, late: int, outcome: Outcome) -> None:
    made = decider(f"when x.a > 1 within 200 ns: send udp://h:1{otherwise}")
    (decision,) = made.decide(0, np.array([2.0, 0.0]), 1000, 1000 + late)
    assert decision.outcome is outcome
    assert decision.sent is (outcome is not Outcome.MISSED)
    assert made.address(decision) == ("udp://h:2" if outcome is Outcome.SAFE else "udp://h:1")


def test_limits_of_a_second_hold_in_any_second_and_across_series() -> None:
    made = decider("when x.a > 1: send udp://h:1", limits={"": Limits(per_second=2)})
    times = [0, SECOND // 2, SECOND - 1, SECOND, SECOND + SECOND // 2 - 1, SECOND + SECOND // 2]
    outcomes = []
    for position, now in enumerate(times):
        if position == 4:
            made.begin(8)
        (decision,) = made.decide(position, np.array([2.0, 0.0]), now, now)
        outcomes.append(decision.outcome.value)
    assert outcomes == ["act", "act", "limited", "act", "limited", "act"]


def test_limits_of_a_scan_hold_for_all_rules_of_a_sink_together() -> None:
    rules = ("when x.a > 1: send udp://h:1", "when b.counts > 1: send udp://h:1", "when x.a > 1: send udp://h:2")
    made = decider(*rules, limits={"udp://h:1": Limits(per_scan=3)})
    for series in (7, 8):
        made.begin(series)
        times = (2 * series, 2 * series + 1)
        outcomes = [[d.outcome.value for d in made.decide(n % 2, np.array([2.0, 2.0]), n, n)] for n in times]
        assert outcomes == [["act", "act", "act"], ["act", "limited", "act"]]


def test_a_dry_run_shows_limits_and_uses_nothing_up() -> None:
    made = decider("when x.a > 1 every 3 ns: send udp://h:1", limits={"": Limits(per_scan=2)}, armed=False)
    outcomes = []
    for position in range(12):
        if position == 7:
            made.arm()
        outcomes += [(d.position, d.outcome.value, d.sent) for d in made.decide(position, np.ones(2) * 2, 0, position)]
    assert outcomes == [
        (0, "act", False),
        (3, "act", False),
        (6, "limited", False),
        (7, "act", True),
        (10, "act", True),
    ]
    assert [(s.position, s.armed) for s in made.switches] == [(7, True)]


def test_an_interlock_holds_actions_back() -> None:
    made = decider("when x.a > 1: send udp://h:1", limits={"": Limits(only_while="b.counts > 50", per_scan=1)})
    values = (0.0, NAN, 51.0, 51.0)
    outcomes = [made.decide(p, np.array([2.0, b]), 0, 100)[0].outcome for p, b in enumerate(values)]
    assert outcomes == [Outcome.INTERLOCKED, Outcome.INTERLOCKED, Outcome.ACT, Outcome.LIMITED]


@pytest.mark.parametrize("held", ["udp://h:1", "udp://h:2", ""])
def test_nothing_holds_a_safe_action_back(held: str) -> None:
    limits = {held: Limits(only_while="b.counts > 50", per_scan=1)}
    made = decider("when x.a > 1 within 1 ns: send udp://h:1 else send udp://h:2", limits=limits)
    outcomes = [made.decide(p, np.array([2.0, 0.0]), 0, 100)[0].outcome for p in range(3)]
    assert outcomes == [Outcome.SAFE] * 3
    late = decider("when x.a > 1 within 1 ns: send udp://h:1", limits={"": Limits(only_while="b.counts > 50")})
    assert late.decide(0, np.array([2.0, 0.0]), 0, 100)[0].outcome is Outcome.MISSED


def test_what_is_sent_stays_within_its_limits() -> None:
    limits = {"udp://h:1": Limits(between={"x.a": (-3, 3)}), "udp://h:2": Limits(between={"x.a": (0, 0)})}
    made = decider("when b > 1 within 9 ns: send x.a, b to udp://h:1 else send x.a to udp://h:2", limits=limits)
    values = [(5.0, 0, 0), (-5.0, 0, 0), (2.0, 0, 0), (NAN, 0, 0), (5.0, 0, 10)]
    decisions = [made.decide(p, np.array([v, 9.0]), r, n)[0] for p, (v, r, n) in enumerate(values)]
    assert [d.values for d in decisions] == [(3, 9), (-3, 9), (2, 9), (None, 9), (0,)]
    assert [d.clamped for d in decisions] == [True, True, False, False, True]
    assert decisions[0].row == (5.0, 9.0)
    assert json.loads(made.message(decisions[3]))["values"] == {"x.a": None, "b.counts": 9}


def test_a_message_carries_what_the_condition_names_unless_told_otherwise() -> None:
    made = decider("when (b > 1 or x.a > 1) and not x.a > 9: send udp://h:1", "when b > 1: send x.a to udp://h:1")
    told = [json.loads(made.message(d))["values"] for d in made.decide(0, np.array([2.0, 5.0]), 0, 0)]
    assert told == [{"b.counts": 5, "x.a": 2}, {"x.a": 2}]


def test_the_watchdog_gets_the_safe_action_of_every_rule_that_has_one() -> None:
    made = decider("when x.a > 1: send udp://h:1", "stop: when b > 1: send udp://h:1 else send x.a to udp://h:2")
    made.decide(5, np.zeros(2), 0, 0)
    (decision,) = made.safe(99)
    assert decision.sent
    assert json.loads(made.message(decision)) == {
        "parscope": 1, "rule": "stop", "action": "safe", "series": 7, "image": -1, "position": 5, "y": 1, "x": 1,
        "detector_ns": -1, "received_ns": -1, "decided_ns": 99, "clamped": False, "values": {"x.a": None},
    }  # fmt: skip
    made.disarm()
    assert not made.safe(99)[0].sent


def test_nothing_comes_of_nothing_without_a_new_object() -> None:
    made = decider("when x.a > 1: send udp://h:1")
    assert made.decide(0, np.zeros(2), 0, 0) is made.decide(1, np.zeros(2), 0, 0)


def test_a_dry_run_cannot_be_armed() -> None:
    made = Decider([parse("when x.a > 1: send udp://h:1")], OUTPUTS, dry=True)
    with pytest.raises(OptionError, match="a dry run cannot be armed"):
        made.arm()
    assert not made.armed


@pytest.mark.parametrize(
    ("rules", "limits", "told"),
    [
        (["a: when x.a > 1: send udp://h:1"] * 2, {}, "two rules are called a"),
        (["when x.a > 1: send y to udp://h:1"], {}, "there is no output 'y'"),
        (["when x.a > 1: send udp://h:1"], {"udp://h:2": Limits()}, "no rule sends to udp://h:2"),
        (["when x.a > 1: send udp://h:1"], {"": Limits(between={"y": (0, 1)})}, "there is no output 'y'"),
        (["when x.a > 1: send udp://h:1"], {"": Limits(only_while="x.a >")}, "column 6: expected an output"),
        ([f"{'n' * 900}: when x.a > 1: send udp://h:1"], {}, "send fewer outputs"),
    ],
)
def test_what_cannot_be_meant_is_refused(rules: list[str], limits: dict[str, Limits], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        Decider([parse(rule) for rule in rules], OUTPUTS, limits)


@pytest.mark.parametrize("wrong", [{"per_second": 0}, {"per_scan": 0}, {"between": {"x.a": (1, 0)}}])
def test_limits_that_are_none_are_refused(wrong: Any) -> None:
    with pytest.raises(OptionError, match=r"take 1 or more|nothing is between"):
        Limits(**wrong)


def test_no_message_is_longer_than_promised() -> None:
    many = tuple(Output(f"masks.disc_{index:02}", "counts", "") for index in range(16))
    made = Decider([parse(f"when masks > 1: send {', '.join(o.name for o in many)} to udp://h:1")], many)
    far, tiny = -(2**63), -1.23456789e-30
    longest = Decision(0, Outcome.SAFE, True, far, far, far, far, far, far, (tiny,) * 16, (tiny,) * 16, False)
    assert 700 < len(made.message(longest)) < 1000
    assert json.loads(made.message(longest))["values"]["masks.disc_15"] == pytest.approx(tiny)
    infinite = Decision(0, Outcome.ACT, True, 1, 1, 1, 1, 1, 1, (), (float("inf"),) * 16, True)
    assert json.loads(made.message(infinite))["values"]["masks.disc_00"] is None


def test_every_outcome_has_a_sentence() -> None:
    assert len({outcome.sentence for outcome in Outcome}) == len(Outcome)
