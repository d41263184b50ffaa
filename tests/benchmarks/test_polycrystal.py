"""Scoring of polycrystals: every grain by its own reference, boundaries told or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.strain import phantoms
from benchmarks.strain.bounds import Limit, pattern_limits
from benchmarks.strain.ours import COMPONENTS, lattices, of_two
from benchmarks.strain.polycrystal import polycrystal_scores
from benchmarks.strain.score import FAILURE, Measured, Truth
from parscope import Frames, map_strain
from parscope.techniques.diffraction.lattice import reciprocal_map
from parscope.techniques.diffraction.simulate import simulate

BASIS = np.array([[24.0, 0.0], [12.0, 20.784609690826528]])
SIXTY = np.array([[0, 1], [-1, 1]])
GRAIN = np.repeat(np.arange(4), 25)
NOWHERE = np.zeros(100, dtype=bool)


@pytest.fixture
def truth() -> Truth:
    """Four grains of 25 patterns, turned by up to half a radian, each with a slight strain inside."""
    rng = np.random.default_rng(0)
    strains = rng.uniform(-0.002, 0.002, (100, 4)) + rng.uniform(-0.5, 0.5, (4, 4))[GRAIN] * [0.02, 0.02, 0.02, 1.0]
    lattice = BASIS @ np.swapaxes(reciprocal_map(*strains.T), -1, -2)
    return Truth(lattice, np.full((100, 2), 64.0), BASIS, np.array([[0, 0], [1, 0]]), GRAIN == 0)


def test_a_cell_of_another_name_or_scale_in_a_grain_is_no_error(truth: Truth) -> None:
    found = truth.lattice.copy()
    found[25:50] = SIXTY @ found[25:50]
    found[50:75] *= 1.03
    scores = polycrystal_scores(Measured(found), truth, GRAIN, np.zeros(100), NOWHERE)
    assert scores["failures"] == 0
    assert scores["strain_rms"] == pytest.approx(0, abs=1e-12)


def test_a_wrong_lattice_and_none_are_failures(truth: Truth) -> None:
    found = truth.lattice.copy()
    found[-1] *= 1.5
    found[-2] = np.nan
    found[-3] = SIXTY @ found[-3]
    scores = polycrystal_scores(Measured(found), truth, GRAIN, np.zeros(100), NOWHERE)
    assert scores["failures"] == 3 / 100


def test_boundaries_do_not_count_as_interior_and_slight_mixtures_as_neither(truth: Truth) -> None:
    share = np.zeros(100)
    share[20:30], share[30:40] = 0.3, 0.01
    found = truth.lattice.copy()
    found[20:40] = np.nan
    flagged = NOWHERE.copy()
    flagged[22:42] = True
    scores = polycrystal_scores(Measured(found), truth, GRAIN, share, flagged, bound=1.0)
    assert scores["failures"] == 0
    assert scores["ratio"] == pytest.approx(0, abs=1e-9)
    assert scores["boundary_recall"] == 0.8
    assert scores["boundary_precision"] == 0.8


def test_grains_of_a_few_patterns_are_left_out(truth: Truth) -> None:
    share = np.zeros(100)
    share[9:25] = 0.4
    found = truth.lattice.copy()
    found[:9] = np.nan
    assert polycrystal_scores(Measured(found), truth, GRAIN, share, NOWHERE)["failures"] == 0


def test_noise_alone_makes_failures_where_electrons_are_few() -> None:
    spread = np.array([9.2e-3, 7.9e-3, 6.1e-3, 6.1e-3])
    limit = Limit(tuple((spread * np.sqrt(1000)).tolist()), 1.0, 1.0)
    drawn = np.random.default_rng(0).normal(0, spread, (100_000, 4))
    assert limit.failures(1000) == pytest.approx((np.abs(drawn) > FAILURE).any(1).mean(), rel=0.05)
    assert limit.failures(1e5) < 1e-9


def test_a_small_polycrystal_is_mapped_near_the_limit() -> None:
    design = replace(phantoms.POLYCRYSTAL, scan=(44, 44), grains=20, background=0.25)
    scan = simulate(replace(design, electrons=1e5))
    found = map_strain(Frames.from_array(scan.rows(0, 44)))
    truth = scan.truth
    pure = np.argwhere(truth.share == 0)[::100]
    single = simulate(replace(design, electrons=1.0))
    limits = [pattern_limits(single, int(y), int(x))[0].at(1e5)["strain_rms"] for y, x in pure]
    scores = polycrystal_scores(
        Measured(lattices(found), strain_std=np.stack([found[f"{n}_std"].values.ravel() for n in COMPONENTS], -1)),
        Truth(
            (truth.basis @ np.swapaxes(truth.affine, -1, -2)).reshape(-1, 2, 2),
            truth.centre.reshape(-1, 2),
            truth.basis,
            truth.indices,
            truth.reference.ravel(),
        ),
        truth.grain.ravel(),
        truth.share.ravel(),
        of_two(found),
        float(np.sqrt(np.mean(np.square(limits)))),
    )
    # The contrast changes three times as much from one position to the next as in the phantoms of 128 x 128; the ratio
    # is 1.58 if all of it is taken for noise, 1.49 if none is.
    assert scores["ratio"] < 1.42
    assert 0.9 < scores["spread"] < 1.2
    assert scores["failures"] < 0.01
    assert scores["boundary_recall"] > 0.9
    assert scores["boundary_precision"] > 0.95
