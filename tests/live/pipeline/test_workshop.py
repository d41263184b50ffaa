"""Kernels are compiled before patterns come, and set up one by one while they do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parscope.core.errors import InputError
from parscope.live.kernels.contract import Detector, Output
from parscope.live.kernels.parts import part_of
from parscope.live.kernels.plan import Plan
from parscope.live.kernels.sweep import measure, measure_many
from parscope.live.kernels.windows import track
from parscope.live.pipeline.analysis import _crystal, analyser_of, warm
from parscope.live.pipeline.series import Analyser
from parscope.live.pipeline.workshop import Workshop
from parscope.testing.kernel import example_detector, example_patterns

DETECTOR = Detector((4, 4), "uint8", np.zeros((4, 4), np.bool_), 255, (10, 10))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_the_compiler_has_nothing_to_do_when_patterns_come(dtype: str) -> None:
    analyser = analyser_of(["com", "bf", "adf", "strain"])
    warm(analyser)
    before = [len(one.signatures) for one in (measure, measure_many, track)]
    patterns = _crystal(dtype)
    detector = Detector((64, 64), dtype, np.zeros((64, 64), np.bool_), int(np.iinfo(dtype).max), (4, 4))
    parts = {kernel.name: part_of(kernel, detector, patterns) for kernel in analyser.kernels}
    plan = Plan.of_parts(analyser.kernels, detector, parts)
    plan.run(patterns[0], plan.room())
    plan.run_many(patterns, np.empty((len(patterns), len(plan.outputs))))
    assert [len(one.signatures) for one in (measure, measure_many, track)] == before


def test_a_plan_has_the_numbers_of_the_kernels_that_are_ready_with_the_same_bits() -> None:
    names, detector, patterns = ["com", "bf", "variance", "strain", "sum"], example_detector(), example_patterns()
    kernels = analyser_of(names).kernels
    whole = Plan(names, detector, patterns)
    parts = {kernel.name: part_of(kernel, detector, patterns) for kernel in kernels}
    expected, found = whole.room(), whole.room()
    whole.run(patterns[5], expected)
    for ready in (["sum"], ["bf", "strain"], ["com", "variance", "sum"], names):
        plan = Plan.of_parts(kernels, detector, {name: parts[name] for name in ready})
        there = [output.name.partition(".")[0] in ready for output in plan.outputs]
        assert set(plan.missing) == set(names) - set(ready)
        found[:] = 7.0
        plan.run(patterns[5], found)
        assert np.array_equal(found, np.where(there, expected, np.nan), equal_nan=True)
        many = np.full((2, len(found)), 7.0)
        plan.run_many(patterns[4:6], many)
        assert np.array_equal(many[1], found, equal_nan=True)


def one(frame: np.ndarray, out: np.ndarray) -> None:
    """Gives 1."""
    out[0] = 1.0


class Picky:
    """Wants four patterns, the first of which is at least as bright as it says."""

    name, examples, outputs, function = "picky", 4, (Output("x", "1", "x"),), staticmethod(one)

    def __init__(self, least: int) -> None:
        self.least, self.seen = least, []

    def setup(self, detector: Detector, examples: np.ndarray) -> tuple[Any, ...]:
        self.seen.append([int(frame[0, 0]) for frame in examples])
        if self.seen[-1][0] < self.least:
            raise InputError("are dark", "examples")
        return ()


def shown(shop: Workshop, upto: int) -> None:
    """Show patterns 0, 1, ..., and let it work after each."""
    for n in range(upto):
        if shop.wants:
            shop.show(np.full((4, 4), n, np.uint8))
        while shop.busy:
            shop.wait()
            shop.look()


def test_a_kernel_that_fails_is_tried_with_later_patterns_after_rests_that_grow() -> None:
    kernel = Picky(least=40)
    shop = Workshop(Analyser((kernel,)))
    shop.begin(DETECTOR)
    assert not shop.settled and shop.plan is not None and shop.plan.missing == ("picky",)
    shown(shop, 100)
    assert [seen[0] for seen in kernel.seen] == [0, 4, 12, 24, 44]
    assert shop.settled and shop.plan.missing == () and not shop.wants


def test_a_series_that_is_short_is_tried_with_what_there_is() -> None:
    kernel = Picky(least=4)
    shop = Workshop(Analyser((kernel,)))
    shop.begin(DETECTOR)
    shown(shop, 6)
    shop.last()
    shown(shop, 0)
    while shop.busy:
        shop.wait()
        shop.look()
    assert kernel.seen == [[0, 1, 2, 3], [4, 5]]
    assert shop.plan is not None and shop.plan.missing == ()


@pytest.mark.parametrize(("keep", "times"), [(False, 2), (True, 1)])
def test_what_examples_showed_serves_for_another_series_if_it_is_to_be_kept(keep: bool, times: int) -> None:
    kernel = Picky(least=0)
    shop = Workshop(Analyser((kernel,)), keep)
    for _ in range(2):
        shop.begin(DETECTOR)
        shown(shop, 10)
    assert len(kernel.seen) == times
