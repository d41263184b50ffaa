"""The analysis that a person asks for, as the frame loop takes it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ParscopeError
from parscope.live.kernels.contract import Detector
from parscope.live.kernels.plan import Plan, examples_of, kernels_of
from parscope.live.pipeline.series import Analyser


def analyser_of(kernels: Sequence[str]) -> Analyser:
    """Ask for kernels by name.

    Parameters
    ----------
    kernels : sequence of str
        As after ``--analyse``: ``com``, ``bf``, ``adf:40,80``, ``strain``, ...

    Returns
    -------
    Analyser

    Raises
    ------
    OptionError
        If there is no such kernel, or its parameters cannot be read.

    Examples
    --------
    >>> [output.name for output in analyser_of(["com", "sum"]).outputs]
    ['com.y', 'com.x', 'sum.counts']
    """
    made = kernels_of(kernels)
    outputs = tuple(
        replace(output, name=f"{kernel.name}.{output.name}") for kernel in made for output in kernel.outputs
    )

    def make(detector: Detector, examples: NDArray[Any]) -> Plan:
        plan = Plan(made, detector, examples)
        plan.warm()
        return plan

    return Analyser(outputs, examples_of(made), make)


def warm(analyser: Analyser) -> None:
    """Have the compiler do its work before the first series, as far as that is possible without patterns.

    Parameters
    ----------
    analyser : Analyser
        That will be used.
    """
    if analyser.examples:
        return
    shape = (16, 16)
    for dtype in ("uint8", "uint16"):
        nothing = np.zeros((0, *shape), dtype)
        with contextlib.suppress(ParscopeError):  # kernels for patterns of another shape have to wait for them
            analyser.make(Detector(shape, dtype, np.zeros(shape, np.bool_), -1, (1, 1)), nothing)
