"""Counts, centre of mass and virtual detectors are what NumPy says they are, to the last integer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.core.errors import InputError, OptionError, ShapeError
from parscope.live.kernels import Detector, Kernel
from parscope.live.kernels.discs import Disc, Ring, direct_disk, ring
from parscope.live.kernels.dpc import Deflection
from parscope.live.kernels.moments import CentreOfMass, Region, Sum, spans_of
from parscope.live.kernels.plan import kernel_of
from parscope.live.kernels.variance import Variance

NOTHING = np.zeros((0, 1, 1), np.uint8)
TYPES = ("uint8", "uint16", "uint32", "int16", "int32", "float32", "float64")


def detector(shape: tuple[int, int], dtype: str, mask: np.ndarray | None = None) -> Detector:
    nodata = int(np.iinfo(dtype).max) if np.dtype(dtype).kind == "u" else -1
    return Detector(shape, dtype, np.zeros(shape, np.bool_) if mask is None else mask, nodata, (4, 4))


def answer(kernel: Kernel, known: Detector, frame: np.ndarray, examples: np.ndarray = NOTHING) -> np.ndarray:
    out = np.full(len(kernel.outputs), -7.0)
    kernel.function(frame, *kernel.setup(known, examples), out)
    return out


def random_frame(shape: tuple[int, int], dtype: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame with the largest counts there are, mask, and where pixels count."""
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1000
    frame = rng.integers(0, min(top, 2**31 - 1), shape, endpoint=True).astype(dtype)
    mask = rng.random(shape) < 0.1
    read = np.ones(shape, np.bool_)
    if np.dtype(dtype).kind == "u":
        frame[rng.random(shape) < 0.1] = top
        read = frame != top
    return frame, mask, read & ~mask


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(33, 50), (3, 7), (64, 192), (1, 1)])
def test_sums_and_centre_are_those_of_numpy(dtype: str, shape: tuple[int, int]) -> None:
    frame, mask, counts = random_frame(shape, dtype, seed=1)
    known = detector(shape, dtype, mask)
    exact = np.where(counts, frame, 0).astype(object if np.dtype(dtype).kind in "iu" else np.float64)
    total = exact.sum()
    y, x = np.indices(shape)
    area = np.random.default_rng(2).random(shape) < 0.5
    assert answer(Sum(), known, frame)[0] == (total if counts.any() else pytest.approx(np.nan, nan_ok=True))
    assert answer(Region(area), known, frame)[0] == (
        exact[area].sum() if (counts & area).any() else pytest.approx(np.nan, nan_ok=True)
    )
    if total:
        centre = [float((exact * a).sum() / total) for a in (y, x)]
        assert answer(CentreOfMass(), known, frame) == pytest.approx(centre, rel=1e-14)
    if counts.any():
        value = float(frame[counts].astype(np.float64).var())
        assert answer(Variance(), known, frame)[0] == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 255), st.integers(0, 2**32 - 1), st.sampled_from(TYPES[:3])
)
def test_every_shape_and_brightness_is_summed_exactly(
    height: int, width: int, most: int, seed: int, dtype: str
) -> None:
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, most, (height, width), endpoint=True).astype(dtype)
    counts = np.where(frame == np.iinfo(dtype).max, 0, frame).astype(np.int64)
    known = detector((height, width), dtype)
    if counts.any():
        y = (counts.sum(1) @ np.arange(height)) / counts.sum()
        x = (counts.sum(0) @ np.arange(width)) / counts.sum()
        assert answer(CentreOfMass(), known, frame).tolist() == [y, x]
        assert answer(Sum(), known, frame)[0] == counts.sum()


def test_a_dark_pattern_has_no_centre_and_a_sum_of_zero() -> None:
    known, frame = detector((8, 8), "uint16"), np.zeros((8, 8), np.uint16)
    assert np.isnan(answer(CentreOfMass(), known, frame)).all()
    assert answer(Sum(), known, frame)[0] == 0
    assert answer(Disc("bf", (3.0, 3.0), 2.0), known, frame)[0] == 0
    assert answer(Variance(), known, frame)[0] == 0


def test_where_nothing_was_read_there_is_no_number() -> None:
    known, frame = detector((8, 8), "uint16"), np.zeros((8, 8), np.uint16)
    area = ring((8, 8), (3.0, 3.0), -1.0, 1.0)
    frame[area] = 65535
    assert np.isnan(answer(Region(area), known, frame)[0])
    assert answer(Sum(), known, frame)[0] == 0
    all_bad = detector((8, 8), "uint16", np.ones((8, 8), np.bool_))
    for kernel in (Sum(), CentreOfMass(), Region(area), Variance()):
        assert np.isnan(answer(kernel, all_bad, frame)).all()


def test_a_detector_without_such_a_value_counts_the_largest_one() -> None:
    known = Detector((2, 2), "uint8", np.zeros((2, 2), np.bool_), -1, (1, 1))
    frame = np.full((2, 2), 255, np.uint8)
    assert answer(Sum(), known, frame)[0] == 4 * 255
    assert answer(Variance(), known, frame)[0] == 0


def test_a_broken_float_pixel_that_is_masked_spoils_nothing() -> None:
    mask = np.zeros((4, 4), np.bool_)
    mask[1, 1] = True
    frame = np.ones((4, 4), np.float32)
    frame[1, 1] = np.nan
    assert answer(Sum(), detector((4, 4), "float32", mask), frame)[0] == 15


