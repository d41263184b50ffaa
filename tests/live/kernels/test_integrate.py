"""Integrated maps have the measured slopes, whatever is missing."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.core.errors import ShapeError
from parscope.live.kernels.integrate import icom, integrated, without_plane


def hill(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A smooth map, not periodic, and its slopes."""
    y, x = (a / 10 for a in np.indices(shape).astype(float))
    image = np.sin(y + 0.3) * np.cos(0.7 * x) + 0.2 * x * y
    slope_y = np.cos(y + 0.3) * np.cos(0.7 * x) + 0.2 * x
    slope_x = -0.7 * np.sin(y + 0.3) * np.sin(0.7 * x) + 0.2 * y
    return image - image.mean(), slope_y / 10, slope_x / 10


def test_a_whole_map_is_found_without_wrapping_round() -> None:
    image, slope_y, slope_x = hill((48, 40))
    assert np.abs(icom(slope_y, slope_x) - image).max() < 2e-3 * np.ptp(image)


def test_what_is_brighter_has_slopes_towards_it() -> None:
    found = icom(np.zeros((5, 7)), np.ones((5, 7)))
    assert (np.diff(found, axis=1) > 0.99).all()


def test_rows_to_come_are_left_out_and_a_line_under_way_joins_in() -> None:
    image, slope_y, slope_x = hill((48, 40))
    for a in (slope_y, slope_x):
        a[20:] = np.nan
        a[19, 30:] = np.nan
    found = icom(slope_y, slope_x)
    there = np.isfinite(slope_y)
    assert (np.isfinite(found) == there).all()
    assert np.abs(found - image + image[there].mean())[there].max() < 4e-3 * np.ptp(image)


def test_holes_cost_nothing_round_them() -> None:
    image, slope_y, slope_x = hill((48, 40))
    mask = np.random.default_rng(0).random((48, 40)) < 0.05
    slope_y[mask], slope_x[mask] = 1e6, -1e6
    found = icom(slope_y, slope_x, mask)
    assert (np.isnan(found) == mask).all()
    assert np.nanmax(np.abs(found - image + image[~mask].mean())) < 4e-3 * np.ptp(image)


def test_nothing_gives_nothing() -> None:
    empty = np.full((4, 5), np.nan)
    assert np.isnan(icom(empty, empty)).all()
    assert np.isnan(without_plane(empty, empty)[0]).all()


def test_one_position_is_zero() -> None:
    one = np.full((4, 5), np.nan)
    one[2, 3] = 7.0
    assert icom(one, one)[2, 3] == 0


def test_a_centre_of_mass_loses_its_plane_and_a_deflection_nothing() -> None:
    _, slope_y, slope_x = hill((24, 20))
    plane = np.indices((24, 20)) * 0.1 + 47
    assert np.allclose(
        integrated("com", slope_y + plane[0], slope_x + plane[1]), icom(*without_plane(slope_y, slope_x))
    )
    assert np.array_equal(integrated("dpc", slope_y, slope_x), icom(slope_y, slope_x))


def test_descan_is_taken_out() -> None:
    y, x = np.indices((12, 10)).astype(float)
    bump = np.where((y == 5) & (x == 5), 0.5, 0.0)
    com_y, com_x = 40 + 0.1 * y - 0.2 * x + bump, 30 + 0.3 * x
    com_y[0, 0] = np.nan
    left_y, left_x = without_plane(com_y, com_x, bump > 0)
    assert np.nanmax(np.abs(left_y - bump)) < 1e-9
    assert np.nanmax(np.abs(left_x)) < 1e-9
    line_y, _ = without_plane(com_y[3:4], com_x[3:4])
    assert line_y.mean() == pytest.approx(0, abs=1e-9)


def test_maps_of_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="have the shapes"):
        icom(np.zeros((3, 4)), np.zeros((4, 3)))
    with pytest.raises(ShapeError, match="have the shapes"):
        icom(np.zeros((3, 4)), np.zeros((3, 4)), np.zeros((3, 3), np.bool_))
