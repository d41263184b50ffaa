"""What a trained encoder is worth, on simulated patterns that it has not seen: the numbers of its model card."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Constellation
from parscope.core.solver import Estimate, Status
from parscope.solvers.networks.constellation.geometry import Array, rotation, rotations
from parscope.solvers.networks.constellation.limit import limit
from parscope.solvers.networks.constellation.ranges import Ranges
from parscope.solvers.networks.constellation.scenes import Scene, Scenes
from parscope.solvers.networks.constellation.solver import ConstellationNetwork
from parscope.solvers.train import TrainingError

_PATTERNS, _SEED = 1000, 2_000_003
# A misfit that one pattern in a thousand of the same physics has.
_RARE = 0.999
# 95 % of chi-squared with the six degrees of freedom of the parameters.
_CHI2_95 = 12.592
_PARTS = 8
# Patterns at each of the orientations at which precision is compared with its limit, and of each kind without lattice.
_TURNED = 100


def finished(network: ConstellationNetwork, ranges: Ranges) -> ConstellationNetwork:
    """The same networks, calibrated on simulated patterns.

    Parameters
    ----------
    network : ConstellationNetwork
        As trained.
    ranges : Ranges
        Of its training.

    Returns
    -------
    ConstellationNetwork
        Which refuses a misfit that one simulated pattern in a thousand has at the highest dose, where misfits are
        largest, and whose 95 % regions hold the truth of 95 % of patterns of all doses.

    Raises
    ------
    TrainingError
        If they tell no simulated pattern right, so that there is nothing to calibrate on.
    """
    scenes, plain = Scenes(network.physics, ranges), replace(network, unlikely=np.inf, excess=1.0)
    bright, every = scenes.draw(_PATTERNS, _SEED, ranges.electrons[1]), scenes.draw(_PATTERNS, _SEED + 1)
    estimate = plain(bright.patterns)
    good, _, _ = _right(network, bright, estimate)
    _, chi2, _ = _right(network, every, plain(every.patterns))
    if not good.any() or not len(chi2):
        raise TrainingError("the networks tell no simulated pattern right", "", "train longer: --minutes")
    unlikely = float(np.quantile(estimate.misfit[good], _RARE))
    return replace(network, unlikely=unlikely, excess=float(np.quantile(chi2, 0.95)) / _CHI2_95)


def _right(network: ConstellationNetwork, scene: Scene, estimate: Estimate) -> tuple[NDArray[np.bool_], Array, Array]:
    """Which patterns (n,) got the right lattice; their squared errors over the covariance, and their misses [px]."""
    miss, error = errors(network, scene.theta, estimate.theta)
    good = scene.present & (estimate.status == Status.OK) & (miss < _largest(network))
    chi2 = np.einsum("ni,nij,nj->n", error[good], np.linalg.inv(estimate.covariance[good]), error[good])
    return good, chi2, miss[good]


def examine(network: ConstellationNetwork, ranges: Ranges) -> dict[str, Any]:
    """Precision, failures and coverage at several doses, and what is said of patterns without a lattice.

    Parameters
    ----------
    network : ConstellationNetwork
        The solver.
    ranges : Ranges
        Of its training.

    Returns
    -------
    dict
        ``by_electrons``: ``position_rms`` [px] of a coordinate of a copy, ``failures`` [1] (no answer, or copies off
        by an eighth of their distance), ``coverage`` [1] of 95 % regions, ``refused`` and ``refused_foreign`` [1] of
        patterns without a lattice and of another one, and ``over_limit`` [1], that is `position_rms` of the mean
        pattern over its Cramér-Rao limit, along the orientations up to where the lattice is the same again; ``bias``:
        mean error of the rotation over its standard error by orientation; ``refusals``: shares of the statuses of
        patterns of nothing, of noise, of vacuum (the direct beam alone, left out where it is not seen) and of another
        material, of all these doses; ``patterns_per_cpu_s``, ``parameters``. None where no pattern says anything.
    """
    scenes = Scenes(network.physics, ranges)
    rows: list[dict[str, Any]] = []
    bias: list[float] = []
    foreign: list[NDArray[np.uint8]] = []
    for number, dose in enumerate(ranges.doses):
        scene = scenes.draw(_PATTERNS, _SEED + 2 + number, dose)
        began = time.process_time()
        estimate = network(scene.patterns)
        seconds = time.process_time() - began
        over = over_limit(network, dose)
        rows.append({"electrons": dose, **_judged(network, scene, estimate), "over_limit": over})
        bias = _along(network, scene, estimate)
        foreign.append(estimate.status[scene.foreign])
    return {
        "parameters": network.orientation.size + network.window.size,
        "by_electrons": rows,
        "bias": bias,
        "refusals": _refusals(network, ranges, foreign),
        "patterns_per_cpu_s": float(round(_PATTERNS / max(seconds, 1e-9))),
    }


def over_limit(network: ConstellationNetwork, electrons: float) -> list[float | None]:
    """Errors over their Cramér-Rao limit along the orientations.

    Parameters
    ----------
    network : ConstellationNetwork
        The solver.
    electrons : float
        Of a pattern, [1].

    Returns
    -------
    list of float or None
        Root mean square of a coordinate of the copies over its limit, [1], of patterns that got the right lattice;
        None where none did.
    """
    found: list[float | None] = []
    rng = np.random.default_rng(_SEED)
    physics = network.physics
    same = 2 * np.pi / len(network.geometry.turns)
    for affine in rotation(same * (np.arange(_PARTS) + 0.5) / _PARTS):
        bound = limit(physics, affine, electrons)
        drawn = rng.poisson(bound.mean / physics.gain, (_TURNED, *physics.signal_shape)) * physics.gain
        true = np.tile(np.concatenate([np.asarray(physics.theta[:2]), affine.ravel()]), (_TURNED, 1))
        miss, _ = errors(network, true, network(drawn.astype(np.float32)).theta)
        right = miss[miss < _largest(network)]
        found.append(float(np.sqrt(np.mean(np.square(right)))) / bound.position if len(right) else None)
    return found


def _refusals(
    network: ConstellationNetwork, ranges: Ranges, foreign: list[NDArray[np.uint8]]
) -> dict[str, dict[str, float]]:
    """Shares of the statuses of patterns of nothing, of noise, of vacuum, and of another material."""
    shape, rng = network.physics.signal_shape, np.random.default_rng(_SEED)
    means = {"noise": np.full(shape, 1 / np.prod(shape)), "vacuum": _direct_beam(network.physics)}
    said = {"zeros": network(np.zeros((1, *shape), np.float32)).status}
    for name, mean in means.items():
        if mean is not None:
            drawn = (network.physics.gain * rng.poisson(dose * mean, (_TURNED, *shape)) for dose in ranges.doses)
            said[name] = np.concatenate([network(patterns.astype(np.float32)).status for patterns in drawn])
    said["another material"] = np.concatenate(foreign)
    return {name: _shares(status) for name, status in said.items()}


def _direct_beam(physics: Constellation) -> Array | None:
    """The copy at the centre alone, of sum 1; None where there is none, or it is hidden."""
    at = np.flatnonzero(np.hypot(*physics.reference.T) < 1e-6)
    place = np.moveaxis(np.indices(physics.signal_shape, np.float64), 0, -1)
    copy = physics.template(place - np.asarray(physics.theta[:2]), physics.extent[1])[0]
    if physics.mask is not None:
        copy = np.where(physics.mask, 0.0, copy)
    return np.asarray(copy / copy.sum()) if len(at) and copy.sum() > 1e-6 else None


def _shares(status: NDArray[np.uint8]) -> dict[str, float]:
    """Shares of the statuses that occur."""
    return {s.name.lower(): float(np.mean(status == s)) for s in Status if (status == s).any()}


def _along(network: ConstellationNetwork, scene: Scene, estimate: Estimate) -> list[float]:
    """Mean error of the rotation over its standard error, along a turn in equal parts."""
    miss, error = errors(network, scene.theta, estimate.theta)
    good = scene.present & (miss < _largest(network))
    turn = np.array([0.0, 0.0, 0.0, -0.5, 0.5, 0.0])
    std = np.sqrt(np.einsum("i,nij,j->n", turn, estimate.covariance[good], turn))
    ratio = error[good] @ turn / std
    part = (rotations(scene.theta[good, 2:].reshape(-1, 2, 2)) / (2 * np.pi) % 1 * _PARTS).astype(int)
    return [float(ratio[part == k].mean()) for k in range(_PARTS) if (part == k).any()]


def _judged(network: ConstellationNetwork, scene: Scene, estimate: Estimate) -> dict[str, float | None]:
    """Scores of one dose; None where no pattern got the right lattice."""
    good, chi2, miss = _right(network, scene, estimate)
    refused, some = estimate.status != Status.OK, len(miss) > 0
    return {
        "position_rms": float(np.sqrt(np.mean(np.square(miss)))) if some else None,
        "failures": float(np.mean(~good[scene.present])),
        "coverage": float(np.mean(chi2 < _CHI2_95)) if some else None,
        "refused": float(np.mean(refused[~scene.present & ~scene.foreign])),
        "refused_foreign": float(np.mean(refused[scene.foreign])),
    }


def _largest(network: ConstellationNetwork) -> float:
    """Root mean square miss of the copies above which it is another lattice, [px]."""
    at = np.hypot(*network.physics.reference.T)
    return float(at[at > 1e-6].min()) / 8


def errors(network: ConstellationNetwork, true: Array, found: Array) -> tuple[Array, Array]:
    """Root mean square miss of the copies (n,), [px], and errors of the parameters (n, 6), for the nearest turn.

    Parameters
    ----------
    network : ConstellationNetwork
        Supplies copies and turns.
    true, found : ndarray, shape (n, 6)
        Parameters.

    Returns
    -------
    miss : ndarray, shape (n,)
    error : ndarray, shape (n, 6)
    """
    turns, reference = network.geometry.turns, network.physics.reference
    maps = found[:, 2:].reshape(-1, 1, 2, 2) @ turns - true[:, 2:].reshape(-1, 1, 2, 2)
    off = (found - true)[:, None, None, :2] + reference @ np.swapaxes(maps, -1, -2)
    miss: NDArray[np.float64] = np.sqrt(np.mean(np.square(off), axis=(2, 3)))
    best = np.nan_to_num(miss, nan=np.inf).argmin(1)
    rows = np.arange(len(best))
    error = np.concatenate([(found - true)[:, :2], maps[rows, best].reshape(-1, 4)], 1)
    return miss[rows, best], error
