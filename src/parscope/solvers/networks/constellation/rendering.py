"""A teacher without labels: patterns of the scan, which the lattice that the network tells must render again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parscope.core.physics import Constellation
from parscope.solvers.networks.constellation.encoder import Encoder, solved
from parscope.solvers.networks.constellation.geometry import Array, Geometry
from parscope.solvers.networks.constellation.looks import second_look
from parscope.solvers.networks.constellation.reading import Reading
from parscope.solvers.networks.constellation.teacher import displaced

# Steps of the levels of a copy and of what is underneath, each in closed form.
_STEPS = 3
# Counts per pixel below which no level is taken to be, in electrons: noise of nothing is not zero.
_LEAST = 1e-4


@dataclass(frozen=True)
class _Windows:
    """Pixels round copies, (n, copies, pixels): electrons, whether they can be used, offsets, relative background."""

    counts: Array
    good: NDArray[np.bool_]
    offsets: Array
    under: Array


class Rendering:
    """Teacher: the network looks at a pattern from near its own answer, and what it then says must render the pattern.

    Parameters of centre and map are drawn from what it says. They move copies of the template and do not deform them;
    the level of every copy and of the background under it are free, and follow in closed form. The loss is minus the
    logarithm of the Poisson likelihood over that without any copies, in windows round them, less the entropy of the
    answer (Kingma, Welling, arXiv:1312.6114, with the physics as decoder). What the insides of the disks scatter beyond
    counting noise makes the likelihood count for as much less.

    Parameters
    ----------
    physics : Constellation
        What renders.
    geometry : Geometry
        Of its looks.
    patterns : ndarray, shape (n, q_y, q_x)
        Measured patterns, [counts].
    batch : int, default 16
        Patterns a step; of these, those count whose orientation the network is sure of.

    Notes
    -----
    It teaches what is said of windows, not of the orientation: use it beside `Simulated`.
    """

    def __init__(self, physics: Constellation, geometry: Geometry, patterns: NDArray[Any], batch: int = 16) -> None:
        self._physics, self._geometry, self._batch = physics, geometry, batch
        self._patterns = patterns
        self._mask = np.zeros(physics.signal_shape, np.bool_) if physics.mask is None else physics.mask
        half = int(np.ceil(geometry.zones[-1]))
        axis = np.arange(-half, half + 1)
        square = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        self._window = square[np.square(square).sum(1) <= geometry.zones[-1] ** 2]

    def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        """Bound on minus the logarithm of the likelihood over that without copies, mean over patterns, [nat].

        Those whose orientation the network is not sure of count nothing.
        """
        if not isinstance(module, Encoder):
            raise TypeError(f"{type(module).__name__} is no encoder of constellations")
        some = torch.randint(len(self._patterns), (self._batch,), generator=generator).numpy()
        rng = np.random.default_rng(int(torch.randint(1 << 31, (1,), generator=generator)))
        patterns = np.ascontiguousarray(self._patterns[some], np.float32)
        patterns, theta = self._answers(module, patterns)
        start, off, prior = displaced(theta, self._geometry, rng)
        sums = second_look(patterns, start, self._physics.reference, self._geometry, self._mask)
        shift, weight = module.shift(torch.from_numpy(sums))
        nowhere = torch.zeros(len(theta), 3, 2)
        step, information = solved(shift, weight, module.positions, prior, nowhere)
        factor = torch.linalg.cholesky(information)
        chance = torch.from_numpy(rng.normal(size=(len(theta), 3, 2)))
        drawn = step + torch.linalg.solve_triangular(factor.transpose(1, 2), chance, upper=True)
        gain = self._gained(patterns, theta, (drawn + torch.from_numpy(off)).float(), module.positions)
        divergence = torch.linalg.slogdet(information)[1] + 0.5 * (prior[..., None] * drawn.square()).sum((1, 2))
        bound: Tensor = (divergence - gain).sum() / self._batch
        return bound

    def _answers(self, module: Encoder, patterns: NDArray[np.float32]) -> tuple[NDArray[np.float32], Array]:
        """Patterns whose orientation the network is sure of, and its parameters (n, 6) for them."""
        reading = Reading(module, self._physics, self._geometry)
        with torch.no_grad():
            first = reading.first(patterns)
            theta = reading.second(patterns, first).theta
        known = first.told & np.isfinite(theta).all(1)
        return patterns[known], theta[known]

    def _gained(self, patterns: NDArray[np.float32], theta: Array, off: Tensor, positions: Tensor) -> Tensor:
        """Logarithm of the likelihood over that without copies for lattices `off` (n, 3, 2) from `theta`, (n,)."""
        windows = self._windows(patterns, theta)
        moved = positions @ off
        mean, slope = self._rendered(windows, moved.detach().double().numpy())
        none = (windows.good * windows.counts).sum(-1) / np.maximum((windows.good * windows.under).sum(-1), 1e-9)
        flat = _positive(none[..., None] * windows.under)
        # To first order in the place, which is all that a gradient needs.
        expected, along, seen, empty, good = (
            torch.from_numpy(a.astype(np.float32)) for a in (mean, slope, windows.counts, flat, windows.good)
        )
        expected = (expected + (along * (moved - moved.detach())[:, :, None]).sum(-1)).clamp(min=_LEAST)
        gained = (good * (seen * torch.log(expected / empty) - expected + empty)).sum(2)
        return (gained / torch.from_numpy(self._excess(windows).astype(np.float32))).sum(1)

    def _excess(self, windows: _Windows) -> Array:
        """Variance at the network's answer over that of counting, at least 1, shape (n, copies)."""
        mean, _ = self._rendered(windows, np.zeros((*windows.counts.shape[:2], 2)))
        left = (windows.good * np.square(windows.counts - mean)).sum(2)
        return np.asarray(np.maximum(left / np.maximum((windows.good * mean).sum(2), _LEAST), 1.0))

    def _rendered(self, windows: _Windows, moved: Array) -> tuple[Array, Array]:
        """Expected electrons in windows whose copies are `moved` (n, copies, 2), and their derivative by that."""
        value, slope = self._physics.template(windows.offsets - moved[:, :, None], self._physics.extent[1])
        levels = _levels(windows, value)
        return _positive(levels[..., :1] * value + levels[..., 1:] * windows.under), levels[..., :1, None] * slope

    def _windows(self, patterns: NDArray[np.float32], theta: Array) -> _Windows:
        """Windows round the copies of lattices `theta` (n, 6)."""
        maps = theta[:, 2:].reshape(-1, 2, 2)
        answer = theta[:, None, :2] + self._physics.reference @ np.swapaxes(maps, 1, 2)
        pixels = np.rint(answer).astype(np.int64)[:, :, None] + self._window
        offsets = pixels - answer[:, :, None]
        h, w = self._physics.signal_shape
        y, x = pixels[..., 0], pixels[..., 1]
        inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
        y, x = np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)
        counts = patterns[np.arange(len(patterns))[:, None, None], y, x] / self._physics.gain
        # The background falls outwards as in the set-up, whichever way the pattern is turned.
        slope = self._physics.levels.slope @ np.linalg.inv(maps)
        under = np.maximum(1 + np.einsum("nmpi,nmi->nmp", offsets, slope), 0.1)
        return _Windows(counts.astype(np.float64), inside & ~self._mask[y, x], offsets, under)


