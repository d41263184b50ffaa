"""How a spectrum enters a network: without what no search needs, in units of its noise."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from parscope.core.separable import Separable
from parscope.core.typical import searched_columns

# Medians of squared second differences of noise, over their variance: of one real number, and of a pair.
_MEDIAN = {1: 0.4549, 2: math.log(2)}
_LEAST, _FAINTEST = 1e-30, 1e-8


class Inlet:
    """Brings spectra of one physics to the form that networks are fed with.

    Columns that do not depend on what is searched are projected out, so that a network is blind to any background the
    physics knows; the rest is divided by the noise, which is told by second differences: their median does not see a
    narrow line. Beside it stands the logarithm of the energy over the mean of these, which does.

    Parameters
    ----------
    physics : Separable
        Declares the columns.
    """

    def __init__(self, physics: Separable) -> None:
        self.parts, self.bins = 1 + physics.complex, len(physics.axis)
        self.moving = searched_columns(physics)
        middle = np.array([[p.between() for p in physics.nonlinear]])
        still = [c[0] for c, moves in zip(physics.basis(middle), self.moving, strict=True) if not moves]
        kind = np.complex64 if physics.complex else np.float32
        level = np.linalg.qr(np.stack(still, axis=1))[0] if still else np.zeros((self.bins, 0))
        self._level = torch.as_tensor(level.astype(kind))

    @property
    def samples(self) -> int:
        """Real numbers of a spectrum."""
        return self.parts * self.bins

    @property
    def free(self) -> int:
        """Real numbers of a spectrum without its level."""
        return self.parts * (self.bins - self._level.shape[1])

    def without_level(self, signals: Tensor) -> Tensor:
        """Signals (n, bins) without the columns that do not depend on what is searched."""
        level = self._level.to(signals)
        return signals - (signals @ level.conj()) @ level.T

    def __call__(self, signals: Tensor) -> Tensor:
        """What enters of signals (n, bins), shape (n, samples + 1)."""
        alone = self.without_level(signals)
        rows = torch.view_as_real(alone).movedim(-1, 1).flatten(1) if self.parts == 2 else alone
        energy = torch.square(rows).sum(1).clamp_min(_LEAST)
        second = torch.square((signals[:, 2:] - 2 * signals[:, 1:-1] + signals[:, :-2]).abs()) / (6 * self.parts)
        # Signals without any noise would have an infinite strength.
        least = _FAINTEST * energy / self.samples
        noise = torch.maximum(second.median(1).values / _MEDIAN[self.parts], least)
        strength = torch.log(energy / (self.samples * torch.maximum(second.mean(1), least)))
        return torch.cat([rows / torch.sqrt(noise)[:, None], strength[:, None]], dim=1)
