"""Tables of benchmarks: what is written is checked, and replaces the old one as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import HEAD_FIELDS, Row, Target, faults, table, text, write

HEAD: dict[str, Any] = dict.fromkeys(HEAD_FIELDS, "x") | {"run": "r1"}
ROW = Row("A, 10 electrons", "strain RMS", 1.23456, "1e-3", "other", 2.0, 1.0, Target(at_most=1.5))
METHOD = {"case": "A", "method": "other", "key": "r1:other:0123", "scores": {}}


def a_table(**row: Any) -> dict[str, Any]:
    made = table(dict(HEAD), [ROW], [dict(METHOD)])
    made["rows"][0] |= row
    return made


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    made = a_table()
    write(made, tmp_path / "results" / "t.json")
    back = json.loads((tmp_path / "results" / "t.json").read_text())
    assert back == made
    assert back["rows"][0]["value"] == 1.235
    assert back["rows"][0]["met"] is True
    assert faults(back) == []


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [
        (1.0, Target(at_most=1.0), True),
        (1.1, Target(at_most=1.0), False),
        (0.8, Target(0.9, 1.1), False),
        (1.0, Target(0.9, 1.1), True),
        (17_000.0, Target(at_least=18_000), False),
        (None, Target(at_most=1.0), False),
        (float("nan"), Target(at_most=1.0), False),
        (5.0, None, None),
    ],
)
def test_a_promise_is_kept_or_not(value: float | None, target: Target | None, met: bool | None) -> None:
    row = Row("A", "m", value, "1", target=target)
    assert row.met is met
    assert row.as_json()["met"] is met
    assert faults(table(dict(HEAD), [row], [])) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"value": "1.2"}, "value is '1.2'"),
        ({"peer_value": float("inf")}, "peer_value is inf"),
        ({"bound": True}, "bound is True"),
        ({"met": False}, "does not follow"),
        ({"more": 1}, "fields are"),
    ],
)
def test_a_wrong_row_is_found(change: dict[str, Any], sentence: str) -> None:
    assert any(sentence in fault for fault in faults(a_table(**change)))


def test_results_of_another_run_are_refused() -> None:
    made = a_table()
    made["methods"][0]["key"] = "r0:other:0123"
    assert faults(made) == ["other on A is of run 'r0', not 'r1'"]


def test_a_head_must_be_whole_and_lines_unique() -> None:
    made = table({"run": "r1"}, [ROW, ROW], [])
    found = faults(made)
    assert "head lacks commit" in found
    assert any("occurs twice" in fault for fault in found)
    assert "no rows" in faults(table(dict(HEAD), [], []))


def test_a_faulty_table_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    write(a_table(), path)
    before = path.read_text()
    with pytest.raises(ValueError, match="does not follow"):
        write(a_table(met=False), path)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_text_shows_verdicts_and_counts() -> None:
    missed = Row("B", "patterns per CPU second", 17_123.4, "1/s", target=Target(at_least=18_000))
    free = Row("C", "error over standard error", None, "1", target=None)
    shown = text(table(dict(HEAD), [ROW, missed, free], []))
    assert "1.235" in shown
    assert "<= 1.5" in shown
    assert "MISSED" in shown
    assert "17120 " in shown
    assert shown.endswith("targets met: 1 of 2")


def test_what_is_no_number_is_null_in_the_scores_too() -> None:
    made = table({}, [], [{"case": "one", "scores": {"mae": [float("nan"), 1.5], "gone": float("inf"), "name": "a"}}])
    assert made["methods"] == [{"case": "one", "scores": {"mae": [None, 1.5], "gone": None, "name": "a"}}]
