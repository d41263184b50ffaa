"""Studies of networks: what is compared is rendered, combined and scored as it is said."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch

from benchmarks.networks import polycrystal, seeds, spectra, strain
from benchmarks.networks.averaging import Dropping, scores_of
from benchmarks.networks.optimisers import Course, scored, share
from benchmarks.networks.optimisers import rows as rows_of_optimisers
from benchmarks.networks.published import Reconstruction, Scaling, fresh, told, trained
from benchmarks.run import TABLES
from benchmarks.spectroscopy.draws import factors, film
from benchmarks.strain import phantoms
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


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_the_name_by_which_it_is_made(name: str) -> None:
    assert import_module(TABLES[name]).BOOK.name == name


def test_the_default_optimiser_is_the_one_of_parscope() -> None:
    courses = {"SOAP": -4.5, "AdamW": -4.0, "Adam": -4.1}
    found = [{"name": n, "rate": 1.0, "courses": [Course([0.0, 1.0], [1.0, last], 5)]} for n, last in courses.items()]
    rows = rows_of_optimisers(
        scored(found), {n: Course([1.0], [last], 5) for n, last in courses.items() if n != "Adam"}
    )
    loss = next(row for row in rows if row.metric == "loss at the end, median")
    assert (loss.value, loss.peer, loss.peer_value) == (-4.5, "Adam", -4.1)
    assert (rows[-1].value, rows[-1].peer) == (-4.5, "AdamW")


def test_the_aim_for_weak_spectra_is_the_exact_posterior_of_the_same_spectra() -> None:
    score = {"rms": 2.0, "resonance": 0.95, "quality": 0.98, "answered": 1.0}
    scores = {"network": score, "least squares": {**score, "answered": 0.9}, "posterior mean": {"rms": 1.9}}
    weak = {row.metric: row for row in spectra.lines(3, scores)}
    assert (weak["resonance, RMS error"].peer_value, weak["resonance, RMS error"].met) == (1.9, False)
    assert all(row.bound is None for row in weak.values())
    assert (weak["answered"].value, weak["answered"].peer_value) == (100, 90)
    assert weak["quality inside its 95 % interval"].met is False
    assert all(row.target is None for row in spectra.lines(10, scores))


def test_the_mean_of_the_posterior_is_nearer_than_the_peak_of_the_likelihood() -> None:
    theta, signals = spectra.draw(1, 60)
    mean = spectra.posterior_mean(signals)
    best = spectra.LeastSquares(spectra.PHYSICS)(signals, posterior=False).theta[:, 0]
    known = np.isfinite(best)
    off, far = (np.square(found - theta[:, 0])[known].mean() for found in (mean, best))
    assert off < far


def test_the_better_of_the_others_stands_beside_and_networks_have_lines_of_their_own() -> None:
    names = (polycrystal.OURS, polycrystal.Plan().cycle, polycrystal.PY4DSTEM, polycrystal.NETWORK)
    keys = [f"{part}_{place}" for part in polycrystal.UNITS for place in polycrystal.PLACES]
    found = {name: dict.fromkeys(keys, size) for name, size in zip(names, (0.3e-3, 2e-3, 0.4e-3, 0.9e-3), strict=True)}
    rows = {(row.case, row.metric): row for row in polycrystal.lines("a", 25, found)}
    own, started = rows["a", "e_xx MAE, interior"], rows["a, from networks", "e_xx MAE, interior"]
    assert (own.peer, own.peer_value) == (polycrystal.PY4DSTEM, pytest.approx(0.4))
    assert (own.met, started.value, started.met) == (True, pytest.approx(0.9), False)
    del found[polycrystal.NETWORK]
    assert {row.case for row in polycrystal.lines("a", 25, found)} == {"a"}


def test_a_training_that_fails_or_misses_has_not_converged() -> None:
    good = {"position_rms_inside": 0.1, "failures_inside": 0.0, "wall_s": 1.0}
    worse = [{**good, "position_rms_inside": 0.31}, {**good, "failures_inside": 0.02}]
    lost = {**good, "position_rms_inside": float("nan"), "failures_inside": 1.0}
    assert seeds.rows("a", [good, good])[0].met is True
    found = seeds.rows("a", [good, *worse, lost])
    assert (found[0].value, found[0].met) == (25, False)
    assert np.isnan(found[1].value)


def test_what_is_measured_is_not_what_was_trained_on() -> None:
    phantom = phantoms.load("A128_flat")
    seen, other = (phantom.draw(strain.TAUGHT_AT, seed) for seed in (0, strain.UNSEEN))
    assert (seen == other).mean() < 0.9


def test_the_full_size_polycrystal_has_the_published_positions_and_grains_of_the_usual_size() -> None:
    design, small = strain.full_size_design(), phantoms.POLYCRYSTAL
    assert design.scan == (256, 256)
    assert design.scan[0] * design.scan[1] / design.grains == small.scan[0] * small.scan[1] / small.grains
    assert design.background == 0.25


def test_a_map_without_a_limit_has_no_line_for_it() -> None:
    places = {f"{part}_{place}": 1e-4 for part in ("strain", "rotation") for place in ("inside", "boundary")}
    mae = {**places, "answers_boundary": 1.0}
    found = {
        "phantom": "a",
        "background": 25,
        "electrons": 100_000,
        "failures": 0.0,
        "mae": {"exact": mae, "network": mae},
    }
    without = strain.lines("mapped", found)
    assert {row.metric for row in strain.lines("mapped", found | {"ratio": 1.1})} - {row.metric for row in without} == {
        "strain RMS over the limit"
    }
    assert all(row.met in (True, None) for row in without)
    assert {row.bound for row in without} == {None}
    bounds = [row.bound for row in strain.lines("mapped", found | {"failures_limit": 0.04}) if row.metric == "failures"]
    assert bounds == [4.0]
