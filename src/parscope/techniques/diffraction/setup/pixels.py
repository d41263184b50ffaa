"""Pixels of the detector that must not be used: hot, dead, covered by a beam stop, or saturated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from parscope.techniques.diffraction.setup.moments import Array, Moments

Mask = NDArray[np.bool_]
RING = np.ones((3, 3), dtype=bool)
NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)


@dataclass(frozen=True)
class BadPixels:
    """Pixels not to be used, by cause; each a mask of shape (q_y, q_x), True where bad."""

    given: Mask
    hot: Mask
    dead: Mask
    blocked: Mask
    saturated: Mask

    @property
    def mask(self) -> Mask:
        """All of them together."""
        result: Mask = self.given | self.hot | self.dead | self.blocked | self.saturated
        return result

    def sentence(self) -> str:
        """Numbers of pixels by cause, for the report."""
        named = {
            "given": self.given,
            "hot": self.hot,
            "dead": self.dead,
            "covered by a beam stop or gap": self.blocked,
            "saturated": self.saturated,
        }
        parts = [f"{int(mask.sum())} {name}" for name, mask in named.items() if mask.any()]
        return ", ".join(parts) if parts else "none"


def bad_pixels(sample: Moments, given: Mask | None = None) -> BadPixels:
    """Hot, dead, covered and saturated pixels from their statistics over a sample of patterns.

    Hot pixels stand far above all their neighbours, more than any image of the probe can, or above them and too
    constant. Dead and covered pixels never change while their neighbours count. Saturated ones sit at the largest
    value of the data in many patterns.

    Parameters
    ----------
    sample : Moments
        Statistics of every pixel.
    given : ndarray of bool, shape (q_y, q_x), optional
        Pixels known to be bad.

    Returns
    -------
    BadPixels
    """
    known = np.zeros(sample.mean.shape, dtype=bool) if given is None else np.asarray(given, dtype=bool)
    hot = _hot(sample) & ~known
    saturated = _saturated(sample, known | hot) & ~known & ~hot
    still = (sample.high == sample.low) & ~saturated & ~known & ~hot
    dead, blocked = _unlit(sample, still, known | hot)
    return BadPixels(known, hot, dead, blocked, saturated)


def fill(image: Array, mask: Mask) -> Array:
    """Replace masked pixels by the mean of good ones around them, over the smallest sufficient neighbourhood."""
    result = np.where(mask, 0.0, image).astype(np.float64)
    missing, good = mask.copy(), (~mask).astype(np.float64)
    size = 3
    while missing.any() and size < 2 * max(image.shape):
        weight = ndimage.uniform_filter(good, size, mode="constant")
        value = ndimage.uniform_filter(np.where(mask, 0.0, image).astype(np.float64), size, mode="constant")
        ready = missing & (weight * size * size > 1.5)
        result[ready] = value[ready] / weight[ready]
        missing &= ~ready
        size = 2 * size + 1
    return result


def _hot(sample: Moments) -> Mask:
    """Pixels that stand out of their neighbourhood as no probe can, or stand out and are too constant."""
    mean = sample.mean - min(float(np.percentile(sample.mean, 1)), 0.0)
    third = ndimage.rank_filter(mean, rank=-3, footprint=NEIGHBOURS, mode="reflect")
    noise = np.sqrt((sample.variance + third) / sample.count)
    candidate = (mean - third > 6 * noise + 1e-12) & (mean * sample.count > 12) & (mean > 1.4 * third)
    result = candidate & (mean > 3.5 * third)
    # what rises with the pattern but is less than the probe allows is signal; what does not vary with it is not
    for y, x in np.argwhere(candidate & ~result)[:2000]:
        around = sample.variance[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        expected = float(np.median(around)) * mean[y, x] / max(float(third[y, x]), 1e-12)
        result[y, x] = sample.variance[y, x] < 0.3 * expected
    return np.asarray(result)


def _saturated(sample: Moments, ignore: Mask) -> Mask:
    """Pixels that sit at the largest value of the data in many patterns, if many such pixels touch."""
    usable = ~ignore
    top = sample.high[usable].max(initial=0.0)
    if top <= 0 or top <= sample.mean[usable].min():
        return np.zeros_like(ignore)
    # counting statistics reach the largest value of a whole sample rarely; a limit is reached over and over
    often = sample.pinned >= max(0.2, 3 / sample.count)
    pinned = usable & (sample.high >= top * (1 - 1e-7)) & often
    labels, number = ndimage.label(pinned, structure=RING)
    sizes = np.bincount(labels.ravel(), minlength=number + 1)
    keep = (sizes >= 4) & (np.arange(number + 1) > 0)
    return np.asarray(keep[labels])


def _unlit(sample: Moments, still: Mask, ignore: Mask) -> tuple[Mask, Mask]:
    """Pixels that never change while those around them count: single ones are dead, regions are covered."""
    dead, blocked = np.zeros_like(still), np.zeros_like(still)
    labels, number = ndimage.label(still)
    counts = sample.mean * sample.count
    # A large detector has thousands of pixels without a count in the dark: most cannot have enough beside them.
    numbers = np.arange(1, number + 1)
    size = np.bincount(labels.ravel(), minlength=number + 1)[1:]
    beside = ndimage.maximum_filter(np.where(ignore, -np.inf, counts), 3)
    most = ndimage.maximum(beside, labels, numbers) - ndimage.mean(counts, labels, numbers)
    boxes = ndimage.find_objects(labels)
    for label in numbers[_enough(most, size)]:
        grown = tuple(slice(max(s.start - 3, 0), s.stop + 3) for s in boxes[label - 1])
        part = labels[grown] == label
        if _enough(_counts_around(counts[grown], part, ignore[grown]), part.sum()):
            (blocked if part.sum() > 12 else dead)[grown] |= part
    return dead, blocked


def _enough(around: Any, size: Any) -> Any:
    """Whether so many counts next to a still region, above its own, show that it should have some too."""
    return (around >= 4) & (size * around >= 25)


def _counts_around(counts: Array, part: Mask, ignore: Mask) -> float:
    """Typical counts next to a still region above its own; 0 if its rim is too little lit or fades away smoothly."""
    outside = ~part & ~ignore
    near = ndimage.binary_dilation(part, RING) & outside
    ring = ndimage.binary_dilation(part, RING, iterations=3) & outside
    level = float(counts[part].mean())
    full = ndimage.uniform_filter((outside & (counts > level)).astype(np.float64), 7, mode="constant")
    every = ndimage.uniform_filter(outside.astype(np.float64), 7, mode="constant")
    # where counting statistics alone leave pixels empty, an empty region means nothing
    lit = full > 0.97 * every
    if (ring & lit).sum() < max(0.25 * ring.sum(), 3) or not (near & lit).any():
        return 0.0
    beside, beyond = float(np.median(counts[near & lit])) - level, float(np.median(counts[ring & lit])) - level
    # the dark between disks is reached down a slope; a dead or covered pixel borders on full counts
    return beside if beside > 0.25 * beyond else 0.0
