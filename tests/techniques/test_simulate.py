"""The simulator: its truth against what it renders, its noise, its grains, its detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.core.errors import OptionError, ShapeError
from parscope.techniques.diffraction.lattice import strain
from parscope.techniques.diffraction.simulate import Detector, ScanDesign, draw_counts, simulate

PLAIN = ScanDesign(scan=(4, 8), contrast=0.0, background=0.0)


def centres_of_mass(image: np.ndarray, positions: np.ndarray, reach: int = 9) -> np.ndarray:
    """Centre of mass of the image in a window round every position; valid for separate disks without background."""
    result = []
    for y, x in np.rint(positions).astype(int):
        window = image[y - reach : y + reach + 1, x - reach : x + reach + 1].astype(float)
        rows, columns = np.mgrid[y - reach : y + reach + 1, x - reach : x + reach + 1]
        result.append([(rows * window).sum() / window.sum(), (columns * window).sum() / window.sum()])
    return np.array(result)


@pytest.mark.parametrize("field", ["layers", "inclusion"])
def test_disks_are_where_the_truth_says(field: str) -> None:
    scan = simulate(replace(PLAIN, strain_field=field, ellipse=(0.05, 20.0)))
    image = scan.expected(1, 2)[0, 6]
    truth = scan.truth.positions[1, 6]
    assert np.abs(centres_of_mass(image, truth) - truth).max() < 2e-3


def test_strain_of_the_truth_follows_from_its_disk_positions() -> None:
    truth = simulate(PLAIN).truth
    reference = truth.indices @ truth.basis
    offsets = truth.positions - truth.centre[:, :, None]
    affine = np.swapaxes(np.linalg.pinv(reference) @ offsets, -1, -2)
    found = strain(affine)
    expected = np.stack([truth.e_xx, truth.e_yy, truth.e_xy, truth.rotation], -1)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.ptp(expected, axis=(0, 1)).min() > 5e-3


def test_reference_is_unstrained_and_without_ellipse_the_detector_sees_the_strain_of_the_crystal() -> None:
    truth = simulate(replace(PLAIN, ellipse=(0.0, 0.0))).truth
    assert truth.reference.sum() == 8
    assert np.abs(truth.crystal[truth.reference]).max() == 0.0
    np.testing.assert_allclose(truth.crystal[..., 0], truth.e_xx, atol=1e-12)
    np.testing.assert_allclose(truth.crystal[..., 3], truth.rotation, atol=1e-12)


def test_positive_rotation_turns_disks_from_x_towards_y() -> None:
    truth = simulate(replace(PLAIN, ellipse=(0.0, 0.0))).truth
    y, x = np.unravel_index(truth.rotation.argmax(), truth.rotation.shape)
    along_x = truth.affine[y, x] @ [0.0, 1.0]
    assert truth.rotation[y, x] > 0.005
    assert along_x[0] > 0


def test_rotation_of_an_inclusion_is_that_of_its_interior() -> None:
    truth = simulate(ScanDesign(scan=(65, 65), strain_field="inclusion", max_strain=0.01, ellipse=(0, 0))).truth
    inside = (32, round(0.65 * 64))
    assert truth.e_xx[inside] == pytest.approx(0.01, abs=4e-4)
    assert truth.e_yy[inside] == pytest.approx(0.01, abs=4e-4)
    assert truth.rotation[inside] == pytest.approx(np.deg2rad(1.0), abs=4e-4)
    assert np.abs(truth.crystal[truth.reference]).max() < 1e-5


def test_true_pattern_renders_what_the_scan_expects() -> None:
    scan = simulate(replace(PLAIN, background=0.3, strain_field="none", descan=0.0, tilt=0.0, scan=(1, 1)))
    pattern = scan.pattern()
    image = scan.expected(0, 1)[0, 0]
    assert np.abs(pattern.render(pattern.theta[None])[0] - image).max() < 2e-3 * image.max()


def test_electrons_are_those_of_the_design() -> None:
    design = ScanDesign(scan=(2, 2), electrons=2e4, background=0.25, direct=0.6)
    scan = simulate(design)
    np.testing.assert_allclose(scan.expected(0, 2).sum((2, 3)), 2e4, rtol=1e-5)
    direct = (scan.truth.indices == 0).all(1)
    np.testing.assert_allclose(scan.truth.electrons.sum(-1), 1.5e4)
    np.testing.assert_allclose(scan.truth.electrons[..., direct], 0.6 * 1.5e4)


def test_rows_are_the_same_in_any_pieces() -> None:
    scan = simulate(ScanDesign(scan=(5, 3)).sized((32, 48)))
    whole = scan.rows(0, 5)
    np.testing.assert_array_equal(np.concatenate([scan.rows(0, 2), scan.rows(2, 5)]), whole)
    np.testing.assert_array_equal(scan[3, 1], whole[3, 1])
    np.testing.assert_array_equal(scan[-1], whole[-1])
    np.testing.assert_array_equal(scan[1:4, :, 5:9], whole[1:4, :, 5:9])
    np.testing.assert_array_equal(scan[::2, 1], whole[::2, 1])
    np.testing.assert_array_equal(scan[..., 3], whole[..., 3])
    np.testing.assert_array_equal(scan[()], whole)
    assert scan[4:2].shape == (0, 3, 32, 48)
    assert not np.array_equal(whole[0], whole[1])


def test_seed_changes_noise_and_disks() -> None:
    design = ScanDesign(scan=(1, 1))
    first, again, other = (simulate(replace(design, seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.rows(0, 1), again.rows(0, 1))
    assert not np.allclose(first.expected(0, 1), other.expected(0, 1))


@pytest.mark.parametrize("level", [0.3, 30.0])
def test_counts_are_poisson(level: float) -> None:
    rng = np.random.default_rng(1)
    mean = level * rng.uniform(0.2, 2.0, (40, 40))
    draws = np.stack([draw_counts(rng, mean) for _ in range(400)])
    chi2 = ((draws.mean(0) - mean) ** 2 / (mean / 400)).mean()
    assert chi2 == pytest.approx(1, abs=5 * np.sqrt(2 / mean.size))
    assert (draws.var(0, ddof=1) / mean).mean() == pytest.approx(1, abs=0.02)
    neighbours = (draws[:, :, 1:] - mean[:, 1:]) * (draws[:, :, :-1] - mean[:, :-1])
    assert abs(neighbours.mean()) < 5 * level / np.sqrt(neighbours.size)
    assert draws.sum((1, 2)).var() / mean.sum() == pytest.approx(1, abs=0.35)


def test_grains_meet_at_boundaries_where_patterns_mix() -> None:
    scan = simulate(ScanDesign(scan=(24, 24), grains=6, electrons=1e4, ellipse=(0.0, 0.0), descan=0.0))
    truth = scan.truth
    assert set(np.unique(truth.grain)) == set(range(6))
    assert 0 < truth.share.max() <= 0.5
    assert (truth.share == 0).mean() > 0.3
    assert np.all(truth.grain[truth.reference] == 0)
    assert truth.reference.any()
    assert np.abs(truth.crystal[truth.reference]).max() == 0
    y, x = np.unravel_index(truth.share.argmax(), truth.share.shape)
    np.testing.assert_allclose(truth.electrons[y, x].sum() + truth.other_electrons[y, x].sum(), 0.8 * 1e4, rtol=1e-9)
    assert truth.other_electrons[y, x].sum() / (0.8 * 1e4) == pytest.approx(truth.share[y, x])
    inside = truth.affine[truth.grain == truth.other_grain[y, x]]
    assert np.abs(inside - truth.other_affine[y, x]).max() < 0.05
    assert np.ptp(truth.rotation) > 0.2


def test_grain_wise_strain_is_moderate_and_rotations_stay_within_the_symmetry() -> None:
    square = simulate(ScanDesign(scan=(32, 32), grains=30, ellipse=(0, 0), max_rotation=0.0)).truth
    hexagonal = simulate(
        ScanDesign(scan=(32, 32), grains=30, ellipse=(0, 0), max_rotation=0.0, lattice=(24, 24, 60, 5))
    ).truth
    assert np.abs(square.rotation).max() <= np.deg2rad(45)
    assert np.abs(hexagonal.rotation).max() <= np.deg2rad(30)
    assert np.abs(square.e_xx).max() < 0.02


def test_one_grain_is_one_crystal() -> None:
    truth = simulate(ScanDesign(scan=(6, 6), grains=1)).truth
    assert truth.reference.all()
    assert not truth.share.any()


def test_second_crystal_lies_under_the_last_rows() -> None:
    scan = simulate(replace(PLAIN, scan=(8, 2), overlap=0.4))
    truth = scan.truth
    np.testing.assert_array_equal(truth.share[:, 0], [0, 0, 0, 0, 0, 0, 0.4, 0.4])
    np.testing.assert_array_equal(truth.other_grain[:, 0], [-1, -1, -1, -1, -1, -1, 1, 1])
    clear, mixed = scan.expected(5, 7)[:, 1]
    assert (mixed > 0.01).sum() > 1.3 * (clear > 0.01).sum()


def test_vacuum_shows_the_direct_beam_only_and_has_no_strain() -> None:
    scan = simulate(ScanDesign(scan=(1, 8), vacuum=0.2))
    truth = scan.truth
    assert np.isnan(truth.e_xx[0, -1])
    assert truth.grain[0, -1] == -1
    assert np.isfinite(truth.e_xx[0, :6]).all()
    image = scan.expected(0, 1)[0, -1]
    rows, columns = np.mgrid[:128, :128] - truth.centre[0, -1][:, None, None]
    assert image[np.hypot(rows, columns) < 9].sum() == pytest.approx(1000, rel=1e-4)


def test_detector_faults_are_masked() -> None:
    scan = simulate(ScanDesign(scan=(1, 2), detector=Detector(hot=3, dead=5, beam_stop=8.0)))
    image = scan.expected(0, 1)[0, 0]
    hot = image >= 20
    assert hot.sum() == 3
    assert (image == 0).sum() > 200
    assert scan.mask[hot].all()
    assert scan.mask[image == 0].all()
    np.testing.assert_array_equal(scan.frames.mask, scan.mask)


@pytest.mark.parametrize(("kind", "largest"), [("uint8", 255), ("uint16", 65535)])
def test_counters_saturate(kind: str, largest: int) -> None:
    scan = simulate(ScanDesign(scan=(1, 1), electrons=1e8, detector=Detector(kind)))
    assert scan.rows(0, 1).dtype == kind
    assert scan.rows(0, 1).max() == largest


def test_analogue_detectors_have_gain_and_readout_noise() -> None:
    design = ScanDesign(scan=(1, 4), detector=Detector("float32", gain=20.0, readout=3.0))
    image = simulate(design).rows(0, 1)[0]
    assert image.dtype == np.float32
    assert image.sum() / 4 == pytest.approx(20 * 1000, rel=0.1)
    empty = image[:, :8, :8]
    assert np.median(np.abs(empty)) / 0.6745 == pytest.approx(3.0, rel=0.15)
    assert simulate(design).pattern().gain == 20.0


def test_scan_is_frames_without_being_drawn() -> None:
    frames = simulate(ScanDesign(scan=(3, 4)).sized((32, 40))).frames
    assert frames.scan_shape == (3, 4)
    assert frames.pattern_shape == (32, 40)
    assert frames.mask is None
    assert frames.data[2, 3].sum() > 500


@given(st.integers(32, 300))
def test_detector_size_scales_the_pattern(size: int) -> None:
    small, big = ScanDesign(), ScanDesign().sized((size, size))
    np.testing.assert_array_equal(small.indices, big.indices)
    np.testing.assert_allclose(big.crystal_basis / size, small.crystal_basis / 128)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scan": (0, 4)},
        {"pattern": (8, 128)},
        {"electrons": 0.0},
        {"electrons": np.nan},
        {"background": 1.2},
        {"radius": -1.0},
        {"strain_field": "waves"},
        {"lattice": (21.0, 21.0, 180.0, 0.0)},
        {"ellipse": (0.7, 0.0)},
        {"max_strain": 0.5},
        {"grains": -1},
        {"seed": -1},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        ScanDesign(**wrong)


@pytest.mark.parametrize("wrong", [{"kind": "int64"}, {"gain": 0.0}, {"dead": -1}, {"readout": -1.0}])
def test_nonsense_detectors_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        Detector(**wrong)


def test_rows_outside_the_scan_are_refused() -> None:
    scan = simulate(ScanDesign(scan=(2, 2)))
    with pytest.raises(ShapeError, match="rows 1 to 3"):
        scan.rows(1, 3)
    with pytest.raises(ShapeError):
        scan.expected(2, 1)
    with pytest.raises(IndexError):
        scan[2]
