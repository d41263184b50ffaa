"""What a trained encoder is worth, on simulated patterns that it has not seen: the numbers of its model card."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.solver import Estimate, Status
from parscope.solvers.networks.constellation.geometry import Array
from parscope.solvers.networks.constellation.scenes import Scene, Scenes
from parscope.solvers.networks.constellation.solver import ConstellationNetwork

DOSES = (1e3, 1e4, 1e5)
_PATTERNS, _SEED = 1500, 2_000_003
# A misfit that one pattern in a thousand of the same physics has.
_RARE = 0.999
# Half of the root mean square of two normal coordinates, and 95 % of six.
_CHI2_95 = 12.592


def finished(network: ConstellationNetwork) -> ConstellationNetwork:
    """The same networks, which refuse a misfit that one simulated pattern in a thousand has.

    Parameters
    ----------
    network : ConstellationNetwork
        As trained.

    Returns
    -------
    ConstellationNetwork
    """
    scene = Scenes(network.physics).draw(2 * _PATTERNS, _SEED)
    misfit = replace(network, unlikely=np.inf)(scene.patterns[scene.present]).misfit
    return replace(network, unlikely=float(np.nanquantile(misfit, _RARE)))


def examine(network: ConstellationNetwork) -> dict[str, Any]:
    """Precision, failures and coverage at several doses, and what is said of patterns without a lattice.

    Parameters
    ----------
    network : ConstellationNetwork
        The solver.

    Returns
    -------
    dict
        By dose in electrons: ``position_rms`` [px] of a coordinate of a copy, ``failures`` [1] (no answer, or a copy
        off by more than half the way to its neighbour), ``coverage_95`` [1]; and ``refused`` [1] of patterns without.
    """
    scenes = Scenes(network.physics)
    card: dict[str, Any] = {}
    for number, dose in enumerate(DOSES):
        scene = scenes.draw(_PATTERNS, _SEED + 1 + number, dose)
        card[f"{dose:.0f}"] = _judged(network, scene, network(scene.patterns))
    nothing = np.full((2, *network.physics.signal_shape), 0.0, np.float32)
    nothing[1] = np.random.default_rng(_SEED).poisson(1.0, nothing.shape[1:])
    card["parameters"] = network.orientation.size + network.window.size
    return card | {"noise": Status(int(network(nothing).status[1])).sentence}


def _judged(network: ConstellationNetwork, scene: Scene, estimate: Estimate) -> dict[str, float]:
    """Scores of one dose."""
    there, found = scene.present, estimate.status == Status.OK
    miss, error = errors(network, scene.theta, estimate.theta)
    good = there & found & (miss < _largest(network))
    chi2 = np.einsum("ni,nij,nj->n", error[good], np.linalg.inv(estimate.covariance[good]), error[good])
    return {
        "position_rms": float(np.sqrt(np.mean(np.square(miss[good])))),
        "failures": float(np.mean(~good[there])),
        "coverage_95": float(np.mean(chi2 < _CHI2_95)),
        "refused": float(np.mean(~found[~there])) if (~there).any() else float("nan"),
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
