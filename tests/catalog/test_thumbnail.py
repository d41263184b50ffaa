"""Thumbnails are small pictures of what there is to see, whatever numbers they are drawn from."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.catalog.thumbnail import SIDE, thumbnail
from parscope.core.axes import Axis
from parscope.core.description import Description, Preview

Image = pytest.importorskip("PIL.Image")
PATTERN = ("1/nm", "1/nm")


def drawn(*previews: Preview, kind: str = "image") -> NDArray[np.uint8]:
    """Pixels of a thumbnail."""
    png = thumbnail(Description(kind, "test", "test 1", previews=previews))
    assert png is not None
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG" and picture.size == (SIDE, SIDE)
    return np.asarray(picture)


def test_nothing_to_see() -> None:
    assert thumbnail(Description("document", "test", "test 1")) is None


def test_an_image_is_grey_and_its_failed_pixels_are_red() -> None:
    ramp = np.tile(np.linspace(0, 1, 64), (64, 1))
    ramp[10:20, 10:20] = np.nan
    pixels = drawn(Preview(ramp)).astype(int)
    failed = pixels[60, 60]
    assert failed[0] > 2 * failed[1:].max()
    grey = pixels[200]
    assert (grey[:, 0] == grey[:, 1]).all() and grey[0, 0] < 10 and grey[-1, 0] > 245
    assert (np.diff(grey[:, 0]) >= 0).all()


def test_one_hot_pixel_does_not_turn_the_rest_black() -> None:
    image = np.random.default_rng(0).normal(100, 10, (128, 128))
    image[5, 5] = 1e9
    assert 80 < drawn(Preview(image)).mean() < 180


def test_a_pattern_is_drawn_in_log_scale() -> None:
    pattern = np.ones((64, 64))
    pattern[28:36, 28:36], pattern[10:14, 10:14] = 1e5, 1e3
    axes = tuple(Axis(name, 64, unit) for name, unit in zip(("q_y", "q_x"), PATTERN, strict=True))
    assert drawn(Preview(pattern, axes=axes))[48, 48, 0] > 60
    assert drawn(Preview(pattern))[48, 48, 0] < 10


def test_a_scan_is_a_pattern_with_its_image_in_a_corner() -> None:
    pattern = Preview(np.zeros((8, 8)), "mean diffraction pattern")
    image = Preview(np.tile(np.arange(8.0), (8, 1)), "virtual bright field")
    pixels = drawn(pattern, image, kind="4D-STEM")
    assert pixels[200, 250, 0] > 200 and pixels[100, 100, 0] < 10


def test_a_tilt_does_not_hide_a_particle() -> None:
    y, x = np.mgrid[:64, :64]
    height = 1e-9 * (x + 2.0 * y)
    height[30:34, 30:34] += 2e-9
    pixels = drawn(Preview(height), kind="scanning probe image")
    assert pixels[128, 128, 0] > pixels[250, 250, 0] + 100


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300, 0.0])
@pytest.mark.parametrize("shape", [(1,), (2,), (500,), (1, 1), (1, 200), (200, 1), (256, 256), (3, 256)])
def test_numbers_of_any_size_are_drawn(shape: tuple[int, ...], scale: float) -> None:
    data = scale * np.random.default_rng(0).normal(size=shape)
    pixels: Any = drawn(Preview(data), kind="scanning probe image")
    assert pixels.std() > 0 or scale == 0.0 or len(shape) == 2
    assert drawn(Preview(np.full(shape, np.nan))).shape == (SIDE, SIDE, 3)


def test_a_curve_is_as_high_as_the_picture() -> None:
    spectrum = np.exp(-((np.arange(512) - 300.0) ** 2) / 200)
    pixels = drawn(Preview(spectrum, "peak", axes=(Axis("energy", 512, "eV", 0.5, 100.0),)))
    blue = (pixels[..., 2].astype(int) - pixels[..., 0]) > 60
    rows, columns = np.nonzero(blue)
    assert rows.max() - rows.min() > 0.8 * SIDE
    assert abs(columns[rows.argmin()] - SIDE * 300 / 512) < 6
