"""One file makes a technique: lines are found, simulated, bounded and fitted from their declaration."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.integrate import trapezoid

from parscope.core.axes import Axis
from parscope.core.bound import cramer_rao, propagate
from parscope.core.solver import Status
from parscope.core.spectra import Spectra
from parscope.solvers.least_squares import LeastSquares
from parscope.techniques.lines import Lines
from parscope.workflows.fit import map_spectra

POSITION = np.linspace(480, 560, 200)
AXIS = Axis.from_values("shift", POSITION, "nm")
TWO = np.array([[506.0, 5.0, 521.0, 4.0, 2.0, 3.0, 1.0, 0.5]])
NEAR = np.array([[516.0, 6.0, 523.0, 6.0, 2.0, 1.4, 1.0, 0.5]])
ANYWHERE = ((480.0, 560.0),)


def measured(theta: np.ndarray, noise: float, n: int = 300, wander: float = 0.3, **options: Any) -> Any:
    """Spectra whose lines wander, and their parameters."""
    each = 3 if options.get("shape") == "voigt" else 2
    count = (theta.shape[1] - 2) // (each + 1)
    rng, physics = np.random.default_rng(0), Lines(POSITION, ANYWHERE * count, **options)
    some = np.repeat(theta, n, axis=0)
    some[:, : each * count : each] += rng.normal(0, wander, (n, count))
    return some, physics.render(some) + rng.normal(0, noise, (n, 200))


def found(signals: np.ndarray, **options: Any) -> Lines:
    return Lines.for_spectra(AXIS, lambda: signals, **options)


def test_the_width_is_the_full_one_at_half_height() -> None:
    for shape in ({"shape": "lorentz"}, {"shape": "voigt"}):
        physics = Lines(np.array([515.0, 520.0, 525.0]), ((515, 525),), **shape)  # type: ignore[arg-type]
        theta = np.array([[520.0, 10.0, *([0.3] if shape["shape"] == "voigt" else []), 4.0, 1.0, 0.0]])
        np.testing.assert_allclose(physics.render(theta)[0], [3.0, 5.0, 3.0])


@pytest.mark.parametrize("share", [None, 0.0, 0.4, 1.0])
def test_the_area_is_the_integral_of_the_line(share: float | None) -> None:
    x = np.linspace(-2e4, 2e4, 400_001)
    physics = Lines(x, ((-1.0, 1.0),), shape="lorentz" if share is None else "voigt")
    theta = np.array([[0.0, 3.0, *([] if share is None else [share]), 2.0, 0.0, 0.0]])
    assert physics.derive(theta)[0, 0] == pytest.approx(trapezoid(physics.render(theta)[0], x), rel=1e-3)


@pytest.mark.parametrize("theta", [TWO, NEAR], ids=["apart", "overlapping"])
@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_two_lines_are_found_and_fitted_at_the_bound(theta: np.ndarray, noise: float) -> None:
    truth, signals = measured(theta, noise)
    physics = found(signals)
    assert len(physics.ranges) == 2
    assert physics.unit == "nm"
    estimate = LeastSquares(physics)(signals)
    good = estimate.status == Status.OK
    assert good.mean() > 0.97
    bound = np.sqrt(np.diagonal(cramer_rao(physics, truth, noise), axis1=1, axis2=2))
    away = ((estimate.theta - truth) / bound)[good]
    assert np.abs(away).max() < 8
    assert (np.abs(1.4826 * np.median(np.abs(away), axis=0) - 1) < 0.25).all()
    value, std = propagate(physics, estimate.theta[good], estimate.covariance[good])
    spread = (value - physics.derive(truth[good])) / std
    assert (np.abs(1.4826 * np.median(np.abs(spread), axis=0) - 1) < 0.25).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_shapes_between_gauss_and_lorentz_are_fitted_at_the_bound(share: float) -> None:
    truth, signals = measured(np.array([[520.0, 8.0, share, 2.0, 1.0, 0.5]]), 0.05, shape="voigt")
    physics = found(signals, shape="voigt")
    assert len(physics.ranges) == 1
    estimate = LeastSquares(physics)(signals)
    assert (estimate.status == Status.OK).all()
    bound = np.sqrt(np.diagonal(cramer_rao(physics, truth, 0.05), axis1=1, axis2=2))
    away = (estimate.theta - truth) / bound
    assert (np.abs(1.4826 * np.median(np.abs(away), axis=0) - 1) < 0.2).all()
    assert np.abs(np.mean(away, axis=0)).max() < 0.25


@pytest.mark.parametrize("distance", [9.0, 12.0])
def test_overlapping_lines_of_other_shapes_are_not_more_than_they_are(distance: float) -> None:
    theta = np.array([[510.0, 7.0, 0.5, 510.0 + distance, 7.0, 0.2, 1.0, 0.6, 1.0, 0.5]])
    _, signals = measured(theta, 0.01, shape="voigt")
    assert len(found(signals, shape="voigt").ranges) == 2


def test_five_lines_are_five() -> None:
    lines = [(488.0, 3.0, 1.0), (500.0, 3.0, 0.4), (512.0, 5.0, 0.6), (530.0, 4.0, 0.5), (548.0, 6.0, 0.4)]
    shapes = [number for centre, width, _ in lines for number in (centre, width)]
    _, signals = measured(np.array([[*shapes, *(height for *_, height in lines), 1.0, 0.2]]), 0.03)
    physics = found(signals)
    assert len(physics.ranges) == 5
    assert (LeastSquares(physics)(signals).status == Status.OK).mean() > 0.97


def test_noise_is_one_line_that_is_too_weak() -> None:
    signals = np.random.default_rng(0).normal(size=(50, 200))
    physics = found(signals)
    assert len(physics.ranges) == 1
    assert (LeastSquares(physics)(signals).status != Status.OK).all()


def test_a_line_of_a_few_spectra_is_found_too() -> None:
    _, signals = measured(TWO, 0.05)
    signals[40:50] += 2.0 / (1 + (2 * (POSITION - 545.0) / 4.0) ** 2)
    assert len(found(signals).ranges) == 3


def test_many_bins_and_spectra_that_cannot_be_used_do_not_matter() -> None:
    x = np.linspace(480, 560, 1500)
    rng, physics = np.random.default_rng(0), Lines(x, ANYWHERE * 2)
    signals = np.repeat(physics.render(TWO), 40, axis=0) + rng.normal(0, 0.1, (40, 1500))
    signals[3], signals[4, 7] = 1.0, np.nan
    for sample in (signals, 1e200 * signals, signals.astype(np.float32)):
        physics = Lines.for_spectra(Axis.from_values("shift", x, "nm"), lambda sample=sample: sample)
        assert [round(sum(place) / 2) for place in physics.ranges] == [506, 521]


def test_ranges_and_number_can_be_given() -> None:
    _, signals = measured(TWO, 0.05)
    assert len(found(signals, lines=1).ranges) == 1
    assert found(signals, ranges=((515.0, 526.0), (500.0, 510.0))).ranges == ((500.0, 510.0), (515.0, 526.0))
    assert found(np.zeros((0, 200)), lines=2).ranges == ((480.0, 520.0), (520.0, 560.0))
    with pytest.raises(ValueError, match="lines: 50 are more"):
        found(signals, lines=50)
    with pytest.raises(ValueError, match="lines: 3"):
        found(signals, lines=3, ranges=((500.0, 510.0),))


@pytest.mark.parametrize("technique", ["lines", "raman"])
def test_maps_need_no_setting(technique: str) -> None:
    truth, signals = measured(TWO, 0.1)
    maps = map_spectra(Spectra.from_array(signals.reshape(15, 20, 200), POSITION, "shift", "nm"), technique)
    assert maps["centre_2"].attrs["units"] == "nm"
    assert abs(float((maps["centre_2"] - truth[:, 2].reshape(15, 20)).median())) < 0.01
    assert maps["area_1"].attrs["units"] == "nm"
    kept = json.loads(maps.attrs["settings"])
    assert (kept["shape"], kept["degree"], kept["unit"]) == ("lorentz", 1, "nm")
    assert [round(sum(place) / 2) for place in kept["ranges"]] == [506, 521]


@pytest.mark.parametrize(
    ("position", "options"),
    [
        ([2.0, 1.0], {}),
        ([1.0, 2.0], {"ranges": ((2.0, 1.0),)}),
        ([1.0, 2.0], {"ranges": ((1.0, 3.0),)}),
        ([1.0, 2.0], {"degree": -1}),
        ([1.0, 2.0], {"degree": 300}),
    ],
)
def test_what_cannot_be_fitted_is_refused(position: list[float], options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"position|ranges|degree"):
        Lines(np.array(position), **options)
