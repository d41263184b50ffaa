"""What a network for spectra is worth, measured on simulated signals before it is used: its model card."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parscope.core.bound import cramer_rao
from parscope.core.solver import Estimate, Status
from parscope.solvers.networks.spectra.calibration import WIDTH
from parscope.solvers.networks.spectra.decoder import Decoder
from parscope.solvers.networks.spectra.draws import Draws
from parscope.solvers.networks.spectra.solver import SpectraNetwork

Array = NDArray[np.float64]

SNR = (100.0, 30.0, 10.0, 5.0, 3.0, 2.0, 1.0)
"""Peaks over the noise at which networks are judged, [1]."""

_COUNT = 2000
# Answers so many of their own standard errors off are wrong without saying so.
_WRONG = 5.0
# Of a normal distribution, over its median absolute deviation.
_ROBUST = 1.4826
_STRETCHES, _JUDGED = 5, 10.0
# Quantiles of the strengths of a training between which it is judged.
_TRAINED = (0.02, 0.98)
_TIMED = 4096


def card(solver: SpectraNetwork, draws: Draws, unit: float, seed: int) -> dict[str, Any]:
    """Measure a network.

    Parameters
    ----------
    solver : SpectraNetwork
        Whole, as it will be used.
    draws : Draws
        Where signals come from; their own noise is not used.
    unit : float
        What the draws are to be multiplied by, in the `unit` of the signal.
    seed : int
        Fixes the signals, which are others than those of the training.

    Returns
    -------
    dict
        ``by_snr``: error over the Cramér-Rao bound, coverage of 95 % intervals and share of answers that are wrong
        without saying so, at the strengths it was trained for; ``bias``: mean error over the standard error, along the
        range of each parameter; ``refusals``: what is said of signals that are none; ``spectra_per_cpu_s``,
        ``parameters``; as JSON. Errors and intervals of a parameter of kind log are those of its logarithm.
    """
    chance = torch.Generator().manual_seed(seed)
    decoder = Decoder(solver.physics)
    names = [p.name for p in solver.physics.nonlinear]
    made = draws(_COUNT, chance)
    clean, truth = unit * made.clean.numpy().astype(np.complex128 if solver.physics.complex else float), made.unit
    scale, at = decoder.scale, truth.double().numpy()
    factors = decoder.solve(at, clean).value
    theta = np.concatenate([scale.theta(truth.double()).numpy(), factors], axis=1)
    limit = np.sqrt(np.diagonal(cramer_rao(solver.physics, theta, 1.0), axis1=1, axis2=2))[:, : len(names)]
    limit /= scale.rates(theta)
    peak = np.abs(clean).max(axis=1)
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    bias: dict[str, list[float]] = {}
    weakest, strongest = np.quantile(peak / (unit * made.noise.numpy()), _TRAINED)
    trained = [snr for snr in SNR if weakest <= snr <= strongest]
    # Told where errors are small and signals not yet rare: the last strength down to this, or the highest there is.
    judged = min((snr for snr in trained if snr >= _JUDGED), default=max(trained, default=0.0))
    for snr in trained:
        noise = peak / snr
        found = solver(clean + noise[:, None] * _noise(rng, clean))
        error, std = scale.unit(found.theta) - at, found.std[:, : len(names)] / scale.rates(found.theta)
        rows.append({"snr": snr, **_row(names, error, std, noise[:, None] * limit)})
        if snr == judged:
            bias = {n: _along(at[:, j], error[:, j] / std[:, j]) for j, n in enumerate(names)}
    return {
        "parameters": solver.network.size,
        "trained_snr": [_rounded(weakest), _rounded(strongest)],
        "by_snr": rows,
        "bias": bias,
        "refusals": _refusals(solver, clean, rng),
        "spectra_per_cpu_s": _speed(solver, clean),
    }


def _noise(rng: np.random.Generator, like: NDArray[Any]) -> NDArray[Any]:
    """Noise of standard deviation 1 in each real number."""
    drawn = rng.normal(size=like.shape)
    return drawn + 1j * rng.normal(size=like.shape) if np.iscomplexobj(like) else drawn


def _row(names: list[str], error: Array, std: Array, limit: Array) -> dict[str, Any]:
    told = np.isfinite(error).all(axis=1)
    off = np.abs(error[told])
    ratio = _ROBUST * np.median(off / limit[told], axis=0)
    inside = (off < WIDTH * std[told]).mean(axis=0)
    return {
        "error_over_bound": _named(names, ratio),
        "coverage": _named(names, inside),
        "wrong": _rounded((off > _WRONG * std[told]).any(axis=1).mean()),
        "answered": _rounded(told.mean()),
    }


def _named(names: list[str], values: Array) -> dict[str, float]:
    return {name: _rounded(value) for name, value in zip(names, values, strict=True)}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _along(at: Array, ratio: Array) -> list[float]:
    """Means over equal stretches of a range; NaN, which JSON has not, is left out."""
    stretch = np.minimum((_STRETCHES * at).astype(int), _STRETCHES - 1)
    means = [np.nanmean(ratio[stretch == k]) for k in range(_STRETCHES) if np.isfinite(ratio[stretch == k]).any()]
    return [_rounded(mean) for mean in means]


def _refusals(solver: SpectraNetwork, clean: NDArray[Any], rng: np.random.Generator) -> dict[str, Mapping[str, float]]:
    """What is said of noise alone, of one bad sample, of a walk, and of two signals at once."""
    some = clean[:500]
    size = np.abs(some).max(axis=1, keepdims=True)
    spike = np.zeros_like(some)
    spike[np.arange(len(some)), rng.integers(some.shape[1], size=len(some))] = 1.0
    quiet = _noise(rng, some) / 30
    strange = {
        "noise alone": _noise(rng, some),
        "one bad sample": spike + quiet,
        "random walk": np.cumsum(_noise(rng, some), axis=1) + quiet,
        "two signals": some / size + np.roll(some / size, 1, axis=0) + quiet,
    }
    return {name: _statuses(solver(signals)) for name, signals in strange.items()}


def _statuses(found: Estimate) -> dict[str, float]:
    """Shares of the statuses that occur."""
    shares = {status.name.lower(): _rounded(float((found.status == status).mean())) for status in Status}
    return {name: share for name, share in shares.items() if share}


def _speed(solver: SpectraNetwork, clean: NDArray[Any]) -> float:
    signals = np.resize(clean, (_TIMED, clean.shape[1]))
    solver(signals)
    began = time.process_time()
    solver(signals)
    return float(round(_TIMED / max(time.process_time() - began, 1e-9)))
