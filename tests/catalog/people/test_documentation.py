"""The tutorial of the catalog is true: its commands run, in their order, and print what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parscope.catalog.query.text import parse
from parscope.cli.main import app

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorials" / "first-catalog.md"
BLOCK, COMMAND = re.compile(r"^```console\n(.*?)^```", re.M | re.S), re.compile(r"^\$ (.*)\n((?:(?!\$).*\n)*)", re.M)
CHANGING = re.compile(
    r"\b[0-9a-f]{8,32}\b|\d+\.\d+ s\b|\d+ bytes|\d+\.\d MB|\(\w+, [^ ]*Z\)|/.*/(?=instrument/)|h5py \S+|bytes +\d+"
)


def run(line: str) -> str:
    for inner in re.findall(r"\"\$\(parscope (.*?)\)\"", line):
        line = line.replace(f'"$(parscope {inner})"', run(inner).strip())
    answer = CliRunner().invoke(app, shlex.split(line))
    assert (answer.exit_code, answer.stderr) == (0, ""), line
    return answer.stdout


def test_the_tutorial_of_the_catalog_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [
        found for block in BLOCK.findall(TUTORIAL.read_text(encoding="utf-8")) for found in COMMAND.findall(block)
    ]
    for line, printed in commands:
        verb, _, rest = line.partition(" ")
        if verb == "mkdir":
            Path(rest).mkdir()
        elif verb == "export":
            monkeypatch.setenv(*rest.split("="))
        elif verb == "parscope":
            assert CHANGING.sub("…", run(rest)).strip() == CHANGING.sub("…", printed).strip(), line
    assert len(commands) > 12


@pytest.mark.parametrize("page", ["collect-files", "find-files", "share-a-selection"])
def test_queries_of_the_how_to_are_queries(page: str) -> None:
    text = (TUTORIAL.parents[1] / "how-to" / f"{page}.md").read_text(encoding="utf-8")
    typed = re.findall(r"parscope find '([^']+)'", text)
    rows = [row.split("|")[2] for row in text.splitlines() if row.startswith("| ") and "`" in row.split("|")[2]]
    listed = [query for row in rows for query in re.findall("`([^`]+)`", row)] if page == "find-files" else []
    assert typed
    for query in [*typed, *listed]:
        parse(query)
