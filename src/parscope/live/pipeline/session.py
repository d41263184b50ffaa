"""A session from beginning to end: starts the processes, saves each series when it is over, and stops all cleanly."""

from __future__ import annotations

import multiprocessing as mp
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import parscope
from parscope.core.errors import OutputError, ParscopeError
from parscope.core.record import Provenance, fingerprint_of
from parscope.live.folder import writable
from parscope.live.pipeline.analysis import analyser_of
from parscope.live.pipeline.board import Board
from parscope.live.pipeline.latency import Report
from parscope.live.pipeline.memory import sweep
from parscope.live.pipeline.realtime import ONE_THREAD
from parscope.live.pipeline.recorder import Recorded, stem_of
from parscope.live.pipeline.rescue import rescue
from parscope.live.pipeline.results import Drawn, Result, dataset, save, write_report
from parscope.live.pipeline.ring import Ring
from parscope.live.pipeline.will import execute
from parscope.live.pipeline.workers import Lines, Orders, answer, prepare, record
from parscope.live.rules.decider import Decider
from parscope.live.sources.address import make_source

_POSITIONS = 1 << 20  # of the board, where nobody tells the shape of the scan
_PATTERN = (1024, 1024)  # the largest that is shown
_LOOK = 0.02  # s
_NOTES = 20
_STARTING = 120.0  # s that a process may take until it is ready
_STOPPING = 60.0


@dataclass(frozen=True)
class Finished:
    """A series that is over.

    Parameters
    ----------
    result : Result
        Its numbers.
    report : Report
        Of its latency.
    saved : Path, optional
        The store with its maps.
    recorded : Recorded, optional
        What became of its recording.
    stem : Path, optional
        Folder and beginning of the names of all its files.
    """

    result: Result
    report: Report
    saved: Path | None
    recorded: Recorded | None
    stem: Path | None = None


