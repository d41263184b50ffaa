"""Parameters of the emulated detector: what follows from what, and the order for a series that comes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parscope.core.errors import OptionError
from parscope.live.emulator.job import Timing
from parscope.live.emulator.modules import Modules, Pace


@pytest.fixture
def modules() -> Modules:
    return Modules((192, 192), 8, {"detector/frame_time": 1e-3, "stream/format": "legacy"})


def test_the_preset_stands_until_it_is_changed_and_again_after_a_reset(modules: Modules) -> None:
    assert modules.values["detector"]["frame_time"] == 1e-3
    modules.write("stream", "format", "cbor")
    assert modules.values["stream"]["format"] == "cbor"
    modules.reset()
    assert modules.values["stream"]["format"] == "legacy"


@pytest.mark.parametrize(
    ("name", "value", "changed"),
    [
        ("count_time", 2e-3, {"count_time", "frame_count_time", "frame_time"}),
        ("count_time", 1e-4, {"count_time", "frame_count_time"}),
        ("frame_time", 1e-4, {"count_time", "frame_count_time", "frame_time"}),
        ("frame_time", 1, {"frame_time"}),
        ("roi_bit_depth", 16, {"bit_depth_image", "bit_depth_readout", "roi_bit_depth"}),
        ("threshold_energy", 3e4, {"threshold/1/energy", "threshold_energy"}),
        ("threshold/1/energy", 3e4, {"threshold/1/energy", "threshold_energy"}),
        ("ntrigger", 1, {"ntrigger"}),
        (
            "roi_mode",
            "merge2x2",
            {
                "beam_center_x",
                "beam_center_y",
                "roi_mode",
                "roi_y_size",
                "x_pixels_in_detector",
                "y_pixels_in_detector",
            },
        ),
    ],
)
def test_setting_one_changes_what_follows_from_it(modules: Modules, name: str, value: Any, changed: set[str]) -> None:
    modules.write("detector", "count_time", 1.5e-4)
    assert set(modules.write("detector", name, value)) == changed
    values = modules.values["detector"]
    assert values["count_time"] < values["frame_time"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("trigger_mode", "extg", "'extg' is not allowed; choose one of ints, inte, exts, exte"),
        ("nimages", 0, "0 is not within 1"),
        ("nimages", 1.5, "1.5 is no uint"),
        ("nimages", True, "True is no uint"),
        ("count_time", "long", "'long' is no float"),
        ("description", "mine", "is read only"),
    ],
)
def test_what_a_parameter_does_not_take_is_refused_and_changes_nothing(
    modules: Modules, name: str, value: Any, said: str
) -> None:
    before = dict(modules.values["detector"])
    with pytest.raises(OptionError, match=said):
        modules.write("detector", name, value)
    assert modules.values["detector"] == before


def test_the_order_for_a_series_is_what_the_parameters_say(modules: Modules) -> None:
    for name, value in (
        ("trigger_mode", "exts"),
        ("nimages", 4),
        ("ntrigger", 3),
        ("roi_mode", "merge2x2"),
        ("threshold/2/mode", "enabled"),
        ("mask_to_zero", True),
        ("compression", "lz4"),
    ):
        modules.write("detector", name, value)
    job = modules.order(5, Pace(pulse=500), "")
    assert (job.timing.total, job.timing.frame_ns, job.timing.pulse_ns) == (12, 1_000_000, 2_000_000)
    assert (job.imaging.channels, job.imaging.merge) == (("threshold_1", "threshold_2"), True)
    assert (job.imaging.masked, job.imaging.compression, job.version, job.filing) == ("zero", "lz4", 1, None)
    modules.write("stream", "mode", "disabled")
    modules.write("detector", "pixel_mask_applied", False)
    other = modules.order(6, Pace(unhurried=False, pulse=-1), "")
    assert (other.version, other.timing.frame_ns, other.timing.pulse_ns, other.imaging.masked) == (0, 0, -1, "kept")
    assert len(job.unique) == len(other.unique) == 26 and job.unique < other.unique


def due(timing: Timing) -> list[int]:
    return timing.due(np.arange(timing.burst)).tolist()


def test_images_are_due_by_the_mode_of_the_trigger() -> None:
    assert due(Timing("ints", 3, 2, 10, 9, 0)) == [0, 10, 20]
    assert due(Timing("exte", 1, 4, 10, 9, 25)) == [0, 25, 50, 75]
    assert due(Timing("exts", 2, 2, 10, 9, 25)) == [0, 10, 25, 35]
    assert due(Timing("exts", 2, 2, 10, 9, 0)) == [0, 10, 20, 30]
    assert due(Timing("exts", 2, 2, 0, 9, 0)) == [0, 0, 0, 0]
    assert Timing("exte", 1, 4, 10, 9, -1).burst == 1
    assert Timing("exts", 5, 4, 10, 9, -1).burst == 5
