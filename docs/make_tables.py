"""Draw the tables of README.md and of the benchmark page from benchmarks/results/*.json, and from nothing else.

``python docs/make_tables.py`` writes them; with ``--check`` it only says whether they are as the results have them.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
BEGIN, END = "<!-- tables: begin, written by docs/make_tables.py -->", "<!-- tables: end -->"
COLUMNS = ("case", "quantity", "unit", "parscope", "best other tool", "limit", "aim", "kept")
NONE_YET = "Nothing has been measured yet; `make bench` does it.\n"
INTRODUCTION = """# Benchmarks

Every figure on this page comes from `make bench`, which runs parscope and its peers on the same data of the same run;
figures of a tool called *published* are its authors'. The limit is the Cramér-Rao bound: no unbiased method can do
better. Where a prior is used, it is that bound for one who knows the distribution of the truth. A missed aim stays in
the table. How each was measured, and what its words mean: `benchmarks/README.md`.
"""


def figure(value: float | None) -> str:
    """Three significant digits without an exponent, a dash for what is missing."""
    if value is None:
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e3:
        return f"{value:.3g}"
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1e3 else f"{value:.2e}"


def aim(target: dict[str, float | None] | None) -> str:
    """The promise: at least, at most, or between."""
    if target is None:
        return "-"
    low, high = target.get("at_least"), target.get("at_most")
    if low is not None and high is not None:
        return f"{figure(low)} to {figure(high)}"
    return f"≥ {figure(low)}" if low is not None else f"≤ {figure(high)}"


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One row of results as the columns of a table."""
    other = f"{figure(row['peer_value'])} ({row['peer']})" if row["peer_value"] is not None else "-"
    kept = {None: "", True: "yes", False: "**no**"}[row["met"]]
    value = f"**{figure(row['value'])}**"
    return (row["case"], row["metric"], row["unit"], value, other, figure(row["bound"]), aim(row["target"]), kept)


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Markdown table; a case is named once."""
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    last = None
    for row in rows:
        line = cells(row)
        lines.append(("", *line[1:]) if line[0] == last else line)
        last = line[0]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def origin(head: dict[str, Any]) -> str:
    """Where, when and with what a table was measured, and what else there is to know."""
    machine, load = head["machine"], f"{head['load_start']} to {head['load_end']}"
    where = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items())
    what = ", ".join(f"{name} {version}" for name, version in flat(head["versions"]))
    note = f" Note: {head['note']}." if "note" in head else ""
    return f"Measured {head['date']} at commit `{head['commit']}` on: {where}; load {load}. Versions: {what}.{note}\n"


def flat(versions: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Names and versions, also when grouped by environment."""
    for name, version in versions.items():
        if isinstance(version, dict):
            yield from flat(version)
        else:
            yield name, version


def heading(name: str) -> str:
    """Title of one table."""
    return f"## {name.replace('_', ' ').capitalize()}\n"


def page(results: dict[str, dict[str, Any]]) -> str:
    """The benchmark page: every row of every table."""
    parts = [INTRODUCTION]
    for name, made in results.items():
        parts += [heading(name), table(made["rows"]), origin(made["head"])]
    return "\n".join(parts if results else [*parts, NONE_YET])


def effort(row: dict[str, Any]) -> float:
    """How much of what its aim allows a row uses up: 1 at the limit, more where the aim is missed."""
    value, low, high = row["value"], row["target"].get("at_least"), row["target"].get("at_most")
    if value is None:
        return math.inf
    if low is not None and high is not None:
        return abs(value - (low + high) / 2) / ((high - low) / 2)
    if low is not None:
        return low / value if value > 0 else math.inf
    if not high:
        return 1.0 if value <= 0 else math.inf
    return float(value / high)


def hardest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each quantity the row that is nearest to missing its aim, or misses it most; in their order."""
    chosen: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["metric"] not in chosen or effort(row) > effort(chosen[row["metric"]]):
            chosen[row["metric"]] = row
    return [row for row in rows if row is chosen[row["metric"]]]


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The promises that the README shows: the first one, all that are missed, and of each quantity the hardest."""
    promised = [row for row in rows if row["target"] is not None]
    hard = hardest(promised)
    return [row for row in promised if row is promised[0] or not row["met"] or any(row is one for one in hard)]


def summary(results: dict[str, dict[str, Any]]) -> str:
    """The region of the README: of each table what says how far to trust the rest."""
    parts = []
    for made in results.values():
        rows = shown(made["rows"])
        if not rows:
            continue
        counted = [row["met"] for row in made["rows"] if row["met"] is not None]
        kept = f"{sum(counted)} of {len(counted)} aims kept"
        which = "The first aim, every missed one, and of each quantity the case nearest to missing its aim"
        score = f"{which}; all, {kept}: docs/reference/benchmarks.md.\n"
        parts += [table(rows), origin(made["head"]) + score]
    return "\n".join(parts or [NONE_YET])


def renewed(readme: str, region: str) -> str:
    """The README with its marked region replaced; the region is appended where there is none."""
    block = f"{BEGIN}\n{region}{END}"
    if BEGIN not in readme:
        return f"{readme.rstrip()}\n\n{block}\n"
    return re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: block, readme, flags=re.DOTALL)


def main(arguments: list[str]) -> int:
    """Write both files, or check them; 1 if they are not as the results have them."""
    results = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("*.json"))}
    wanted = {README: renewed(README.read_text(encoding="utf-8"), summary(results)), PAGE: page(results)}
    stale = [f for f, text in wanted.items() if not f.exists() or f.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for file in stale:
            print(f"{file.relative_to(ROOT)} differs from benchmarks/results; run python docs/make_tables.py")
        return int(bool(stale))
    for file in stale:
        file.write_text(wanted[file], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
