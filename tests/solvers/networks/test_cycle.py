"""The cycle-consistent autoencoder as published: sizes, geometry, classes, training and its answer as a solver."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parscope.core.errors import ShapeError
from parscope.core.solver import Status
from parscope.solvers.networks.cycle import SMALL, CycleAutoencoder, CycleDesign, CycleSolver, Stage, View, learn
from parscope.solvers.networks.cycle.blocks import TopClass
from parscope.solvers.networks.cycle.deformation import Deformation, rotation
from parscope.solvers.networks.cycle.spots import lattice_of, reduced, spots
from parscope.solvers.networks.cycle.stages import CyclicAdam
from parscope.solvers.networks.cycle.teacher import hinges, robust
from parscope.solvers.networks.cycle.warp import coordinates, relocated, unwarped, warped
from parscope.solvers.train import Recipe
from parscope.techniques.diffraction import strain
from parscope.techniques.diffraction.simulate import ScanDesign, simulate


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def blobs(positions: Tensor, side: int, width: float) -> Tensor:
    """Gaussian spots (n, 1, side, side) at positions (n, spots, 2) in half sides."""
    grid = coordinates(torch.empty(side, side))
    distance2 = (grid[None, None] - positions[:, :, None, None]).square().sum(-1)
    return torch.exp(-0.5 * distance2 / width**2).sum(1, keepdim=True)


def strained(stretch: list[list[float]], angle: float, shift: list[float]) -> Deformation:
    return Deformation(torch.tensor([stretch]), rotation(torch.tensor([angle])), torch.tensor([shift]))


def test_sizes_are_the_published_ones_in_all_digits_given() -> None:
    whole = CycleAutoencoder(CycleDesign())
    assert [round(size(part) / 1e6, 2) for part in (whole.encoder, whole.decoder, whole)] == [1.94, 2.53, 4.47]
    assert CycleDesign().sides == (200, 40, 10, 5)


@pytest.mark.parametrize("design", [SMALL, CycleDesign(size=60, channels=4, pools=(3, 2), classes=3)])
def test_a_pattern_becomes_a_class_and_a_deformation(design: CycleDesign) -> None:
    module = CycleAutoencoder(design)
    cycle = module(torch.rand(2, 1, design.size, design.size), torch.zeros(2))
    assert cycle.classes.shape == (2, design.classes)
    assert cycle.deformation.whole.shape == (2, 2, 2)
    assert module.bases().shape == (design.classes, 1, design.size, design.size)
    assert bool(cycle.deformation.shift.any()) == design.translation


def test_a_pattern_that_pools_leave_nothing_of_is_refused() -> None:
    with pytest.raises(ValueError, match="30 px cannot be binned"):
        CycleDesign(size=30)


def test_the_class_is_one_hot_and_passes_the_gradient_of_the_probabilities() -> None:
    torch.manual_seed(0)
    top = TopClass(CycleDesign(embedding=5, classes=3))
    embedded = torch.randn(4, 5, requires_grad=True)
    weight = torch.randn(4, 3)
    classes = top(embedded)
    torch.testing.assert_close(classes, torch.eye(3)[classes.argmax(1)])
    (own,) = torch.autograd.grad((classes * weight).sum(), embedded)
    (soft,) = torch.autograd.grad((torch.softmax(top.norm(top.linear(embedded)), 1) * weight).sum(), embedded)
    torch.testing.assert_close(own, soft)
    assert own.abs().max() > 0


def test_any_numbers_make_a_deformation_within_the_published_bounds() -> None:
    found = Deformation.bounded(torch.randn(50, 6) * 100, torch.ones(50))
    assert (found.stretch.diagonal(dim1=1, dim2=2) - 1).abs().max() <= 0.05 + 1e-6
    assert found.stretch[:, 0, 1].abs().max() <= 0.1
    assert found.shift.abs().max() <= 0.15
    first = Deformation.bounded(torch.tensor([[3.0, 3.0, 0.7, 3.0]]))
    torch.testing.assert_close(first.whole, rotation(torch.tensor([0.7])))


@pytest.mark.parametrize("upsampling", [1, 2])
def test_the_inverse_undoes_the_deformation(upsampling: int) -> None:
    image = blobs(torch.tensor([[[0.3, 0.1], [-0.2, 0.4], [0.0, -0.3]]]), 64, 0.15)
    found = strained([[1.03, 0.02], [0.02, 0.96]], 0.4, [0.03, -0.05])
    there = warped(image, found, upsampling)
    back = unwarped(there, found, upsampling)
    assert (there - image).abs().max() > 0.3
    assert (back - image).abs().max() < 0.02


def test_the_base_at_q_is_the_pattern_at_the_mapped_place() -> None:
    found = strained([[1.04, 0.03], [0.03, 0.97]], 0.3, [0.02, 0.04])
    place = torch.tensor([[[0.3, 0.2]]])
    pattern = blobs((place + found.shift[:, None]) @ found.whole.mT, 64, 0.1)
    reach = torch.ones(1, 1, 64, 64)
    torch.testing.assert_close(spots(warped(pattern, found), reach, 6.0), place, atol=2e-3, rtol=0)


def disk(place: Tensor, side: int = 100, radius: float = 0.15) -> Tensor:
    """Soft disk (1, 1, side, side) at a place (1, 1, 2) in half sides."""
    distance = torch.linalg.norm(coordinates(torch.empty(side, side)) - place, dim=2)
    return torch.sigmoid((radius - distance) * side / 2)[None, None]


def test_a_base_without_spots_has_them_outside_of_all_patterns() -> None:
    nothing = spots(torch.zeros(2, 1, 20, 20), torch.ones(1, 1, 20, 20), 3.0)
    assert nothing.shape == (2, 1, 2) and bool((nothing > 5).all())


def anisotropy(image: Tensor) -> float:
    """Difference over sum of the widths of a spot along its two axes."""
    weight, grid = image[0, 0].clamp(min=0), coordinates(image)
    centre = (weight[..., None] * grid).sum((0, 1)) / weight.sum()
    offset = grid - centre
    width = torch.linalg.eigvalsh(torch.einsum("yx,yxi,yxj->ij", weight, offset, offset) / weight.sum()).sqrt()
    return float((width[1] - width[0]) / width.sum())


def test_spots_stay_round_where_they_are_moved_but_not_deformed() -> None:
    found = strained([[1.05, 0.0], [0.0, 0.95]], 0.5, [0.0, 0.0])
    place = torch.tensor([[[0.3, 0.2]]])
    moved = place @ found.whole.mT
    there, back = warped(disk(moved), found), unwarped(disk(place), found)
    assert min(anisotropy(there), anisotropy(back)) > 0.045
    inverse = found.turn.mT @ torch.linalg.inv(found.stretch) @ found.turn
    assert anisotropy(relocated(there, place, inverse, 0.4)) < 0.01
    assert anisotropy(relocated(back, moved, found.stretch, 0.4)) < 0.01


def test_bad_batches_count_less() -> None:
    for level, wanted, slope in ((1.0, 1.0, True), (1.5, 0.5, True), (2.0, 3.0, False)):
        residual = torch.full((10,), level, requires_grad=True)
        loss = robust(residual)
        loss.backward()  # type: ignore[no-untyped-call]
        assert loss.item() == pytest.approx(wanted)
        assert residual.grad is not None and bool(residual.grad.any()) == slope


def test_hinges_leave_small_strains_alone() -> None:
    assert float(hinges(strained([[1.029, 0.02], [0.02, 0.98]], 0.0, [0.0, 0.0]))) == 0
    assert float(hinges(strained([[1.04, 0.05], [0.05, 1.0]], 0.0, [0.0, 0.0]))) == pytest.approx(0.12, rel=1e-4)


def test_the_rate_goes_up_and_down_and_is_given_back() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimiser = CyclicAdam([parameter], lr=1.0)
    moved = []
    for _ in range(41):
        before = parameter.item()
        parameter.grad = torch.ones(1)
        optimiser.step()
        moved.append(before - parameter.item())
    assert [moved[k] for k in (0, 20, 40)] == pytest.approx([0.15, 1.0, 0.15], rel=1e-3)
    assert optimiser.param_groups[0]["lr"] == 1.0


def hexagon(length: float) -> NDArray[np.float64]:
    basis = length * np.array([[0.0, 1.0], [math.sqrt(0.75), 0.5]])
    order = np.arange(-2, 3)
    points = np.stack(np.meshgrid(order, order, indexing="ij"), -1).reshape(-1, 2) @ basis
    return np.asarray(points[np.linalg.norm(points, axis=1) < 2.1 * length])


def test_a_lattice_is_found_at_any_orientation_and_named_by_the_nearest_map() -> None:
    reference = hexagon(20.0)
    angle = math.radians(100.0)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    affine = turn @ np.array([[1.01, 0.003], [0.003, 0.99]])
    found, own = lattice_of(np.array([1.0, -0.7]) + reference[1:15] @ affine.T, reference)
    assert found == pytest.approx([1.0, -0.7], abs=1e-6)
    # 100 degrees are 40 to one side, or 20 to the other.
    least = reduced(np.stack([own, affine]), reference)
    assert least[0] == pytest.approx(least[1], abs=1e-6)
    assert math.degrees(math.atan2(least[0, 1, 0], least[0, 0, 0])) == pytest.approx(-20.0, abs=1.0)
    assert np.isnan(lattice_of(np.zeros((0, 2)), reference)[1]).all()


def test_training_tells_two_kinds_of_patterns_apart_and_finds_how_they_are_turned() -> None:
    rng = torch.Generator().manual_seed(3)
    kinds, turns = torch.randint(2, (96,), generator=rng), torch.rand(96, generator=rng) * 0.9
    corners = [[[0.6, 0.0], [-0.3, 0.5], [-0.3, -0.5]], [[0.45, 0.0], [-0.7, 0.0], [0.0, 0.3]]]
    places = torch.tensor(corners)[kinds] @ rotation(turns).mT
    frames = blobs(places, 32, 0.12) * 2
    view = View((0, 0), 32, (3.0, 16.0), 3.0, 1.0, 100.0)
    # Of other seeds a half leave one class without patterns, from which it does not recover.
    stage = Stage(16, Recipe(rate=5e-3, most=100, every=50, checked=1, average=0.9, seed=1))
    short = Stage(16, Recipe(rate=1e-3, most=2, every=2, checked=1))
    design = CycleDesign(size=32, channels=4, pools=(4, 2), classes=2, upsampling=1)
    pair = learn(frames, view, design, (stage, short), symmetry=2 * math.pi)
    cycle = pair.coarse(frames)
    own = cycle.classes.argmax(1)
    assert max(float((own == kinds).float().mean()), float((own != kinds).float().mean())) > 0.97
    for kind in (0, 1):
        here = kinds == kind
        assert float((pair.starts(frames)[here] - turns[here]).std()) < math.radians(4)


@pytest.fixture(scope="module")
def solved() -> tuple[CycleSolver, NDArray[np.uint16], NDArray[np.float64]]:
    """A short training on grains of small patterns, their patterns and their strains."""
    torch.set_num_threads(1)
    design = ScanDesign(
        scan=(12, 12), pattern=(64, 64), electrons=20000.0, radius=3.0, lattice=(14.0, 14.0, 60.0, 11.0), max_q=29.0,
        ellipse=(0.0, 0.0), contrast=0.0, descan=0.0, grains=3, tilt=0.0, background=0.0, probe_size=0.05,
    )  # fmt: skip
    scan = simulate(design)
    patterns = scan.rows(0, 12).reshape(-1, 64, 64)
    physics = scan.pattern()
    sizes = CycleDesign(size=60, channels=8, pools=(5, 2), binning=2, translation=True, upsampling=1)
    view = View.of(patterns, physics, 60)
    stages = [Stage(16, Recipe(rate=5e-3, most=most, every=most, checked=1, average=0.9)) for most in (60, 30)]
    pair = learn(view(patterns), view, sizes, (stages[0], stages[1]), symmetry=2 * math.pi)
    return CycleSolver(pair, view, physics), patterns, strain(scan.truth.affine).reshape(-1, 4)


def test_the_solver_answers_in_the_conventions_of_all(
    solved: tuple[CycleSolver, NDArray[np.uint16], NDArray[np.float64]],
) -> None:
    solver, patterns, true = solved
    estimate = solver(patterns)
    good = estimate.status == Status.OK
    assert good.mean() > 0.7
    assert estimate.theta.shape == (144, 6) and estimate.covariance.shape == (144, 6, 6)
    assert np.isnan(estimate.covariance).all()
    assert np.isfinite(estimate.theta[good]).all() and np.isnan(estimate.theta[~good]).all()
    error = strain(estimate.theta[:, 2:].reshape(-1, 2, 2))[good] - true[good]
    turned = (error[:, 3] + math.pi / 6) % (math.pi / 3) - math.pi / 6
    assert np.rad2deg(np.median(np.abs(turned - np.median(turned)))) < 1
    assert np.median(np.abs(error[:, :3])) < 0.01
    assert np.abs(np.median(estimate.theta[good, :2], 0) - 32).max() < 0.5


def test_what_cannot_be_a_pattern_has_a_status_and_no_number(
    solved: tuple[CycleSolver, NDArray[np.uint16], NDArray[np.float64]],
) -> None:
    solver, patterns, _ = solved
    signals = patterns[:4].astype(np.float64)
    signals[1], signals[2, 3, 3] = 0.0, np.nan
    estimate = solver(signals)
    assert estimate.status[1:3].tolist() == [Status.BAD_INPUT, Status.BAD_INPUT]
    assert np.isnan(estimate.theta[1:3]).all() and np.isnan(estimate.misfit[1:3]).all()
    np.testing.assert_allclose(estimate.theta[[0, 3]], solver(patterns[[0, 3]]).theta, atol=1e-4)
    with pytest.raises(ShapeError, match="not"):
        solver(patterns[:, :32])
