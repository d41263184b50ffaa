"""Studies of networks: what is compared is rendered, combined and scored as it is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.networks.averaging import Dropping, scores_of
from benchmarks.networks.optimisers import Course, scored, share
from benchmarks.networks.published import Reconstruction, Scaling, fresh, told, trained
from benchmarks.spectroscopy.draws import factors, film
from parscope.core.network import Layer, Network
from parscope.solvers.networks.module import NetworkModule

DRAW = film(2, 200, 0)
SCALING = Scaling.of(DRAW)


def saying(numbers: list[float]) -> NetworkModule:
    """A network that says the same of every spectrum."""
    bins = DRAW.frequency.size
    arrays = {"w": np.zeros((4, 2 * bins), np.float32), "b": np.array(numbers, np.float32)}
    layers = (Layer("reshape", (0,), (), {"shape": (2 * bins,)}), Layer("dense", (1,), ("w", "b")))
    return NetworkModule(Network((2, bins), layers, arrays))


def test_what_comes_out_is_rendered_by_the_oscillator() -> None:
    told = torch.tensor((DRAW.truth - SCALING.centre) / SCALING.width, dtype=torch.float32)
    clean = SCALING.entering(DRAW.physics.render(factors(DRAW.truth)))
    torch.testing.assert_close(SCALING.rendered(told), clean, rtol=0, atol=1e-3)
    assert float(clean.var(correction=0)) == pytest.approx(1.0, rel=1e-5)


def test_the_mean_of_networks_knows_the_two_signs_of_the_amplitude() -> None:
    amplitude = 3e-5
    up = (amplitude - SCALING.centre[2]) / SCALING.width[2]
    down = (-amplitude - SCALING.centre[2]) / SCALING.width[2]
    both = [saying([0, 0, up, 0.5]), saying([0, 0, down, 0.5 - np.pi])]
    found = told(both, SCALING, DRAW.spectra[:3])
    np.testing.assert_allclose(found[:, 2:], [[amplitude, 0.5]] * 3, rtol=1e-4)


def test_training_lowers_the_loss_and_keeps_the_mean_weights_apart() -> None:
    module, teacher = NetworkModule(fresh(165, 0)), Reconstruction(SCALING, DRAW.spectra)
    before = teacher.loss(module, torch.Generator().manual_seed(1)).item()
    last, mean = trained(module, teacher, 20, 0)
    assert teacher.loss(module, torch.Generator().manual_seed(1)).item() < before
    assert all(np.isfinite(array).all() for array in mean.arrays.values())
    assert any(not np.array_equal(last.arrays[name], array) for name, array in mean.arrays.items())


def test_dropout_is_drawn_anew_until_it_is_switched_off() -> None:
    module, signals = Dropping(fresh(165, 0)), SCALING.entering(DRAW.spectra[:5])
    assert not torch.equal(module(signals), module(signals))
    module.dropping = False
    assert torch.equal(module(signals), NetworkModule(fresh(165, 0))(signals))


def test_the_truth_has_no_error_and_no_answer_is_one_by_nothing() -> None:
    right = scores_of(DRAW.truth, DRAW)
    assert max(right.values()) < 1e-12
    nothing = scores_of(np.full_like(DRAW.truth, np.nan), DRAW)
    assert nothing["mse"] == pytest.approx(1.0, abs=0.05)
    assert nothing["median_resonance"] == np.inf


def test_a_run_that_ran_away_has_not_converged() -> None:
    good, bad = Course([0.0, 1.0, 2.0], [5.0, -3.9, -4.0], 10), Course([0.0, 1.0], [5.0, np.nan], 3)
    found = scored([{"name": "a", "rate": 1.0, "courses": [good, bad, good]}])["a"]
    assert found["converged"] == pytest.approx(2 / 3)
    assert (found["loss"], found["worst"], found["reached"]) == (-4.0, np.inf, 1.0)


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    assert 0 < share(0.0) < 0.1
    assert share(0.3) == 1.0
    assert share(0.9) == pytest.approx(0.3)
    assert share(1.0) == 0.0