class Session:
    """Processes that analyse and record a stream; a context manager, which ends them.

    Parameters
    ----------
    orders : Orders
        What to do.
    tell : callable, optional
        Is told, in a sentence, what a person should know.

    Attributes
    ----------
    board : Board
        Results, live.
    ring : Ring
        Messages, live.
    standing : str
        What the system granted the frame loop.
    desk : Connection
        By which the frame loop is commanded; see `parscope.live.pipeline.commands.Commands`.
    finished : list of Finished
        Series that are over.
    faults : list of ParscopeError
        What went wrong without ending the session: the recording, the saving.
    notes : list of str
        The last sentences that were told, at most 20.
    extras : callable
        Gives further maps of a series, when it is saved: see `parscope.live.pipeline.results.Drawn`.

    Raises
    ------
    ParscopeError
        If the source cannot be opened, or the analysis is none.
    """

    def __init__(self, orders: Orders, tell: Callable[[str], None] = lambda _: None) -> None:
        self.orders, self._listener = orders, tell
        self.standing = ""
        self.notes: list[str] = []
        self.extras: Callable[[int], Drawn] = lambda _: {}
        self.finished: list[Finished] = []
        self.faults: list[ParscopeError] = []
        self._waiting: dict[int, Result] = {}
        self._recorded: dict[int, Recorded] = {}
        self._lost: dict[int, list[str]] = {}
        self._seen = 0
        analyser = analyser_of(orders.analyse)
        outputs = analyser.outputs
        self._learning = tuple(
            text for text, kernel in zip(orders.analyse, analyser.kernels, strict=True) if kernel.examples
        )
        make_source(orders.address, orders.wishes)  # what is wrong with the address is told before anything is made
        if orders.rules is not None:
            Decider(orders.rules.rules, outputs, orders.rules.limits)
        scan = orders.policy.scan
        self.ring = Ring.create(orders.buffer)
        most = scan[0] * scan[1] if scan else _POSITIONS
        try:
            self.board = Board.create(most, outputs, _PATTERN, ring=self.ring.name, deadline=orders.policy.deadline)
        except BaseException:
            self.ring.close()
            raise
        self.desk: Connection
        self.desk, self._desk_of_loop = mp.get_context("spawn").Pipe()
        self._loop: _Worker | None = None
        self._setter: _Worker | None = None
        self._recorder: _Worker | None = None

    def __enter__(self) -> Self:
        """Start: the recorder first, so that it misses nothing."""
        names = self.ring.name, self.board.name
        try:
            with _one_thread():
                if self.orders.folder is not None:
                    writable(self.orders.folder)
                if self.orders.record:
                    self._recorder = _Worker("recorder", record, (self.orders, names))
                    self._recorder.wait_until_ready()
                self._start_loop(names)
        except BaseException:
            self.close()
            raise
        return self

    def _start_loop(self, names: tuple[str, str]) -> None:
        """Start the frame loop, and with it the process that sets kernels up; whichever ends, the other sees that."""
        near, far = mp.get_context("spawn").Pipe()
        if self._learning:
            self._setter = _Worker("set-up", prepare, (self.orders, self._learning, far))
        self._loop = _Worker("analysis", answer, (self.orders, names, Lines(self._desk_of_loop, near)))
        for end in (self._desk_of_loop, near, far):
            end.close()
        if self._setter is not None:
            self._setter.wait_until_ready()
        self.standing = self._loop.wait_until_ready()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self.close()

    def run(self, look: Callable[[], None] = lambda: None) -> None:
        """Wait until all is over: the source has ended, or `stop` was called.

        Parameters
        ----------
        look : callable, optional
            Called about 50 times a second.

        Raises
        ------
        ParscopeError
            What ended the frame loop, if it did not end by itself.
        """
        while self.turn():
            look()
            time.sleep(_LOOK)

    def turn(self) -> bool:
        """See what has happened since; to be called often.

        Returns
        -------
        bool
            Whether the session goes on.

        Raises
        ------
        ParscopeError
            What ended the frame loop.
        """
        going = False
        for worker in (self._loop, self._recorder):
            if worker is not None:
                for what, told in worker.news():
                    self._hear(what, told)
                if worker.died and not worker.buried:
                    self._bury(worker)
                going |= worker.running
        self._collect()
        self._amend()
        if not going and self._loop is not None and self._loop.fault is not None:
            raise self._loop.fault
        return going

    def tell(self, line: str) -> None:
        """Tell a person something.

        Parameters
        ----------
        line : str
            One sentence.
        """
        self.notes = [*self.notes, line][-_NOTES:]
        self._listener(line)

    def stop(self) -> None:
        """Let the frame loop end after the pattern at hand, and the recorder when it has written what came."""
        self.board.stop()

    def close(self) -> None:
        """End everything; may be called twice."""
        self.stop()
        for worker in (self._loop, self._setter, self._recorder):
            if worker is not None:
                worker.end()
                self.ring.finish()
        self._loop = self._setter = self._recorder = None
        self.ring.close()
        self.board.close()
        sweep()  # what a process had that was killed

    def _bury(self, worker: _Worker) -> None:
        """Go on without a process that has died."""
        worker.buried = True
        self.ring.evict(worker.process)
        if worker is self._loop:
            self.ring.finish()  # the recorder completes its files then
            if self.orders.rules is not None:
                for line in execute(self.orders.rules, self.board, self.orders.journal, "its process has died"):
                    self.tell(line)
        if worker is self._recorder and self.orders.folder is not None:
            for master in rescue(self.orders.folder, self.orders.name, worker.process):
                self.tell(f"what had been recorded until then is in {master}")

    def _hear(self, what: str, told: Any) -> None:
        """Deal with one piece of news."""
        if what == "note":
            self.tell(told)
        elif what == "recorded":
            self._recorded[told.generation] = told
        elif what in ("fault", "missing") and told is not getattr(self._loop, "fault", None):
            self.faults.append(told)
            self.tell(str(told))

    def _collect(self) -> None:
        """Take series that are over from the board, and save those of which the recording is complete."""
        over = self.board.counters["finished"]
        while self._seen < over:
            self._seen += 1
            result = Result.of(self.board, self._seen)
            if result is None:
                self.tell(f"the maps of series {self._seen} of this session are lost: the next ones came too soon")
            else:
                self._waiting[self._seen] = result
        recording = self._recorder is not None and self._recorder.running
        for generation in sorted(self._waiting):
            if generation in self._recorded or not recording:
                self._save(self._waiting.pop(generation), self._recorded.get(generation))

    def _save(self, result: Result, recorded: Recorded | None) -> None:
        """Write the maps and the report of a series."""
        report = result.report(self.orders.policy.deadline)
        if recorded is not None:
            result = replace(result, counters={**result.counters, "recorded": recorded.written})
        saved = stem = None
        if self.orders.folder is not None:
            stem = stem_of(self.orders.folder, self.orders.name, result.generation, result.head["series"])
            drawn = self.extras(result.generation)
            made = dataset(result, report, self._provenance(recorded), self.standing, drawn)
            try:
                saved = save(stem, made, report.lines())
            except OutputError as error:
                self._hear("fault", error)
        self.finished.append(Finished(result, report, saved, recorded, stem))

    def _amend(self) -> None:
        """Add to reports what sinks have lost; they may find that out when the series is over."""
        for one in self.finished[-2:]:
            number = one.result.generation
            lost = [] if self.board.generation - number > 1 else self.board.of(number).lost
            if lost and lost != self._lost.get(number) and one.saved and one.stem:
                self._lost[number] = lost
                try:
                    write_report(one.stem, [*one.report.lines(), *lost])
                except OutputError as error:
                    self.tell(f"the report does not tell that {'; '.join(lost)}: {error}")

    def _provenance(self, recorded: Recorded | None) -> Provenance:
        """Where the patterns are, and how they were analysed."""
        policy, rules = self.orders.policy, self.orders.rules
        settings = {
            "address": self.orders.address,
            "analyse": list(self.orders.analyse),
            "policy": "newest" if policy.newest else "all",
            "deadline_ns": policy.deadline,
            "channel": policy.channel,
            "keep": policy.keep,
            "rules": [] if rules is None else [rule.text for rule in rules.rules],
            "limits": {}
            if rules is None
            else {address or "default": asdict(one) for address, one in rules.limits.items()},
        }
        source = str(recorded.masters[0]) if recorded else self.orders.address
        return Provenance(source, fingerprint_of(source) if recorded else "", parscope.__version__, settings)


