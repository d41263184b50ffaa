"""The posterior of weak signals is the same however few of its nodes are looked at."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.core.solver import Status
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.least_squares.layout import Prior
from parscope.solvers.least_squares.posterior import Posterior
from parscope.solvers.least_squares.sieve import Sieve
from parscope.techniques.band_excitation import BandExcitation

PHYSICS = BandExcitation(np.linspace(280.5e3, 359.5e3, 80))
RNG = np.random.default_rng(5)
THETA = np.stack(
    [RNG.uniform(304e3, 336e3, 400), RNG.uniform(40, 250, 400), np.full(400, 0.0), np.full(400, 0.04)], axis=1
)
SIGNALS = PHYSICS.render(THETA) + RNG.normal(size=(400, 80)) + 1j * RNG.normal(size=(400, 80))


def test_nodes_left_out_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    some = LeastSquares(PHYSICS)(SIGNALS)
    assert np.mean(some.status == Status.WEAK) > 0.2
    monkeypatch.setattr(Posterior, "_products", lambda self, unit, _: self.bank.products(unit))
    whole = LeastSquares(PHYSICS)(SIGNALS)
    np.testing.assert_allclose(some.std, whole.std, rtol=0.02)
    assert (some.status == whole.status).all()


def test_a_sieve_lets_most_nodes_out_and_none_that_is_probable() -> None:
    solver = LeastSquares(PHYSICS)
    fine = solver.posteriors[0].bank
    unit = np.concatenate([SIGNALS.real, SIGNALS.imag], axis=1).astype(np.float32)
    found, whole = Sieve(fine, solver.bank).products(unit, np.ones(400)), fine.products(unit)
    energy = np.square(whole).reshape(400, 2, -1).sum(axis=1)
    probable = np.tile(energy > energy.max(axis=1, keepdims=True) - 14, 2)
    np.testing.assert_allclose(found[probable], whole[probable], rtol=1e-3, atol=1e-3)
    strong = energy.max(axis=1) > 40
    assert np.mean(found[strong] != 0) < 0.3


def test_a_prior_that_says_nothing_changes_no_more_than_the_strengths() -> None:
    """A flat prior of the factors instead of one of their logarithm."""
    nothing = Prior(np.zeros((1, 4)), 1e-12 * np.eye(4)[None], np.ones(1))
    flat, informed = LeastSquares(PHYSICS, 1.0)(SIGNALS), LeastSquares(PHYSICS, 1.0)(SIGNALS, prior=nothing)
    both = np.isin(flat.status, [Status.WEAK]) & np.isin(informed.status, [Status.WEAK])
    ratio = informed.std[both, 0] / flat.std[both, 0]
    assert both.sum() > 50
    assert 0.8 < np.median(ratio) < 1.25


def test_a_narrow_prior_is_resolved_inside_a_cell() -> None:
    found = LeastSquares(PHYSICS, 1.0)(SIGNALS)
    mean = np.zeros((400, 4))
    mean[:, 0], mean[:, 1] = THETA[:, 0] + 3.0, np.log(THETA[:, 1])
    told = Prior(mean, np.diag([1 / 20.0**2, 1 / 0.01**2, 0.0, 0.0])[None], np.ones(1))
    estimate = LeastSquares(PHYSICS, 1.0)(SIGNALS, prior=told)
    weak = found.status == Status.WEAK
    for ratio in (estimate.std[weak, 0] / 20.0, estimate.std[weak, 1] / estimate.theta[weak, 1] / 0.01):
        assert np.mean(np.abs(ratio - 1) < 0.15) > 0.9
