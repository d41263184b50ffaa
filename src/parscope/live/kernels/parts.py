"""Kernels one by one: what each needs, what it gives, and what stands for it until it is set up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.live.kernels.contract import Detector, Kernel, Output
from parscope.live.kernels.moments import Shared

Array = NDArray[np.float64]


def part_of(kernel: Kernel, detector: Detector, examples: NDArray[Any]) -> Any:
    """Set one kernel up, for `Plan.of_parts`.

    Parameters
    ----------
    kernel : Kernel
        Any.
    detector : Detector
        What is known of the patterns.
    examples : ndarray, shape (n, q_y, q_x)
        Patterns of this sample.

    Returns
    -------
    object
        What it wants from the shared pass, or its state.

    Raises
    ------
    ParscopeError
        If the patterns do not allow it.
    """
    return kernel.wanted(detector, examples) if isinstance(kernel, Shared) else kernel.setup(detector, examples)


def outputs_of(kernels: Sequence[Kernel]) -> tuple[Output, ...]:
    """What kernels give, with their names before it.

    Parameters
    ----------
    kernels : sequence of Kernel
        Any.

    Returns
    -------
    tuple of Output
    """
    return tuple(
        replace(output, name=f"{kernel.name}.{output.name}") for kernel in kernels for output in kernel.outputs
    )


def nothing(frame: NDArray[Any], out: Array) -> None:
    """Numbers of a kernel that has not been set up.

    Parameters
    ----------
    frame : ndarray, shape (q_y, q_x)
        Not looked at.
    out : ndarray of float64, shape (numbers,)
        Becomes NaN.
    """
    out[:] = np.nan
