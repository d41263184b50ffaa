"""Everything the fit of a scan needs, found from a sample of its patterns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError, NoLatticeError, ShapeError
from parscope.techniques.diffraction.pattern import Background, DiffractionPattern, Probe
from parscope.techniques.diffraction.setup.align import Wander, aligned_mean, unblurred, wander
from parscope.techniques.diffraction.setup.choice import Choice, Given, Setup, ellipse_matrix, stretches
from parscope.techniques.diffraction.setup.diffuse import diffuse
from parscope.techniques.diffraction.setup.elsewhere import probe_elsewhere
from parscope.techniques.diffraction.setup.finder import Lattice, find_lattice
from parscope.techniques.diffraction.setup.fitting import (
    EDGE,
    GEOMETRY,
    RADIUS,
    SPREAD,
    Disks,
    disks,
    fit_disks,
    render,
)
from parscope.techniques.diffraction.setup.gain import counts_per_electron
from parscope.techniques.diffraction.setup.moments import Array, moments
from parscope.techniques.diffraction.setup.pixels import BadPixels, Mask, bad_pixels, fill
from parscope.techniques.diffraction.setup.probe import (
    RESOLVED,
    ProbeFit,
    first_probe,
    image_variance,
    lone_probe,
    probe_in_place,
    vacuum_probe,
)
from parscope.techniques.diffraction.setup.select import hidden_share, lattice_points, useful_disks

MOST_POINTS = 400
MOST_PIXELS = 1 << 26
# displacements of the pattern that are looked for: in pixels, and as a share of the detector
LEAST_WANDER, LIKELY_WANDER = 6, 0.06


@dataclass
class _Work:
    """What is known so far, handed from step to step."""

    patterns: NDArray[Any]
    given: Given
    bad: BadPixels
    gain: float
    mean: Array
    share: Array
    choices: list[Choice] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Patterns in the sample."""
        return len(self.patterns)

    @property
    def noise(self) -> float:
        """Variance of a pixel of `mean` over its mean, [counts]."""
        return self.gain / self.count

    @property
    def valid(self) -> Mask:
        """Pixels of `mean` that enough patterns contribute to."""
        return np.asarray((self.share > 0.5) & ~self.bad.mask)

    def note(self, name: str, value: str, how: str, std: float = float("nan")) -> None:
        """Remember a choice for the report."""
        self.choices.append(Choice(name, value, how, std))


def find_setup(
    patterns: NDArray[Any],
    *,
    vacuum: NDArray[Any] | None = None,
    mask: Mask | None = None,
    given: Given | None = None,
) -> Setup:
    """Find the probe, the lattice, the disks, the background and the bad pixels of a scan from some of its patterns.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        64 to 1024 patterns from all over the scan, of any real type, in counts; of more than 2^26 pixels in all,
        evenly chosen ones are used.
    vacuum : ndarray, shape (q_y, q_x), optional
        Pattern of the probe in vacuum, from which the probe is then taken.
    mask : ndarray of bool, shape (q_y, q_x), optional
        True where the pixel is known to be bad.
    given : Given, optional
        What is known beforehand; default nothing.

    Returns
    -------
    Setup

    Raises
    ------
    InputError
        If the patterns hold no counts, one value only, or values that are not finite.
    ShapeError
        If the arrays do not fit together.
    NoLatticeError
        If no lattice of disks stands out.
    """
    work = _detector(_thinned(np.asarray(patterns)), mask, Given() if given is None else given)
    if vacuum is not None and np.shape(vacuum) != work.mean.shape:
        raise ShapeError(f"has shape {np.shape(vacuum)}, not {work.mean.shape}", "vacuum")
    known = None if vacuum is None else vacuum_probe(np.asarray(vacuum, dtype=np.float64), work.bad.mask)
    probe, middle = _first_look(work, known)
    lattice = _lattice(work, probe, middle)
    direct_seen = _hidden(probe, lattice, work.bad.given | work.bad.blocked) < 0.5
    drift = _align(work, probe, lattice) if direct_seen else None
    whole = direct_seen and _hidden(probe, lattice, work.bad.mask) < 0.4
    if known is None and whole:
        probe = _overriding(work.given, lone_probe(work.mean, work.valid, lattice.centre, probe, work.noise))
    fitted, background = _fit_mean(work, probe, lattice, fit_probe=known is None and not whole)
    found = known
    if found is None and whole:
        found = probe_in_place(work.mean, work.valid, fitted, background, work.noise)
    if found is None:
        found = probe_elsewhere(work.patterns, fitted, work.bad.mask, work.gain)
    found = _overridden(work, found, drift)
    return _finish(work, found, fitted, background)


