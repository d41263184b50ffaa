"""Every solver keeps the contract of solvers, and the check finds those that do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from parscope.core.solver import Estimate, Status
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.networks.spectra.learn import Lessons, learn
from parscope.solvers.networks.spectra.refined import Refined
from parscope.solvers.prior import EmpiricalBayes
from parscope.techniques.band_excitation import BandExcitation
from parscope.techniques.diffraction.setup import find_setup
from parscope.techniques.diffraction.simulate import ScanDesign, simulate
from parscope.testing import check_solver

PHYSICS = BandExcitation(np.linspace(280e3, 319e3, 40))
RNG = np.random.default_rng(0)
THETA = np.stack([RNG.normal(300e3, 2e3, 60), np.full(60, 100.0), np.full(60, 0.2), np.full(60, 0.1)], axis=1)
SIGNALS = PHYSICS.render(THETA) + RNG.normal(size=(60, 40, 2)).view(complex)[..., 0]


def test_least_squares_keeps_the_contract() -> None:
    check_solver(LeastSquares(PHYSICS), SIGNALS)


def test_networks_keep_the_contract_alone_and_before_least_squares() -> None:
    network, _ = learn(PHYSICS, SIGNALS, Lessons(seconds=1.0))
    check_solver(network, SIGNALS)
    check_solver(Refined(network, LeastSquares(PHYSICS)), SIGNALS)


def test_lattice_filters_keep_the_contract() -> None:
    patterns = simulate(ScanDesign(scan=(6, 6), pattern=(64, 64), electrons=5000.0, seed=1)).frames.data[:]
    flat = np.asarray(patterns).reshape(-1, 64, 64)
    check_solver(LatticeFilters(find_setup(flat).physics), flat)


class _Wrong:
    """Least squares with something wrong."""

    physics = PHYSICS

    def __init__(self, **changed: Any) -> None:
        self._changed = changed

    def __call__(self, signals: np.ndarray, /) -> Estimate:
        found = LeastSquares(PHYSICS)(signals)
        return replace(found, **{name: change(getattr(found, name)) for name, change in self._changed.items()})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"theta": lambda theta: theta[:, :3]}, "theta has shape"),
        ({"theta": np.nan_to_num}, "zeros and NaN have no answer"),
        ({"covariance": np.negative}, "standard errors are positive"),
        ({"theta": lambda theta: theta * (1 + 0.1 * np.arange(len(theta))[:, None])}, "the same in another order"),
        ({"status": lambda status: np.full_like(status, Status.WEAK)}, "most signals are OK"),
    ],
)
def test_solvers_that_break_it_are_found(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said), np.errstate(invalid="ignore"):
        check_solver(_Wrong(**changed), SIGNALS)


def test_a_prior_from_the_batch_is_what_makes_a_solver_depend_on_it() -> None:
    with pytest.raises(AssertionError, match="answers are the same"):
        check_solver(EmpiricalBayes(LeastSquares(PHYSICS)), SIGNALS)
