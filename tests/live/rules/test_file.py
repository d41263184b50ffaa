"""Rules out of a file, and everything set up from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parscope.core.errors import InputError, OptionError, OutputError
from parscope.live.kernels import Output
from parscope.live.rules.file import RuleSet, act
from parscope.live.rules.journal import read
from parscope.live.rules.limits import Limits
from parscope.live.sinks.shm import read_last

OUTPUTS = (Output("com.y", "px", ""), Output("com.x", "px", ""))
ADDRESS = "shm://parscope-test-file"
FILE = f"""
rules = [
  "steer: when abs(com.x) > 0.5 px: send com.y, com.x to {ADDRESS}",
  "when com.y > 3: send {ADDRESS}",
]

[limits.default]
per_second = 10

[limits."{ADDRESS}"]
per_second = 50
per_scan = 1000
between = {{ "com.x" = [-4, 4.5] }}
only_while = "com.y > -100"
"""


def test_a_file_holds_rules_and_limits_and_all_is_set_up_from_it(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(FILE)
    rules = RuleSet.of_file(tmp_path / "rules.toml")
    assert [rule.name for rule in rules.rules] == ["steer", ""]
    expected = Limits(50, 1000, {"com.x": (-4, 4.5)}, "com.y > -100")
    assert dict(rules.limits) == {"": Limits(per_second=10), ADDRESS: expected}
    actuator = act(rules, OUTPUTS, tmp_path / "decisions.jsonl")
    actuator.begin(1)
    actuator.arm()
    assert actuator.step(0, np.array([0.0, 9.0]), 0, 1)[1] > 0
    assert b'"clamped":true,"values":{"com.y":0,"com.x":4.5}' in read_last("parscope-test-file")[1]
    actuator.close()
    assert next(read(tmp_path / "decisions.jsonl"))["limits"][ADDRESS]["per_second"] == 50


def test_a_dry_run_needs_nobody_at_the_other_end() -> None:
    actuator = act(RuleSet.of_texts(["when com.x > 1: send udp://no.such.host.invalid:9"]), OUTPUTS, dry=True)
    assert actuator.step(0, np.array([0.0, 9.0]), 0, 1)[1] == 0
    actuator.close()
    with pytest.raises(OutputError, match="cannot be reached"):
        act(RuleSet.of_texts(["when com.x > 1: send udp://no.such.host.invalid:9"]), OUTPUTS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rules = 3", "is no file of rules"),
        ("rules = [3]", "is no file of rules"),
        ("limits = {}", "is no file of rules"),
        ("rules = []\nlimits = 3", "is no file of rules"),
        ("rules = []\nrule = 3", "is no file of rules"),
        ("rules = [", "cannot be read"),
        ("rules = ['when']", "rule, column 5: expected an output"),
        ("rules = []\nlimits.default = 3", "limits of default: has no such limits; there are between, only_while"),
        ("rules = []\n[limits.default]\nper_minute = 3", "has no such limits"),
        ("rules = []\n[limits.default]\nper_second = 3.5", "cannot be understood"),
        ("rules = []\n[limits.default]\nper_second = true", "cannot be understood"),
        ("rules = []\n[limits.default]\nonly_while = 3", "cannot be understood"),
        ("rules = []\n[limits.default]\nbetween = [1, 2]", "cannot be understood"),
        ('rules = []\n[limits.default]\nbetween = { "a" = [1] }', "cannot be understood"),
        ('rules = []\n[limits.default]\nbetween = { "a" = ["1", "2"] }', "cannot be understood"),
        ("rules = []\n[limits.default]\nper_second = 0", "take 1 or more of each"),
    ],
)
def test_what_is_no_file_of_rules_is_told_in_a_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises((InputError, OptionError)) as raised:
        RuleSet.of_file(tmp_path / "rules.toml")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        RuleSet.of_file(tmp_path / "rules.toml")
