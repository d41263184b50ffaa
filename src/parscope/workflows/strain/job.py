"""From a scan to a strain map in one call: set-up, fit, judgement, result; resumed where it was stopped."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.frames import Frames
from parscope.core.record import fingerprint
from parscope.io import open_frames
from parscope.techniques.diffraction.setup import Setup
from parscope.workflows.blocks import Job, Progress, run_blocks, silent
from parscope.workflows.output import Output
from parscope.workflows.strain.block import Plan, fit_block
from parscope.workflows.strain.judge import judge
from parscope.workflows.strain.prepare import Choices, prepare
from parscope.workflows.strain.reference import Given, Reference, choose
from parscope.workflows.strain.result import Findings, dataset
from parscope.workflows.strain.settings import StrainSettings

Arrays = dict[str, NDArray[Any]]


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
    chosen = StrainSettings.of(**settings)
    frames = _calibrated(source if isinstance(source, Frames) else open_frames(source), chosen)
    place = Output(output, overwrite, frames.source, (chosen.vacuum, chosen.mask, chosen.solver))
    region = chosen.region(frames.scan_shape)
    report = progress or silent
    plan, setup, choices = prepare(frames, chosen, report)
    zero = np.array([chosen.g1, chosen.g2]) if chosen.reference == "lattice" else region
    maps = run_blocks(Job(fit_block, plan), plan.blocks(), place.parts(plan), dask, report)
    found = _concluded(plan, setup, choices, maps, zero)
    del maps
    elapsed = time.perf_counter() - began
    timing = {"elapsed_s": elapsed, "patterns_per_s": found.status.size / elapsed}
    result = dataset(found, place.provenance(_settings(frames, chosen)), timing)
    if chosen.solver is not None:
        # No setting: the command that makes the map again is made of these.
        result.attrs["solver_fingerprint"] = fingerprint(chosen.solver)
    # What only led to the result goes before a file is made of it: covariances alone are as large as the strains.
    del found
    place.write(result)
    return result


def _settings(frames: Frames, chosen: StrainSettings) -> dict[str, Any]:
    """Every setting: how the file was opened, and what was given for the fit; None where it was found."""
    return {**frames.metadata.get("opened_with", {}), **chosen.named()}


def _size(reference: Reference) -> str:
    """How many positions zero strain is the median of."""
    return f"{int(reference.region.sum())} positions" if reference.region.any() else "a lattice"


def _calibrated(frames: Frames, chosen: StrainSettings) -> Frames:
    """The scan with the distance of its positions, if it is given."""
    if chosen.step is None:
        return frames
    axes = tuple(Axis(a.name, a.size, "nm", chosen.step) for a in frames.axes[:2])
    return replace(frames, axes=(*axes, *frames.axes[2:]))


def _concluded(plan: Plan, setup: Setup, choices: Choices, maps: Arrays, zero: Given) -> Findings:
    """What became of every position, and what zero strain is."""
    status = judge(maps, plan.cells)
    physics: list[Any] = [solver.physics for solver in plan.crystals]
    reference = choose(maps, status, zero, np.array([p.basis for p in physics]))
    return Findings(plan, setup, maps, status, reference, (*choices, ("reference", _size(reference), reference.how)))