class _Worker:
    """A process with a pipe to it."""

    def __init__(self, name: str, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        context = mp.get_context("spawn")
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self.fault: ParscopeError | None = None
        self.running = True
        self.died = self.buried = False
        self._process = context.Process(target=work, args=(*arguments, theirs), name=name, daemon=True)
        self._process.start()
        theirs.close()
        self._poll = select.poll()  # that of the pipe takes 50 us, and is asked 50 times a second
        self._poll.register(self.pipe.fileno(), select.POLLIN)
        self.process = self._process.pid or 0

    def wait_until_ready(self) -> str:
        """What it says when it is ready."""
        if not self.pipe.poll(_STARTING):
            raise ParscopeError("did not start in time", self._process.name, "is the machine overloaded?")
        for what, told in self.news():
            if what == "ready":
                return str(told)
        raise self.fault or ParscopeError("ended before it began", self._process.name)

    def news(self) -> list[tuple[str, Any]]:
        """What it has told since; a process that died without a word leaves a fault."""
        heard: list[tuple[str, Any]] = []
        try:
            while self.running and self._poll.poll(0):
                heard.append(self.pipe.recv())
                what, told = heard[-1]
                if what in ("done", "fault"):
                    self.running = False
                    self.fault = told if what == "fault" else None
                if what == "ready":
                    break
        except (EOFError, OSError):
            self._process.join(5)
            self.running, self.died = False, True
            code = self._process.exitcode
            self.fault = ParscopeError(f"its process has died (exit code {code})", self._process.name)
            heard.append(("fault", self.fault))
        return heard

    def end(self) -> None:
        """Wait until it has ended, and end it if it does not."""
        self._process.join(_STOPPING if self.running else 5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.running = False
        self.pipe.close()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that are started here have libraries without threads of their own."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
