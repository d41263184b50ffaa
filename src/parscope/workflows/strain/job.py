"""From a scan to a strain map in one call: set-up, fit, judgement, result; resumed where it was stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import NoLatticeError, OptionError
from parscope.core.frames import Frames
from parscope.core.record import Provenance, fingerprint
from parscope.io import open_frames
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.contrast import calibrate
from parscope.techniques.diffraction.setup import Given, Setup, find_setup
from parscope.workflows.grains import find_crystals, find_setup_polycrystal
from parscope.workflows.strain.block import Plan, fit_block
from parscope.workflows.strain.excess import outside
from parscope.workflows.strain.judge import judge
from parscope.workflows.strain.parts import Parts
from parscope.workflows.strain.reference import choose
from parscope.workflows.strain.result import Findings, dataset
from parscope.workflows.strain.sampling import sample
from parscope.workflows.strain.save import refuse_existing, save
from parscope.workflows.strain.settings import StrainSettings

Progress = Callable[[str, int, int], None]
Arrays = dict[str, NDArray[Any]]

# Typical standard error of strain above which 3x3 positions share their information, and 5x5.
_POOL_3, _POOL_5 = 6e-3, 1.6e-2


def map_strain(
    source: Frames | Path | str,
    output: Path | str | None = None,
    *,
    overwrite: bool = False,
    dask: str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> xr.Dataset:
    """Map strain and rotation with standard errors from a 4D-STEM scan; every parameter is found from the data.

    Parameters
    ----------
    source : Frames, Path or str
        A scan, or the file that holds one.
    output : Path or str, optional
        ``.nc`` or ``.zarr`` to write; with it, work that is stopped is kept and resumed by the next call.
    overwrite : bool, default False
        Whether `output` may be replaced.
    dask : str, optional
        Address of a Dask scheduler whose workers do the fits; the file must be readable for them. The result is
        the same to the last bit.
    progress : callable, optional
        Called with the name of the phase, the scan rows done, and all of them.
    **settings
        Fields of `StrainSettings`, to override what would be found.

    Returns
    -------
    xarray.Dataset
        ``e_xx``, ``e_yy``, ``e_xy`` [1], ``rotation`` [rad], their ``_std``, ``status``, ``misfit``,
        ``limit_ratio``, ``amplitude`` and more on (y, x); NaN where `status` is not 0.

    Raises
    ------
    InputError
        If the scan cannot be used; with what to do.
    NoLatticeError
        If no lattice of disks is in the patterns.
    OutputError
        If `output` exists or cannot be written.
    OptionError
        If an option cannot be meant.

    Examples
    --------
    >>> from parscope.techniques.diffraction.simulate import ScanDesign, simulate
    >>> scan = simulate(ScanDesign(scan=(8, 8), pattern=(64, 64), electrons=3000.0, seed=1)).frames
    >>> map_strain(scan).e_xx.dims
    ('y', 'x')
    """
    began = time.perf_counter()
    chosen = StrainSettings(**settings)
    target = None if output is None else Path(output)
    if target is not None:
        refuse_existing(target, overwrite)
    frames = _calibrated(source if isinstance(source, Frames) else open_frames(source), chosen)
    region = chosen.region(frames.scan_shape)
    report = progress or _silent
    report("set-up", 0, 1)
    plan, setup, choices = _prepare(frames, chosen, report)
    report("set-up", 1, 1)
    mark = fingerprint(Path(frames.source)) if Path(frames.source).exists() else ""
    parts = None if target is None else Parts(target, (mark, version("parscope"), chosen, _key(plan)))
    maps = _fit(plan, parts, dask, report)
    status = judge(maps, setup.physics, plan.outside)
    zero = "lattice" if chosen.reference == "lattice" else region
    reference = choose(maps, status, zero, len(plan.crystals))
    found = Findings(plan, setup, maps, status, reference, (*choices, ("reference", "", reference.how)))
    elapsed = time.perf_counter() - began
    provenance = Provenance(frames.source, mark, version("parscope"), chosen.given())
    timing = {"elapsed_s": elapsed, "patterns_per_s": status.size / elapsed}
    result = dataset(found, provenance, timing)
    if target is not None:
        save(result, target)
    if parts is not None:
        parts.remove()
    return result


def _silent(phase: str, done: int, total: int) -> None:
    """Report to nobody."""


def _calibrated(frames: Frames, chosen: StrainSettings) -> Frames:
    """The scan with the distance of its positions, if it is given."""
    if chosen.step is None:
        return frames
    axes = tuple(Axis(a.name, a.size, "nm", chosen.step) for a in frames.axes[:2])
    return replace(frames, axes=(*axes, *frames.axes[2:]))


def _prepare(
    frames: Frames, chosen: StrainSettings, report: Progress
) -> tuple[Plan, Setup, tuple[tuple[str, str, str], ...]]:
    """Find everything the fit needs; with the sentences that say how."""
    patterns = sample(frames)
    angle = None if chosen.ellipse is None else (chosen.ellipse[0], float(np.deg2rad(chosen.ellipse[1])))
    given = Given(
        **{k: getattr(chosen, k) for k in ("probe_radius", "probe_edge", "centre", "g1", "g2", "max_q", "gain")},
        ellipse=angle,
    )
    known = {"vacuum": _pattern(chosen.vacuum), "mask": _mask(frames, chosen)}
    try:
        setup = find_setup(patterns, given=given, **known)
    except NoLatticeError:
        setup = find_setup_polycrystal(patterns, frames, given)
    solver = calibrate(LatticeFilters(setup.physics), patterns)
    rows = frames.scan_shape[0]
    crystals = find_crystals(
        frames, patterns, setup, solver, lambda share: report("crystals", round(share * rows), rows)
    )
    choices = [(c.name, c.value, c.how) for c in (*setup.choices, *(crystals.choices if crystals else ()))]
    contrast = solver.physics.contrast
    sentence = f"depth {contrast.depth:.2g}, correlation length {contrast.length:.2g} radii"
    choices.append(("contrast in the disks", sentence, "the prior with which the disks agree best on the lattice"))
    size, why = (chosen.pool, "given") if chosen.pool else _pool_size(solver, patterns)
    choices.append(("pooling", f"{size} x {size} positions", why))
    plan = Plan(
        frames,
        crystals.solvers if crystals else (solver,),
        crystals.candidates if crystals else None,
        1 if crystals else size,
        outside(setup.physics),
    )
    return plan, setup, tuple(choices)


def _pool_size(solver: LatticeFilters, patterns: NDArray[Any]) -> tuple[int, str]:
    """How many positions must share their information for a useful standard error; and why."""
    variance = np.diagonal(solver(patterns).covariance, axis1=1, axis2=2)[:, [2, 5]]
    typical = float(np.sqrt(np.nanmedian(variance))) if np.isfinite(variance).any() else np.inf
    size = 1 if typical < _POOL_3 else 3 if typical < _POOL_5 else 5
    return size, f"a single pattern has a standard error of strain of {typical:.1e}"


def _pattern(path: Path | None) -> NDArray[Any] | None:
    """Vacuum pattern: 2D ``.npy``, or the mean of a sample of a scan."""
    if path is None:
        return None
    if Path(path).suffix == ".npy":
        array = np.load(path)
        if array.ndim == 2:
            return np.asarray(array)
    return np.asarray(sample(open_frames(path)).mean(0))


def _mask(frames: Frames, chosen: StrainSettings) -> NDArray[np.bool_] | None:
    """Bad pixels known from the file or given."""
    if chosen.mask is None:
        return frames.mask
    mask = np.load(chosen.mask).astype(np.bool_)
    if mask.shape != frames.pattern_shape:
        raise OptionError(f"has shape {mask.shape}, the patterns {frames.pattern_shape}", "--mask")
    return mask if frames.mask is None else mask | frames.mask


def _key(plan: Plan) -> Any:
    """What the blocks of a plan depend on."""
    physics: list[Any] = [s.physics for s in plan.crystals]
    numbers = [np.concatenate([p.basis.ravel(), p.amplitude, p.centre, [p.gain]]).tolist() for p in physics]
    return numbers, physics[0].contrast, plan.pool, plan.frames.data.shape


def _fit(plan: Plan, parts: Parts | None, dask: str | None, report: Progress) -> Arrays:
    """All blocks, those of an earlier run taken from disk; in the order of the scan."""
    blocks = plan.blocks()
    done: dict[int, Arrays] = {}
    if parts is not None:
        done = {start: block for start, _ in blocks if (block := parts.load(start)) is not None}
    todo = [b for b in blocks if b[0] not in done]
    rows = plan.frames.scan_shape[0]
    finished = rows - sum(stop - start for start, stop in todo)
    report("fit", finished, rows)
    for (start, stop), block in _on_cluster(plan, todo, dask) if dask else _on_threads(plan, todo):
        done[start] = block
        if parts is not None:
            parts.save(start, block)
        finished += stop - start
        report("fit", finished, rows)
    order = [done[start] for start, _ in blocks]
    return {k: np.concatenate([b[k] for b in order]) for k in order[0]}


def _on_threads(plan: Plan, blocks: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], Arrays]]:
    """Blocks as they are finished by a thread for each core; only a few are in memory at a time."""
    workers = max(1, min(os.cpu_count() or 1, 8))
    queue = list(blocks)
    with ThreadPoolExecutor(workers) as pool:
        running = {}
        try:
            while queue or running:
                while queue and len(running) < workers:
                    block = queue.pop(0)
                    running[pool.submit(fit_block, plan, *block)] = block
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _on_cluster(plan: Plan, blocks: list[tuple[int, int]], address: str) -> Iterator[tuple[tuple[int, int], Arrays]]:
    """Blocks as they are finished by the workers of a Dask cluster."""
    from parscope.workflows.strain.cluster import on_cluster

    yield from on_cluster(plan, blocks, address)
