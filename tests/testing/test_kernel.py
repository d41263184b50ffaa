"""The check of kernels finds those that break the contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from parscope.live.kernels import Detector, Output
from parscope.testing import check_kernel


def brightest(frame: np.ndarray, mask: np.ndarray, nodata: int, memory: np.ndarray, out: np.ndarray) -> None:
    """A good one: the brightest usable pixel, NaN if there is none."""
    usable = ~mask & (frame != nodata)
    out[0] = frame[usable].max() if usable.any() else np.nan


def counts_everything(frame: np.ndarray, mask: np.ndarray, nodata: int, memory: np.ndarray, out: np.ndarray) -> None:
    out[0] = frame.sum()


def counts_what_was_not_read(
    frame: np.ndarray, mask: np.ndarray, nodata: int, memory: np.ndarray, out: np.ndarray
) -> None:
    out[0] = frame[~mask].sum()


def remembers(frame: np.ndarray, mask: np.ndarray, nodata: int, memory: np.ndarray, out: np.ndarray) -> None:
    memory[0] = 0.5 * memory[0] + frame[10, 10] + 1
    out[0] = memory[0]


def writes_to_the_pattern(
    frame: np.ndarray, mask: np.ndarray, nodata: int, memory: np.ndarray, out: np.ndarray
) -> None:
    frame.flags.writeable = True
    frame[5, 5] += 1
    brightest(frame, mask, nodata, memory, out)


def leaves_the_answer_as_it_is(
    frame: np.ndarray, mask: np.ndarray, nodata: int, memory: np.ndarray, out: np.ndarray
) -> None:
    """Writes nothing."""


def invents_counts(frame: np.ndarray, mask: np.ndarray, nodata: int, memory: np.ndarray, out: np.ndarray) -> None:
    brightest(frame, mask, nodata, memory, out)
    out[0] += 1


@dataclass(frozen=True)
class Played:
    function: Callable[..., None]
    name: str = "played"
    examples: int = 0
    outputs: tuple[Output, ...] = (Output("counts", "counts", "brightest pixel"),)

    def setup(self, detector: Detector, examples: np.ndarray) -> tuple[Any, ...]:
        return detector.mask, detector.nodata, np.zeros(1)


def test_a_good_kernel_passes() -> None:
    check_kernel(Played(brightest))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (counts_everything, "what an unusable pixel holds does not matter"),
        (counts_what_was_not_read, "nothing was read has no answer"),
        (remembers, "in another order"),
        (leaves_the_answer_as_it_is, "every number is written"),
        (invents_counts, "without counts has no answer but 0"),
    ],
)
def test_a_kernel_that_breaks_the_contract_is_found(function: Callable[..., None], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_kernel(Played(function))


def test_a_kernel_that_writes_to_the_pattern_is_found() -> None:
    with pytest.raises((AssertionError, ValueError), match=r"left as it is|in another order|read-only|WRITEABLE"):
        check_kernel(Played(writes_to_the_pattern))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "a.b"}, "no dot"),
        ({"outputs": ()}, "has outputs"),
        ({"outputs": (Output("counts", "", "brightest pixel"),)}, "a unit and a label"),
    ],
)
def test_names_and_units_are_looked_at(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_kernel(Played(brightest, **changed))
