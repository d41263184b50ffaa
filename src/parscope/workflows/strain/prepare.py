"""What is decided before the first block is fitted: set-up, contrast, crystals, pooling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError, NoLatticeError, OptionError
from parscope.core.frames import Frames
from parscope.io import open_frames
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.lattice.contrast import calibrate
from parscope.techniques.diffraction.setup import Given, Setup, find_setup, zero_and_unit
from parscope.workflows.blocks import Progress
from parscope.workflows.grains import Crystals, crystals_of, find_crystals
from parscope.workflows.grains.setup import find_setup_polycrystal
from parscope.workflows.strain.block import Plan
from parscope.workflows.strain.descan import find_descan
from parscope.workflows.strain.excess import Cells
from parscope.workflows.strain.network import NetworkStart, learned_setup, load_start
from parscope.workflows.strain.sampling import Mended, Rescaled, crystalline, rescaled, sample, scattering
from parscope.workflows.strain.settings import StrainSettings

Choices = tuple[tuple[str, str, str], ...]

# Typical standard error of strain above which 3x3 positions share their information, and 5x5.
_POOL_3, _POOL_5 = 6e-3, 1.6e-2
# Share of the patterns that networks must know to be believed that a scan shows their lattice and not the one found.
_KNOWN = 0.5
# So many squares must fit side by side along the longer side of a scan.
_WINDOWS = 3
_GIVEN = ("probe_radius", "probe_edge", "centre", "g1", "g2", "max_q", "gain")


def prepare(frames: Frames, chosen: StrainSettings, report: Progress) -> tuple[Plan, Setup, Choices]:
    """Find everything the fit needs.

    Parameters
    ----------
    frames : Frames
        The scan.
    chosen : StrainSettings
        What is given.
    report : callable
        Called with the name of the phase, the scan rows done, and all of them.

    Returns
    -------
    plan : Plan
        For the blocks.
    setup : Setup
        Probe, lattice, disks, background, bad pixels.
    choices : tuple of tuple of str
        (name, value, how) of every choice.

    Raises
    ------
    InputError
        If the patterns are of no use.
    NoLatticeError
        If no lattice of disks is in them.
    OptionError
        If an option contradicts the data.
    """
    report("set-up", 0, 1)
    found = found_setup(frames, chosen)
    frames, patterns, positions, setup = found.frames, found.patterns, found.positions, found.setup
    # Vacuum has no disks whose scatter would say anything of the contrast inside or of the error.
    telling = crystalline(patterns, setup.physics)
    solver = LatticeFilters(setup.physics)
    network = None if chosen.solver is None else load_start(chosen.solver, setup.physics)
    crystals = _crystals(frames, patterns[telling], setup, (solver, network), report)
    choices = [(c.name, c.value, c.how) for c in (*setup.choices, *(crystals.choices if crystals else ()))]
    if found.zero:
        choices.insert(
            1, ("dark offset", f"{found.zero:.3g} counts", "subtracted, so that the variance grows from zero")
        )
    if found.unit != 1:
        choices.insert(1, ("unit", f"{found.unit:.3g}", "the data are normalised: multiples of this are electrons"))
    if crystals is not None:
        _check_pool(chosen.pool)
        plan = _plan(frames, crystals.solvers, crystals.candidates, 1)
        choices.append(_contrast(plan, "waves that make the changes inside the disks of a crystal most likely"))
    else:
        solver = calibrate(solver, patterns[telling])
        size, why = (chosen.pool, "given") if chosen.pool else _pool_size(solver, patterns[telling], frames.scan_shape)
        choices.append(("pooling", f"{size} x {size} positions", why))
        descan = None if network else find_descan(solver, patterns[telling], positions[telling], frames.scan_shape)
        plan = replace(_plan(frames, (solver,), None, size), descan=descan, network=network)
        if network:
            choices.append(("start of the fits", "networks", f"every pattern looked at by those in {chosen.solver}"))
        choices.append(_contrast(plan, "waves that make the insides of the disks most likely"))
    report("set-up", 1, 1)
    return plan, setup, tuple(choices)


@dataclass(frozen=True)
class Found:
    """A scan and its set-up.

    Parameters
    ----------
    frames : Frames
        The scan, in units from which the variance grows from zero.
    patterns : ndarray, shape (n, q_y, q_x)
        A sample of its patterns.
    positions : ndarray of int, shape (n, 2)
        Where in the scan (y, x) they are from.
    setup : Setup
        Probe, lattice, disks, background, bad pixels.
    zero, unit : float
        What was subtracted from the counts, and what divides them.
    """

    frames: Frames
    patterns: NDArray[Any]
    positions: NDArray[np.int64]
    setup: Setup
    zero: float
    unit: float


def found_setup(frames: Frames, chosen: StrainSettings) -> Found:
    """Find the set-up of a scan.

    Parameters
    ----------
    frames : Frames
        The scan.
    chosen : StrainSettings
        What is given.

    Returns
    -------
    Found

    Raises
    ------
    InputError, NoLatticeError, OptionError
        As `prepare`.
    """
    patterns, positions = sample(frames)
    zero, unit = zero_and_unit(patterns, _mask(frames, chosen.mask), chosen.gain)
    if zero != 0 or unit != 1:
        frames = replace(frames, data=Rescaled(frames, zero, unit))
        patterns = rescaled(patterns, zero, unit)
    return Found(frames, patterns, positions, _find(frames, patterns, chosen), zero, unit)


def _plan(frames: Frames, solvers: tuple[LatticeFilters, ...], candidates: NDArray[np.int16] | None, pool: int) -> Plan:
    """Plan with the cells of each crystal."""
    physics: list[Any] = [solver.physics for solver in solvers]
    return Plan(frames, solvers, candidates, pool, tuple(Cells.of(p) for p in physics))


def _contrast(plan: Plan, how: str) -> tuple[str, str, str]:
    """The contrast prior of the plan as a choice for the report."""
    depth = plan.crystals[0].physics.contrast.depth
    return "contrast in the disks", f"standard deviation {depth:.2g} of the brightness of a disk", how


def _find(frames: Frames, patterns: NDArray[Any], chosen: StrainSettings) -> Setup:
    """Set-up from the sample, whatever is given taken as it is."""
    ellipse = None if chosen.ellipse is None else (chosen.ellipse[0], float(np.deg2rad(chosen.ellipse[1])))
    if chosen.centre is not None and not all(
        -0.5 < c < n for c, n in zip(chosen.centre, frames.pattern_shape, strict=True)
    ):
        raise OptionError(f"{chosen.centre} is not in the patterns {frames.pattern_shape}", "--centre")
    given = Given(**{name: getattr(chosen, name) for name in _GIVEN}, ellipse=ellipse)
    vacuum, mask = _vacuum(frames, chosen.vacuum), _mask(frames, chosen.mask)
    try:
        return _agreed(_found(patterns, vacuum, mask, given), chosen.solver, patterns, mask)
    except NoLatticeError as error:
        if chosen.solver is None:
            raise NoLatticeError(f"the patterns {error.what}", frames.source, error.advice) from error
        return learned_setup(chosen.solver, patterns, mask)
    except InputError as error:
        if error.where != "patterns":
            raise
        raise type(error)(f"the patterns {error.what}", frames.source, error.advice) from error


def _found(patterns: NDArray[Any], vacuum: NDArray[Any] | None, mask: NDArray[np.bool_] | None, given: Given) -> Setup:
    """Set-up of a crystal, or else of a polycrystal."""
    try:
        setup = find_setup(patterns, vacuum=vacuum, mask=mask, given=given)
        crystal = crystalline(patterns, setup.physics) | scattering(patterns, setup.physics.probe.radius)
        # Elsewhere the direct disk alone shines: with a wandering beam, what it leaves in the mean is taken for a
        # background, and the copies then scatter about a template that is none of theirs.
        return setup if crystal.all() else find_setup(patterns[crystal], vacuum=vacuum, mask=mask, given=given)
    except NoLatticeError:
        return find_setup_polycrystal(patterns, vacuum=vacuum, mask=mask, given=given)


def _agreed(setup: Setup, solver: Path | None, patterns: NDArray[Any], mask: NDArray[np.bool_] | None) -> Setup:
    """The set-up, or that of the networks, where noise was taken for a lattice and they know the patterns."""
    if solver is None:
        return setup
    try:
        load_start(solver, setup.physics)
    except OptionError:
        learned = learned_setup(solver, patterns, mask)
        lattice = load_start(solver, learned.physics).told(patterns)[0]
        if np.isfinite(lattice).all((1, 2)).mean() < _KNOWN:
            raise
        return learned
    return setup


def _crystals(
    frames: Frames,
    patterns: NDArray[Any],
    setup: Setup,
    solvers: tuple[LatticeFilters, NetworkStart | None],
    report: Progress,
) -> Crystals | None:
    """The crystals of a scan that one lattice does not explain; None if it does."""
    rows = frames.scan_shape[0]
    whole = replace(frames, data=Mended(frames))
    solver, network = solvers

    def progress(share: float) -> None:
        report("crystals", min(round(share * rows), rows), rows)

    if network is None:
        return find_crystals(whole, patterns, setup, solver, progress)
    return crystals_of(whole, patterns, network.survey(whole, progress), solver, network.farthest)


def _check_pool(size: int | None) -> None:
    """Refuse to pool the positions of several crystals: each has fits of its own, which share nothing."""
    if size not in (None, 1):
        raise OptionError(
            "is for a scan of one crystal, here are several",
            f"--pool {size}",
            "leave it out",
        )


def _pool_size(solver: LatticeFilters, patterns: NDArray[Any], scan_shape: tuple[int, int]) -> tuple[int, str]:
    """How many positions must share their information for a useful standard error; and why."""
    variance = np.diagonal(solver(patterns).covariance, axis1=1, axis2=2)[:, [2, 5]]
    typical = float(np.sqrt(np.nanmedian(variance))) if np.isfinite(variance).any() else np.inf
    size = 1 if typical < _POOL_3 else 3 if typical < _POOL_5 else 5
    if max(scan_shape) < _WINDOWS * size:
        return 1, "too few scan positions to share anything"
    return size, f"a single pattern has a standard error of strain of {typical:.1e}"


def _vacuum(frames: Frames, path: Path | None) -> NDArray[Any] | None:
    """Vacuum pattern: 2D ``.npy``, or the mean of a sample of a scan."""
    if path is None:
        return None
    array = _load(path, "--vacuum") if path.suffix == ".npy" else None
    pattern = sample(open_frames(path))[0].mean(0) if array is None or array.ndim != 2 else array
    return _fitting(frames, pattern, "--vacuum")


def _mask(frames: Frames, path: Path | None) -> NDArray[np.bool_] | None:
    """Bad pixels known from the file or given."""
    if path is None:
        return frames.mask
    mask = _fitting(frames, _load(path, "--mask"), "--mask").astype(np.bool_)
    return mask if frames.mask is None else mask | frames.mask


def _load(path: Path, option: str) -> NDArray[Any]:
    """An array from a ``.npy`` file."""
    try:
        return np.asarray(np.load(path, mmap_mode="r"))
    except (ValueError, EOFError) as error:
        raise OptionError("is no .npy file", f"{option} {path}", "write it with numpy.save") from error


def _fitting(frames: Frames, array: NDArray[Any], option: str) -> NDArray[Any]:
    """The array, if it has the shape of the patterns."""
    if array.shape != frames.pattern_shape:
        raise OptionError(f"has shape {array.shape}, the patterns {frames.pattern_shape}", option)
    return array
