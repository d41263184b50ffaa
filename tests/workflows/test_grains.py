"""Polycrystals: grains found by themselves, strain relative to each, boundaries marked."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from parscope import map_strain
from parscope.core.errors import NoLatticeError, OptionError
from parscope.core.frames import Frames
from parscope.core.solver import Estimate, Status
from parscope.solvers.lattice import LatticeFilters
from parscope.techniques.diffraction.lattice import strain
from parscope.techniques.diffraction.setup import Setup, find_setup
from parscope.techniques.diffraction.simulate import ScanDesign, Simulation, simulate
from parscope.workflows.grains import Crystals, find_crystals, fit_crystals
from parscope.workflows.grains.lattice import change, related
from parscope.workflows.grains.regions import candidates, regions
from parscope.workflows.grains.setup import find_setup_polycrystal

HEXAGONAL = (24.0, 24.0, 60.0, 11.0)
POLYCRYSTAL = ScanDesign(
    scan=(36, 36), electrons=1e5, lattice=HEXAGONAL, ellipse=(0.0, 0.0), grains=6, max_strain=0.02, background=0.25
)
SINGLE = ScanDesign(scan=(24, 24), electrons=1e4, max_strain=0.03, max_rotation=3.0)


class Found:
    """A simulated scan, its patterns, and the crystals found in it."""

    def __init__(self, design: ScanDesign) -> None:
        self.scan: Simulation = simulate(design)
        self.patterns = self.scan.rows(0, design.scan[0])
        self.sample = self.patterns.reshape(-1, *design.pattern)[::5]
        self.setup: Setup = find_setup(self.sample)
        self.solver = LatticeFilters(self.setup.physics)
        self.crystals = find_crystals(Frames.from_array(self.patterns), self.sample, self.setup, self.solver)

    def fit(self) -> tuple[Estimate, np.ndarray, np.ndarray]:
        """Fit the whole scan."""
        assert self.crystals is not None
        return fit_crystals(self.patterns, self.crystals.candidates, self.crystals.solvers)


@pytest.fixture(scope="module")
def polycrystal() -> Found:
    return Found(POLYCRYSTAL)


@pytest.fixture(scope="module")
def fitted(polycrystal: Found) -> tuple[Estimate, np.ndarray, np.ndarray]:
    return polycrystal.fit()


def test_every_grain_is_one_crystal(polycrystal: Found, fitted: tuple[Estimate, np.ndarray, np.ndarray]) -> None:
    truth, label = polycrystal.scan.truth, fitted[1]
    inside = truth.share == 0
    pairs = np.unique(np.stack([truth.grain[inside], label[inside]], 1), axis=0)
    assert len(pairs) == len(np.unique(truth.grain[inside])) == len(np.unique(label[inside]))


def test_interiors_have_one_candidate(polycrystal: Found) -> None:
    crystals = polycrystal.crystals
    assert isinstance(crystals, Crystals)
    count = (crystals.candidates >= 0).sum(-1)
    assert count.min() == 1
    far = polycrystal.scan.truth.share == 0
    assert np.mean(count[far] == 1) > 0.8
    assert crystals.choices[0].value == str(len(crystals.solvers))


def test_strain_is_relative_to_the_grain(polycrystal: Found, fitted: tuple[Estimate, np.ndarray, np.ndarray]) -> None:
    truth, (estimate, label, _) = polycrystal.scan.truth, fitted
    inside = (truth.share == 0) & (estimate.status == Status.OK).reshape(label.shape)
    measured = strain(estimate.theta[:, 2:].reshape(*label.shape, 2, 2))
    for c in np.unique(label[inside]):
        grain = inside & (label == c)
        true = strain(truth.affine[grain] @ np.linalg.inv(np.median(truth.affine[grain], axis=0)))
        error = measured[grain] - true
        assert np.abs(np.median(error, axis=0)).max() < 6e-4
        assert error.std(0).max() < 1.1e-3
    assert inside.sum() > 0.98 * (truth.share == 0).sum()


def test_positions_of_several_crystals_are_not_pooled() -> None:
    scan = simulate(replace(POLYCRYSTAL.sized((64, 64)), scan=(16, 16), grains=2))
    with pytest.raises(OptionError, match="--pool 3: is for a scan of one crystal"):
        map_strain(scan.frames, pool=3)


def test_a_map_tells_how_the_grains_lie_to_one_another() -> None:
    scan = simulate(replace(POLYCRYSTAL.sized((64, 64)), scan=(16, 16), grains=2))
    found = map_strain(scan.frames)
    bases, zero = (np.array(json.loads(found.attrs[name])) for name in ("grain_bases", "reference_affine"))
    assert bases.shape == zero.shape == (found.attrs["grains"], 2, 2)
    inside = (scan.truth.share == 0) & (found.status.values == Status.OK)
    for k in np.unique(found.grain.values[inside]):
        here = inside & (found.grain.values == k)
        own = bases[k] @ zero[k].T
        # The spots nearest to the centre, of which any two may be called the basis.
        nearest = scan.truth.basis @ np.median(scan.truth.affine[here], axis=0).T
        cells = own @ np.linalg.inv(nearest)
        assert cells == pytest.approx(np.rint(cells), abs=5e-3)
        assert abs(np.linalg.det(np.rint(cells))) == pytest.approx(1)


def test_boundaries_are_told_and_resolved(polycrystal: Found, fitted: tuple[Estimate, np.ndarray, np.ndarray]) -> None:
    truth, (estimate, _, share) = polycrystal.scan.truth, fitted
    two = share > 0
    mixed = truth.share > 0.02
    clear = mixed | (truth.share == 0)
    assert (two & mixed).sum() > 0.9 * mixed.sum()
    assert (two & mixed).sum() > 0.95 * (two & clear).sum()
    fine = (estimate.status == Status.OK).reshape(share.shape)
    assert set(np.unique(estimate.status[two.ravel()])) <= {Status.OK, Status.BOUNDARY}
    assert (fine & two).sum() > 0.95 * two.sum()
    assert np.isfinite(estimate.theta[(fine & two).ravel()]).all()
    assert np.isnan(estimate.theta[(two & ~fine).ravel()]).all()
    assert np.isfinite(estimate.extra["dominant"][two.ravel()]).all()
    assert np.median(np.abs(share - truth.share)[two & mixed]) < 0.01
    assert share.max() <= 0.5


def test_strain_at_boundaries_has_the_error_it_claims(
    polycrystal: Found, fitted: tuple[Estimate, np.ndarray, np.ndarray]
) -> None:
    truth, (estimate, label, share) = polycrystal.scan.truth, fitted
    fine = (estimate.status == Status.OK).reshape(label.shape)
    affine = estimate.theta[:, 2:].reshape(*label.shape, 2, 2)
    std = np.sqrt(np.diagonal(estimate.covariance[:, 2:, 2:], axis1=1, axis2=2)).reshape(*label.shape, 4)
    off = []
    for c in np.unique(label[label >= 0]):
        inside = fine & (label == c) & (truth.share == 0)
        own = np.bincount(truth.grain[inside]).argmax()
        here = fine & (label == c) & (truth.grain == own) & (truth.share > 0.02) & (share > 0)
        true = truth.affine @ np.linalg.inv(np.median(truth.affine[inside], axis=0))
        zero = np.linalg.inv(np.median(affine[inside], axis=0))
        off.append(((affine[here] @ zero - true[here]).reshape(-1, 4)) / std[here])
    chi = np.concatenate(off)
    assert len(chi) > 200
    assert 0.8 < np.median(np.abs(chi)) / 0.6745 < 1.3
    assert np.sqrt(np.mean(chi**2)) < 1.5


def test_result_does_not_depend_on_the_cut(polycrystal: Found, fitted: tuple[Estimate, np.ndarray, np.ndarray]) -> None:
    crystals = polycrystal.crystals
    assert crystals is not None
    cuts = [0, 1, 8, 36]
    parts = [
        fit_crystals(polycrystal.patterns[a:b], crystals.candidates[a:b], crystals.solvers) for a, b in pairwise(cuts)
    ]
    np.testing.assert_array_equal(np.concatenate([p[0].theta for p in parts]), fitted[0].theta)
    np.testing.assert_array_equal(np.concatenate([p[1] for p in parts]), fitted[1])
    np.testing.assert_array_equal(np.concatenate([p[2] for p in parts]), fitted[2])
    for name, values in fitted[0].extra.items():
        np.testing.assert_array_equal(np.concatenate([p[0].extra[name] for p in parts]), values)


@pytest.mark.parametrize(
    "design",
    [
        SINGLE,
        replace(SINGLE, electrons=300.0),
        replace(SINGLE, lattice=HEXAGONAL, vacuum=0.3),
        replace(SINGLE, strain_field="inclusion", electrons=1e5),
    ],
    ids=["strained", "low dose", "vacuum", "inclusion"],
)
def test_single_crystals_stay_single(design: ScanDesign) -> None:
    assert Found(design).crystals is None


def test_strain_of_a_crystal_under_another_one() -> None:
    found = Found(ScanDesign(scan=(24, 24), electrons=2e4, overlap=0.3))
    assert found.crystals is not None
    assert len(found.crystals.solvers) == 2
    estimate, label, share = found.fit()
    second = share > 0
    true = found.scan.truth.share > 0
    assert (second & true).sum() > 0.95 * true.sum()
    assert (second & ~true).sum() < 0.02 * true.size
    assert (label == 0).all()
    fine = (estimate.status == Status.OK).reshape(label.shape)
    assert (fine & true).sum() > 0.9 * true.sum()
    assert abs(share[true].mean() - 0.3) < 0.05


def test_set_up_where_the_mean_is_rings(polycrystal: Found) -> None:
    design = replace(POLYCRYSTAL, scan=(40, 40), grains=90, seed=3)
    sample = simulate(design).rows(0, 40).reshape(-1, *design.pattern)[::8]
    setup = find_setup_polycrystal(sample)
    physics = setup.physics
    assert abs(physics.probe.radius - design.radius) < 0.1
    assert np.hypot(*physics.basis.T) == pytest.approx([24.0, 24.0], rel=0.03)
    assert setup.choices[-1].name == "lattice"


def test_no_lattice_in_any_pattern() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] - 32.0
    direct = 50.0 * (np.hypot(y, x) < 5)
    with pytest.raises(NoLatticeError):
        find_setup_polycrystal(rng.poisson(direct + 0.1, (32, 64, 64)))


def test_change_sees_through_the_cell() -> None:
    basis = np.array([[2.0, 20.0], [21.0, -3.0]])
    turned = (np.array([[1, 1], [0, 1]]) @ basis) @ np.array([[1.01, 0.0], [0.0, 0.99]])
    found = change(basis, turned)
    assert found.within(0.01, 0.02)
    np.testing.assert_allclose(found.affine, np.diag([1.01, 0.99]), atol=1e-12)
    assert not change(basis, 2 * basis).within(1.0, 1.0)
    assert not change(basis, np.full((2, 2), np.nan)).within(1.0, 1.0)
    assert related(basis, basis / 2)
    angle = np.deg2rad(17)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert not related(basis, basis @ turn)


def test_regions_split_at_a_step_and_not_in_a_bend() -> None:
    bend = np.deg2rad(np.linspace(0, 4, 24))
    step = np.deg2rad(np.where(np.arange(24) < 12, 0.0, 2.0))
    for angle, expected in ((bend, 1), (step, 2)):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], -2)
        lattice = np.broadcast_to(20.0 * turn, (10, 24, 2, 2))
        label = regions(lattice, np.full((10, 24), 1e-4), np.ones((10, 24), bool))
        assert label.max() + 1 == expected
    near = candidates(label)
    assert near.shape == (10, 24, 2)
    assert set(near[5, 2]) == {label[5, 2], -1}
    assert near[5, 11, 1] == label[5, 14]


def test_noise_does_not_chain_crystals_together() -> None:
    # Two crystals 6 degrees apart with a mixture between them; each step is no larger than the noise allows.
    rng = np.random.default_rng(0)
    noise = np.deg2rad(0.4)
    ideal = np.deg2rad(np.interp(np.arange(24.0), [9.0, 14.0], [0.0, 6.0]))
    angle = ideal + rng.normal(0, noise, (20, 24))
    c, s = np.cos(angle), np.sin(angle)
    lattice = 20.0 * np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], -2)
    lattice[3, 4] = np.nan
    pure = np.isfinite(lattice).all((2, 3))
    label = regions(lattice, np.where(pure, noise, np.nan), pure)
    assert label.max() == 1
    assert len(np.unique(label[:, :8][label[:, :8] >= 0])) == len(np.unique(label[:, 16:][label[:, 16:] >= 0])) == 1
    assert (label[:, :8] >= 0).mean() > 0.95
