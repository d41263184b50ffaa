"""Teachers of networks for spectra; none of them needs a label that a person made."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parscope.solvers.networks.spectra.decoder import Decoder
from parscope.solvers.networks.spectra.draws import Draws, noisy
from parscope.solvers.networks.spectra.head import Gaussian, gaussian
from parscope.solvers.networks.spectra.inlet import Inlet

BATCH = 512


class _Reader:
    """What all teachers do first: let the network read signals."""

    def __init__(self, inlet: Inlet, decoder: Decoder) -> None:
        self._inlet, self._decoder = inlet, decoder

    def _read(self, module: nn.Module, signals: Tensor) -> Gaussian:
        return gaussian(module(self._inlet(signals)), self._decoder.scale.size)


class Simulation(_Reader):
    """Signals made by the physics, whose parameters are known: the network learns their posterior.

    Neural posterior estimation: the expected loss is smallest for the Gaussian that is nearest to the posterior under
    the distribution that the signals are drawn from (Papamakarios, Murray, arXiv:1605.06376).

    Parameters
    ----------
    inlet, decoder : Inlet, Decoder
        Of the physics.
    draws : Draws
        Where the signals come from.
    """

    def __init__(self, inlet: Inlet, decoder: Decoder, draws: Draws) -> None:
        super().__init__(inlet, decoder)
        self._draws = draws

    def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        """Minus the logarithm of the density at the truth, [nat]."""
        made = self._draws(BATCH, generator)
        return self._read(module, noisy(made, generator)).loss(made.unit).mean()


class Rendering(_Reader):
    """Measured signals, which what the network says must render again: no truth is needed.

    Parameters are drawn from what the network says, factors follow in closed form, and the noise is integrated over,
    so that the loss is half the number of samples times the logarithm of what is left, less the entropy of the answer
    (Kingma, Welling, arXiv:1312.6114, with the physics as decoder).

    Parameters
    ----------
    inlet, decoder : Inlet, Decoder
        Of the physics.
    signals : Tensor, shape (n, bins)
        Measured signals.
    """

    def __init__(self, inlet: Inlet, decoder: Decoder, signals: Tensor) -> None:
        super().__init__(inlet, decoder)
        self._signals = signals

    def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        """Bound on minus the logarithm of the likelihood, [nat]."""
        signals = self._signals[torch.randint(len(self._signals), (BATCH,), generator=generator)]
        told = self._read(module, signals)
        unit = told.sample(generator)
        return _misfit(self._inlet, signals, self._decoder.left(unit, signals), told, unit).mean()


class Repeats(_Reader):
    """Signals measured twice: what the network says of one measurement must render the other.

    Their noises have nothing to do with each other, so that nothing predicts the other measurement better than the
    signal without noise does (Noise2Noise; Lehtinen et al., arXiv:1803.04189). Factors are those of the first one.

    Parameters
    ----------
    inlet, decoder : Inlet, Decoder
        Of the physics.
    first, second : Tensor, shape (n, bins)
        Measured signals, and the same again.
    """

    def __init__(self, inlet: Inlet, decoder: Decoder, first: Tensor, second: Tensor) -> None:
        super().__init__(inlet, decoder)
        self._pairs = torch.stack([first, second])

    def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        """Bound on minus the logarithm of the likelihood of the other measurement, [nat]."""
        some = torch.randint(self._pairs.shape[1], (BATCH,), generator=generator)
        which = torch.randint(2, (BATCH,), generator=generator)
        seen, other = self._pairs[which, some], self._pairs[1 - which, some]
        told = self._read(module, seen)
        unit = told.sample(generator)
        left = torch.square((other - self._decoder.rendered(unit, seen)).abs()).sum(1)
        return _misfit(self._inlet, other, left, told, unit).mean()


def _misfit(inlet: Inlet, signals: Tensor, left: Tensor, told: Gaussian, unit: Tensor) -> Tensor:
    """Minus the logarithm of the likelihood of signals of which so much is left, less the entropy of the answer."""
    whole = torch.square(inlet.without_level(signals).abs()).sum(1)
    freedom = inlet.parts * (inlet.bins - len(inlet.moving))
    outside = torch.square(unit - unit.clamp(0, 1)).sum(1)
    likelihood = 0.5 * freedom * torch.log((left / whole.clamp_min(1e-30)).clamp_min(1e-12))
    return likelihood - told.entropy() + 10 * outside


class Cycle(_Reader):
    """Consistency: what the network says of a signal, it must say again of the signal rendered from that.

    Parameters
    ----------
    inlet, decoder : Inlet, Decoder
        Of the physics.
    signals : Tensor, shape (n, bins)
        Measured signals.
    """

    def __init__(self, inlet: Inlet, decoder: Decoder, signals: Tensor) -> None:
        super().__init__(inlet, decoder)
        self._signals = signals

    def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        """Minus the logarithm of the density of the second answer at the first, [nat]."""
        signals = self._signals[torch.randint(len(self._signals), (BATCH,), generator=generator)]
        with torch.no_grad():
            first = self._read(module, signals).mean.clamp(0, 1)
            clean = self._decoder.rendered(first, signals)
            # With the noise of the signal, or the second answer would be asked of signals that never occur.
            spread = torch.sqrt(torch.square((signals - clean).abs()).mean(1, keepdim=True))
            noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
        return self._read(module, clean + spread * noise).loss(first).mean()


class Labels(_Reader):
    """Measured signals that an exact solver has fitted: its answers, spread by their covariance.

    Parameters
    ----------
    inlet, decoder : Inlet, Decoder
        Of the physics.
    signals : Tensor, shape (n, bins)
        Measured signals.
    unit : Tensor, shape (n, k)
        Unit coordinates found.
    axes : Tensor, shape (n, k, k)
        Root of their covariance: ``axes @ axes.T``.
    """

    def __init__(self, inlet: Inlet, decoder: Decoder, signals: Tensor, unit: Tensor, axes: Tensor) -> None:
        super().__init__(inlet, decoder)
        self._signals, self._unit, self._axes = signals, unit, axes

    def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        """Minus the logarithm of the density at draws from the exact answers, [nat]."""
        some = torch.randint(len(self._signals), (BATCH,), generator=generator)
        drawn = torch.randn(BATCH, self._unit.shape[1], 1, generator=generator)
        unit = self._unit[some] + (self._axes[some] @ drawn)[..., 0]
        return self._read(module, self._signals[some]).loss(unit).mean()
