"""The processes of a session: frame loop, set-up of kernels, recorder. They are told and tell through pipes."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from parscope.core.errors import ParscopeError
from parscope.live.kernels.contract import Output
from parscope.live.pipeline.analysis import analyser_of, warm
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.apart import Apart, serve
from parscope.live.pipeline.board import Board
from parscope.live.pipeline.commands import Commands
from parscope.live.pipeline.engine import Engine
from parscope.live.pipeline.realtime import Watchdog, calm, keep_off, release, take
from parscope.live.pipeline.recorder import Recorder, stem_of
from parscope.live.pipeline.ring import Reader, Ring
from parscope.live.pipeline.sentences import Tell
from parscope.live.rules.actuator import Actuator
from parscope.live.rules.file import RuleSet, act
from parscope.live.rules.replay import ByDetector
from parscope.live.sources.address import Wishes, make_source

_NICE = 10
_ORPHANED = 5.0  # s without a session and without messages after which the recorder ends by itself


@dataclass(frozen=True)
class Orders:
    """What a session is to do; it crosses the border of processes.

    Parameters
    ----------
    address : str
        Of the source.
    analyse : tuple of str
        Kernels by name.
    wishes : Wishes
        How the source is read.
    policy : Policy
        How patterns are treated.
    rules : RuleSet, optional
        What to act by.
    dry : bool, default False
        Whether rules can never be armed.
    armed : bool, default False
        Whether rules are armed from the beginning.
    folder : Path, optional
        Where files go; nothing is saved without.
    record : bool, default False
        Whether patterns are recorded.
    name : str
        Beginning of the names of files.
    core : int, optional
        The core of the frame loop in low-latency mode. Default: the last one.
    buffer : int, default 512 MB
        Size of the ring, [bytes].
    """

    address: str
    analyse: tuple[str, ...]
    wishes: Wishes = field(default_factory=Wishes)
    policy: Policy = field(default_factory=Policy)
    rules: RuleSet | None = None
    dry: bool = False
    armed: bool = False
    folder: Path | None = None
    record: bool = False
    name: str = field(default_factory=lambda: time.strftime("%Y%m%d-%H%M%S"))
    core: int | None = None
    buffer: int = 512 << 20

    @property
    def replayed(self) -> bool:
        """Whether the source is a recorded scan, upon which rules decide by the clock of its detector."""
        return self.address.startswith("replay:")

    @property
    def journal(self) -> Path | None:
        """Where decisions are noted."""
        return None if self.folder is None or self.rules is None else self.folder / f"{self.name}_decisions.jsonl"


@dataclass(frozen=True)
class Lines:
    """Pipes of the frame loop to others than the session.

    Parameters
    ----------
    desk : Connection
        By which a person commands; see `Commands`.
    apart : Connection
        To the process that sets kernels up, if one of them learns from patterns; see `prepare`.
    """

    desk: Connection
    apart: Connection


def answer(orders: Orders, names: tuple[str, str], lines: Lines, pipe: Connection) -> None:
    """Run the frame loop, as the whole life of a process.

    Parameters
    ----------
    orders : Orders
        What to do.
    names : tuple of str
        Of the ring and the board of the session.
    lines : Lines
        To others.
    pipe : Connection
        Gets pairs: ``ready`` with a sentence, ``note`` with a sentence, ``missing`` with an error that ends nothing,
        ``fault`` with one that does, ``done``.
    """
    _leave_signals()
    ring, board = Ring.attach(names[0]), Board.attach(names[1])
    try:
        _answer(orders, (ring, board), lines, pipe)
        _say(pipe, "done", "")
    except ParscopeError as error:
        _say(pipe, "fault", error)
    finally:
        ring.finish()


def _answer(orders: Orders, places: tuple[Ring, Board], lines: Lines, pipe: Connection) -> None:
    """Put the frame loop together, and run it."""
    ring, board = places
    analyser, lock = analyser_of(orders.analyse), threading.Lock()

    def tell(told: str | ParscopeError) -> None:
        with lock:  # the threads that look after sinks and connections tell things too
            _say(pipe, "note" if isinstance(told, str) else "missing", told)

    apart = Apart(lines.apart, tell)
    analyser = replace(analyser, apart=apart)
    source = make_source(orders.address, orders.wishes, tell)
    actuator = _actuator(orders, analyser.outputs, tell)
    try:
        apart.uncompiled = warm(analyser)
        source.open()
        engine = Engine.of(source, ring, board, analyser, orders.policy, actuator, tell=tell)
        calm()
        if actuator is None:
            _run(orders, engine, lines.desk, pipe)
            return
        watchdog = Watchdog(lambda: engine.pulse.at, actuator.safe, lambda: engine.pulse.patience)
        with _guarded(actuator, watchdog, board):
            if orders.armed:
                actuator.arm()
            _run(orders, engine, lines.desk, pipe)
    finally:
        release()
        if actuator is not None:
            actuator.close()
        source.close()
        apart.close()


def _actuator(orders: Orders, outputs: Sequence[Output], tell: Tell) -> Actuator | None:
    """What acts by the rules, if there are any."""
    if orders.rules is None:
        return None
    actuator = act(orders.rules, outputs, orders.journal, orders.dry, tell)
    if orders.replayed:
        actuator.decider = ByDetector.in_place_of(actuator.decider)
    return actuator


def _run(orders: Orders, engine: Engine, desk: Connection, pipe: Connection) -> None:
    """Run the frame loop until it ends."""
    board, session = engine.board, os.getppid()
    look = Commands(desk, board, engine.answers, engine.answers.actuator).look
    standing = take(orders.core).sentence if orders.policy.busy else ""
    pipe.send(("ready", standing))

    def between() -> None:
        look()
        if os.getppid() != session:
            board.stop()  # the session was killed: nobody else can end this

    engine.run(between)


@contextlib.contextmanager
def _guarded(actuator: Actuator, watchdog: Watchdog, board: Board) -> Iterator[None]:
    """Rules have a watchdog while the block runs; if they are armed at its end, safe actions are sent."""
    watchdog.start()
    reason = "the analysis has ended"
    try:
        yield
    except BaseException as error:
        reason = f"the analysis has ended: {error}"
        raise
    finally:
        watchdog.stop()
        if actuator.armed:
            actuator.safe(reason)
        board.say(armed=False, halted=board.halted)


def prepare(orders: Orders, kernels: tuple[str, ...], line: Connection, pipe: Connection) -> None:
    """Set kernels up for the frame loop, as the whole life of a process.

    Parameters
    ----------
    orders : Orders
        What to do.
    kernels : tuple of str
        Those that are set up here.
    line : Connection
        To the frame loop.
    pipe : Connection
        Gets pairs: ``ready``, ``done``.
    """
    _leave_signals()
    os.nice(_NICE)
    if orders.policy.busy:
        keep_off(orders.core)
    analyser = analyser_of(kernels)
    warm(analyser)
    _say(pipe, "ready", "")
    serve(analyser.kernels, line)
    _say(pipe, "done", "")


def record(orders: Orders, names: tuple[str, str], pipe: Connection) -> None:
    """Record, as the whole life of a process.

    Parameters
    ----------
    orders : Orders
        What to do.
    names : tuple of str
        Of the ring and the board of the session.
    pipe : Connection
        Gets pairs: ``ready``, ``recorded`` with a `Recorded`, ``fault`` with an error, ``done``.
    """
    _leave_signals()
    folder = orders.folder
    if folder is None:
        return
    told, session, orphaned = 0, os.getppid(), 0.0

    def stem(generation: int, series: int) -> Path:
        return stem_of(folder, orders.name, generation, series)

    def relay() -> bool:
        nonlocal told, orphaned
        for done in recorder.done[told:]:
            _say(pipe, "recorded", done)
        told = len(recorder.done)
        if os.getppid() == session:
            return False
        orphaned = orphaned or time.monotonic()
        return time.monotonic() - orphaned > _ORPHANED

    def tell(line: str) -> None:
        _say(pipe, "note", line)

    recorder = Recorder(Reader(names[0], lossless=True), stem, orders.policy.scan, Board.attach(names[1]), tell=tell)
    pipe.send(("ready", ""))
    fault: Any = None
    try:
        recorder.run(relay)
    except ParscopeError as error:
        fault = error
    relay()
    _say(pipe, *(("done", "") if fault is None else ("fault", fault)))


def _say(pipe: Connection, what: str, told: Any) -> None:
    """Tell the session something, if it still is there."""
    with contextlib.suppress(OSError):
        pipe.send((what, told))


def _leave_signals() -> None:
    """Ctrl-C on a terminal reaches all processes; the session ends them in its order."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
