"""Benchmark tables: one form for all of them, checked before it is written, replaced as a whole."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"

ROW_FIELDS = ("case", "metric", "value", "unit", "peer", "peer_value", "bound", "target", "met")
HEAD_FIELDS = ("run", "versions", "machine", "load_start", "load_end", "date", "commit", "seeds", "commands")


@dataclass(frozen=True)
class Target:
    """What the project promises of one metric; one side may be open.

    Parameters
    ----------
    at_least, at_most : float, optional
        Limits, in the unit of the metric.
    """

    at_least: float | None = None
    at_most: float | None = None

    def met_by(self, value: float | None) -> bool:
        """Whether `value` keeps the promise; a missing value does not."""
        if value is None or not math.isfinite(value):
            return False
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True)
class Row:
    """One line of a table: a measured value beside the best peer, the physical limit and the target.

    Parameters
    ----------
    case, metric, unit : str
        What was measured, on what.
    value : float, optional
        Of parscope.
    peer : str, optional
        The best of the others in this metric, and what it was run with.
    peer_value : float, optional
        Its value, from the same run on the same patterns.
    bound : float, optional
        What no unbiased method can pass.
    target : Target, optional
        What the project promises.
    """

    case: str
    metric: str
    value: float | None
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    bound: float | None = None
    target: Target | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met by the value as it is published; None without a target."""
        return None if self.target is None else self.target.met_by(rounded(self.value))

    def as_json(self) -> dict[str, Any]:
        """Plain values, four significant digits, null for what is missing."""
        made = {**asdict(self), "met": self.met}
        return {key: rounded(made[key]) if key in ("value", "peer_value", "bound") else made[key] for key in ROW_FIELDS}


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Round to significant digits; None for what is no number.

    Examples
    --------
    >>> rounded(0.00123456), rounded(18342.7), rounded(float("nan"))
    (0.001235, 18340.0, None)
    """
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def table(head: dict[str, Any], rows: Sequence[Row], methods: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Assemble a table as plain JSON values.

    Parameters
    ----------
    head : dict
        Where, when and with what it was made; see `HEAD_FIELDS`.
    rows : sequence of Row
        The lines.
    methods : sequence of dict
        Every method on every case, with all its scores and the key of its result.

    Returns
    -------
    dict
    """
    return {"head": head, "rows": [row.as_json() for row in rows], "methods": [_plain(method) for method in methods]}


def _plain(value: Any) -> Any:
    """Null for what is no number, which JSON lacks."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def faults(made: dict[str, Any]) -> list[str]:
    """What is wrong with a table; empty when it may be published.

    Parameters
    ----------
    made : dict
        As `table` returns it, or as read from a file.

    Returns
    -------
    list of str
        One sentence each.
    """
    head = made.get("head", {})
    found = [f"head lacks {name}" for name in HEAD_FIELDS if name not in head]
    found += _row_faults(made.get("rows", []))
    run = str(head.get("run", ""))
    for method in made.get("methods", []):
        key = str(method.get("key", ""))
        if not run or not key.startswith(run + ":"):
            found.append(f"{method.get('method')} on {method.get('case')} is of run {key.split(':')[0]!r}, not {run!r}")
    if not made.get("rows"):
        found.append("no rows")
    return found


def _row_faults(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Missing fields, values that are no numbers, verdicts that do not follow, and lines that occur twice."""
    found, seen = [], set()
    for row in rows:
        name = f"{row.get('case')} / {row.get('metric')}"
        if tuple(row) != ROW_FIELDS:
            found.append(f"{name}: fields are {list(row)}")
            continue
        wrong = [f"{name}: {k} is {row[k]!r}" for k in ("value", "peer_value", "bound") if not _number(row[k])]
        if wrong:
            found += wrong
            continue
        target = None if row["target"] is None else Target(**row["target"])
        if row["met"] != (None if target is None else target.met_by(row["value"])):
            found.append(f"{name}: met is {row['met']}, which does not follow from {row['value']}")
        if name in seen:
            found.append(f"{name} occurs twice")
        seen.add(name)
    return found


def _number(value: Any) -> bool:
    """Whether `value` is missing or a finite number."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (plain and math.isfinite(value))


def write(made: dict[str, Any], path: Path) -> None:
    """Check a table and put it in place of the old one in one step.

    Parameters
    ----------
    made : dict
        As `table` returns it.
    path : Path
        Where to.

    Raises
    ------
    ValueError
        If the table has faults; the old file stays.
    """
    wrong = faults(made)
    if wrong:
        raise ValueError(f"{path.name} is not written: " + "; ".join(wrong))
    text = json.dumps(made, indent=1, allow_nan=False) + "\n"
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        beside.write_text(text)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def text(made: dict[str, Any]) -> str:
    """Lay a table out for a terminal.

    Parameters
    ----------
    made : dict
        As `table` returns it.

    Returns
    -------
    str
    """
    lines = [("case", "metric", "parscope", "unit", "best peer", "value", "limit", "target", "")]
    for row in made["rows"]:
        verdict = {None: "", True: "met", False: "MISSED"}[row["met"]]
        figures = [_figure(row[k]) for k in ("value", "peer_value", "bound")]
        peer = row["peer"] or "-"
        wanted = _wanted(row["target"])
        lines.append((row["case"], row["metric"], figures[0], row["unit"], peer, *figures[1:], wanted, verdict))
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    laid = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    counted = [row["met"] for row in made["rows"] if row["met"] is not None]
    return "\n".join([laid[0], "-" * len(laid[0]), *laid[1:], "", f"targets met: {sum(counted)} of {len(counted)}"])


def _figure(value: float | None) -> str:
    """Four significant digits, no exponent."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _wanted(target: dict[str, float | None] | None) -> str:
    """The promise in signs."""
    if target is None:
        return "-"
    low, high = target["at_least"], target["at_most"]
    if low is not None and high is not None:
        return f"{low:g}..{high:g}"
    return f">= {low:g}" if low is not None else f"<= {high:g}"
