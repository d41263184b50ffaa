"""From spectra to maps in one call: what the technique declares is fitted; resumed where it was stopped."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from parscope.core.errors import OptionError
from parscope.core.record import fingerprint
from parscope.core.spectra import Spectra
from parscope.io import open_spectra
from parscope.solvers.neighbours import from_neighbours
from parscope.solvers.prior import EmpiricalBayes, Local
from parscope.workflows.blocks import Arrays, Job, Progress, run_blocks, silent
from parscope.workflows.fit.block import Plan, Prior, fit_block, survey_block
from parscope.workflows.fit.result import maps_dataset
from parscope.workflows.fit.source import as_scan, physics_for, sample
from parscope.workflows.output import Output
from parscope.workflows.technique import decided, find

# Settings that are not of the technique.
_OURS = ("technique", "prior", "dataset", "solver", "solver_fingerprint")
# Axes of a scan, by name.
_SCAN = ("y", "x", "position")


def plan_again(spectra: Spectra, settings: Mapping[str, Any]) -> Plan:
    """What was decided before spectra were fitted, from the settings that their maps keep.

    Parameters
    ----------
    spectra : Spectra
        Those that were fitted.
    settings : mapping
        Of `map_spectra`.

    Returns
    -------
    Plan
    """
    options = {n: _tuples(value) for n, value in settings.items() if n not in _OURS}
    return _plan(spectra, str(settings["technique"]), settings.get("prior"), settings.get("solver"), options)


def _tuples(value: Any) -> Any:
    """What JSON made a list of is a tuple again."""
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def map_spectra(  # noqa: PLR0913 - all that a person may want to say, each with a default
    source: Spectra | Path | str,
    technique: str,
    output: Path | str | None = None,
    *,
    overwrite: bool = False,
    dask: str | None = None,
    progress: Progress | None = None,
    prior: Prior | None = None,
    solver: Path | str | None = None,
    dataset: str | None = None,
    **options: Any,
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
    prior : {"scan", "neighbours"}, optional
        What helps weak spectra: the distribution of all, see `EmpiricalBayes` for when not to; or that of their
        neighbours along ``y`` and ``x``, in what is not a factor of the signal, which takes a second pass.
    solver : Path or str, optional
        Folder of a network trained for the technique, see `train_spectra`: it tells weak spectra, under the
        distribution it was trained on, and starts the fits of the others. One for the whole range first hears the
        noise that the spectra of the scan have in common.
    dataset : str, optional
        Which data set of a file of several.
    **options
        What the technique lets a person set, such as ``background=True`` for `BandExcitation`: fields of its class.

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
    # Said before anything is read.
    find(technique)
    spectra = source if isinstance(source, Spectra) else open_spectra(source, dataset=dataset)
    place = Output(output, overwrite, spectra.source)
    settings = {"technique": technique, "prior": prior, "dataset": dataset, **options}
    plan = _plan(spectra, technique, prior, solver, options)
    if solver is not None:
        settings |= {"solver": str(solver), "solver_fingerprint": fingerprint(Path(solver))}

    def run(job: Job, ending: str, report: Progress) -> Arrays:
        return run_blocks(job, job.plan.blocks(), place.parts(settings, job.plan, ending=ending), dask, report)

    report = progress or silent
    if prior == "neighbours":
        told = run(Job(survey_block, plan, "spectra"), ".survey", lambda _, done, total: report("survey", done, total))
        plan = plan.settled(local=_local(spectra, told))
    found = run(Job(fit_block, plan, "spectra"), "", report)
    elapsed = time.perf_counter() - began
    provenance = place.provenance({**settings, **decided(plan.physics)})
    timing = {"elapsed_s": elapsed, "spectra_per_s": found["status"].size / elapsed}
    heard = {} if plan.noise is None else {"noise_heard": plan.noise}
    result = maps_dataset(plan, found, {**provenance.attributes(), **heard, **timing})
    place.write(result)
    return result


def _plan(
    spectra: Spectra, technique: str, prior: Prior | None, solver: Path | str | None, options: Mapping[str, Any]
) -> Plan:
    """What is fitted, to what, and under which prior or from which network."""
    spectra = as_scan(spectra)
    if prior == "neighbours" and not _scan_axes(spectra):
        raise OptionError("there is no scan whose points have neighbours", "--prior neighbours", "choose scan")
    if solver is not None:
        return _from_network(spectra, technique, prior, Path(solver), options)
    plan = Plan(spectra, physics_for(spectra, technique, options), prior)
    if prior is None:
        return plan
    return plan.settled(population=EmpiricalBayes(plan.solver).learn(sample(spectra)))


def _from_network(
    spectra: Spectra, technique: str, prior: Prior | None, folder: Path, options: Mapping[str, Any]
) -> Plan:
    """Plan of which a network starts the fits, with the options of the technique that it was trained with."""
    from parscope.workflows.saved_networks import SavedSpectra

    if prior is not None:
        raise OptionError("has its own prior", f"--solver {folder}", "leave out --prior")
    saved = SavedSpectra.read(folder, technique)
    physics = physics_for(spectra, technique, {**saved.options, **options})
    network = saved.on(physics)
    if network.weighs:
        # Before the scan is cut into blocks: whatever the blocks, each spectrum is told of the same noise.
        network.noise = network.heard(sample(spectra))
    return Plan(spectra, physics, None).begun(saved, network)


def _scan_axes(spectra: Spectra) -> int:
    """How many of the first axes are those of a scan; what was swept comes after them."""
    return sum(1 for _ in itertools.takewhile(_SCAN.__contains__, (axis.name for axis in spectra.axes)))


def _local(spectra: Spectra, told: Arrays) -> Local:
    """What neighbours tell of all spectra, from what each says by itself."""
    shape = (*spectra.navigation_shape, told["value"].shape[-1])
    value, variance = told["value"].reshape(shape), told["variance"].reshape(shape)
    maps = [from_neighbours(value[..., j], variance[..., j], _scan_axes(spectra)) for j in range(shape[-1])]
    mean, spread = (np.stack(each, axis=-1) for each in zip(*maps, strict=True))
    return mean, spread
