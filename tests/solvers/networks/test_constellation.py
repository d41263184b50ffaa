"""Networks for constellations: what holds of any weights, and what a few seconds of training teach."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from parscope.core.errors import FormatError, ShapeError
from parscope.core.solver import Status
from parscope.solvers.lattice import LatticeFilters
from parscope.solvers.networks.constellation.encoder import orientation_network, solved, window_network
from parscope.solvers.networks.constellation.examine import errors, examine, finished
from parscope.solvers.networks.constellation.foreign import Foreign, alike
from parscope.solvers.networks.constellation.geometry import Geometry, rotation
from parscope.solvers.networks.constellation.limit import limit
from parscope.solvers.networks.constellation.scenes import Scenes
from parscope.solvers.networks.constellation.solver import ConstellationNetwork
from parscope.solvers.networks.constellation.store import load_encoder, save_encoder
from parscope.solvers.networks.constellation.teacher import Simulated
from parscope.solvers.networks.store import save_network
from parscope.solvers.train import TrainingError
from parscope.testing import check_solver
from tests.solvers.crystals import SIDE, crystal
from tests.solvers.networks.encoders import RANGES, at_every_angle, taught


@pytest.fixture(scope="module")
def solver() -> ConstellationNetwork:
    return taught()[0]


def test_it_finds_a_lattice_at_any_orientation(solver: ConstellationNetwork) -> None:
    theta, patterns = at_every_angle(120, 1e4)
    found = solver(patterns)
    miss, _ = errors(solver, theta, found.theta)
    good = miss < 2.0
    assert good.mean() > 0.9
    assert np.sqrt(np.mean(miss[good] ** 2)) < 0.6


def test_training_lowers_the_loss_by_several_nats() -> None:
    losses = [loss for _, loss in taught()[1].losses]
    assert losses[-1] < losses[0] - 2.0


def test_of_equal_maps_the_least_turned_is_told(solver: ConstellationNetwork) -> None:
    found = solver(at_every_angle(60, 1e5)[1])
    maps = found.theta[found.status == Status.OK, 2:].reshape(-1, 2, 2)
    turn = np.arctan2(maps[:, 1, 0] - maps[:, 0, 1], maps[:, 0, 0] + maps[:, 1, 1])
    assert np.abs(turn).max() < np.deg2rad(46.0)


def test_it_is_a_solver_and_keeps_its_promises(solver: ConstellationNetwork) -> None:
    patterns = at_every_angle(150, 1e4)[1]
    check_solver(solver, patterns)
    check_solver(solver, patterns[:24].astype(np.float32))
    negative = patterns[:2].astype(np.float32)
    negative[1] = -1.0
    assert solver(negative).status.tolist() == [Status.OK, Status.BAD_INPUT]


def test_a_pattern_turned_by_a_quarter_gives_a_map_turned_by_a_quarter() -> None:
    # An odd detector has a pixel in its middle; weights do not matter.
    middle = (SIDE - 2) / 2
    physics = replace(crystal(), shape=(SIDE - 1, SIDE - 1), centre=(middle, middle))
    network = ConstellationNetwork(physics, orientation_network(3), window_network(4))
    patterns = at_every_angle(8, 1e4)[1][:, :-1, :-1]
    with torch.no_grad():
        first = network.reading.first(patterns)
        turned = network.reading.first(np.ascontiguousarray(np.rot90(patterns, axes=(1, 2))))
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    maps, others = (f.theta[:, 2:].reshape(-1, 2, 2) for f in (first, turned))
    # Opposite turns are one and the same.
    sign = np.sign(np.einsum("nij,nij->n", others, quarter @ maps))[:, None, None]
    np.testing.assert_allclose(sign * others, quarter @ maps, atol=1e-3)
    np.testing.assert_allclose(turned.information, first.information, rtol=1e-3)


def test_counts_in_another_unit_change_nothing(solver: ConstellationNetwork) -> None:
    patterns = at_every_angle(20, 1e4)[1]
    other = replace(solver, physics=replace(solver.physics, gain=7.0))
    one, seven = solver(patterns), other(7 * patterns)
    assert np.array_equal(one.status, seven.status)
    np.testing.assert_allclose(seven.theta, one.theta, atol=1e-4)


def test_noise_zeros_and_vacuum_get_no_lattice(solver: ConstellationNetwork) -> None:
    physics = crystal()
    rng = np.random.default_rng(0)
    direct = np.zeros(len(physics.reference))
    direct[0] = 100.0
    vacuum = rng.poisson(np.tile(physics.render(physics.theta[None], amplitude=direct), (20, 1, 1)))
    noise = rng.poisson(1.0, (20, SIDE, SIDE))
    for patterns in (vacuum, noise, np.zeros((3, SIDE, SIDE))):
        refused = solver(patterns.astype(np.float32)).status != Status.OK
        assert refused.mean() > 0.8


def test_bad_pixels_are_not_looked_at(solver: ConstellationNetwork) -> None:
    theta, patterns = at_every_angle(30, 1e5)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[::9, ::7] = True
    masked = replace(solver, physics=replace(solver.physics, mask=mask))
    spoilt = patterns.copy()
    spoilt[:, mask] = 50000
    np.testing.assert_array_equal(masked(spoilt).theta, masked(np.where(mask, 0, patterns)).theta)
    assert (errors(solver, theta, masked(spoilt).theta)[0] < 2.0).mean() > 0.8


def test_the_card_holds_its_numbers(solver: ConstellationNetwork) -> None:
    card = examine(solver, RANGES)
    assert card["parameters"] < 20_000
    assert [row["electrons"] for row in card["by_electrons"]] == [1e3, 1e4, 1e5]
    assert all(0 <= row["failures"] < 0.3 for row in card["by_electrons"])
    assert all(len(row["over_limit"]) == 8 for row in card["by_electrons"])
    assert min(card["by_electrons"][1]["over_limit"]) > 0.9
    assert all(row["refused_foreign"] > 0.4 for row in card["by_electrons"])
    said = card["refusals"]
    assert said["zeros"] == {"bad_input": 1.0}
    assert all(sum(said[name].values()) == pytest.approx(1.0) for name in said)
    assert said["noise"]["absent"] > 0.6 and said["vacuum"].get("ok", 0.0) < 0.2
    assert max(said["another material"], key=said["another material"].__getitem__) == "no_model"


def test_networks_that_know_nothing_have_a_card_without_numbers() -> None:
    physics = crystal()
    fresh = ConstellationNetwork(physics, orientation_network(1), window_network(2))
    with pytest.raises(TrainingError, match="no simulated pattern right"):
        finished(fresh, RANGES)
    card = examine(replace(fresh, unlikely=-1.0), RANGES)
    assert all(row["position_rms"] is None and row["failures"] == 1.0 for row in card["by_electrons"])
    json.dumps(card, allow_nan=False)


def test_shear_is_drawn_as_far_as_stretch() -> None:
    maps = Scenes(crystal(), RANGES).draw(400, 8).theta[:, 2:].reshape(-1, 2, 2)
    # Strain of the lattice on the detector, whatever its turn: the symmetric root of the metric.
    values, axes = np.linalg.eigh(np.swapaxes(maps, 1, 2) @ maps)
    stretch = (axes * np.sqrt(values)[:, None]) @ np.swapaxes(axes, 1, 2)
    for component in (stretch[:, 0, 0] - 1, stretch[:, 1, 1] - 1, stretch[:, 0, 1]):
        assert np.abs(component).max() == pytest.approx(RANGES.strain, rel=0.02)


@pytest.mark.parametrize("angle", [0.0, 0.05])
def test_the_exact_solver_is_at_the_limit_of_the_card(angle: float) -> None:
    physics, affine = crystal(), rotation(np.array(angle))
    bound = limit(physics, affine, 1e4)
    assert bound.mean.sum() == pytest.approx(1e4)
    patterns = np.random.default_rng(6).poisson(bound.mean, (300, SIDE, SIDE)).astype(np.uint16)
    found = LatticeFilters(physics)(patterns).theta
    true = np.concatenate([physics.theta[:2], affine.ravel()])
    off = np.stack([e[:2] + physics.reference @ e[2:].reshape(2, 2).T for e in found - true])
    assert np.sqrt(np.mean(off**2)) / bound.position == pytest.approx(1.0, abs=0.1)


def test_another_lattice_is_told_from_nothing(solver: ConstellationNetwork) -> None:
    own = crystal()
    hexagonal = replace(own, basis=21.0 * np.array([[0.0, 1.0], [np.sqrt(0.75), 0.5]]))
    rng = np.random.default_rng(0)
    # A sixth of a turn shows all orientations of such a lattice.
    maps = rotation(np.linspace(0, np.pi / 3, 60)).reshape(-1, 4)
    mean = hexagonal.render(np.column_stack([np.tile(own.theta[:2], (60, 1)), maps]))
    status = solver(rng.poisson(mean).astype(np.uint16)).status
    assert (status == Status.NO_MODEL).mean() > 0.6


def test_what_may_be_the_own_lattice_is_not_foreign() -> None:
    own = 21.0 * np.array([[1.0, 0.0], [0.0, 1.0]])
    hexagonal = 21.0 * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    longer = np.diag([1.06, 1.0])
    others = np.stack([own[::-1], own @ longer, 2 * own, own / 2, hexagonal, 1.2 * own])
    assert alike(own, others, 0.1).tolist() == [True, True, True, False, False, False]
    assert not alike(own, (own @ longer)[None], 0.05).any()


def test_disks_that_overlap_have_other_lattices_too() -> None:
    four = 21.0 * np.array([[0.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 0.0], [-1.0, 0.0]])
    places = Foreign(four, 15.0, 0.05).single(np.random.default_rng(0), 10)
    assert (np.isfinite(places[..., 0]).sum(1) >= 4).all()


def test_powders_and_other_lattices_stay_within_the_pattern() -> None:
    reference = crystal().reference
    foreign, rng = Foreign(reference, 5.0, 0.05), np.random.default_rng(0)
    for places in (foreign.single(rng, 40), foreign.powder(rng, 40, 3)):
        away = np.hypot(*np.moveaxis(places, -1, 0))
        assert np.nanmax(away) <= np.hypot(*reference.T).max() + 1e-9
        assert np.nanmin(away) >= 10.0
        assert np.isfinite(away).any(1).all()


def test_scenes_are_the_same_for_the_same_seed() -> None:
    scenes = Scenes(crystal(), RANGES)
    one, same, other = scenes.draw(5, 1), scenes.draw(5, 1), scenes.draw(5, 2)
    np.testing.assert_array_equal(one.patterns, same.patterns)
    assert not np.array_equal(one.patterns, other.patterns)


def test_scenes_have_the_electrons_asked_for() -> None:
    scene = Scenes(crystal(), RANGES).draw(60, 3, 5e4)
    # What leaves the detector, and chance, is little; patterns of nothing lack the disks.
    assert 0.6 < np.median(scene.patterns.sum((1, 2))) / 5e4 < 1.1


def test_networks_come_back_from_their_folder(solver: ConstellationNetwork, tmp_path: Path) -> None:
    save_encoder(tmp_path / "net", solver.orientation, solver.window, {"said": [1, 2]})
    save_encoder(tmp_path / "net", solver.orientation, solver.window, {"said": [1, 2]})
    orientation, window, notes = load_encoder(tmp_path / "net")
    assert notes == {"said": [1, 2]}
    patterns = at_every_angle(5, 1e4)[1]
    again = replace(solver, orientation=orientation, window=window)
    np.testing.assert_array_equal(again(patterns).theta, solver(patterns).theta)
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


def test_other_networks_are_refused(solver: ConstellationNetwork, tmp_path: Path) -> None:
    save_network(tmp_path / "one", solver.window, {})
    with pytest.raises(FormatError, match="none for diffraction patterns"):
        load_encoder(tmp_path / "one")
    save_encoder(tmp_path / "two", solver.window, solver.orientation, {})
    with pytest.raises(FormatError, match="another build"):
        load_encoder(tmp_path / "two")
    with pytest.raises(ShapeError, match="not"):
        solver(np.zeros((1, 5, 5)))


def test_a_teacher_teaches_encoders_only() -> None:
    physics = crystal()
    with pytest.raises(TypeError, match="no encoder"):
        Simulated(physics, Geometry.of(physics), RANGES).loss(torch.nn.Linear(1, 1), torch.Generator())


@pytest.mark.parametrize(("spacing", "turns"), [(21.0, 4)])
def test_the_symmetry_of_the_lattice_is_found(spacing: float, turns: int) -> None:
    assert len(Geometry.of(crystal(spacing=spacing)).turns) == turns


def test_one_bright_copy_leaves_the_map_to_a_faint_prior() -> None:
    positions = torch.tensor([[1.0, 0.3, 0.7], [1.0, -0.9, 0.2], [1.0, 0.1, -0.8]])
    weight = torch.tensor([[3e7, 0.0, 0.0]])
    step, information = solved(
        torch.zeros(1, 3, 2), weight, positions, torch.full((1, 3), 1e-3), torch.full((1, 3, 2), 0.5)
    )
    assert torch.isfinite(step).all()
    # What the copy says, that its displacement is none, holds; what it does not tell comes of the prior.
    assert float((positions[0].double() @ step[0]).abs().max()) < 1e-6
    assert float((step[0] - 0.5).abs().max()) < 0.7
    assert float(torch.linalg.eigvalsh(information)[0, 0]) > 0
