"""Two grains in one pattern: the strain of the stronger one, its error, and when there is none."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from parscope.core.physics import Contrast
from parscope.core.solver import Status
from parscope.solvers.lattice import LatticeFilters
from parscope.techniques.diffraction.pattern import DiffractionPattern
from parscope.workflows.grains.fit import fit_crystals
from parscope.workflows.grains.mixture import Mixture, Resolved
from tests.solvers.crystals import about, crystal

ELECTRONS = 1e5


@cache
def solver(turn: float) -> LatticeFilters:
    """Solver for a crystal turned by an angle, [deg]."""
    return LatticeFilters(crystal(electrons=ELECTRONS, turn=turn), bins=3)


def physics(turn: float) -> DiffractionPattern:
    return crystal(electrons=ELECTRONS, turn=turn)


def mixed(turns: tuple[float, ...], parts: tuple[float, ...], n: int) -> tuple[Any, Any]:
    """Parameters of the crystals, with a common centre, and counts of their mixtures."""
    thetas = [about(physics(turn), n + k, shift=0.5, strain=0.004)[:n] for k, turn in enumerate(turns)]
    for theta in thetas[1:]:
        theta[:, :2] = thetas[0][:, :2]
    mean = sum(part * physics(turn).render(t) for part, turn, t in zip(parts, turns, thetas, strict=True))
    return thetas, np.random.default_rng(n).poisson(mean).astype(np.uint16)


def resolved(turns: tuple[float, float], parts: tuple[float, float], n: int) -> tuple[Any, Resolved]:
    thetas, patterns = mixed(turns, parts, n)
    first, second = (solver(turn) for turn in turns)
    pair = Mixture(first, second)
    return thetas, pair.resolve(patterns, first(patterns), np.full(n, parts[1], np.float32))


def chi(both: Resolved, theta: Any, keep: Any = slice(None)) -> Any:
    """Errors of the affine map over their standard errors."""
    std = np.sqrt(np.diagonal(both.covariance, axis1=1, axis2=2))
    return ((both.theta - theta) / std)[keep, 2:]


@pytest.mark.parametrize(("turn", "share"), [(33.0, 0.05), (33.0, 0.3), (33.0, 0.45), (16.0, 0.3), (56.0, 0.3)])
def test_strain_of_the_stronger_grain_with_its_error(turn: float, share: float) -> None:
    (theta, _), both = resolved((11.0, turn), (1 - share, share), 60)
    assert both.good.mean() > 0.97
    assert not both.swapped.any()
    kept = chi(both, theta, both.good)
    assert 0.85 < np.sqrt(np.mean(kept**2)) < 1.15
    assert np.abs(kept.mean(0)).max() < 0.35
    assert np.abs(both.share[both.good] - share).max() < 0.03
    assert abs(both.misfit[both.good].mean() - 1.0) < 0.03


def test_a_fit_of_one_lattice_is_off() -> None:
    (theta, _), patterns = mixed((11.0, 33.0), (0.7, 0.3), 100)
    alone = solver(11.0)(patterns)
    assert np.sqrt(np.mean(((alone.theta - theta) / alone.std)[:, 2:] ** 2)) > 1.5


def test_error_is_the_limit_for_two_lattices() -> None:
    """By differences of whole patterns, with the amplitudes of all disks and the level round each unknown."""
    _, both = resolved((11.0, 33.0), (0.7, 0.3), 20)
    a, b = physics(11.0), physics(33.0)

    def pattern(move: Any) -> Any:
        of_b = b.theta + np.concatenate([move[:2], move[6:]])
        return 0.7 * a.render((a.theta + move[:6])[None])[0] + 0.3 * b.render(of_b[None])[0]

    steps = np.diag([0.02] * 2 + [1e-3] * 8)
    rows = [(pattern(s) - pattern(-s)) / (2 * s.sum()) for s in steps]
    at = np.concatenate([a.reference, b.reference[1:]]) + a.centre
    away = np.linalg.norm(np.moveaxis(np.indices(a.shape), 0, -1)[..., None, :] - at, axis=-1)
    empty = np.zeros(1)
    for p, disks in ((a, range(len(a.amplitude))), (b, range(1, len(b.amplitude)))):
        rows += [p.render(p.theta[None], np.eye(len(p.amplitude))[n], empty)[0] for n in disks]
    rows += [(away.argmin(-1) == n).astype(np.float64) for n in range(len(at))]
    near = away.min(-1) < 8.5
    design = np.array(rows)[:, near]
    limit = np.linalg.inv((design / pattern(np.zeros(10))[near]) @ design.T)[2:6, 2:6]
    ours = np.median(both.covariance, axis=0)[2:, 2:]
    assert np.sqrt(np.diag(ours) / np.diag(limit)) == pytest.approx(np.ones(4), abs=0.12)


def test_the_stronger_grain_is_told_by_both() -> None:
    """Even where the fits of one lattice took the weaker grain for the stronger one."""
    thetas, patterns = mixed((11.0, 33.0), (0.46, 0.54), 40)
    first, second = solver(11.0), solver(33.0)
    alone = first(mixed((11.0,), (0.46,), 40)[1])
    both = Mixture(first, second).resolve(patterns, alone, np.full(40, 0.5, np.float32))
    assert both.swapped.mean() > 0.95
    keep = both.swapped & both.good
    assert 0.8 < np.sqrt(np.mean(chi(both, thetas[1], keep) ** 2)) < 1.2
    assert np.median(both.share[keep]) == pytest.approx(0.46, abs=0.02)


def test_grains_nearly_alike_have_honest_errors_or_none() -> None:
    (theta, _), both = resolved((11.0, 12.6), (0.7, 0.3), 100)
    keep = both.good & ~both.swapped
    kept = chi(both, theta, keep)
    assert keep.mean() > 0.5
    assert np.sqrt(np.median(kept**2)) / 0.6745 < 1.3
    assert np.mean(np.abs(kept) > 4) < 0.02


def test_bad_pixels_say_nothing() -> None:
    (theta, _), patterns = mixed((11.0, 33.0), (0.7, 0.3), 60)
    mask = np.random.default_rng(0).random(patterns.shape[1:]) < 0.03
    patterns[:, mask] = 60000
    first, second = (LatticeFilters(replace(physics(turn), mask=mask), bins=3) for turn in (11.0, 33.0))
    both = Mixture(first, second).resolve(patterns, first(patterns), np.full(60, 0.3, np.float32))
    assert both.good.mean() > 0.95
    assert 0.85 < np.sqrt(np.mean(chi(both, theta, both.good) ** 2)) < 1.15
    assert abs(both.misfit.mean() - 1.0) < 0.03


def ramped(p: DiffractionPattern, theta: Any, rng: Any) -> Any:
    """Expected counts of disks that are brighter on one side, which a uniform disk takes for a displacement."""
    image = p.render(theta, np.zeros(len(p.amplitude)))
    where = theta[:, None, :2] + np.einsum("nij,kj->nki", theta[:, 2:].reshape(-1, 2, 2), p.reference)
    grid = np.moveaxis(np.indices(p.shape), 0, -1)
    ramp = rng.normal(0, 0.25, where.shape) / p.probe.radius
    for n, k in np.ndindex(*where.shape[:2]):
        away = grid - where[n, k]
        image[n] += p.amplitude[k] * p.template(away, p.probe.edge)[0] * np.clip(1 + away @ ramp[n, k], 0, None)
    return image


def test_contrast_inside_the_disks_is_part_of_the_error() -> None:
    (theta, other), _ = mixed((11.0, 33.0), (0.7, 0.3), 30)
    rng = np.random.default_rng(1)
    mean = 0.7 * ramped(physics(11.0), theta, rng) + 0.3 * ramped(physics(33.0), other, rng)
    patterns = rng.poisson(mean).astype(np.uint16)
    spread, error = [], []
    for contrast in (Contrast(), Contrast((0.06, 0.0, 0.0, 0.0, 0.0))):
        first, second = (LatticeFilters(replace(physics(turn), contrast=contrast), bins=3) for turn in (11.0, 33.0))
        both = Mixture(first, second).resolve(patterns, first(patterns), np.full(30, 0.3, np.float32))
        spread.append(np.sqrt(np.mean(chi(both, theta, both.good) ** 2)))
        error.append(np.abs(both.theta - theta)[both.good, 2:].mean())
    assert spread[1] < 1.4 < 2.0 < spread[0]
    assert error[1] < error[0]


def test_no_value_where_a_third_grain_is_there() -> None:
    solvers = tuple(solver(turn) for turn in (11.0, 33.0, 56.0))
    candidates = np.tile(np.arange(3, dtype=np.int16), (1, 20, 1))
    for parts, value in (((0.7, 0.3), True), ((0.6, 0.25, 0.15), False)):
        _, patterns = mixed((11.0, 33.0, 56.0)[: len(parts)], parts, 20)
        estimate, label, share = fit_crystals(patterns[None], candidates, solvers)
        assert (label == 0).all()
        assert ((estimate.status == Status.OK) == value).mean() > 0.9
        assert (share > 0.1).all()
        mixed_up = estimate.status == Status.BOUNDARY
        assert np.isnan(estimate.theta[mixed_up]).all()
        assert np.isfinite(estimate.theta[~mixed_up]).all()


def test_a_neighbour_with_more_disks_does_not_take_the_patterns_of_a_grain() -> None:
    # Filters of the neighbour, four degrees off, find the lattice of the grain as well, and one disk more of it.
    own, other = physics(11.0), physics(15.0)
    fewer = replace(own, indices=own.indices[:-1], amplitude=own.amplitude[:-1])
    _, patterns = mixed((11.0,), (1.0,), 20)
    for crystals in ((fewer, other), (other, fewer)):
        solvers = tuple(LatticeFilters(p, bins=3) for p in crystals)
        candidates = np.tile(np.arange(2, dtype=np.int16), (1, 20, 1))
        _, label, _ = fit_crystals(patterns[None], candidates, solvers)
        assert (label == (crystals[1] is fewer)).all()
