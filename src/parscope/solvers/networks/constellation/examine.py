"""What a trained encoder is worth, on simulated patterns that it has not seen: the numbers of its model card."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import Estimate, Status
from parscope.solvers.networks.constellation.geometry import Array, rotation, rotations
from parscope.solvers.networks.constellation.limit import limit
from parscope.solvers.networks.constellation.ranges import Ranges
from parscope.solvers.networks.constellation.scenes import Scene, Scenes
from parscope.solvers.networks.constellation.solver import ConstellationNetwork

_PATTERNS, _SEED = 1000, 2_000_003
# A misfit that one pattern in a thousand of the same physics has.
_RARE = 0.999
# 95 % of chi-squared with the six degrees of freedom of the parameters.
_CHI2_95 = 12.592
_PARTS = 8
# Patterns at each of the orientations at which precision is compared with its limit.
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
    """
    scenes, plain = Scenes(network.physics, ranges), replace(network, unlikely=np.inf, excess=1.0)
    bright, every = scenes.draw(_PATTERNS, _SEED, ranges.electrons[1]), scenes.draw(_PATTERNS, _SEED + 1)
    estimate = plain(bright.patterns)
    good, _, _ = _right(network, bright, estimate)
    unlikely = float(np.quantile(estimate.misfit[good], _RARE))
    _, chi2, _ = _right(network, every, plain(every.patterns))
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
        mean error of the rotation over its standard error by orientation; ``refusals``: what is said of patterns of
        nothing, and most often of another material; ``patterns_per_cpu_s``, ``parameters``.
    """
    scenes = Scenes(network.physics, ranges)
    rows: list[dict[str, Any]] = []
    bias: list[float] = []
    for number, dose in enumerate(ranges.doses):
        scene = scenes.draw(_PATTERNS, _SEED + 2 + number, dose)
        began = time.process_time()
        estimate = network(scene.patterns)
        seconds = time.process_time() - began
        over = over_limit(network, dose)
        rows.append({"electrons": dose, **_judged(network, scene, estimate), "over_limit": over})
        bias = _along(network, scene, estimate)
    return {
        "parameters": network.orientation.size + network.window.size,
        "by_electrons": rows,
        "bias": bias,
        "refusals": _refusals(network, scene, estimate),
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


def _refusals(network: ConstellationNetwork, scene: Scene, estimate: Estimate) -> dict[str, str]:
    """What is said of patterns of nothing, and most often of those of another material."""
    shape = network.physics.signal_shape
    rng = np.random.default_rng(_SEED)
    strange = {"zeros": np.zeros(shape), "noise": rng.poisson(1.0, shape)}
    said = {name: int(network(p[None].astype(np.float32)).status[0]) for name, p in strange.items()}
    said["another material"] = int(np.bincount(estimate.status[scene.foreign]).argmax())
    return {name: Status(status).sentence for name, status in said.items()}


def _along(network: ConstellationNetwork, scene: Scene, estimate: Estimate) -> list[float]:
    """Mean error of the rotation over its standard error, along a turn in equal parts."""
    miss, error = errors(network, scene.theta, estimate.theta)
    good = scene.present & (miss < _largest(network))
    turn = np.array([0.0, 0.0, 0.0, -0.5, 0.5, 0.0])
    std = np.sqrt(np.einsum("i,nij,j->n", turn, estimate.covariance[good], turn))
    ratio = error[good] @ turn / std
    part = (rotations(scene.theta[good, 2:].reshape(-1, 2, 2)) / (2 * np.pi) % 1 * _PARTS).astype(int)
    return [float(ratio[part == k].mean()) for k in range(_PARTS) if (part == k).any()]


def _judged(network: ConstellationNetwork, scene: Scene, estimate: Estimate) -> dict[str, float]:
    """Scores of one dose."""
    good, chi2, miss = _right(network, scene, estimate)
    refused = estimate.status != Status.OK
    return {
        "position_rms": float(np.sqrt(np.mean(np.square(miss)))),
        "failures": float(np.mean(~good[scene.present])),
        "coverage": float(np.mean(chi2 < _CHI2_95)),
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