def _positive(mean: Array) -> Array:
    """Expected counts, nowhere none."""
    return np.maximum(mean, _LEAST)


def _levels(windows: _Windows, value: Array) -> Array:
    """Levels of the template, of a value (n, copies, pixels), and of the background; neither negative, (n, copies, 2).

    Weighted least squares, whose weights are those of the step before: Fisher scoring of the Poisson likelihood.
    """
    counts, good, under = windows.counts, windows.good, windows.under
    number = np.maximum(good.sum(-1, keepdims=True), 1)
    mean = np.broadcast_to((good * counts).sum(-1, keepdims=True) / number, counts.shape)
    for _ in range(_STEPS):
        weight = good / _positive(mean)
        aa, ab, bb = ((weight * p * q).sum(-1) for p, q in ((value, value), (value, under), (under, under)))
        a, b = ((weight * p * counts).sum(-1) for p in (value, under))
        free = np.maximum(aa * bb - ab**2, 1e-12)
        disk, level = (bb * a - ab * b) / free, (aa * b - ab * a) / free
        disk, level = (
            np.where(disk < 0, 0.0, np.where(level < 0, a / np.maximum(aa, 1e-12), disk)),
            np.where(level < 0, 0.0, np.where(disk < 0, b / np.maximum(bb, 1e-12), level)),
        )
        mean = disk[..., None] * value + level[..., None] * under
    return np.stack([disk, level], -1)
