"""The teachers of a training by their names, made of what is known of a scan; none that has nothing to teach from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parscope.core.errors import OptionError
from parscope.core.solver import Status
from parscope.solvers.networks.spectra.decoder import Decoder
from parscope.solvers.networks.spectra.draws import Draws, roots
from parscope.solvers.networks.spectra.inlet import Inlet
from parscope.solvers.networks.spectra.scan import Scan, usable
from parscope.solvers.networks.spectra.teachers import Cycle, Labels, Rendering, Repeats, Simulation
from parscope.solvers.train import Teacher

Ground = tuple[Inlet, Decoder, Draws]
"""What enters a network, the physics, and where simulated signals come from."""

# Least standard error of a label, in unit coordinates: a fit of hardly any noise is no more certain than this.
_LEAST = 1e-6


def faculty(names: Sequence[str], ground: Ground, scan: Scan) -> dict[str, tuple[Teacher, float]]:
    """Teachers and the weights of their losses, for `train`.

    Parameters
    ----------
    names : sequence of str
        Of ``simulation``, ``rendering``, ``cycle``, ``labels`` and ``repeats``.
    ground : tuple of Inlet, Decoder, Draws
        What enters the network, the physics, and where simulated signals come from.
    scan : Scan
        What is known of the scan.

    Returns
    -------
    dict

    Raises
    ------
    OptionError
        If a teacher has nothing to teach from.
    """
    return {name: (_TEACHERS[name](*ground, scan), 1.0) for name in names}


def _measured(scan: Scan, teacher: str) -> tuple[NDArray[np.intp], torch.Tensor]:
    """Which spectra of a scan can be used, and these, of moduli about 1, in single precision."""
    sound = np.flatnonzero(usable(scan.signals))
    if not len(sound):
        raise OptionError("has no spectrum of finite numbers to teach from", f"--teacher {teacher}", "leave it out")
    return sound, _single(scan.signals[sound], _largest(scan.signals[sound]))


def _largest(signals: NDArray[Any]) -> NDArray[Any]:
    """Largest modulus of each signal (n, bins), shape (n, 1)."""
    largest: NDArray[Any] = np.abs(signals).max(axis=1, keepdims=True)
    return largest


def _single(signals: NDArray[Any], unit: NDArray[Any]) -> torch.Tensor:
    """Signals in a unit of their own, in single precision."""
    return torch.as_tensor((signals / unit).astype(np.complex64 if np.iscomplexobj(signals) else np.float32))


def _simulation(inlet: Inlet, decoder: Decoder, draws: Draws, scan: Scan) -> Teacher:
    return Simulation(inlet, decoder, draws)


def _rendering(inlet: Inlet, decoder: Decoder, draws: Draws, scan: Scan) -> Teacher:
    return Rendering(inlet, decoder, _measured(scan, "rendering")[1])


def _cycle(inlet: Inlet, decoder: Decoder, draws: Draws, scan: Scan) -> Teacher:
    return Cycle(inlet, decoder, _measured(scan, "cycle")[1])


def _labels(inlet: Inlet, decoder: Decoder, draws: Draws, scan: Scan) -> Teacher:
    sound, signals = _measured(scan, "labels")
    k = decoder.scale.size
    fits = scan.fits
    fitted = (fits.status[sound] == Status.OK) & np.isfinite(fits.covariance[sound]).all(axis=(1, 2))
    if not fitted.any():
        raise OptionError("least squares fitted none of the spectra", "--teacher labels", "leave it out")
    theta = fits.theta[sound][fitted]
    rates = decoder.scale.rates(theta)
    covariance = fits.covariance[sound][fitted][:, :k, :k] / (rates[:, :, None] * rates[:, None, :])
    axes = roots(covariance + _LEAST**2 * np.eye(k))
    unit = torch.as_tensor(decoder.scale.unit(theta), dtype=torch.float32)
    return Labels(inlet, decoder, signals[torch.as_tensor(fitted)], unit, torch.as_tensor(axes, dtype=torch.float32))


def _repeats(inlet: Inlet, decoder: Decoder, draws: Draws, scan: Scan) -> Teacher:
    if scan.again is None:
        raise OptionError("there is no second measurement", "--again", "name the file")
    both = np.flatnonzero(usable(scan.signals) & usable(scan.again))
    if not len(both):
        raise OptionError("no position has a spectrum of finite numbers in both scans", "--again", "leave it out")
    unit = _largest(scan.signals[both])  # one for both measurements
    return Repeats(inlet, decoder, _single(scan.signals[both], unit), _single(scan.again[both], unit))


_TEACHERS: dict[str, Callable[[Inlet, Decoder, Draws, Scan], Teacher]] = {
    "simulation": _simulation,
    "rendering": _rendering,
    "cycle": _cycle,
    "labels": _labels,
    "repeats": _repeats,
}
