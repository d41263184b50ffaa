"""Radius, edge and ellipse of the probe's image, from a vacuum pattern or from the disks of a mean pattern."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    STRETCH,
    Disks,
    disks,
    fit_disks,
)
from parscope.techniques.diffraction.setup.moments import Array
from parscope.techniques.diffraction.setup.pixels import Mask, fill

MODEL_ERROR = 0.04
VACUUM_ERROR = 0.005
SIGNIFICANT = 4.0
# contrast inside the disks of a specimen feigns an ellipse of up to about one percent; vacuum has none
FEIGNED = 0.015


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
    fit = lone_fit(image, valid, np.array([y, x]), radius, per_image)
    return Probe(float(fit.shared[RADIUS]), float(fit.shared[EDGE])), fit.centre


def lone_probe(image: Array, valid: Mask, centre: Array, start: Probe, per_image: float) -> Probe:
    """Probe from the disk at `centre` (y, x), [px], or `start` where the fit strays from it by more than a quarter."""
    shared = lone_fit(image, valid, centre, start.radius, per_image).shared
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


def lone_fit(image: Array, valid: Mask, place: Array, radius: float, per_image: float) -> Disks:
    """One round disk of unknown edge on a floor, near `place` (y, x), [px].

    Raises
    ------
    NoLatticeError
        If too few pixels about it are good.
    """
    reach = radius + max(3.0, 0.3 * radius)
    near = valid & _within(image.shape, place, reach)
    if near.sum() < 12:
        raise NoLatticeError("have too few good pixels about the strongest disk", "patterns", "check the mask")
    variance = image_variance(image, per_image)
    fits = []
    for edge in (0.7, 1.5, 2.5):
        start = disks(place, np.eye(2), np.zeros((1, 2), dtype=np.int64), max(radius - 0.5 * (edge - 0.7), 0.7), edge)
        start.shared[FLOOR] = float(np.quantile(image[near], 0.1))
        fits.append(fit_disks(image, variance, near, start, (*CENTRE, RADIUS, EDGE, FLOOR), 20))
    return min(fits, key=lambda fit: fit.misfit).disks


def _probe_fit(image: Array, valid: Mask, model: Disks, variance: Array, where: str) -> ProbeFit:
    """Radius and edge, with the ellipse if it is significant."""
    use = valid & _within(image.shape, model.centre, model.shared[RADIUS] * 1.05 + 3 * model.shared[EDGE] + 1.5)
    near = ((model.positions - model.centre) ** 2).sum(axis=1) < (2.2 * model.shared[RADIUS] + 8) ** 2
    model = replace(model, indices=model.indices[near], amplitude=model.amplitude[near])
    free = (*CENTRE, RADIUS, EDGE, FLOOR)
    round_fit = fit_disks(image, variance, use, model, free, 12)
    fit = fit_disks(image, variance, use, round_fit.disks, (*free, *STRETCH), 12)
    a, b = fit.disks.shared[list(STRETCH)]
    std = float(np.hypot(*fit.std[list(STRETCH)])) / np.sqrt(2)
    size = float(np.hypot(a, b))
    least = max(SIGNIFICANT * std, 0.0 if where.startswith("vacuum") else FEIGNED)
    elliptic = least < size < 0.15
    kept = fit if elliptic else round_fit
    shared = kept.disks.shared
    how = f"shape of the {where}"
    ellipse_how = (
        f"{how}, {size / std:.0f} standard errors" if elliptic else f"{how} is round within {least:.4f}: none taken"
    )
    stretch = (float(a), float(b)) if elliptic else (0.0, 0.0)
    return ProbeFit(
        Probe(float(shared[RADIUS]), float(shared[EDGE]), kept.disks.distortion if elliptic else np.eye(2)),
        float(kept.std[RADIUS]),
        float(kept.std[EDGE]),
        f"disk with a Gaussian-blurred edge fitted to the {where}",
        stretch,
        ellipse_how,
        own_edge=where.startswith("vacuum"),
    )


def _within(shape: tuple[int, ...], place: Array, reach: float) -> Mask:
    """Pixels within `reach` of `place`, [px]."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((y - place[0]) ** 2 + (x - place[1]) ** 2 < reach**2)
