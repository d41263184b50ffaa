"""A forecast is what repeated fits do, and grows with the dwell as counting does."""

from __future__ import annotations

import numpy as np
import pytest

import parscope
from parscope.core.errors import OptionError
from parscope.core.separable import Separable
from parscope.core.typical import strength
from parscope.solvers.least_squares import LeastSquares
from parscope.workflows.forecast import Forecast
from parscope.workflows.technique import techniques


def repeated(told: Forecast, n: int = 400) -> np.ndarray:
    """Signals as the forecast assumes them, with its noise."""
    physics, rng = told.physics, np.random.default_rng(1)
    clean = np.repeat(physics.render(told.value[None, : len(physics.parameters)]), n, axis=0)
    noise = rng.normal(0, told.noise, (2, *clean.shape))
    return clean + noise[0] + 1j * noise[1] if physics.complex else clean + noise[0]


@pytest.mark.parametrize(("technique", "options"), [("be-sho", {"background": True}), ("current-voltage", {})])
def test_repeated_fits_are_as_good_as_was_forecast(technique: str, options: dict[str, bool]) -> None:
    told = parscope.forecast(technique, 30.0, **options)
    estimate = LeastSquares(told.physics)(repeated(told))
    k = len(told.physics.parameters)
    assert (np.abs(np.std(estimate.theta, axis=0) / told.std[:k] - 1) < 0.12).all()


@pytest.mark.parametrize("technique", techniques())
def test_every_technique_has_a_forecast_without_any_setting(technique: str) -> None:
    told = parscope.forecast(technique, 20.0)
    assert np.isfinite(told.value).all()
    assert (told.std[: len(told.physics.parameters)] > 0).all()
    half = parscope.forecast(technique, 40.0)
    assert half.std == pytest.approx(told.std / 2)
    assert half.gate == pytest.approx(told.gate)


@pytest.mark.parametrize("technique", techniques())
def test_the_ratio_is_that_of_the_peak_without_the_background(technique: str) -> None:
    told = parscope.forecast(technique, 7.0)
    physics: Separable = told.physics
    peak, _ = strength(physics, told.value[None, : len(physics.parameters)])
    assert peak[0] / told.noise == pytest.approx(7.0)


def test_a_background_changes_neither_peak_nor_gate() -> None:
    one = parscope.forecast("be-sho", 5.0, background=True)
    other = parscope.forecast("be-sho", 5.0, background=True, at={"background_re": 50.0})
    assert (other.noise, other.gate) == (one.noise, one.gate)
    assert other.std == pytest.approx(one.std)


def test_the_needed_ratio_reaches_what_is_wanted() -> None:
    told = parscope.forecast("be-sho", 8.0, bins=120, span=(300e3, 340e3), at={"quality": 200.0})
    needed = told.needed("resonance", 20.0)
    there = parscope.forecast("be-sho", needed, bins=120, span=(300e3, 340e3), at={"quality": 200.0})
    assert there.std[0] == pytest.approx(20.0)


def test_at_the_gate_a_fit_stops_being_weak() -> None:
    told = parscope.forecast("be-sho", 10.0)
    for share, wanted in ((0.7, 0.0), (1.4, 1.0)):
        at = parscope.forecast("be-sho", share * told.gate)
        estimate = LeastSquares(at.physics, noise=at.noise)(repeated(at, 100))
        assert np.mean(estimate.extra["detection"] > 40) == pytest.approx(wanted, abs=0.15)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({"technique": "be-shoe"}, "choose one of"),
        ({"snr": 0.0}, "--snr"),
        ({"snr": float("nan")}, "--snr"),
        ({"bins": 1}, "--bins"),
        ({"span": (3.0, 2.0)}, "--axis"),
        ({"span": (-3.0, 2.0)}, "frequency"),
        ({"at": {"q": 2.0}}, "choose one of resonance, quality"),
        ({"at": {"quality": 1e9}}, "outside"),
        ({"at": {"response_re": 0.0}}, "no signal"),
        ({"temperature": 3.0}, "has no temperature"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: dict[str, object], line: str) -> None:
    with pytest.raises(OptionError, match=line):
        parscope.forecast(**{"technique": "be-sho", "snr": 5.0, **words})  # type: ignore[arg-type]


def test_an_error_that_is_none_is_refused() -> None:
    told = parscope.forecast("be-sho", 8.0)
    with pytest.raises(OptionError, match="no error"):
        told.needed("quality", 0.0)
