"""The simulated magnetic film: its induction is one that can be, and moves the disk as it does electrons."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.core.errors import OptionError
from parscope.techniques.diffraction.magnetic import MagneticFilm
from parscope.techniques.diffraction.specimens import specimen

# 200 kV: 2.5079 pm; h / e = 4.1357e-15 T m2; 20 nm, 1 T; 7.5 urad a pixel.
MOVED = 2.5079e-12 * 20e-9 * 1.0 / 4.1357e-15 / 7.5e-6
RIGHT, LEFT, BOTTOM, TOP = (16, 26), (16, 5), (26, 16), (5, 16)


@pytest.fixture(scope="module")
def film() -> MagneticFilm:
    return MagneticFilm(scan=(32, 32))


@pytest.mark.parametrize(("place", "induction"), [(RIGHT, (-1, 0)), (TOP, (0, -1)), (LEFT, (1, 0)), (BOTTOM, (0, 1))])
def test_domains_close_the_flux_and_deflect_at_right_angles(
    film: MagneticFilm, place: tuple[int, int], induction: tuple[int, int]
) -> None:
    np.testing.assert_allclose(film.induction[place], induction, atol=0.01)
    b_y, b_x = induction
    np.testing.assert_allclose(film.deflection[place], np.array([-b_x, b_y]) * MOVED, atol=0.01 * MOVED)


def test_the_induction_has_no_sources_and_is_weaker_only_in_walls_and_core() -> None:
    fine = MagneticFilm(scan=(513, 513))
    amount = np.linalg.norm(fine.induction, axis=-1)
    assert amount[256, 256] == pytest.approx(0, abs=1e-12)
    assert amount.max() <= 1
    wall = 256 - 100
    assert amount[wall, wall] == pytest.approx(1 / np.sqrt(2), abs=0.01)
    assert amount[wall, 256] > 0.99
    inner = fine.induction[80:-80, 80:-80]
    along, across = np.gradient(inner[..., 0], axis=0), np.gradient(inner[..., 1], axis=1)
    assert np.abs(along + across).max() < 0.02 * np.abs(along).max()
    assert not fine.induction[:40].any()


def test_the_disk_goes_where_the_deflection_says(film: MagneticFilm) -> None:
    (row,) = film.simulation.expected(8, 9).astype(np.float64)
    total = row.sum((1, 2))
    np.testing.assert_allclose(total[[0, 16]], [40_000, 32_000], rtol=1e-5)
    y, x = (row.sum(2) @ np.arange(192), row.sum(1) @ np.arange(192)) / total
    np.testing.assert_allclose(np.stack([y, x], -1) - 96, film.deflection[8], atol=2e-3)


def test_axes_are_those_of_the_microscope() -> None:
    axes = MagneticFilm(scan=(64, 80), pattern=(96, 96)).frames.axes
    assert [(axis.unit, axis.scale) for axis in axes] == [("nm", 20.0)] * 2 + [("mrad", 0.015)] * 2
    assert axes[2].values[48] == pytest.approx(0)


def test_a_specimen_that_there_is_not_is_refused() -> None:
    with pytest.raises(OptionError, match="there is no 'wood'; choose one of crystal, magnetic"):
        specimen("wood", (2, 2), (32, 32), 100.0, "uint8")
