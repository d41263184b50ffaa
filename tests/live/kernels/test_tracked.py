"""Strain of tracked disks and of whole patterns agrees with the truth of a simulation, and fails as NaN."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.core.errors import NoLatticeError
from parscope.live.kernels import Detector, Kernel, windows
from parscope.live.kernels.pattern import PatternStrain
from parscope.live.kernels.tracked import TrackedStrain, lattice_of
from parscope.techniques.diffraction import strain
from parscope.techniques.diffraction.simulate import ScanDesign, simulate

DESIGN = ScanDesign(
    scan=(8, 8), pattern=(128, 128), electrons=50000.0, radius=5.0, edge=0.7, contrast=0.0, ellipse=(0.03, 25.0)
)


@pytest.fixture(scope="module")
def crystal() -> tuple[np.ndarray, np.ndarray]:
    """Patterns, and strain relative to the median lattice."""
    scan = simulate(DESIGN)
    patterns = np.asarray(scan.frames.data[:]).reshape(-1, 128, 128)
    affine = scan.truth.affine.reshape(-1, 2, 2)
    return patterns, strain(affine @ np.linalg.inv(np.median(affine, axis=0)))


def known(mask: np.ndarray | None = None, dtype: str = "uint16") -> Detector:
    nodata = int(np.iinfo(dtype).max) if np.dtype(dtype).kind == "u" else -1
    return Detector((128, 128), dtype, np.zeros((128, 128), np.bool_) if mask is None else mask, nodata, (8, 8))


def answers(kernel: Kernel, detector: Detector, patterns: np.ndarray, examples: np.ndarray) -> np.ndarray:
    state = kernel.setup(detector, examples)
    out = np.empty((len(patterns), 4))
    for frame, one in zip(patterns, out, strict=True):
        kernel.function(frame, *state, one)
    return out


@pytest.mark.parametrize(("kernel", "error"), [(TrackedStrain(), 2e-3), (PatternStrain(), 1e-3)])
def test_strain_is_that_of_the_simulation(kernel: Kernel, error: float, crystal: tuple[np.ndarray, np.ndarray]) -> None:
    patterns, truth = crystal
    found = answers(kernel, known(), patterns, patterns)
    assert np.isfinite(found).all()
    assert np.abs(truth).max() > 5 * error
    assert np.sqrt(np.mean((found - np.median(found - truth, axis=0) - truth) ** 2, axis=0)).max() < error
    assert np.abs(np.median(found, axis=0)).max() < error


@pytest.mark.parametrize("dtype", ["uint8", "uint32", "int32", "float32"])
def test_the_type_of_the_samples_does_not_matter(dtype: str, crystal: tuple[np.ndarray, np.ndarray]) -> None:
    patterns = np.minimum(crystal[0], 254)
    one = answers(TrackedStrain(), known(), patterns[:5], patterns)
    other = answers(TrackedStrain(), known(dtype=dtype), patterns[:5].astype(dtype), patterns.astype(dtype))
    assert other == pytest.approx(one, rel=1e-6, abs=1e-9)


def test_a_shifted_pattern_has_the_same_strain(crystal: tuple[np.ndarray, np.ndarray]) -> None:
    patterns, _ = crystal
    moved = np.roll(patterns[:8], (2, -2), (1, 2))
    here = answers(TrackedStrain(), known(), patterns[:8], patterns)
    there = answers(TrackedStrain(), known(), moved, patterns)
    assert there == pytest.approx(here, abs=1e-3)


def test_pixels_that_were_not_read_cost_their_disk_and_nothing_else(crystal: tuple[np.ndarray, np.ndarray]) -> None:
    patterns, _ = crystal
    state = TrackedStrain().setup(known(), patterns)
    out, whole = np.empty(4), np.empty(4)
    spoiled = patterns[3].copy()
    y, x = (int(v) for v in state[1][:2])
    spoiled[y, x] = 65535
    TrackedStrain().function(patterns[3], *state, whole)
    TrackedStrain().function(spoiled, *state, out)
    assert out == pytest.approx(whole, abs=3e-3)
    assert out.tolist() != whole.tolist()
    fit = PatternStrain().setup(known(), patterns)
    PatternStrain().function(spoiled, *fit, out)
    assert np.isnan(out).all()


def test_masked_disks_are_left_out(crystal: tuple[np.ndarray, np.ndarray]) -> None:
    patterns, truth = crystal
    mask = np.zeros((128, 128), np.bool_)
    mask[:, 62:66] = True
    hot = np.where(mask, 60000, patterns).astype(np.uint16)
    found = answers(TrackedStrain(), known(mask), hot, hot)
    assert np.sqrt(np.nanmean((found - truth) ** 2, axis=0)).max() < 3e-3


@pytest.mark.parametrize("kernel", [TrackedStrain(), PatternStrain()])
def test_pixels_that_are_missing_now_and_then_are_not_lost_for_ever(
    kernel: Kernel, crystal: tuple[np.ndarray, np.ndarray]
) -> None:
    patterns, truth = crystal
    spoiled = patterns.copy()
    spoiled[np.random.default_rng(5).random(patterns.shape) < 5e-4] = 65535
    found = answers(kernel, known(), patterns, spoiled)
    assert np.sqrt(np.mean((found - np.median(found - truth, axis=0) - truth) ** 2, axis=0)).max() < 2e-3
    # a pixel that is missing more often is of no use
    spoiled[::2, 64, 64] = 65535
    assert lattice_of(known(), spoiled)[1].nonzero() == (64, 64)


@pytest.mark.parametrize("kernel", [TrackedStrain(), PatternStrain()])
def test_examples_without_electrons_are_refused_in_one_line(kernel: Kernel) -> None:
    for dark in (np.zeros((64, 128, 128), np.uint16), np.full((64, 128, 128), 65535, np.uint16)):
        with pytest.raises(NoLatticeError, match=r"examples of the patterns: .*; show the crystal"):
            kernel.setup(known(), dark)


@pytest.mark.parametrize("kernel", [TrackedStrain(), PatternStrain()])
def test_vacuum_and_noise_have_no_strain(kernel: Kernel, crystal: tuple[np.ndarray, np.ndarray]) -> None:
    patterns, _ = crystal
    y, x = np.indices((128, 128))
    vacuum = np.where(np.hypot(y - 64, x - 64) < 6, 300, 0).astype(np.uint16)
    noise = np.random.default_rng(0).poisson(0.02, (128, 128)).astype(np.uint16)
    dark = np.zeros((128, 128), np.uint16)
    assert np.isnan(answers(kernel, known(), np.stack([vacuum, dark]), patterns)).all()
    if isinstance(kernel, TrackedStrain):
        assert np.isnan(answers(kernel, known(), noise[None], patterns)).all()


def test_patterns_without_a_lattice_are_refused() -> None:
    flat = np.random.default_rng(0).poisson(5.0, (64, 128, 128)).astype(np.uint16)
    for kernel in (TrackedStrain(), PatternStrain()):
        with pytest.raises(NoLatticeError):
            kernel.setup(known(), flat)


def test_disks_that_are_all_masked_are_refused(crystal: tuple[np.ndarray, np.ndarray]) -> None:
    patterns, _ = crystal
    mask = np.zeros((128, 128), np.bool_)
    mask[::7, ::7] = True
    with pytest.raises(NoLatticeError, match="away from edges and masked pixels"):
        TrackedStrain().setup(known(mask), patterns)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("place", [(4, 4), (20, 35), (35, 20), (17, 30), (4, 35)])
def test_a_window_is_summed_wherever_it_is_on_the_detector(dtype: str, place: tuple[int, int]) -> None:
    frame = np.random.default_rng(1).integers(0, 200, (40, 40)).astype(dtype)
    y, x = np.ogrid[-4:5, -4:5]
    inside = y * y + x * x <= 18
    stencil = np.zeros((9, 32), dtype)
    stencil[:, 16:25] = inside
    sample = np.array([201, 0], dtype), np.zeros(0, "float64" if dtype == "float32" else "uint32")
    disks = np.zeros((1, windows.COLUMNS))
    windows._window(frame, 0, disks, stencil, sample, np.array([*place, 1.0, 0.0, 0.0, 1.0]))
    part = np.where(inside, frame[place[0] - 4 : place[0] + 5, place[1] - 4 : place[1] + 5], 0).astype(float)
    moments = [part.sum(), (part * y).sum(), (part * x).sum()]
    assert disks[0, [windows.COUNTS, windows.MOMENT_Y, windows.MOMENT_X]].tolist() == pytest.approx(moments)
    frame[place] = 201
    windows._window(frame, 0, disks, stencil, sample, np.array([*place, 1.0, 0.0, 0.0, 1.0]))
    assert disks[0, windows.COUNTS] == -1


@pytest.mark.parametrize("place", [(3.4, 20.0), (20.0, 3.4), (35.6, 20.0), (20.0, 35.6)])
def test_a_window_over_the_edge_is_not_looked_at(place: tuple[float, float]) -> None:
    sample = np.array([255, 0], np.uint8), np.zeros(0, np.uint32)
    disks = np.zeros((1, windows.COLUMNS))
    at = np.array([*place, 1.0, 0.0, 0.0, 1.0])
    windows._window(np.ones((40, 40), np.uint8), 0, disks, np.ones((9, 32), np.uint8), sample, at)
    assert disks[0, windows.COUNTS] == -1
