"""The published network, trained and used as published: a comparison, not a part of parscope.

After the description of the m3-learning group (github.com/m3-learning/m3_learning): real and imaginary part enter
divided by their standard deviation over all clean data; four numbers come out, which times the standard deviations of
the parameters that least squares finds there, plus their means, are the parameters (but for the phase); the
oscillator renders a spectrum from these, which is compared with the noisy input itself; Adam at a rate of 1e-3, batches
of 500.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.spectroscopy.draws import Array, Draw, factors
from parscope.core.network import Network
from parscope.solvers.networks.module import NetworkModule
from parscope.solvers.networks.spectra.encoder import published
from parscope.techniques.band_excitation import BandExcitation

BATCH, RATE = 500, 1e-3
MEMORY = 0.995
"""Of the mean weights, which the published recipe does not have; they are kept beside the last ones."""


@dataclass(frozen=True)
class Scaling:
    """Means and standard deviations of the clean data, and of its parameters.

    Parameters
    ----------
    physics : BandExcitation
        What renders.
    mean, std : float
        Of real and imaginary parts together.
    centre, width : ndarray, shape (4,)
        Of resonance, quality factor, amplitude and phase.
    """

    physics: BandExcitation
    mean: float
    std: float
    centre: Array
    width: Array

    @classmethod
    def of(cls, draw: Draw) -> Scaling:
        """Those of a scan without noise, where least squares finds the truth: so it is published, at every noise."""
        clean = draw.physics.render(factors(draw.truth)).view(np.float64)
        centre, width = draw.truth.mean(axis=0), draw.truth.std(axis=0)
        centre[3], width[3] = 0.0, 1.0
        return cls(draw.physics, float(clean.mean()), float(clean.std()), centre, width)

    def entering(self, spectra: NDArray[np.complex128]) -> Tensor:
        """What enters, shape (n, 2, bins)."""
        rows = np.stack([spectra.real, spectra.imag], axis=1)
        return torch.tensor((rows - self.mean) / self.std, dtype=torch.float32)

    def parameters(self, told: Tensor) -> Tensor:
        """From what comes out to resonance, quality factor, amplitude and phase, all of shape (n, 4)."""
        return told * torch.tensor(self.width).to(told) + torch.tensor(self.centre).to(told)

    def rendered(self, told: Tensor) -> Tensor:
        """Spectra of what comes out, as they enter."""
        resonance, quality, amplitude, phase = self.parameters(told).T
        column = self.physics.basis(torch.stack([resonance, quality], dim=1))[0]
        spectra = torch.polar(torch.ones_like(phase), phase)[:, None] * amplitude[:, None] * column
        return (torch.stack([spectra.real, spectra.imag], dim=1) - self.mean) / self.std


class Reconstruction:
    """Spectra that what comes out must render again, their noise included.

    Parameters
    ----------
    scaling : Scaling
        Of the scan.
    spectra : ndarray of complex, shape (n, bins)
        Noisy spectra.
    """

    def __init__(self, scaling: Scaling, spectra: NDArray[np.complex128]) -> None:
        self._scaling, self._signals = scaling, scaling.entering(spectra)

    def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        """Mean squared difference, [1]."""
        given = self._signals[torch.randint(len(self._signals), (BATCH,), generator=generator)]
        return nn.functional.mse_loss(self._scaling.rendered(module(given)), given)


def fresh(bins: int, seed: int) -> Network:
    """The network, its arrays drawn as PyTorch draws them unless told otherwise."""
    network, rng = published(bins, seed), np.random.default_rng(seed)
    fan_in = {a: np.prod(network.arrays[layer.arrays[0]].shape[1:]) for layer in network.layers for a in layer.arrays}
    drawn = {n: rng.uniform(-1, 1, a.shape) / np.sqrt(fan_in[n]) for n, a in network.arrays.items()}
    return network.with_arrays({name: array.astype(np.float32) for name, array in drawn.items()})


def trained(
    module: NetworkModule,
    teacher: Reconstruction,
    steps: int,
    seed: int,
    watch: Callable[[int, NetworkModule], None] | None = None,
) -> tuple[Network, Network]:
    """The last weights, as published, and the mean weights of the last steps."""
    chance = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(module.parameters(), lr=RATE)
    mean = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(MEMORY))
    for step in range(steps):
        optimiser.zero_grad()
        teacher.loss(module, chance).backward()
        optimiser.step()
        mean.update_parameters(module)
        if watch is not None:
            watch(step + 1, module)
    return module.network(), mean.module.network()


def told(networks: list[NetworkModule], scaling: Scaling, spectra: NDArray[np.complex128]) -> Array:
    """Parameters of spectra, the mean of several networks: of the complex amplitude, as it may have two signs.

    Parameters
    ----------
    networks : list of NetworkModule
        One or several.
    scaling : Scaling
        Of the scan they were trained on.
    spectra : ndarray of complex, shape (n, bins)
        Noisy spectra.

    Returns
    -------
    ndarray, shape (n, 4)
        Resonance, quality factor, amplitude, phase.
    """
    signals = scaling.entering(spectra)
    with torch.no_grad():
        all_told = [scaling.parameters(network(signals)).double().numpy() for network in networks]
    resonance, quality, amplitude, phase = np.moveaxis(np.stack(all_told), 2, 0)
    mean = (amplitude * np.exp(1j * phase)).mean(axis=0)
    return np.stack([resonance.mean(axis=0), quality.mean(axis=0), np.abs(mean), np.angle(mean)], axis=1)
