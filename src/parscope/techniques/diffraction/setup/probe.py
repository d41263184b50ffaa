"""Radius, edge and ellipse of the probe's image, from a vacuum pattern or from the disks of a mean pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from parscope.core.errors import NoLatticeError
from parscope.techniques.diffraction.pattern import Background, Probe
from parscope.techniques.diffraction.setup.brightest import strongest_disk
from parscope.techniques.diffraction.setup.fitting import (
    CENTRE,
    EDGE,
    FLOOR,
    RADIUS,
    SPREAD,
    STRETCH,
    Disks,
    disks,
    fit_disks,
)
from parscope.techniques.diffraction.setup.moments import Array
from parscope.techniques.diffraction.setup.peak import peak_inside
from parscope.techniques.diffraction.setup.pixels import Mask, fill
from parscope.techniques.diffraction.setup.select import hidden_share

MODEL_ERROR = 0.04
VACUUM_ERROR = 0.005
SIGNIFICANT = 3.5
# contrast inside the disks of a specimen feigns an ellipse of up to about one percent; vacuum has none
FEIGNED = 0.015
# disks that are asked for the ellipse, and how much dimmer than the direct one they may be
WITNESSES = 8
DIMMEST = 0.01
# radius over edge above which a disk has an inside; contrast there is modelled as a polynomial of so many terms
RESOLVED = 2.5
SQUARES = 5
# radius over edge above which a disk is no peak of the background
SHARP = 4.0
# part of the radius of a disk beyond which a peak in it is smooth
RIM = 0.6
# pixels that it takes to fit a disk
FEWEST = 12


@dataclass(frozen=True)
class ProbeFit:
    """The probe with its standard errors and how it was found; `own_edge` if its edge owes nothing to the wander."""

    probe: Probe
    radius_std: float
    edge_std: float
    how: str
    stretch: tuple[float, float] = (0.0, 0.0)
    ellipse_how: str = "not significant: round"
    own_edge: bool = False

    def shared(self, start: Array) -> Array:
        """`Disks.shared` with this probe put in."""
        result = start.copy()
        result[RADIUS], result[EDGE] = self.probe.radius, self.probe.edge
        result[list(STRETCH)] = self.stretch
        return result

    def ellipse_value(self) -> str:
        """Axis ratio and angle, for the report."""
        a, b = self.stretch
        size = float(np.hypot(a, b))
        if size == 0:
            return "1 (round)"
        angle = 0.5 * np.degrees(np.arctan2(b, -a))
        return f"{np.exp(2 * size):.4f} at {angle:.0f} deg"


def image_variance(image: Array, per_image: float, model_error: float = MODEL_ERROR) -> Array:
    """Variance of a mean pattern: counting noise, and a share of the signal nearby for all the model leaves out."""
    typical = max(float(np.mean(np.clip(image, 0, None))), 1e-30)
    # smoothed, so that a pixel is not trusted more for having few counts by chance
    counts = np.clip(ndimage.uniform_filter(image, 3), 0.02 * typical, None)
    nearby = ndimage.maximum_filter(counts, 5)
    return np.asarray(per_image * counts + (model_error * nearby) ** 2)


def first_probe(image: Array, valid: Mask, per_image: float) -> tuple[Probe, Array]:
    """Probe and position (y, x) of the strongest disk of a pattern about which nothing is known.

    Raises
    ------
    NoLatticeError
        If no disk stands out of the noise.
    """
    y, x, radius = strongest_disk(fill(image, ~valid), per_image)
    fit = _lone_disk(image, valid, np.array([y, x]), radius, per_image)
    return Probe(float(fit.shared[RADIUS]), float(fit.shared[EDGE])), fit.centre


def lone_probe(image: Array, valid: Mask, centre: Array, start: Probe, per_image: float) -> Probe:
    """Probe from the disk at `centre` (y, x), [px], or `start` where the fit strays from it by more than a quarter."""
    shared = _lone_disk(image, valid, centre, start.radius, per_image).shared
    if abs(shared[RADIUS] - start.radius) > 0.25 * start.radius + 1:
        return start
    return Probe(float(shared[RADIUS]), float(shared[EDGE]))


def vacuum_probe(image: Array, bad: Mask) -> ProbeFit:
    """Probe from a pattern of the probe in vacuum.

    Raises
    ------
    NoLatticeError
        If no disk stands out of the noise.
    """
    # an averaged or normalised pattern does not say how many electrons it is of: enough, it is taken
    noise = 1.0 if np.array_equal(image, np.rint(image)) else 1e-4 * float(image.max())
    y, x, radius = strongest_disk(fill(image, bad), noise)
    start = lone_fit(image, ~bad, np.array([y, x]), radius, noise)
    return _probe_fit(image, ~bad, start, image_variance(image, noise, VACUUM_ERROR), "vacuum pattern")


def probe_in_place(image: Array, valid: Mask, model: Disks, background: Background, per_image: float) -> ProbeFit:
    """Probe from the direct disk of the mean pattern, its neighbours modelled.

    Parameters
    ----------
    image : ndarray, shape (q_y, q_x)
        Mean pattern, [counts].
    valid : ndarray of bool, shape (q_y, q_x)
        Pixels to use.
    model : Disks
        Fitted to it.
    background : Background
        Beneath.
    per_image : float
        Variance of a pixel of `image` over its mean, [counts].

    Returns
    -------
    ProbeFit
    """
    under = background.at(np.moveaxis(np.indices(image.shape), 0, -1) - model.centre)
    variance = image_variance(image, per_image)
    return _probe_fit(image - under, valid, model, variance, "direct disk of the mean pattern")


def _lone_disk(image: Array, valid: Mask, place: Array, radius: float, per_image: float) -> Disks:
    """As `lone_fit`; where that finds no sharp disk, one under a narrow peak of the background, if it is sharp."""
    fit = lone_fit(image, valid, place, radius, per_image)
    if _sharp(fit):
        return fit
    peak, radius = peak_inside(image, valid, fit.centre, per_image)
    under = peak.at(np.moveaxis(np.indices(image.shape), 0, -1) - fit.centre)
    # wander smears the peak, whose tails are known better than its top: the rim of the disk tells the rest
    rim = valid & ~_within(image.shape, fit.centre, RIM * radius)
    if (rim & _within(image.shape, fit.centre, radius + 3)).sum() < FEWEST:
        return fit
    beneath = lone_fit(image - under, rim, fit.centre, radius, per_image)
    return beneath if _sharp(beneath) else fit


def _sharp(model: Disks) -> bool:
    """Whether the disks are surely no peaks."""
    return bool(model.shared[RADIUS] > SHARP * model.shared[EDGE])


def lone_fit(image: Array, valid: Mask, place: Array, radius: float, per_image: float) -> Disks:
    """One round disk of unknown edge on a floor, near `place` (y, x), [px].

    Raises
    ------
    NoLatticeError
        If too few pixels about it are good.
    """
    reach = radius + max(3.0, 0.3 * radius)
    near = valid & _within(image.shape, place, reach)
    if near.sum() < FEWEST:
        raise NoLatticeError("have too few good pixels about the strongest disk", "patterns", "check the mask")
    variance = image_variance(image, per_image)
    fits = []
    for edge in (0.7, 1.5, 2.5):
        start = disks(place, np.eye(2), np.zeros((1, 2), dtype=np.int64), max(radius - 0.5 * (edge - 0.7), 0.7), edge)
        start.shared[FLOOR] = float(np.quantile(image[near], 0.1))
        fits.append(fit_disks(image, variance, near, start, (*CENTRE, RADIUS, EDGE, FLOOR), 20))
    return min(fits, key=lambda fit: fit.misfit).disks


def _probe_fit(image: Array, valid: Mask, model: Disks, variance: Array, where: str) -> ProbeFit:
    """Radius and edge of the direct disk, with the ellipse if it is significant."""
    vacuum = where.startswith("vacuum")
    free = (*CENTRE, RADIUS, EDGE, FLOOR)
    direct = int((model.indices**2).sum(axis=1).argmin())
    stretch, std, witnesses = _ellipse(image, variance, valid, model, direct)
    size = float(np.hypot(*stretch))
    least = max(SIGNIFICANT * std, 0.0 if vacuum else FEIGNED)
    elliptic = least < size < 0.15
    start = _about(model, direct, uneven=not vacuum)
    start.shared[list(STRETCH)] = stretch if elliptic else 0.0
    fit = fit_disks(image, variance, valid & _near(image.shape, start), start, free, 12)
    shared = fit.disks.shared
    how = f"shape of the {where}" if witnesses == 1 else f"shape of {witnesses} disks of the mean pattern"
    ellipse_how = (
        f"{how}, {size / std:.0f} standard errors" if elliptic else f"{how} is round within {least:.4f}: none taken"
    )
    return ProbeFit(
        Probe(float(shared[RADIUS]), float(shared[EDGE]), fit.disks.distortion if elliptic else np.eye(2)),
        float(fit.std[RADIUS]),
        float(fit.std[EDGE]),
        f"disk with a Gaussian-blurred edge fitted to the {where}",
        (float(stretch[0]), float(stretch[1])) if elliptic else (0.0, 0.0),
        ellipse_how,
        own_edge=vacuum,
    )


def _ellipse(image: Array, variance: Array, valid: Mask, model: Disks, direct: int) -> tuple[Array, float, int]:
    """Stretches, their standard error, and the number of disks asked.

    Contrast inside a disk feigns an ellipse, another one in every disk; the distortion is what they have in common.
    """
    asked = _witnesses(valid, model, direct)
    found = [_stretch(image, variance, valid, _about(model, n, uneven=False)) for n in asked]
    stretch, own = np.array([f[0] for f in found]), np.array([f[1] for f in found]) ** 2
    if len(asked) == 1:
        return stretch[0], float(np.sqrt(own[0])), 1
    contrast = 0.0
    for _ in range(20):
        weight = 1 / (own + contrast)
        mean = weight @ stretch / weight.sum()
        scatter = np.square(stretch - mean).sum(axis=1) / 2 * len(asked) / (len(asked) - 1)
        contrast = max(float(np.average(scatter - own, weights=weight**2)), 0.0)
    return mean, float(weight.sum() ** -0.5), len(asked)


def _witnesses(valid: Mask, model: Disks, direct: int) -> list[int]:
    """The direct disk, and the brightest others if they are large enough to have a shape."""
    if model.shared[RADIUS] < RESOLVED * model.shared[EDGE]:
        return [direct]
    bright = model.amplitude > DIMMEST * model.amplitude[direct]
    whole = (hidden_share(model, ~valid) == 0) & bright
    order = np.argsort(-np.where(whole, model.amplitude, -1.0))[: min(WITNESSES, int(whole.sum()))]
    return [direct, *(int(n) for n in order if n != direct)]


def _stretch(image: Array, variance: Array, valid: Mask, start: Disks) -> tuple[Array, float]:
    """The two stretches of the disk in the middle of `start`, and their standard error."""
    free = (*CENTRE, RADIUS, EDGE, FLOOR, *STRETCH)
    fit = fit_disks(image, variance, valid & _near(image.shape, start), start, free, 12)
    return fit.disks.shared[list(STRETCH)], float(np.sqrt(np.mean(fit.std[list(STRETCH)] ** 2)))


def _about(model: Disks, n: int, uneven: bool) -> Disks:
    """Disk `n` in the middle, with the neighbours that reach near it; `uneven` for contrast inside."""
    near = ((model.positions - model.positions[n]) ** 2).sum(axis=1) < (2.2 * model.shared[RADIUS] + 8) ** 2
    shared = model.shared.copy()
    shared[list(CENTRE)], shared[EDGE], shared[SPREAD] = model.positions[n], model.edges()[n], 0.0
    resolved = uneven and shared[RADIUS] > RESOLVED * shared[EDGE]
    contrast = np.zeros((int(near.sum()), SQUARES)) if resolved else None
    return Disks(shared, model.indices[near] - model.indices[n], model.amplitude[near], contrast)


def _near(shape: tuple[int, ...], model: Disks) -> Mask:
    """Pixels of the disk in the middle of `model`, its edge included."""
    return _within(shape, model.centre, model.shared[RADIUS] * 1.05 + 3 * model.shared[EDGE] + 1.5)


def _within(shape: tuple[int, ...], place: Array, reach: float) -> Mask:
    """Pixels within `reach` of `place`, [px]."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((y - place[0]) ** 2 + (x - place[1]) ** 2 < reach**2)
