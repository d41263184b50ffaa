"""The parts of the set-up, each by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.techniques.diffraction import Probe
from parscope.techniques.diffraction.setup import Given, zero_and_unit
from parscope.techniques.diffraction.setup.align import aligned_mean, wander
from parscope.techniques.diffraction.setup.brightest import strongest_disk
from parscope.techniques.diffraction.setup.cell import canonical, find_cell
from parscope.techniques.diffraction.setup.choice import ellipse_matrix, stretches
from parscope.techniques.diffraction.setup.correlation import find_peaks
from parscope.techniques.diffraction.setup.diffuse import diffuse
from parscope.techniques.diffraction.setup.fitting import STRETCH, disks, fit_disks, render
from parscope.techniques.diffraction.setup.gain import counts_per_electron
from parscope.techniques.diffraction.setup.moments import moments
from parscope.techniques.diffraction.setup.pixels import bad_pixels, fill


def one_disk(size: int, y: float, x: float, probe: Probe) -> np.ndarray:
    """A disk of unit height."""
    model = disks(np.array([y, x]), np.eye(2), np.zeros((1, 2), dtype=np.int64), probe.radius, probe.edge)
    model.amplitude[0] = 1.0
    return render(model, (size, size))


@given(
    st.floats(0, 2 * np.pi),
    st.floats(62, 118),
    st.floats(1.0, 1.9),
    st.lists(st.sampled_from(["add", "swap", "turn", "flip"]), max_size=6),
)
def test_the_canonical_basis_does_not_depend_on_the_choice_of_vectors(
    angle: float, between: float, ratio: float, moves: list[str]
) -> None:
    other = angle + np.deg2rad(between)
    start = 20 * np.array([[np.sin(angle), np.cos(angle)], [ratio * np.sin(other), ratio * np.cos(other)]])
    steps = {"add": [[1, 0], [1, 1]], "swap": [[0, 1], [1, 0]], "turn": [[-1, 0], [0, -1]], "flip": [[1, 0], [0, -1]]}
    basis = start
    for move in moves:
        basis = np.array(steps[move]) @ basis
    found = canonical(basis)
    numbers = found @ np.linalg.inv(start)
    assert numbers == pytest.approx(np.rint(numbers), abs=1e-6)
    assert abs(np.linalg.det(numbers)) == pytest.approx(1)
    turn = np.degrees(np.arctan2(found[0, 1] * found[1, 0] - found[0, 0] * found[1, 1], found[0] @ found[1]))
    assert 58 < turn < 122
    lengths = np.linalg.norm(found, axis=1)
    assert lengths[0] <= 1.031 * lengths[1]


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.8, 1.3])
def test_the_cell_holds_against_absent_and_false_points(angle: float) -> None:
    generator = np.random.default_rng(8)
    basis = 15 * np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]])
    numbers = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    points = 60 + numbers[generator.random(49) > 0.3] @ basis
    points = points + generator.normal(0, 0.3, points.shape)
    points = np.concatenate([points, generator.uniform(10, 110, (6, 2))])
    cell = find_cell(points, np.ones(len(points)), 0.6, 5.0)
    assert cell is not None
    whole = cell.basis @ np.linalg.inv(basis)
    assert whole == pytest.approx(np.rint(whole), abs=0.02)
    assert abs(np.linalg.det(np.rint(whole))) == pytest.approx(1)


def test_a_centred_lattice_gets_its_primitive_cell() -> None:
    numbers = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    points = 60 + 12.0 * numbers[numbers.sum(axis=1) % 2 == 0]
    cell = find_cell(points, np.ones(len(points)), 0.6, 5.0)
    assert cell is not None
    assert abs(np.linalg.det(cell.basis)) == pytest.approx(2 * 12.0**2, rel=0.01)


def test_two_points_make_no_lattice() -> None:
    assert find_cell(np.array([[1.0, 2.0], [30.0, 4.0]]), np.ones(2), 0.6, 5.0) is None
    assert find_cell(np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]]), np.ones(3), 0.6, 5.0) is None


@pytest.mark.parametrize("radius", [1.0, 3.0, 8.0, 20.0])
def test_the_strongest_disk_is_found_without_a_hint(radius: float) -> None:
    image = 40 * one_disk(128, 60.3, 71.6, Probe(radius, 0.8)) + 10 * one_disk(128, 20.0, 30.0, Probe(radius, 0.8)) + 1
    y, x, found = strongest_disk(np.random.default_rng(0).poisson(image).astype(float), 1.0)
    assert (y, x) == (pytest.approx(60.3, abs=1.5), pytest.approx(71.6, abs=1.5))
    assert found == pytest.approx(radius, rel=0.15, abs=1.0)


def test_peaks_are_where_the_disks_are_and_say_how_bright() -> None:
    probe = Probe(5.0, 0.6)
    places = np.array([[30.2, 40.7], [80.5, 30.0], [64.0, 90.4]])
    image = 2 + sum(a * one_disk(128, y, x, probe) for a, (y, x) in zip((30, 20, 10), places, strict=True))
    peaks = find_peaks(np.random.default_rng(1).poisson(image), probe)
    assert len(peaks) == 3
    assert peaks.position == pytest.approx(places, abs=0.25)
    assert peaks.amplitude == pytest.approx([30, 20, 10], rel=0.15)


def test_noise_has_hardly_a_peak() -> None:
    generator = np.random.default_rng(2)
    assert sum(len(find_peaks(generator.poisson(3.0, (128, 128)), Probe(5.0, 0.6))) for _ in range(50)) <= 2


def test_wander_is_measured_and_taken_out() -> None:
    probe = Probe(6.0, 0.6)
    t = np.linspace(0, 6, 64)
    truth = np.stack([1.5 * np.sin(t), 1.2 * np.cos(2 * t)], axis=-1)
    images = np.array([one_disk(64, 32 + dy, 32 + dx, probe) for dy, dx in truth])
    patterns = np.random.default_rng(3).poisson(20 * images + 0.5)
    none = np.zeros((64, 64), dtype=bool)
    moved = wander(patterns, probe, np.array([32.0, 32.0]), none, 1.0)
    assert moved.shift == pytest.approx(truth - truth.mean(axis=0), abs=0.15)
    assert moved.spread == pytest.approx(np.sqrt((truth - truth.mean(axis=0)).var()), rel=0.1)
    mean, share = aligned_mean(patterns, moved.shift, none)
    middle = 32 + truth.mean(axis=0)
    assert mean == pytest.approx(20 * one_disk(64, *middle, probe) + 0.5, abs=2.5)
    assert share[10:-10, 10:-10].min() == 1.0


@pytest.mark.parametrize("ratio", [1.0, 1.03])
def test_disks_are_fitted_with_their_ellipse(ratio: float) -> None:
    indices = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]])
    truth = disks(np.array([31.7, 32.4]), np.array([[2.0, 15.0], [15.5, -1.0]]), indices, 5.2, 0.8)
    truth.shared[list(STRETCH)] = stretches(ratio, 0.6)
    truth.amplitude[:] = [100, 40, 30, 20, 50]
    image = render(truth, (64, 64))
    start = disks(np.array([32.5, 32.0]), np.array([[1.5, 15.5], [15.0, -0.5]]), indices, 4.6, 1.2)
    fit = fit_disks(image, np.full(image.shape, 1.0), np.ones(image.shape, dtype=bool), start, (*range(8), 9, 10), 30)
    assert fit.disks.shared == pytest.approx(truth.shared, abs=1e-3)
    assert fit.disks.amplitude == pytest.approx(truth.amplitude, rel=1e-3)
    assert fit.disks.distortion == pytest.approx(ellipse_matrix(ratio, 0.6), abs=1e-3)


def test_holes_are_filled_from_around() -> None:
    image = np.add.outer(np.arange(20.0), np.zeros(20))
    mask = np.zeros((20, 20), dtype=bool)
    mask[8:12, 8:12] = True
    assert fill(image, mask)[mask] == pytest.approx(image[mask], abs=2.0)
    assert (fill(image, mask)[~mask] == image[~mask]).all()


@pytest.mark.parametrize("level", [0.02, 1.0, 50.0])
def test_counting_noise_alone_makes_no_pixel_bad(level: float) -> None:
    y, x = np.indices((64, 64)) - 32
    patterns = np.random.default_rng(5).poisson(np.broadcast_to(level / (1 + (y**2 + x**2) / 100), (64, 64, 64)))
    bad = bad_pixels(moments(patterns))
    assert not bad.mask.any()
    assert bad.sentence() == "none"


def test_a_sharp_spot_on_nothing_is_neither_hot_nor_its_surroundings_covered() -> None:
    image = 1e4 * one_disk(64, 32.0, 32.0, Probe(1.0, 0.6)) + 1e3 * one_disk(64, 20.0, 40.0, Probe(1.0, 0.6))
    patterns = np.random.default_rng(6).poisson(np.broadcast_to(image, (64, 64, 64)))
    assert not bad_pixels(moments(patterns)).mask.any()


@pytest.mark.parametrize("mean", [0.01, 0.5, 20.0])
def test_counted_electrons_have_gain_one(mean: float) -> None:
    level = mean * np.exp(-np.arange(64) / 20)
    patterns = np.random.default_rng(7).poisson(np.broadcast_to(level, (128, 64, 64)))
    assert counts_per_electron(moments(patterns), np.zeros((64, 64), dtype=bool), patterns)[0] == 1.0


@pytest.mark.parametrize("gain", [1, 3])
def test_disks_of_many_crystals_vary_more_than_their_noise(gain: int) -> None:
    generator = np.random.default_rng(9)
    places = generator.uniform(12, 52, (64, 4, 2))
    image = np.array([sum(12 * one_disk(64, y, x, Probe(5.0, 0.6)) for y, x in at) for at in places])
    patterns = gain * generator.poisson(image)
    found, _ = counts_per_electron(moments(patterns), np.zeros((64, 64), dtype=bool), patterns)
    assert (found == 1.0) == (gain == 1)


@pytest.mark.parametrize("gain", [0.2, 3.7, 40.0])
def test_the_gain_of_a_scintillator_camera_is_measured(gain: float) -> None:
    level = 20 * np.exp(-np.arange(64) / 20)
    generator = np.random.default_rng(8)
    patterns = gain * (
        generator.poisson(np.broadcast_to(level, (128, 64, 64))) + generator.normal(3, 0.5, (128, 64, 64))
    )
    found, how = counts_per_electron(moments(patterns), np.zeros((64, 64), dtype=bool), patterns)
    assert found == pytest.approx(gain, rel=0.05)
    assert "slope" in how


LEVEL = np.broadcast_to(20 * np.exp(-np.arange(64) / 12), (128, 64, 64))


@pytest.mark.parametrize(
    ("gain", "offset", "noise"), [(1.0, 10.0, 1.0), (1.0, 100.0, 3.0), (30.0, 500.0, 20.0), (1.0, 0.0, 2.0)]
)
def test_a_dark_offset_and_readout_noise_move_the_zero(gain: float, offset: float, noise: float) -> None:
    generator = np.random.default_rng(9)
    patterns = gain * generator.poisson(LEVEL) + generator.normal(offset, noise, LEVEL.shape)
    zero, unit = zero_and_unit(patterns)
    assert zero == pytest.approx(offset - noise**2 / gain, abs=0.15 * gain + 0.05 * noise**2 / gain)
    assert unit == 1.0


@pytest.mark.parametrize("gain", [1.0, 0.05, 40.0])
def test_a_detector_without_offset_keeps_its_zero(gain: float) -> None:
    counts = np.random.default_rng(10).poisson(LEVEL)
    assert zero_and_unit(counts if gain == 1 else gain * counts) == (0.0, 1.0)


@pytest.mark.parametrize("gain", [1e-4, 1e-9])
def test_normalised_data_are_multiples_of_an_electron(gain: float) -> None:
    zero, unit = zero_and_unit(gain * np.random.default_rng(11).poisson(LEVEL))
    assert zero == 0.0
    assert unit == pytest.approx(gain, rel=0.05)


@pytest.mark.parametrize(("name", "value"), [("probe_radius", 0.0), ("gain", -1.0), ("g1", (1.0, 2.0))])
def test_what_cannot_be_is_not_taken(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        Given(**{name: value})


def test_noise_about_no_background_leaves_none_below_nothing() -> None:
    numbers = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    model = disks(np.array([48.0, 48.0]), 24.0 * np.eye(2), numbers, 5.0, 0.6)
    image = np.random.default_rng(3).normal(-1e-3, 2e-3, (96, 96))
    found = diffuse(image, np.ones(image.shape, np.bool_), model, np.full(image.shape, 4e-6))
    between = np.array([[12.0, 12.0], [20.0, -30.0]])
    assert (found.at(between) >= 0).all()
    # relative to hardly anything, a slope would be of any size, and say that nothing is known
    assert np.abs(found.slope(between)).max() < 1.0
