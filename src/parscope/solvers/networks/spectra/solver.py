"""A trained network as a solver of spectra: one call, comparable with least squares on the same data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parscope.core.errors import ShapeError
from parscope.core.network import Network
from parscope.core.separable import Separable
from parscope.core.solver import GATE, Estimate, Status
from parscope.solvers.least_squares.judge import EXPLAINED, UNLIKELY
from parscope.solvers.least_squares.solver import check_signals, nothing
from parscope.solvers.networks.module import NetworkModule
from parscope.solvers.networks.spectra.calibration import Calibration
from parscope.solvers.networks.spectra.decoder import Decoder, FactorPrior, Factors
from parscope.solvers.networks.spectra.head import gaussian
from parscope.solvers.networks.spectra.hearing import FEWEST, hear
from parscope.solvers.networks.spectra.inlet import Inlet
from parscope.solvers.networks.spectra.scan import usable
from parscope.solvers.networks.spectra.weigh import Weigher
from parscope.solvers.networks.threads import one_thread

Array = NDArray[np.float64]

# Signals at a time: their columns stay in the cache of a core.
_CHUNK = 2048


@dataclass(frozen=True)
class Told:
    """What a network says of n signals: unit coordinates (n, k), and the axes (n, k, k) of their covariance."""

    unit: Array
    axes: Array


class SpectraNetwork:
    """Parameters and covariance of every spectrum, told by a network; factors follow in closed form.

    Answers are those of the posterior under the distribution that the network was trained on, wide where a signal is
    weak. Strong signals are told several times less precisely than least squares tells them: let `Refined` go on from
    the answers. Do not use it for another physics, axis or distribution than it was trained on.

    Parameters
    ----------
    physics : Separable
        What made the spectra.
    network : Network
        Trained for it.
    calibration : Calibration, optional
        Of its standard errors. Default: as they are.
    prior : FactorPrior, optional
        How factors are distributed. Default: they may be anything.
    everywhere : bool, default False
        Whether it was trained on spectra from the whole range, so that the physics can weigh what it says.
    noise : float, optional
        Standard deviation of the noise of all spectra, of real and imaginary part each, in the `unit` of the signal,
        as `heard` tells it. Default: it is not known.

    Raises
    ------
    ShapeError
        If the network is not for spectra of so many samples.
    """

    def __init__(
        self,
        physics: Separable,
        network: Network,
        calibration: Calibration | None = None,
        prior: FactorPrior | None = None,
        everywhere: bool = False,
        noise: float | None = None,
    ) -> None:
        self.physics, self.network, self.prior, self.everywhere, self.noise = physics, network, prior, everywhere, noise
        self._inlet, self._decoder = Inlet(physics), Decoder(physics)
        self.calibration = calibration or Calibration.none(self._decoder.scale.size)
        if network.input_shape != (self._inlet.samples + 1,):
            raise ShapeError(f"reads {network.input_shape[0] - 1} numbers, not {self._inlet.samples}", "network")
        self._module = NetworkModule(network).eval()
        weighs = everywhere and Weigher.suits(self._inlet, self._decoder)
        self._weigher = Weigher(self._inlet, self._decoder) if weighs else None

    def __call__(self, signals: NDArray[Any], /) -> Estimate:
        """Estimate the parameters of every spectrum.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Measured spectra; complex where the physics is.

        Returns
        -------
        Estimate
            With ``detection`` and ``noise`` in `extra`, as those of `LeastSquares`.

        Raises
        ------
        ShapeError
            If the spectra are not of the physics' shape, or complex where it is real or the reverse.
        """
        check_signals(signals, self.physics.signal_shape, self.physics.complex)
        result = nothing(len(signals), len(self.physics.parameters))
        largest = np.abs(signals).max(axis=1, initial=0.0).astype(np.float64)
        sound = np.flatnonzero(usable(signals))
        with one_thread():
            for first in range(0, len(sound), _CHUNK):
                some = sound[first : first + _CHUNK]
                scale = largest[some]
                self._estimate(result, some, signals[some] / scale[:, None], scale)
        return result

    @property
    def weighs(self) -> bool:
        """Whether the physics weighs what is said, for which it matters what the noise is."""
        return self._weigher is not None

    def heard(self, signals: NDArray[Any]) -> float | None:
        """The noise that spectra of one scan have in common, where the physics weighs what is said of them.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Some spectra of the scan; those that are not finite or nothing are left out.

        Returns
        -------
        float or None
            Standard deviation of real and imaginary part each, in the `unit` of the signal; None where they are too
            few, or differ by more than chance.
        """
        some = signals[usable(signals)]
        if self._weigher is None or len(some) < FEWEST:
            return None
        largest = np.abs(some).max(axis=1).astype(np.float64)
        alike = some / largest[:, None]
        with one_thread():
            unit, axes = self._said(alike)
            first = float(np.median(largest * np.sqrt(self._decoder.solve(unit, alike).noise)))
            weigher = self._weigher
            return hear(lambda noise: weigher.variance(alike, unit, axes, noise / largest), first, self._inlet.free)

    def told(self, signals: NDArray[Any], noise: Array | None = None) -> Told:
        """What the network says, weighed by the physics where it may be anything, its standard errors calibrated.

        Parameters
        ----------
        signals : ndarray, shape (n, bins)
            Of moduli about 1.
        noise : ndarray, shape (n,), optional
            Standard deviation of the noise of each. Default: it is not known.

        Returns
        -------
        Told
        """
        unit, axes = self._said(signals)
        if self._weigher is not None:
            unit, axes = self._weigher(signals, unit, axes, noise)
        stretch = self.calibration(np.sqrt(np.square(axes).sum(axis=2)))
        return Told(unit, stretch[:, :, None] * axes)

    def _said(self, signals: NDArray[Any]) -> tuple[Array, Array]:
        """Unit coordinates and axes as the network says them."""
        kind = np.complex64 if self.physics.complex else np.float32
        with torch.no_grad():
            output = self._module(self._inlet(torch.as_tensor(signals.astype(kind))))
            said = gaussian(output.double(), self._decoder.scale.size)
            axes: Array = said.axes().numpy()
            unit: Array = said.mean.clamp(0, 1).numpy()
        return unit, axes

    def _estimate(self, result: Estimate, at: NDArray[np.int64], signals: NDArray[Any], scale: Array) -> None:
        """Enter the estimates of signals divided by `scale`."""
        told = self.told(signals, None if self.noise is None else self.noise / scale)
        prior = self._prior(scale)
        found = self._decoder.solve(told.unit, signals, prior)
        turned = []
        for axis in np.moveaxis(told.axes, 2, 0):
            up, down = (self._decoder.factors(told.unit + s * axis, signals, prior, found.noise) for s in (1.0, -1.0))
            turned.append((up - down) / 2)
        scales = self._decoder.scale
        theta: Array = scales.theta(torch.as_tensor(told.unit)).numpy()
        moved = np.concatenate([scales.rates(theta)[:, :, None] * told.axes, np.stack(turned, axis=2)], axis=1)
        covariance = moved @ moved.transpose(0, 2, 1)
        k = scales.size
        covariance[:, k:, k:] += found.covariance
        units = np.where(np.arange(covariance.shape[1]) < k, 1.0, scale[:, None])
        result.theta[at] = units * np.concatenate([theta, found.value], axis=1)
        result.covariance[at] = units[:, :, None] * covariance * units[:, None, :]
        result.extra["noise"][at] = scale * np.sqrt(found.noise)
        self._judge(result, at, signals, found)

    def _prior(self, scale: Array) -> FactorPrior | None:
        """Prior of the factors of signals divided by `scale`."""
        if self.prior is None:
            return None
        mean, covariance = self.prior.mean / scale[:, None], self.prior.covariance / np.square(scale)[:, None, None]
        return FactorPrior(mean, covariance, self.prior.two_signs)

    def _judge(self, result: Estimate, at: NDArray[np.int64], signals: NDArray[Any], found: Factors) -> None:
        """Enter misfit, detection and status, by the rules of least squares."""
        energy = np.square(np.abs(self._inlet.without_level(torch.as_tensor(signals)).numpy())).sum(axis=1)
        change = np.square(np.abs(np.diff(found.residual, axis=1))).mean(axis=1) / (2 * self._inlet.parts)
        result.misfit[at] = found.noise / np.maximum(change, 1e-300)
        explained = energy - found.noise * self._decoder.freedom
        detection = explained / np.maximum(2 * found.noise, 1e-300)
        result.extra["detection"][at] = detection
        strange = result.misfit[at] > 1 + UNLIKELY * np.sqrt(2 / self._decoder.freedom)
        foreign = at[strange & (explained < EXPLAINED * energy)]
        result.status[at] = np.where(detection < GATE, Status.WEAK, Status.OK)
        result.status[foreign] = Status.NO_MODEL
        result.theta[foreign], result.covariance[foreign] = np.nan, np.nan
