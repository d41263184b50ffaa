"""Patterns of a simple crystal, and what fits of them are worth."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from parscope.core.solver import Estimate
from parscope.solvers.lattice import LatticeFilters
from parscope.techniques.diffraction import Background, DiffractionPattern, Probe

SIDE = 96


@cache
def crystal(
    radius: float = 5.0, spacing: float = 21.0, electrons: float = 1e4, turn: float = 11.0
) -> DiffractionPattern:
    """Up to 21 uniform disks on a square lattice, on a peaked background."""
    a = np.deg2rad(turn)
    basis = spacing * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    indices = np.stack(np.meshgrid(np.arange(-5, 6), np.arange(-5, 6), indexing="ij"), -1).reshape(-1, 2)
    distance = np.linalg.norm(indices @ basis, axis=1)
    order = [k for k in np.argsort(distance, kind="stable") if distance[k] < SIDE / 2 - radius - 5][:21]
    indices = indices[order]
    amplitude = np.exp(-np.sum((indices @ basis) ** 2, axis=1) / 40.0**2)
    amplitude[0] = 3.0
    centre = ((SIDE - 1) / 2, (SIDE - 1) / 2)
    pattern = DiffractionPattern(
        (SIDE, SIDE), Probe(radius, 0.6), centre, basis, indices, amplitude, Background(0.05, 20.0)
    )
    factor = electrons / float(pattern.render(pattern.theta[None]).sum())
    return replace(pattern, amplitude=amplitude * factor, background=Background(0.05 * factor, 20.0))


def about(pattern: DiffractionPattern, n: int, shift: float = 0.7, strain: float = 0.01) -> Any:
    """Parameters of `n` patterns about the reference."""
    noise = np.random.default_rng(n).normal(size=(n, 6))
    return pattern.theta + noise * np.array([shift] * 2 + [strain] * 4)


def counts(pattern: DiffractionPattern, theta: Any, seed: int = 2, **kwargs: Any) -> Any:
    """Patterns with counting noise."""
    return np.random.default_rng(seed).poisson(pattern.render(theta, **kwargs)).astype(np.uint16)


@cache
def expected() -> tuple[Any, Any]:
    """Parameters and expected counts of 400 patterns of 10 000 electrons."""
    theta = about(crystal(), 400)
    return theta, crystal().render(theta)


def sample(n: int = 400, electrons: float = 1e4) -> tuple[Any, Any]:
    """Parameters and patterns with counting noise."""
    theta, mean = expected()
    return theta[:n], np.random.default_rng(2).poisson(mean[:n] * electrons / 1e4).astype(np.uint16)


def calibration(estimate: Estimate, theta: Any) -> float:
    """Root mean square of the errors over their standard errors: 1 if these are right."""
    return float(np.sqrt(np.nanmean(((estimate.theta - theta) / estimate.std) ** 2)))


def bias(estimate: Estimate, theta: Any) -> float:
    """Largest mean error over its own standard error."""
    error = estimate.theta - theta
    return float(np.max(np.abs(error.mean(0)) / (error.std(0) / np.sqrt(len(error)))))


def bound(pattern: DiffractionPattern) -> Any:
    """Cramér-Rao covariance of the six parameters, amplitudes and levels unknown, by differences of whole patterns."""
    theta, step = pattern.theta[None], np.array([0.02] * 2 + [1e-3] * 4)
    moves = [np.eye(6)[k][None] * step[k] for k in range(6)]
    rows = [(pattern.render(theta + m) - pattern.render(theta - m)) / (2 * m.sum()) for m in moves]
    mean = pattern.render(theta)
    nearest = np.argmin(
        np.sum(
            (np.indices(pattern.shape)[..., None] - (pattern.reference + pattern.centre).T[:, None, None]) ** 2, axis=0
        ),
        axis=-1,
    )
    for n in range(len(pattern.amplitude)):
        rows.append(pattern.render(theta, amplitude=np.eye(len(pattern.amplitude))[n], background=np.zeros(1)))
        rows.append((nearest == n)[None].astype(np.float64))
    design = np.array(rows).reshape(len(rows), -1)
    return np.linalg.inv((design / mean.ravel()) @ design.T)[:6, :6]


@cache
def flat() -> LatticeFilters:
    """Solver for uniform disks at 10 000 electrons."""
    return LatticeFilters(crystal())
