"""From a session through its files back to the same decisions, in Python and by the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.core.errors import InputError, OptionError, UnreadableError
from parscope.live.kernels import Output
from parscope.live.pipeline.policy import Policy
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.rules.decider import Decider
from parscope.live.rules.decision import Decision
from parscope.live.rules.file import RuleSet
from parscope.live.rules.journal import read
from parscope.live.rules.replay import ByDetector, Recording, journalled, replay
from parscope.live.sources.address import Wishes

RULES = """
rules = [
  "hot: when sum.counts > 19990 for 2 frames: send com.x to udp://127.0.0.1:9",
  "seldom: when com.y > 0 px every 30 ms within 60 s: send udp://127.0.0.1:10",
]

[limits."udp://127.0.0.1:9"]
per_scan = 40
between = { "com.x" = [15.5, 16.5] }
"""
RATE = 1000.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of a session under rules."""
    made = tmp_path_factory.mktemp("replay")
    (made / "rules.toml").write_text(RULES)
    orders = Orders(
        "physics:32x32",
        ("sum", "com"),
        Wishes(scan=(12, 20), rate=RATE),
        Policy(newest=False),
        rules=RuleSet.of_file(made / "rules.toml"),
        dry=True,
        folder=made / "out",
        record=True,
    )
    with Session(orders) as session:
        session.run()
    assert session.faults == []
    return made


def only(home: Path, ending: str) -> Path:
    (found,) = home.glob(f"out/*{ending}")
    return found


def kept(decision: Decision) -> tuple[object, ...]:
    """What of a decision is no time of the machine that it was made on."""
    return decision.rule, decision.outcome, decision.position, decision.image, decision.row, decision.values


def test_the_saved_maps_give_the_decisions_of_the_journal(home: Path) -> None:
    decisions, switches = journalled(only(home, "_decisions.jsonl"))
    recording = Recording.of_file(only(home, "_live.zarr"))
    assert (recording.columns, len(recording.positions), switches) == (20, 240, [])
    assert (np.diff(recording.detector) == 1e9 / RATE).all()
    names = next(record for record in read(only(home, "_decisions.jsonl")) if record["t"] == "rules")["outputs"]
    rules = RuleSet.of_file(home / "rules.toml")
    again = replay(Decider(rules.rules, outputs(names), rules.limits), [recording])
    assert again == decisions
    assert {decision.rule for decision in decisions} == {0, 1}
    swapped = Recording.of_file(only(home, "_live.zarr"), ["com.y", "com.x", "sum.counts"])
    assert np.array_equal(swapped.values[:, [2, 0, 1]], recording.values)


def outputs(told: list[dict[str, str]]) -> list[Output]:
    return [Output(one["name"], one["unit"], "") for one in told]


def test_the_recorded_patterns_give_them_by_the_command_line(home: Path, tmp_path: Path) -> None:
    command = ["live", f"replay:{only(home, '_master.h5')}", "--analyse", "sum,com", "--no-page", "--dry-run"]
    answer = CliRunner().invoke(app, [*command, "--rules", str(home / "rules.toml"), "--out", str(tmp_path / "out")])
    assert (answer.exit_code, answer.stderr) == (0, ""), answer.output
    assert "240 answered" in answer.stdout
    again, _ = journalled(only(tmp_path, "_decisions.jsonl"))
    rules = RuleSet.of_file(home / "rules.toml")
    recording = Recording.of_file(only(home, "_live.zarr"))
    decider = ByDetector(rules.rules, outputs([{"name": n, "unit": u} for n, u in UNITS]), rules.limits)
    assert [decision.detector for decision in again] == [decision.received for decision in again]
    assert again == replay(decider, [recording])
    live, _ = journalled(only(home, "_decisions.jsonl"))
    assert [kept(one) for one in again if one.rule == 0] == [kept(one) for one in live if one.rule == 0]


UNITS = (("sum.counts", "counts"), ("com.y", "px"), ("com.x", "px"))


def test_the_clock_of_a_detector_that_begins_anew_goes_on() -> None:
    rules = RuleSet.of_texts(["when s.c > 0 every 3 s: send udp://a:1"])
    decider = ByDetector(rules.rules, outputs([{"name": "s.c", "unit": "1"}]))
    second = 10**9
    fired = []
    for series in (1, 2):
        decider.begin(series, 4)
        fired += [
            (series, position)
            for position in range(4)
            if decider.decide(position, np.ones(1), 5, 5, position, (position + 1) * second)
        ]
    assert fired == [(1, 0), (1, 3), (2, 2)]
    assert decider.decide(4, np.ones(1), 10 * second, 10 * second)[0].decided == 10 * second  # no time of the detector


def test_what_is_no_result_of_a_session_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such store"):
        Recording.of_file(tmp_path / "nothing_live.zarr")
    (tmp_path / "empty_live.zarr").mkdir()
    with pytest.raises(UnreadableError, match="holds no live maps"):
        Recording.of_file(tmp_path / "empty_live.zarr")
    with pytest.raises(OptionError, match=r"there is no 'bf\.counts'; it has com\.x"):
        Recording.of_file(only(home, "_live.zarr"), ["bf.counts"])
