"""Blocks of a long job: done by threads or a cluster, kept on disk, and entered into whole maps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.workflows.parts import Parts

Arrays = dict[str, NDArray[Any]]
Block = tuple[int, int]
Progress = Callable[[str, int, int], None]


def silent(phase: str, done: int, total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Job:
    """What is done to every block.

    Parameters
    ----------
    work : callable
        Called with `plan`, the first row of a block, and the row after its last; returns arrays of first dimensions
        (rows, columns). A cluster imports it by its name.
    plan : object
        All that is decided before.
    rows : str, default "scan rows"
        What the rows are called; spectra are rows of one column.
    """

    work: Callable[[Any, int, int], Arrays]
    plan: Any
    rows: str = "scan rows"


def run_blocks(job: Job, blocks: list[Block], parts: Parts | None, dask: str | None, report: Progress) -> Arrays:
    """Do all blocks, those of an earlier run taken from disk; each goes into the whole maps at once.

    Parameters
    ----------
    job : Job
        What is done to each.
    blocks : list of tuple of int
        Rows (start, stop), in order and without gaps.
    parts : Parts, optional
        Where finished blocks are kept.
    dask : str, optional
        Address of a Dask scheduler; default threads, one a core.
    report : callable
        Called with the name of the phase, the rows done, and all of them.

    Returns
    -------
    dict of ndarray
        Of first dimensions (all rows, columns).
    """
    rows = blocks[-1][1]
    maps: Arrays = {}
    todo = []
    for start, stop in blocks:
        kept = None if parts is None else parts.load(start)
        if kept is None:
            todo.append((start, stop))
        else:
            _enter(maps, kept, start, rows)
    finished = rows - sum(stop - start for start, stop in todo)
    report("fit", finished, rows)
    try:
        for (start, stop), block in _on_threads(job, todo) if dask is None else _on_cluster(job, todo, dask):
            _enter(maps, block, start, rows)
            if parts is not None:
                parts.save(start, block)
            finished += stop - start
            report("fit", finished, rows)
    except KeyboardInterrupt as stop_sign:
        if parts is not None:
            safe = sum(stop - start for start, stop in blocks if start in parts)
            stop_sign.add_note(
                f"{safe} of {rows} {job.rows} are kept in {parts.folder}: the same command again does the rest"
            )
        raise
    return maps


def _enter(maps: Arrays, block: Arrays, start: int, rows: int) -> None:
    """Enter a block into the maps of the whole scan, which the first block makes; every component is a whole map."""
    for name, values in block.items():
        if name not in maps:
            whole = np.empty((*values.shape[2:], rows, values.shape[1]), values.dtype)
            maps[name] = np.moveaxis(whole, (-2, -1), (0, 1))
        maps[name][start : start + len(values)] = values


def _on_threads(job: Job, blocks: list[Block]) -> Iterator[tuple[Block, Arrays]]:
    """Blocks as they are finished by a thread for each core; only a few are in memory at a time."""
    workers = max(1, min(len(os.sched_getaffinity(0)), 8))
    queue = list(blocks)
    with ThreadPoolExecutor(workers) as pool:
        running: dict[Future[Arrays], Block] = {}
        try:
            while queue or running:
                while queue and len(running) < workers:
                    block = queue.pop(0)
                    running[pool.submit(job.work, job.plan, *block)] = block
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _on_cluster(job: Job, blocks: list[Block], address: str) -> Iterator[tuple[Block, Arrays]]:
    """Blocks as they are finished by the workers of a Dask cluster."""
    # Dask is an extra and takes a second to import: only those who ask for a cluster need it.
    from parscope.workflows.cluster import on_cluster

    return on_cluster(job.work, job.plan, blocks, address)
