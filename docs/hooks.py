"""What the documentation takes from the program itself: help texts of the verbs and the table of statuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from parscope.core.solver import Status


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in ``<!-- help: strain -->`` and ``<!-- statuses -->``."""
    markdown = markdown.replace("<!-- statuses -->", _statuses())
    return re.sub(r"<!-- help: ?(.*?) -->", lambda found: _help(found.group(1)), markdown)


def _statuses() -> str:
    rows = "".join(f"| {int(s)} | `{s.name}` | {s.sentence} |\n" for s in Status)
    return "| code | status | meaning |\n| --- | --- | --- |\n" + rows


def _help(verb: str) -> str:
    command = [str(Path(sys.executable).with_name("parscope")), *verb.split(), "--help"]
    plain = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=plain).stdout
    return f"```text\n{shown.strip()}\n```"
