"""From spectra to maps in one call: what the technique declares is fitted; resumed where it was stopped."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from parscope.core import registry
from parscope.core.axes import Axis
from parscope.core.errors import InputError, OptionError
from parscope.core.record import Provenance, fingerprint
from parscope.core.separable import Separable
from parscope.core.spectra import Spectra
from parscope.io import open_spectra
from parscope.solvers.prior import EmpiricalBayes
from parscope.workflows.blocks import Job, Progress, run_blocks, silent
from parscope.workflows.fit.block import Plan, fit_block, read_block
from parscope.workflows.fit.result import maps_dataset
from parscope.workflows.parts import Parts
from parscope.workflows.save import check_result, save

_GROUP = "parscope.techniques"
# Spectra from which a prior is learnt, spread over the scan.
_SAMPLE = 1000
_SAMPLED_BLOCKS = 32


def map_spectra(  # noqa: PLR0913 - all that a person may want to say, each with a default
    source: Spectra | Path | str,
    technique: str,
    output: Path | str | None = None,
    *,
    overwrite: bool = False,
    dask: str | None = None,
    progress: Progress | None = None,
    prior: bool = False,
    background: bool = False,
    dataset: str | None = None,
) -> xr.Dataset:
    """Fit every spectrum of a measurement, and map the parameters with their standard errors.

    Parameters
    ----------
    source : Spectra, Path or str
        Spectra, or the file that holds them.
    technique : str
        Name of the physics, as ``be-sho``; dashes and underscores are the same.
    output : Path or str, optional
        ``.nc`` or ``.zarr`` to write; with it, work that is stopped is kept and resumed by the next call.
    overwrite : bool, default False
        Whether `output` may be replaced.
    dask : str, optional
        Address of a Dask scheduler whose workers do the fits; the file must be readable for them. The result is
        the same to the last bit.
    progress : callable, optional
        Called with the name of the phase, the spectra done, and all of them.
    prior : bool, default False
        Whether weak spectra are helped by the distribution of all: see `EmpiricalBayes` for when not to.
    background : bool, default False
        Whether a constant background is fitted too.
    dataset : str, optional
        Which data set of a file of several.

    Returns
    -------
    xarray.Dataset
        Parameters and quantities of the technique with their ``_std``, ``status`` and ``misfit`` on the navigation
        axes. NaN where the fit failed; where `status` is ``weak`` or ``ambiguous``, the errors are those of the
        posterior.

    Raises
    ------
    InputError
        If the spectra are not of the technique; with what to do.
    OutputError
        If `output` exists or cannot be written.
    OptionError
        If there is no such technique, or an option cannot be meant.

    Examples
    --------
    >>> from parscope.techniques.band_excitation import BandExcitation
    >>> frequency = np.linspace(280e3, 360e3, 80)
    >>> theta = np.tile([322e3, 120.0, 0.0, 1.0], (6, 1))
    >>> noise = np.random.default_rng(0).normal(size=(2, 6, 80))
    >>> signals = BandExcitation(frequency).render(theta) + noise[0] + 1j * noise[1]
    >>> maps = map_spectra(Spectra.from_array(signals.reshape(2, 3, 80), frequency), "be-sho")
    >>> maps.resonance.dims, bool(abs(maps.resonance - 322e3).max() < 100)
    (('y', 'x'), True)
    """
    began = time.perf_counter()
    target = None if output is None else Path(output)
    spectra = source if isinstance(source, Spectra) else open_spectra(source, dataset=dataset)
    if target is not None:
        check_result(target, overwrite, (spectra.source,))
    settings = {"technique": technique, "prior": prior, "background": background, "dataset": dataset}
    plan = _plan(spectra, technique, prior, background)
    path = Path(spectra.source)
    mark = fingerprint(path) if path.exists() else ""
    # Data in memory have no fingerprint by which the next run could know them again.
    key = (mark, path.stat().st_mtime_ns, version("parscope"), settings, plan) if mark else None
    parts = Parts(target, key) if target and key else None
    # Made before the threads share it.
    _ = plan.solver.bank
    found = run_blocks(Job(fit_block, plan, "spectra"), plan.blocks(), parts, dask, progress or silent)
    elapsed = time.perf_counter() - began
    provenance = Provenance(spectra.source, mark, version("parscope"), settings)
    timing = {"elapsed_s": elapsed, "spectra_per_s": found["status"].size / elapsed}
    result = maps_dataset(plan, found, {**provenance.attributes(), **timing})
    if target is not None:
        # Once more: another run may have finished there meanwhile.
        check_result(target, overwrite, (spectra.source,))
        save(result, target)
    if parts is not None:
        parts.remove()
    return result


def _plan(spectra: Spectra, technique: str, prior: bool, background: bool) -> Plan:
    """What is fitted, to what, and under which prior."""
    physics = _physics(spectra, technique, background)
    if not spectra.navigation_shape:
        # One spectrum is a scan of one position.
        alone = np.asarray(spectra.data[:])[None]
        spectra = replace(spectra, data=alone, axes=(Axis("position", 1), spectra.axis))
    plan = Plan(spectra, physics, prior)
    if not prior:
        return plan
    return replace(plan, population=EmpiricalBayes(plan.solver).learn(_sample(plan)))


def _physics(spectra: Spectra, technique: str, background: bool) -> Separable:
    """The declared physics on the axis of the spectra."""
    name = technique.replace("-", "_")
    kind = registry.load(_GROUP, {n.replace("-", "_"): n for n in registry.names(_GROUP)}.get(name, technique))
    if not issubclass(kind, Separable):
        raise OptionError("is no technique of spectra", technique, "choose another, such as be-sho")
    if spectra.axis.name == "channel":
        raise InputError("holds channels, not spectra", spectra.source, "name spectra with --dataset")
    options = {"background": True} if background else {}
    if background and "background" not in {field.name for field in fields(kind)}:
        raise OptionError(f"{technique} has no background to fit", "--background", "leave it out")
    try:
        physics: Separable = kind(spectra.axis.values, **options)
    except ValueError as error:
        raise InputError(
            f"not spectra of {technique}: {error}", spectra.source, "name others with --dataset"
        ) from error
    is_complex = np.dtype(spectra.data.dtype).kind == "c"
    if is_complex != physics.complex:
        one, other = ("complex", "real") if is_complex else ("real", "complex")
        advice = f"name {other} spectra with --dataset"
        raise InputError(f"holds {one} spectra, and {technique} needs {other} ones", spectra.source, advice)
    units = {parameter.unit for parameter in physics.nonlinear}
    if units and spectra.axis.unit not in units:
        what = f"its axis {spectra.axis.name} is in {spectra.axis.unit!r}, and {technique} needs {sorted(units)[-1]}"
        raise InputError(what, spectra.source, "give the axis in that unit")
    return physics


def _sample(plan: Plan) -> NDArray[Any]:
    """Spectra spread over the scan, read block by block."""
    blocks = plan.blocks()
    some = np.unique(np.linspace(0, len(blocks) - 1, min(len(blocks), _SAMPLED_BLOCKS)).astype(int))
    each = -(-_SAMPLE // len(some))
    picked = []
    for start, stop in (blocks[k] for k in some.tolist()):
        signals, unreadable = read_block(plan.spectra, start, stop)
        readable = signals[~unreadable]
        picked.append(readable[:: max(len(readable) // each, 1)].copy())
    return np.concatenate(picked)