def test_spans_hold_the_pixels_of_any_region() -> None:
    region = np.random.default_rng(0).random((20, 30)) < 0.4
    rebuilt = np.zeros_like(region)
    for row, first, stop, number in spans_of(region, 3):
        rebuilt[row, first:stop] = True
        assert number == 3
    assert (rebuilt == region).all()


def disk_patterns(radius: float, count: int = 16) -> tuple[np.ndarray, tuple[float, float]]:
    y, x = np.indices((96, 96))
    soft = np.clip(radius + 0.5 - np.hypot(y - 45.0, x - 51.0), 0, 1)
    rng = np.random.default_rng(0)
    return rng.poisson(20 * soft + 0.2, (count, 96, 96)).astype(np.uint16), (45.0, 51.0)


@pytest.mark.parametrize("radius", [4.0, 12.0, 20.0])
def test_bright_field_and_dark_field_are_found_from_the_patterns(radius: float) -> None:
    patterns, centre = disk_patterns(radius)
    known = detector((96, 96), "uint16")
    found = direct_disk(known, patterns)
    assert found.centre == pytest.approx(centre, abs=0.3)
    assert radius - 0.5 < found.radius < radius + 3
    bright, dark = (answer(kernel, known, patterns[0], patterns)[0] for kernel in (Disc(), Ring()))
    assert bright == pytest.approx(20 * np.pi * radius**2, rel=0.1)
    area = np.pi * (44.0**2 - (1.1 * found.radius) ** 2)
    assert dark == pytest.approx(0.2 * area, rel=0.1)
    assert Disc().examples == Ring().examples == 16
    assert Disc(centre=centre, radius=3.0).examples == 0


def test_a_beam_without_a_sharp_disk_still_has_a_bright_field() -> None:
    patterns = np.zeros((4, 32, 32), np.uint8)
    patterns[:, 10, 20] = 9
    found = direct_disk(detector((32, 32), "uint8"), patterns)
    assert found.centre == pytest.approx((10, 20), abs=1.0)


def test_examples_without_counts_and_rings_without_pixels_are_refused() -> None:
    known = detector((32, 32), "uint8")
    with pytest.raises(InputError, match="hold no counts"):
        Disc().setup(known, np.full((4, 32, 32), 255, np.uint8))
    with pytest.raises(OptionError, match="holds no pixel"):
        Ring(centre=(0.0, 0.0), inner=5.0).setup(known, NOTHING)
    with pytest.raises(ShapeError, match="region"):
        Region(np.ones((4, 4), np.bool_)).setup(known, NOTHING)
    with pytest.raises(InputError, match="complex"):
        Sum().setup(detector((4, 4), "complex64"), NOTHING)
    with pytest.raises(OptionError, match="rotation"):
        Deflection(rotation=np.nan)


def test_a_radius_of_zero_is_not_that_of_the_disk() -> None:
    patterns, centre = disk_patterns(12.0)
    known = detector((96, 96), "uint16")
    with pytest.raises(OptionError, match=r"bf: a disc of 0 px about 4[45]\..* holds no pixel; give centre and radii"):
        Disc(radius=0.0).setup(known, patterns)
    assert answer(Disc(centre=(45.0, 51.0), radius=0.0), known, patterns[0])[0] == patterns[0, 45, 51]
    with pytest.raises(OptionError, match="holds no pixel"):
        Disc(centre=(-50.0, 51.0), radius=9.0).setup(known, NOTHING)
    with pytest.raises(OptionError, match="holds no pixel"):
        Ring(centre=(45.0, 51.0), inner=400.0, outer=500.0).setup(known, NOTHING)
    assert centre == (45.0, 51.0)


@pytest.mark.parametrize("text", ["bf:-3", "bf:4,4,-1", "adf:-1,4", "adf:5,4", "adf:4,4", "adf:1,2,4,0", "adf:0,0"])
def test_radii_that_are_none_are_refused_at_once(text: str) -> None:
    with pytest.raises(OptionError, match=r"cannot have a radius of .* px; give radii from 0, the inner one first"):
        kernel_of(text)


@pytest.mark.parametrize("label", ["a.b", "1st", "a b", "a--b", "-a", "a-"])
def test_a_name_that_no_rule_can_write_is_refused(label: str) -> None:
    with pytest.raises(OptionError):
        kernel_of(f"{label}=ring:4,8")


def test_deflection_is_relative_to_the_examples_and_in_the_axes_of_the_scan() -> None:
    known = detector((9, 9), "uint8")
    examples, frame = np.zeros((2, 9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    examples[:, 4, 4] = 1
    frame[4, 6] = 5
    assert answer(Deflection(), known, frame, examples).tolist() == [0, 2]
    # The detector's +q_x points along the scan's +y: from +x towards +y by a quarter turn.
    turned = Deflection(rotation=np.pi / 2, scale=0.5, unit="mrad")
    assert answer(turned, known, frame, examples) == pytest.approx([1, 0], abs=1e-12)
    assert [output.unit for output in turned.outputs] == ["mrad", "mrad"]
    assert answer(Deflection(centre=(4.0, 5.0)), known, frame).tolist() == [0, 1]
