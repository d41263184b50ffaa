"""What the emulated detector makes of its patterns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parscope.core.errors import InputError, OptionError
from parscope.core.frames import Frames
from parscope.live.emulator import Scene
from parscope.live.emulator.frames import Views
from parscope.live.emulator.job import Imaging

PLAIN = Imaging(8, False, "bslz4", ("threshold_1",))


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(1).poisson(5, (3, 4, 8, 6)).astype(np.uint16)


def test_patterns_are_those_of_the_array(array: np.ndarray) -> None:
    views = Scene(array=array).open()
    assert (views.bits, views.count, views.scan) == (16, 12, (3, 4))
    for slot in range(12):
        (seen,) = views.seen(slot, replace(PLAIN, bits=16))
        assert seen.dtype == np.uint16
        np.testing.assert_array_equal(seen, array.reshape(12, 8, 6)[slot])


def test_a_larger_scan_repeats_the_patterns_in_both_directions(array: np.ndarray) -> None:
    views = Scene(array=array, scan=(6, 9)).open()
    slots = views.slots(np.arange(54)).reshape(6, 9)
    np.testing.assert_array_equal(slots[:3, :4], np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(slots[3:], slots[:3])
    np.testing.assert_array_equal(slots[:, 4:8], slots[:, :4])


def test_only_whole_lines_are_kept_of_what_does_not_fit(array: np.ndarray) -> None:
    views = Scene(array=array, most=9).open()
    assert (views.grid, views.count, views.scan) == ((2, 4), 8, (3, 4))
    assert views.slots(np.array([8]))[0] == 0


def test_counts_are_cut_below_the_value_of_a_missing_pixel() -> None:
    views = Scene(array=np.full((1, 1, 2, 2), 300, np.uint16)).open()
    assert (views.seen(0, PLAIN)[0] == 254).all()


def test_a_missing_pixel_stays_one_in_another_depth_and_merged() -> None:
    array = np.ones((1, 1, 4, 4), np.uint16)
    array[0, 0, 1, 2] = 65535
    views = Scene(array=array).open()
    assert views.seen(0, PLAIN)[0].tolist() == [[1, 1, 1, 1], [1, 1, 255, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert views.seen(0, replace(PLAIN, merge=True))[0].tolist() == [[4, 255], [4, 4]]


def test_merging_adds_up_and_wants_even_numbers(array: np.ndarray) -> None:
    views = Scene(array=array).open()
    assert views.shape(True) == (4, 3)
    (seen,) = views.seen(5, replace(PLAIN, merge=True))
    whole = array.reshape(12, 8, 6)[5]
    np.testing.assert_array_equal(seen, whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2])
    with pytest.raises(OptionError, match="5 x 6 pixels cannot be merged"):
        Scene(array=array[:, :, :5]).open().shape(True)


def test_thresholds_share_the_counts(array: np.ndarray) -> None:
    views = Scene(array=array).open()
    one, two, difference = views.seen(2, replace(PLAIN, channels=("threshold_1", "threshold_2", "difference")))
    np.testing.assert_array_equal(one, two + difference)
    assert two.sum() > 0


def test_unusable_pixels_are_missing_or_zero_or_kept(array: np.ndarray) -> None:
    mask = np.zeros((8, 6), bool)
    mask[2, 3] = True
    frames = Frames.from_array(array)
    views = Views(Frames(array, frames.axes, mask=mask), (3, 4), (3, 4), 0)
    pixels = {how: views.seen(0, replace(PLAIN, masked=how))[0][2, 3] for how in ("nodata", "zero", "kept")}
    assert pixels == {"nodata": 255, "zero": 0, "kept": array[0, 0, 2, 3]}
    assert np.argwhere(views.mask(False)).tolist() == [[2, 3]]
    assert np.argwhere(views.mask(True)).tolist() == [[1, 1]]


def test_pixels_that_are_not_read_are_the_same_each_time_and_the_others_whole(array: np.ndarray) -> None:
    views = Scene(array=array).open()
    whole, missing = views.seen(3, PLAIN)[0], views.seen(3, PLAIN, missing=True)[0]
    np.testing.assert_array_equal(missing, views.seen(3, PLAIN, missing=True)[0])
    assert (missing == 255).sum() == 24
    np.testing.assert_array_equal(missing[missing != 255], whole[missing != 255])


def test_a_file_is_opened_and_what_is_no_count_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "scan.npy", array)
    (seen,) = Scene(path=tmp_path / "scan.npy").open().seen(7, PLAIN)
    np.testing.assert_array_equal(seen, array.reshape(12, 8, 6)[7])
    with pytest.raises(InputError, match="its patterns are float32, not counts"):
        Scene(array=array.astype(np.float32)).open()


def test_physics_has_disks_that_fit_eight_bits() -> None:
    views = Scene(pattern=(96, 96), electrons=5000).open()
    assert (views.bits, views.count, views.scan) == (8, 256, (16, 16))
    (seen,) = views.seen(0, PLAIN)
    assert 4000 < seen.sum() < 6000
    assert 20 < seen.max() < 255


def test_a_magnetic_film_is_seen_as_a_whole_and_larger_scans_see_more_of_them() -> None:
    small, large = (Scene(scan=scan, physics="magnetic", pattern=(32, 32)).open() for scan in ((8, 12), (80, 65)))
    assert (small.grid, small.scan, small.frames.axes[1].scale) == ((8, 12), (8, 12), 160.0)
    assert (large.grid, large.scan, large.frames.axes[1].scale) == ((64, 64), (80, 65), 20.0)
