"""The scoring of spectroscopy, on answers whose errors are put in by hand, and on a few real ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.environments import single_threaded
from benchmarks.exchange import Answer, Method, Run
from benchmarks.report import Target
from benchmarks.spectroscopy import loops, ours, resonances, twin
from benchmarks.spectroscopy.draws import NAMES, Draw, factors, film
from benchmarks.spectroscopy.draws import resonances as draw_resonances
from benchmarks.spectroscopy.peers.job import ORDER, Job
from benchmarks.spectroscopy.score import attainable, canonical, coverage, errors, score
from parscope.core import propagate
from parscope.solvers.least_squares import LeastSquares
from parscope.techniques.band_excitation import BandExcitation

COUNT = 2000
DRAW = draw_resonances(20, COUNT, 0)


def with_errors(times: float, draw: Draw = DRAW) -> NDArray[np.float64]:
    """Answers that are off by `times` the bound, with correlations and all."""
    root = np.linalg.cholesky(draw.covariance)
    rng = np.random.default_rng(1)
    away = np.einsum("nij,nj->ni", root, rng.normal(size=(len(draw.truth), 4)))
    return np.asarray(draw.truth + times * away)


def test_the_bound_is_that_of_the_package() -> None:
    covariance = np.zeros((COUNT, 4, 4))
    covariance[:] = np.diag([1.0, 1.0, 1e-4, 1e-4])
    _, std = propagate(DRAW.physics, factors(DRAW.truth), covariance)
    np.testing.assert_allclose(std[:, 0], 1e-2, rtol=1e-6)
    estimate = LeastSquares(DRAW.physics, noise=DRAW.noise)(DRAW.spectra[:200])
    _, fitted = ours.named(DRAW.physics, estimate.theta, estimate.covariance)
    assert np.median(fitted / DRAW.first(200).limits) == pytest.approx(1, abs=0.03)


def test_efficiency_is_the_error_put_in_over_the_bound() -> None:
    scores = score(with_errors(1.3), DRAW)
    assert [scores[f"efficiency_{name}"] for name in NAMES] == pytest.approx([1.3] * 4, rel=0.06)
    assert scores["failures"] == scores["missing"] == 0
    assert scores["reconstruction"] == pytest.approx(1.3**2, rel=0.06)
    assert scores["median_resonance"] == pytest.approx(1.3 * attainable(DRAW)["median_resonance"], rel=0.1)


def test_a_missing_fit_counts_as_failure_as_zero_and_as_infinitely_wrong() -> None:
    found = with_errors(1.0)
    found[: COUNT // 4] = np.nan
    scores = score(found, DRAW)
    assert scores["failures"] == scores["missing"] == 0.25
    assert scores["efficiency_quality"] == pytest.approx(1.0, rel=0.06)
    assert scores["reconstruction"] > 10
    assert score(np.full_like(found, np.nan), DRAW)["median_phase"] == np.inf


def test_a_resonance_far_off_is_a_failure_and_one_line_off_is_none() -> None:
    found = DRAW.truth.copy()
    width = np.maximum(found[:, 0] / found[:, 1], 6 * DRAW.limits[:, 0])
    found[:10, 0] += 1.01 * width[:10]
    found[10:20, 0] += 0.99 * width[10:20]
    assert score(found, DRAW)["failures"] == 10 / COUNT


def test_names_of_the_same_oscillator_are_no_errors_and_negative_quality_is_no_fit() -> None:
    found = DRAW.truth.copy()
    found[:, 2] *= -1
    found[:, 3] += 3 * np.pi
    np.testing.assert_allclose(errors(found, DRAW.truth), 0, atol=1e-9)
    found[:, 1] *= -1
    assert np.isnan(canonical(found)).all()


def test_coverage_is_how_often_the_interval_holds_the_truth() -> None:
    found = with_errors(1.0)
    found[0] = np.nan
    for times, share in ((1.0, 0.95), (0.5, 0.673)):
        made = coverage(found, DRAW, times * DRAW.limits)
        assert made == pytest.approx({"coverage_resonance": share, "coverage_quality": share}, abs=0.025)


def test_who_knows_the_distribution_can_do_better() -> None:
    draw = film(8, 300, 0)
    alone, informed = attainable(draw), attainable(draw, (3e3, 20.0, 2.3e-5, 0.35))
    assert all(informed[key] < alone[key] for key in alone)
    assert informed["median_quality"] == pytest.approx(20 / 1.4826, rel=0.05)


def test_the_film_has_the_spread_and_noise_that_are_published() -> None:
    draw = film(2, 4000, 0)
    assert draw.spectra.shape == (4000, 165)
    assert np.std(BandExcitation(draw.frequency).render(factors(draw.truth))) == pytest.approx(3.9e-3, rel=0.05)
    assert draw.noise == pytest.approx(2 * 3.9e-3 / np.sqrt(3), rel=0.05)
    assert draw.truth.std(axis=0)[:2] == pytest.approx([3e3, 20], rel=0.05)
    np.testing.assert_array_equal(film(8, 10, 0).truth, film(2, 10, 0).truth)


def test_a_line_of_the_twin_holds_the_published_network_as_its_aim() -> None:
    plain, prior = (dict.fromkeys(twin.metrics(""), value) for value in (2e-6, 1e-6))
    bound = dict.fromkeys(twin.metrics(""), 0.5e-6)
    lines = twin.rows_of("twin", (plain, prior), twin.published(4), (bound, bound))
    amplitude = lines[2]
    assert (amplitude.metric, amplitude.value) == ("amplitude, median error", pytest.approx(1.0))
    assert amplitude.target == Target(at_most=pytest.approx(9.3424))
    assert (amplitude.peer, amplitude.peer_value) == ("published MAP", pytest.approx(9.1313))
    assert lines[6].peer == "published least squares" and lines[6].target is None


def test_speeds_are_compared_with_those_who_gave_one() -> None:
    found = {method.name: {"speed": 100.0, "failures": 0.0} for method in resonances.PEERS}
    found |= {resonances.OURS.name: {"speed": 6000.0}, resonances.SIDPY.name: {}}
    case = resonances.Case(10, {"speed": None, "over_bglib": Target(at_least=50), "over_sidpy": Target(at_least=1000)})
    speed, bglib, sidpy = resonances.rows_of(case, found)
    assert (speed.value, speed.peer_value) == (6000, 100)
    assert (bglib.value, bglib.peer_value, bglib.met) == (60, 1, True)
    assert (sidpy.value, sidpy.met) == (None, False)


def test_a_loop_that_only_one_describes_counts_for_that_one() -> None:
    mine, theirs = np.array([0.9, 0.9, np.nan, 0.5, np.nan]), np.array([0.90005, np.nan, 0.2, 0.6, np.nan])
    assert loops.beside(mine, theirs) == {"not_worse": 3 / 5, "near": 3 / 5}


def test_determination_is_one_for_a_perfect_curve_and_what_is_left_lowers_it() -> None:
    curves = np.cos(np.linspace(0, 2 * np.pi, 32, endpoint=False))[None] ** np.array([[3], [1]])
    assert loops.determination(Answer("key", {"fitted": curves}), curves) == pytest.approx(1)
    left = 0.2 * curves.var(axis=1) * 32
    assert loops.determination(Answer("key", {"left": left}), curves) == pytest.approx(0.8)
    assert np.isnan(loops.determination(Answer("key", {}), curves)).all()


@pytest.mark.parametrize("task", ["fit", "prior", "one", "generic"])
def test_runners_of_parscope_reach_the_bound(task: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    draw = DRAW.first(200)
    np.save(tmp_path / "spectra.npy", draw.spectra)
    np.save(tmp_path / "frequency.npy", draw.frequency)
    (tmp_path / "given.json").write_text("{}")
    job = Job(tmp_path, tmp_path / "result.npz", {"task": task})
    run = {"fit": ours.fit, "prior": ours.fit_with_prior, "one": ours.one, "generic": ours.generic}[task]
    scores = resonances.scores_of(Answer("key", {k: np.asarray(v) for k, v in run(job).items()}), draw)
    assert scores["failures"] == 0
    assert scores["efficiency_resonance"] < 1.25
    assert scores["speed"] > 0
    assert scores.get("away", 0.0) < 1e-3


def test_a_peer_is_run_as_a_file_and_leaves_its_answer_in_our_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.exchange.CACHE", tmp_path)
    runner = tmp_path / "runner.py"
    folder = Path(resonances.__file__).parent / "peers"
    runner.write_text(
        f"import sys; sys.path.insert(0, {str(folder)!r})\n"
        "from job import Job\nimport numpy as np\n"
        "job = Job.from_command()\n"
        "job.save(1.0, np.tile([1.0, 2.0, 3.0, 4.0], (len(job.spectra), 1)))\n"
    )
    monkeypatch.setattr(Method, "command", [sys.executable, str(runner)])
    run = Run()
    case = run.case("a", {}, spectra=DRAW.spectra[:5], frequency=DRAW.frequency)
    answer = run.answer(case, Method("peer", "run.py", settings={"count": 3}, environment=None))
    assert answer.error is None
    assert answer.arrays["theta"].tolist() == [[2.0, 3.0, 1.0, 4.0]] * 3
    assert tuple(("amplitude", "resonance", "quality", "phase").index(name) for name in NAMES) == ORDER
    assert json.loads((case / "given.json").read_text()) == {} and single_threaded()["OMP_NUM_THREADS"] == "1"


def test_loops_are_left_out_with_a_word_where_their_file_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PARSCOPE_TEST_DATA", str(tmp_path))
    monkeypatch.setattr("benchmarks.exchange.CACHE", tmp_path)
    assert loops.measure(Run(), quick=True) == ([], [])
    assert "left out" in capsys.readouterr().out


def test_the_real_loops_begin_at_the_highest_bias() -> None:
    path = loops.file()
    if path is None:
        pytest.skip("no real sample files; set PARSCOPE_TEST_DATA")
    bias, curves = loops.load(path)
    assert curves.shape == (2500, 64)
    assert bias[0] == bias.max() == 8.5 and bias[32] == bias.min()
