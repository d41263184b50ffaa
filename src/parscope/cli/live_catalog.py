"""Recorded series go into the catalog as soon as they are over, by a process that stands back for the analysis."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
import signal
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Self

from parscope.cli.catalog_option import open_catalog
from parscope.cli.notes import note
from parscope.core.errors import InputError, MissingExtraError, ParscopeError

_PATIENCE = 1.0  # s after which it is said what is waited for
_LAST = 19  # the lowest priority there is


class Shelf:
    """Takes series into the catalog, one after the other; a context manager, which ends when all are in.

    Whether there is a catalog is seen before the scan begins. What goes wrong afterwards is said, and fails nothing:
    what was recorded can be collected later.

    Parameters
    ----------
    folder : Path
        Where series are recorded.
    address : str, optional
        Catalog, made if it is not there. Default: that of this user, if there is one.

    Raises
    ------
    ParscopeError
        If a catalog is named that cannot be used.
    """

    def __init__(self, folder: Path, address: str | None) -> None:
        self._folder, self._address = folder, address
        self._pool: ProcessPoolExecutor | None = None
        self._jobs: list[Future[str]] = []
        self.lack = ""
        try:
            open_catalog(address, make=address is not None).close()
        except ParscopeError as error:
            if address is not None:
                raise
            self.lack = _lack(error, folder)

    def take(self, stem: Path) -> None:
        """Have a series taken.

        Parameters
        ----------
        stem : Path
            Folder and beginning of the names of its files, which are complete.
        """
        self._submit(stem.name)

    def _submit(self, only: str) -> None:
        """Have files whose names begin so taken."""
        if self.lack:
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp.get_context("spawn"), _stand_back)
        with contextlib.suppress(BrokenProcessPool):  # is said at the end
            self._jobs.append(self._pool.submit(_collect, self._folder, self._address, only))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all are in, and say what is not."""
        if self._pool is None:
            return
        self._submit("")  # the journal, and what else there is
        try:
            if wait(self._jobs, _PATIENCE).not_done:
                note("Taking what was recorded into the catalog ...")
            lacking = [told for told in map(_told, self._jobs) if told]
        finally:
            self._pool.shutdown(cancel_futures=True)
        if lacking:
            note(f"not all is in the catalog ({lacking[0]}): parscope collect {self._folder} takes it")


def _lack(error: ParscopeError, folder: Path) -> str:
    """Why the catalog of this user takes nothing, in a sentence for a person who may not want one."""
    if isinstance(error, InputError):
        return f"there is no catalog to take it: parscope collect {folder} makes one"
    if isinstance(error, MissingExtraError):
        return f"the catalog takes nothing: {error}"
    return f"the catalog takes nothing ({error}): parscope collect {folder} tries again"


def _told(job: Future[str]) -> str:
    """What a job says that it could not do."""
    try:
        return job.result()
    except BrokenProcessPool:
        return "the process that collects has died"


def _stand_back() -> None:
    """Leave processors and disks to the session, and Ctrl-C to its order."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):  # systems without priorities
        os.nice(_LAST)


def _collect(folder: Path, address: str | None, only: str) -> str:
    """Take some files of a folder into the catalog; tells why not, if not."""
    from parscope.catalog.collect.collector import Collector

    try:
        with open_catalog(address) as opened:
            Collector(opened, folder, 0.0, only=only).run(once=True)
    except (ParscopeError, OSError) as error:
        return str(error)
    return ""
