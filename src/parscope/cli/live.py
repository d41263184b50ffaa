"""The verb `live`: analyse a detector's stream while the probe scans, record it, and act on it."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parscope.cli.catalog_option import CatalogOption
from parscope.cli.errors import FAULT, say
from parscope.cli.live_catalog import Shelf
from parscope.cli.live_reports import Reports
from parscope.cli.notes import note
from parscope.cli.options import PORTS, shape
from parscope.cli.progress import progress_bar
from parscope.core.errors import OptionError, ParscopeError

if TYPE_CHECKING:
    from parscope.live.pipeline.session import Session
    from parscope.live.pipeline.workers import Orders
    from parscope.live.rules.file import RuleSet

app = typer.Typer(add_completion=False)

_TIME = re.compile(r"(\d[\d.]*)\s*(s|ms|us|µs|ns)")
_POLICIES = ("all", "newest")
_SMALLEST, _LARGEST = 1, 1 << 16  # MB of the buffer


@app.command()
def live(  # noqa: PLR0913 - one argument an option, as typer wants it
    address: Annotated[str, typer.Argument(help="tcp://DETECTOR:31001, replay:FILE or physics:128x128.")],
    scan: Annotated[str | None, typer.Option(help="Scan positions, YxX, if the detector does not tell.")] = None,
    analyse: Annotated[
        str, typer.Option(help="What to compute: com, dpc, bf, adf, sum, variance, strain, ...; commas between.")
    ] = "com,bf,adf",
    record: Annotated[Path | None, typer.Option(help="Folder for the patterns, bit for bit, and the maps.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the maps alone.")] = None,
    rule: Annotated[list[str] | None, typer.Option(help='"when strain.e_xx > 2 %: send udp://daq:9000"')] = None,
    rules: Annotated[Path | None, typer.Option(help="File of rules and limits, .toml.")] = None,
    arm: Annotated[bool, typer.Option("--arm", help="Let rules send from the beginning.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only note what rules would send.")] = False,
    low_latency: Annotated[
        bool, typer.Option("--low-latency", help="Never sleep, one core, real-time priority if permitted.")
    ] = False,
    core: Annotated[int | None, typer.Option(help="The core for --low-latency \\[the last one].")] = None,
    v1: Annotated[bool, typer.Option("--v1", help="The detector sends stream V1 (legacy, port 9999).")] = False,
    deadline: Annotated[str, typer.Option(help="Longest time from the arrival of a pattern to its answer.")] = "200us",
    policy: Annotated[
        str | None,
        typer.Option(help="all in their order, or newest first if behind \\[all; newest with rules on a live stream]."),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Channel to analyse \\[the first].")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Use lattice and disks of the first series for all that follow.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=PORTS, help="Port of the page; 0: any \\[8400, or the next free one].")
    ] = None,
    no_page: Annotated[bool, typer.Option("--no-page", help="Show no page.")] = False,
    series: Annotated[int, typer.Option(min=0, help="End after so many series; 0: at Ctrl-C.")] = 0,
    duration: Annotated[str | None, typer.Option(help="End after this time, as 90s.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Patterns per second of replay and physics; 0: all speed.")] = 0.0,
    buffer: Annotated[int, typer.Option(min=_SMALLEST, max=_LARGEST, help="Memory for messages (MB).")] = 512,
    catalog: CatalogOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as one line of JSON.")] = False,
) -> None:
    """Analyse a stream pattern by pattern, until it ends or Ctrl-C; report the latency and every hole.

    parscope live tcp://DCU:31001 --scan 256x256 --analyse com,bf,adf,strain --record out/
    """
    from parscope.live.pipeline.answers import Policy
    from parscope.live.pipeline.workers import Orders
    from parscope.live.sources.address import Wishes

    ruled, folder = _rules(rule, rules), record or out
    scan_shape = shape(scan, "--scan")
    newest = _policy(policy, ruled is not None, address)
    if ruled is None and (arm or dry_run):
        raise OptionError("there are no rules", "--arm, --dry-run", "give --rule or --rules")
    if arm and folder is None:
        raise OptionError("what rules do would be noted nowhere", "--arm", "give --out or --record for the journal")
    if record is not None and out is not None:
        raise OptionError("the maps go with the patterns", "--out", "leave it out, or --record")
    orders = Orders(
        address="v1" + address.removeprefix("tcp") if v1 else address,
        analyse=tuple(part.strip() for part in _split(analyse)),
        wishes=Wishes(low_latency, scan_shape, rate, series or 1),
        policy=Policy(scan_shape, newest, _time(deadline, "--deadline"), channel, low_latency, series, keep),
        rules=ruled,
        dry=dry_run,
        armed=arm,
        folder=folder,
        record=record is not None,
        core=core,
        buffer=buffer << 20,
    )
    limit = _time(duration, "--duration") / 1e9 if duration else None
    page = Page(not no_page, port)
    with ExitStack() as stack:
        shelf = None if record is None else stack.enter_context(Shelf(record, catalog))
        session = _run(orders, limit, page, Reports(as_json, shelf))
    if not session.finished and not session.faults:
        note(f"no series of {address} began meanwhile")
    if shelf is not None and shelf.lack and session.finished:
        note(shelf.lack)
    if session.faults:
        raise typer.Exit(FAULT)


def _split(text: str) -> list[str]:
    """Names of kernels; commas also stand between the numbers of their parameters."""
    parts: list[str] = []
    for part in text.split(","):
        if parts and re.fullmatch(r"\s*[-\d.e+]+\s*", part):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def _choice(policy: str) -> str:
    """A policy that there is."""
    if policy not in _POLICIES:
        raise OptionError(f"there is no {policy!r}", "--policy", f"choose one of {', '.join(_POLICIES)}")
    return policy


def _time(text: str, option: str) -> int:
    """A time in ns."""
    from parscope.live.rules.text import duration

    found = _TIME.fullmatch(text.strip())
    number = float(found.group(1)) if found and found.group(1).count(".") < 2 else 0.0
    if not found or number <= 0:
        raise OptionError(f"{text!r} is no time above zero", option, "write it as 200us, 1.5ms or 90s")
    return duration(number, found.group(2))


def _rules(texts: list[str] | None, path: Path | None) -> RuleSet | None:
    """Rules of the command line and of a file."""
    from parscope.live.rules.file import RuleSet

    if not texts and path is None:
        return None
    typed = RuleSet.of_texts(texts or [])
    if path is None:
        return typed
    filed = RuleSet.of_file(path)
    return RuleSet((*filed.rules, *typed.rules), filed.limits)


def _policy(policy: str | None, ruled: bool, address: str) -> bool:
    """Whether the newest pattern counts, rather than every one."""
    if policy is not None:
        return _choice(policy) == "newest"
    return ruled and not address.startswith("replay:")  # a recorded scan waits


def _run(orders: Orders, limit: float | None, page: Page, reports: Reports) -> Session:
    """Run a session under a progress bar; a signal ends it kindly, a second one does not."""
    from parscope.live.pipeline.session import Session

    session = Session(orders, say)
    with ExitStack() as stack:
        stack.enter_context(_stopping(session))
        stack.push(session)
        page.open(stack, session)  # before the session begins: if the port is taken, nothing has happened yet
        session.__enter__()
        if orders.rules is not None and orders.journal is None:
            note("decisions are not kept: --out or --record give them a journal")
        if session.standing:
            note(session.standing)
        show = stack.enter_context(progress_bar("Waiting for a series", "patterns"))
        try:
            session.run(_watch(session, show, limit, reports))
        finally:
            reports.end(session)
    return session


def _watch(
    session: Session, show: Callable[[str, int, int], None], limit: float | None, reports: Reports
) -> Callable[[], None]:
    """What is done while the session runs: the bar, reports of what is over, and the end."""
    end = None if limit is None else time.monotonic() + limit

    def look() -> None:
        board = session.board
        reports.follow(session)
        if end is not None and time.monotonic() > end:
            session.stop()
        if board.generation:
            fate = board.bank.fate
            show(f"Series {board.bank.head.get('series')}", int((fate > 0).sum()), len(fate))

    return look


@contextmanager
def _stopping(session: Session) -> Iterator[None]:
    """While the block runs, Ctrl-C and SIGTERM let the session end by itself."""
    came: list[int] = []

    def stop(number: int, frame: Any) -> None:
        if came:
            signal.default_int_handler(number, frame)
        came.append(number)
        session.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Page:
    """The page on which a person watches.

    Parameters
    ----------
    wanted : bool
        Whether there is to be one.
    port : int, optional
        Where. Default: 8400, or the next one that is free.

    Raises
    ------
    OptionError
        If a port is given for no page.
    """

    wanted: bool
    port: int | None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.port is not None and not self.wanted:
            raise OptionError("there is no page", "--port, --no-page", "leave one of them out")

    def open(self, stack: ExitStack, session: Session) -> None:
        """Serve it until the stack is left; where nobody asked for it, it may also be missing.

        Parameters
        ----------
        stack : ExitStack
            Of the session.
        session : Session
            It need not run yet.

        Raises
        ------
        ParscopeError
            If the port that was asked for cannot be had.
        """
        if not self.wanted:
            return
        try:
            from parscope.serve.live.session import page_of

            note(f"Watch it at {stack.enter_context(page_of(session, self.port)).url}")
        except ParscopeError as error:
            if self.port is not None:
                raise
            note(f"there is no page: {error}")
