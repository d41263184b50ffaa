"""Take the picture of the live page: an emulated ARINA over a magnetic film, `parscope live`, and a browser.

``python -m docs.make_live_figure``, in the folder of the repository, writes docs/images/live.png. All that is in it was
measured: nothing is drawn, and the latency is that of the machine that ran all three.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.serve.browser import chromium

IMAGE = Path(__file__).resolve().parent / "images" / "live.png"
PROGRAM = [sys.executable, "-c", "from parscope.cli.main import run; run()"]
ANY_PORT = ["--rest-port", "0", "--stream-port", "0", "--v1-port", "0"]
ANALYSE = "com,dpc,bf"
WINDOW = {"width": 1280, "height": 900}
PATIENCE = 60.0  # s
# How much is painted of the map of which least is: a value of 1 in its codes is a position with a number.
PAINTED = """Math.min(...parscope.cards.map(({ surface: { codes } }) =>
  codes.filter((code) => code === 1).length / codes.length))"""


@dataclass(frozen=True)
class Watched:
    """What somebody saw who watched a scan: shares of the maps, what they say of a position, errors; and the report."""

    shares: list[float]
    values: dict[str, str]
    told: dict[str, Any]
    errors: list[str]


@contextmanager
def started(*arguments: str, stderr: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A verb of parscope in a process of its own while the block runs."""
    with subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(stream: Any, form: str) -> str:
    """What a process says in a line of this form."""
    lines = []
    for line in stream:
        if found := re.search(form, line):
            return found[1]
        lines.append(line)
    raise RuntimeError(f"no line is like {form}: {lines}")


def until(page: Any, condition: str) -> None:
    """Wait until the page says so: Playwright's own wait would have to switch the page's security off."""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(f"Boolean({condition})"):
        if time.monotonic() > end:
            raise TimeoutError(condition)
        page.wait_for_timeout(20)


def watch(folder: Path, scan: tuple[int, int], rate: int, place: tuple[int, int], picture: Path | None) -> Watched:
    """Take a scan of the magnetic film, and look at its page while it comes.

    Parameters
    ----------
    folder : Path
        For the recording, and for a catalog ``lab.db``.
    scan : tuple of int
        Positions (y, x).
    rate : int
        Images per second; so few that the page is seen with a part of them.
    place : tuple of int
        Position (y, x) that is marked when two thirds of the scan are there.
    picture : Path, optional
        Where the page is kept as it looks then.

    Returns
    -------
    Watched
    """
    film = ["--physics", "magnetic", "--scan", f"{scan[0]}x{scan[1]}", "--rate", str(rate)]
    with started("emulate", "arina", *film, *ANY_PORT, "--wait") as detector:
        simplon = said(detector.stdout, r"SIMPLON 1.8.0: (\S+)")
        stream = said(detector.stdout, r"stream V2: (\S+)")
        record = ["--record", str(folder), "--catalog", str(folder / "lab.db")]
        live = ["live", stream, "--analyse", ANALYSE, *record, "--port", "0", "--series", "1", "--json"]
        with started(*live, stderr=subprocess.PIPE) as session:
            address = said(session.stderr, r"Watch it at (\S+)")
            with chromium() as browser:
                page, errors = browser.new_page(viewport=WINDOW), []
                page.on("pageerror", lambda error: errors.append(str(error)))
                page.goto(address)
                until(page, "parscope.latest?.phase === 'waiting'")
                for command in ("initialize", "arm"):
                    httpx.put(f"{simplon}command/{command}", timeout=PATIENCE).raise_for_status()
                shares, values = _look(page, place)
                if picture is not None:
                    page.screenshot(path=picture)
                out, fault = session.communicate(timeout=PATIENCE)
                page.wait_for_timeout(20)  # errors of the page that came meanwhile are heard of here
    if session.returncode:
        raise RuntimeError(fault)
    return Watched(shares, values, json.loads(out)[0], errors)


def _look(page: Any, place: tuple[int, int]) -> tuple[list[float], dict[str, str]]:
    """See the maps grow, and mark a position; shares of the scan that were there, and what the maps say of it."""
    shares = []
    for share in (0.3, 0.6):
        until(page, f"parscope.cards.length && {PAINTED} > {share}")
        shares.append(page.evaluate(PAINTED))
    page.evaluate(f"parscope.pin({list(place)})")
    until(page, f"parscope.pattern.title.textContent === 'y {place[0]}, x {place[1]}'")
    until(page, "parscope.cards.every((card) => card.limits && !card.dirty)")
    names = page.locator("[data-map]").evaluate_all("(all) => all.map((one) => one.dataset.map)")
    return shares, {name: page.locator(f"[data-map='{name}'] .value").inner_text() for name in names}


def main() -> None:
    """Take the picture."""
    with tempfile.TemporaryDirectory() as folder:
        seen = watch(Path(folder), (64, 64), 400, (24, 40), IMAGE)
    print(f"{IMAGE}: {100 * seen.shares[-1]:.0f} % of the scan")
    print(json.dumps(seen.told["report"]))


if __name__ == "__main__":
    main()
