"""Every real file, cut at five places and with twenty bits flipped: described or refused, soon, in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

DAMAGE = Path(__file__).with_name("damage.py")
SEEDS, SLOWEST, MEMORY = 1, 10.0, 1024


def tried(scratch: Path, files: list[Path]) -> list[dict[str, Any]]:
    """What came of every damage; the process is started again after one that killed it."""
    results: list[dict[str, Any]] = []
    while True:
        command = [sys.executable, str(DAMAGE), str(scratch), str(len(results)), str(SEEDS), *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        results += [a | b for a, b in zip(lines[::2], lines[1::2], strict=False)]
        if done.returncode == 0:
            return results
        assert len(lines) % 2, done.stderr[-2000:]
        results.append(lines[-1] | {"outcome": f"died with {done.returncode}", "seconds": 0.0, "mebibytes": 0})


def test_damaged_files_are_described_or_refused(sample_files: Path, tmp_path: Path) -> None:
    files = sorted(p for p in sample_files.rglob("*") if p.is_file() and p.suffix != ".md")
    results = tried(tmp_path, files)
    assert len(results) == 6 * len(files)
    assert [(r["damage"], r["outcome"]) for r in results if r["outcome"] not in ("described", "refused")] == []
    assert [r for r in results if r["seconds"] > SLOWEST or r["mebibytes"] > MEMORY] == []
    assert {"described", "refused"} == {r["outcome"] for r in results}