def _thinned(patterns: NDArray[Any]) -> NDArray[Any]:
    """Every n-th pattern, so that large detectors take no longer than a few seconds."""
    return patterns[:: max(1, -(-patterns.size // MOST_PIXELS))]


def _detector(patterns: NDArray[Any], mask: Mask | None, given: Given) -> _Work:
    """Bad pixels and gain."""
    sample = moments(patterns)
    if mask is not None and mask.shape != sample.mean.shape:
        raise ShapeError(f"has shape {mask.shape}, not {sample.mean.shape}", "mask")
    if sample.high.max() <= 0:
        raise InputError("hold no counts", "patterns", "check the file and the detector")
    if not sample.variance.any() and np.ptp(sample.mean) == 0:
        raise InputError("hold one value only", "patterns", "check the file and the detector")
    bad = bad_pixels(sample, mask)
    if bad.mask.mean() > 0.9:
        raise InputError("have hardly a usable pixel", "patterns", "check the mask and the detector")
    gain, how = counts_per_electron(sample, bad.mask, patterns)
    if given.gain is not None:
        gain, how = given.gain, "given"
    work = _Work(patterns, given, bad, gain, fill(sample.mean, bad.mask), (~bad.mask).astype(np.float64))
    work.note("bad pixels", str(int(bad.mask.sum())), f"{bad.sentence()}, by their statistics over the sample")
    work.note("gain", f"{gain:.3g} counts per electron", how)
    return work


def _first_look(work: _Work, known: ProbeFit | None) -> tuple[Probe, Array]:
    """Probe good enough to find disks with, and where the strongest disk is."""
    rough, middle = first_probe(work.mean, ~work.bad.mask, work.noise)
    return _overriding(work.given, known.probe if known else rough), middle


def _overriding(given: Given, probe: Probe) -> Probe:
    """Probe with what is given put in."""
    return replace(probe, radius=given.probe_radius or probe.radius, edge=given.probe_edge or probe.edge)


def _lattice(work: _Work, probe: Probe, middle: Array) -> Lattice:
    """Lattice of the mean pattern; if its disks are smeared, of the mean of the patterns laid over each other."""
    per_image = work.noise
    centre = work.given.centre
    try:
        return find_lattice(work.mean, probe, work.bad.mask, gain=per_image, centre=centre)
    except NoLatticeError:
        moved = wander(work.patterns, probe, middle, work.bad.mask, work.gain, _reach(work.mean.shape))
        if not moved.spread > 0.3:
            raise
        image, _ = aligned_mean(work.patterns, moved.shift, work.bad.mask)
        return find_lattice(image, probe, work.bad.mask, gain=per_image, centre=centre)


def _hidden(probe: Probe, lattice: Lattice, mask: Mask) -> float:
    """Share of the direct disk that is masked, [1]."""
    one = disks(lattice.centre, lattice.basis, np.zeros((1, 2), dtype=np.int64), probe.radius, probe.edge)
    return float(hidden_share(one, mask)[0])


def _reach(shape: tuple[int, ...], most: float = np.inf) -> int:
    """How far the pattern is looked for from its mean position, [px]."""
    return max(LEAST_WANDER, int(min(LIKELY_WANDER * min(shape), most)))


def _align(work: _Work, probe: Probe, lattice: Lattice) -> Wander:
    """Take the wander of the pattern out of the mean, if there is any."""
    bad = work.bad.given | work.bad.hot | work.bad.dead
    # the direct disk must not be mistaken for its neighbour
    reach = _reach(work.mean.shape, 0.45 * float(np.hypot(*lattice.g1)))
    moved = wander(work.patterns, probe, lattice.centre, bad, work.gain, reach)
    if moved.reliable:
        work.mean, work.share = aligned_mean(work.patterns, moved.shift, work.bad.mask)
        how = "direct disk of every pattern found by matched filter; patterns laid over each other"
    else:
        how = "direct disk of every pattern found by matched filter; too small or too noisy to be taken out"
    work.note("descan", f"{moved.spread:.2f} px standard deviation", how, moved.left)
    return moved


def _fit_mean(work: _Work, probe: Probe, lattice: Lattice, fit_probe: bool) -> tuple[Disks, Background]:
    """Fit lattice, disks and background to the mean pattern, in turn."""
    given = work.given
    basis = lattice.basis if given.g1 is None else np.array([given.g1, given.g2])
    centre = lattice.centre if given.centre is None else np.array(given.centre)
    on = lattice.peaks.position[: max(lattice.disks, 3)] - centre
    farthest = float(np.sqrt((on**2).sum(axis=1)).max()) + 1.2 * float(np.sqrt((basis**2).sum(axis=1)).max())
    numbers = lattice_points(centre, basis, work.mean.shape, -probe.radius, min(given.max_q or np.inf, farthest))
    model = disks(centre, basis, numbers[:MOST_POINTS], probe.radius, probe.edge, 0.01**2)
    # contrast inside the disks must not pass for a displacement; inside a spot the two cannot be told apart
    if probe.radius > RESOLVED * probe.edge:
        model = replace(model, uneven=np.zeros((len(model.indices), 2)))
    valid = work.valid
    free: tuple[int, ...] = (*GEOMETRY, SPREAD, *((RADIUS, EDGE) if fit_probe else ()))
    if given.g1 is not None:
        free = tuple(i for i in free if i not in (2, 3, 4, 5))
    variance = image_variance(work.mean, work.noise)
    background = diffuse(work.mean, valid, model, variance)
    for _ in range(2):
        image = work.mean - _under(background, model, work.mean.shape)
        fit = fit_disks(image, variance, valid, model, free)
        model = fit.disks
        background = diffuse(work.mean, valid, model, variance)
    std = float(np.nanmax(fit.std[2:6])) if np.isfinite(fit.std[2:6]).any() else float("nan")
    for name, vector in zip(("g1", "g2"), model.basis, strict=True):
        work.note(
            name,
            f"({vector[0]:.2f}, {vector[1]:.2f}) px, length {np.hypot(*vector):.2f} px",
            "given"
            if given.g1
            else f"lattice through {lattice.disks} disks holding {lattice.score:.0%} of the "
            "diffracted intensity, refined on the mean pattern",
            std,
        )
    return replace(model, uneven=None), background


def _under(background: Background, model: Disks, shape: tuple[int, ...]) -> Array:
    """Background on the whole detector."""
    return background.at(np.moveaxis(np.indices(shape), 0, -1) - model.centre)


def _overridden(work: _Work, found: ProbeFit, drift: Wander | None) -> ProbeFit:
    """Put in what is given, undo what the wander of the pattern did to the edge, and note it all."""
    given = work.given
    edge = found.probe.edge if found.own_edge or drift is None else unblurred(found.probe.edge, drift)
    probe = _overriding(given, replace(found.probe, edge=edge))
    stretch, ellipse_how = found.stretch, found.ellipse_how
    if given.ellipse is not None:
        stretch, ellipse_how = stretches(*given.ellipse), "given"
        probe = replace(probe, distortion=ellipse_matrix(*given.ellipse))
    found = replace(found, probe=probe, stretch=stretch, ellipse_how=ellipse_how)
    note = work.note
    note("probe radius", f"{probe.radius:.2f} px", "given" if given.probe_radius else found.how, found.radius_std)
    note("probe edge", f"{probe.edge:.2f} px", "given" if given.probe_edge else found.how, found.edge_std)
    note("ellipse", found.ellipse_value(), found.ellipse_how)
    return found


def _finish(work: _Work, found: ProbeFit, fitted: Disks, background: Background) -> Setup:
    """Choose the disks, fit their amplitudes with the final probe, and judge the result."""
    probe = found.probe
    final = replace(fitted, shared=found.shared(fitted.shared))
    valid = work.valid
    per_image = work.noise
    variance = image_variance(work.mean, per_image)
    fit = fit_disks(work.mean - _under(background, final, work.mean.shape), variance, valid, final, (), steps=1)
    margin = probe.radius + 3 * probe.edge + 1
    use, how = useful_disks(fit.disks, fit.amplitude_std, background, work.bad.mask, margin)
    if use.sum() < 3:
        raise NoLatticeError(f"have {int(use.sum())} usable disks", "patterns", "check the mask and max_q")
    shape = (work.mean.shape[0], work.mean.shape[1])
    model = render(fit.disks, shape) + _under(background, fit.disks, shape)
    misfit = float(np.mean(((work.mean - model) ** 2 / variance)[valid]))
    work.note(
        "centre",
        f"({final.centre[0]:.2f}, {final.centre[1]:.2f}) px",
        "given" if work.given.centre else "fitted to the mean pattern with the lattice",
    )
    work.note("disks", str(int(use.sum())), how)
    work.note(
        "background",
        f"{background.level:.3g} / (1 + (q / {background.width:.1f} px)^2) + {background.floor:.3g}",
        "fitted to the pixels between the disks of the mean pattern",
    )
    physics = DiffractionPattern(
        shape=shape,
        probe=probe,
        centre=(float(final.centre[0]), float(final.centre[1])),
        basis=final.basis.copy(),
        indices=fit.disks.indices[use],
        amplitude=fit.disks.amplitude[use],
        background=background,
        gain=work.gain,
        mask=work.bad.mask if work.bad.mask.any() else None,
    )
    return Setup(physics, tuple(work.choices), work.mean, work.bad, misfit)
