"""The analysis that a person asks for, as the frame loop takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.live.kernels.contract import Detector, Kernel
from parscope.live.kernels.moments import Sum
from parscope.live.kernels.parts import part_of
from parscope.live.kernels.plan import Plan, kernels_of
from parscope.live.pipeline.series import Analyser
from parscope.live.wire.decompress import Decompressor

_TYPES = ("uint16", "uint8", "uint32")
_SIDE, _PITCH, _RADIUS = 64, 14, 3  # px
_EXAMPLES = 16


def analyser_of(kernels: Sequence[str | Kernel]) -> Analyser:
    """Ask for kernels by name.

    Parameters
    ----------
    kernels : sequence of str or Kernel
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
    return Analyser(kernels_of(kernels))


def warm(analyser: Analyser) -> frozenset[str]:
    """Have the compiler do its work before the first series, with patterns that are made up.

    Parameters
    ----------
    analyser : Analyser
        That will be used.

    Returns
    -------
    frozenset of str
        Kernels that these patterns do not suit: with them the compiler may still have work.
    """
    unsuited: set[str] = set()
    for dtype in _TYPES:
        Decompressor((16, 16), dtype)
        patterns = _crystal(dtype)
        shape = patterns.shape[1], patterns.shape[2]
        detector = Detector(shape, dtype, np.zeros(shape, np.bool_), int(np.iinfo(dtype).max), (4, 4))
        for kernel in (Sum(), *analyser.kernels):
            # what is not compiled itself calls the same functions for all types
            if dtype == _TYPES[0] or hasattr(kernel.function, "py_func"):
                try:
                    _warm(kernel, detector, patterns)
                except Exception:  # noqa: BLE001 - whatever a kernel does, others are compiled
                    unsuited.add(kernel.name)
    return frozenset(unsuited)


def _warm(kernel: Kernel, detector: Detector, patterns: NDArray[Any]) -> None:
    """Set a kernel up and run it."""
    Plan.of_parts([kernel], detector, {kernel.name: part_of(kernel, detector, patterns)}).warm()


def _crystal(dtype: str) -> NDArray[Any]:
    """Patterns with disks on a lattice, shape (16, 64, 64)."""
    y, x = np.indices((_SIDE, _SIDE)) - _SIDE / 2
    off = np.hypot((y + _PITCH / 2) % _PITCH - _PITCH / 2, (x + _PITCH / 2) % _PITCH - _PITCH / 2)
    bright = np.exp(-np.hypot(y, x) / _SIDE)
    mean = 40 * bright / (1 + np.exp(4 * (off - _RADIUS))) + 0.05
    return np.random.default_rng(0).poisson(mean, (_EXAMPLES, _SIDE, _SIDE)).astype(dtype)
