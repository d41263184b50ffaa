"""What the answers to the patterns of the sender must be: sums and centres by NumPy, strain as it was put in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.live.stream import POOL, Load, patterns, shifts, stretches
from parscope.live.kernels.contract import Detector
from parscope.live.kernels.plan import examples_of, kernel_of

_ROUNDED = 1e-6  # of a centre, relative: the board keeps 32-bit numbers
_STRAIN = 2e-3  # seven times what the counts of a pattern allow


def judged(load: Load, analyse: Sequence[str], names: Sequence[str], values: NDArray[Any]) -> dict[str, Any]:
    """Compare answers with the truth.

    Parameters
    ----------
    load : Load
        What was sent.
    analyse : sequence of str
        What was computed.
    names : sequence of str
        Of the numbers, such as ``com.y``.
    values : ndarray, shape (positions, numbers)
        The answers.

    Returns
    -------
    dict
        ``wrong``, how many patterns have a number that is not right, or none; ``strain_rms`` [1], the error of all
        components of the strain, if it was asked for.
    """
    pool = patterns(load)
    turn = np.arange(len(values)) % POOL
    right = np.ones(len(values), bool)
    told: dict[str, Any] = {}
    for text in analyse:
        name = text.partition(":")[0]
        own = values[:, [place for place, one in enumerate(names) if one.startswith(f"{name}.")]]
        if name == "strain":
            error = own - strain()[turn]
            right &= (np.abs(error) < _STRAIN).all(1)
            told["strain_rms"] = float(np.sqrt(np.mean(error**2)))
        elif name == "com":
            right &= np.isclose(own, centres(pool)[turn], rtol=_ROUNDED, atol=0).all(1)
        else:
            found = [own[:, 0] == counts[turn] for counts in sums(load, pool, text, analyse)]
            right &= max(found, key=np.sum, default=np.zeros(len(values), bool))
    return {"wrong": int((~right).sum()), **told}


def centres(pool: NDArray[Any]) -> NDArray[np.float64]:
    """Centres of mass (y, x) of patterns, [px]."""
    counts = pool.astype(np.int64)
    whole = counts.sum((1, 2))
    rows, columns = counts.sum(2) @ np.arange(pool.shape[1]), counts.sum(1) @ np.arange(pool.shape[2])
    return np.column_stack([rows / whole, columns / whole])


def strain() -> NDArray[np.float64]:
    """Strain of the patterns of the pool, as they were made: a lattice stretched along y is strained the other way."""
    made = np.zeros((POOL, 4))
    made[:, 1] = np.median(stretches()) / stretches() - 1
    return made


def detector_of(load: Load) -> Detector:
    """What kernels are told of the patterns."""
    shape = load.series.shape
    return Detector(shape, load.dtype, np.zeros(shape, bool), load.series.nodata, load.scan)


def sums(load: Load, pool: NDArray[Any], text: str, analyse: Sequence[str]) -> list[NDArray[np.int64]]:
    """Counts of the patterns of the pool in a virtual detector.

    One that finds the direct disk itself sees the first patterns: as many as it wants, or as the analysis wants. Where
    what it finds is not where the disk was put, there are no right counts.
    """
    kernel: Any = kernel_of(text)
    made = []
    for examples in sorted({kernel.examples, examples_of(analyse)}):
        region = np.zeros(load.series.shape, np.bool_)
        for row, first, stop, _ in kernel.wanted(detector_of(load), pool[:examples]).spans:
            region[row, first:stop] = True
        if ":" in text or _at_the_disk(kernel.name, region, load, examples):
            made.append(pool[:, region].sum(1, dtype=np.int64))
    return made


def _at_the_disk(name: str, region: NDArray[np.bool_], load: Load, examples: int) -> bool:
    """Whether a bright field holds the direct disk of the first patterns and little else, a dark field none of it."""
    middle = (load.pixels - 1) / 2 + shifts(load)[:examples].mean(0)
    y, x = np.indices(region.shape)
    distance = np.hypot(y - middle[0], x - middle[1])
    inside, outside = distance < load.radius - 1, distance > load.radius + 8
    if name == "adf":
        return not region[inside].any() and bool(region.any())
    return bool(region[inside].all()) and not region[outside].any()
