"""How long answers took: percentiles, misses of the deadline and a histogram, from the stamps of all patterns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.stream import Fate

_PER_DECADE, _DECADES = 8, 6
EDGES_US = 10.0 ** (np.arange(_PER_DECADE * _DECADES + 1) / _PER_DECADE)
"""Edges of the histogram, [µs], shape (49,): 1 µs to 1 s; what is beyond is counted in the outermost bins."""

_SHARES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
_RECEIVED, _DECIDED = 0, 2


def summary(stamps: NDArray[np.int64], fate: NDArray[np.uint8], deadline_ns: int | None) -> dict[str, Any]:
    """From the reception of a pattern to the decision about it.

    Parameters
    ----------
    stamps : ndarray of int64, shape (positions, 5)
        As in `live.pipeline.board.STAMPS`, [ns].
    fate : ndarray of uint8, shape (positions,)
        A `Fate` each.
    deadline_ns : int, optional
        When an answer is late, [ns].

    Returns
    -------
    dict
        ``answered``; ``percentiles`` in µs by name, empty before the first answer; ``histogram``, a count per bin of
        `EDGES_US`; ``deadline_us``, ``missed`` and ``lag_pixels`` (answers that were outstanding when one was given,
        median), None where not known.

    Examples
    --------
    >>> stamps = np.array([[10_000, 0, 40_000, 0, 0], [20_000, 0, 320_000, 0, 0]])
    >>> told = summary(stamps, np.array([1, 1], np.uint8), 200_000)
    >>> told["answered"], told["missed"], told["percentiles"]["max"]
    (2, 1, 300.0)
    """
    of = (fate == Fate.ANSWERED) & (stamps[:, _DECIDED] > 0)
    received = stamps[of, _RECEIVED]
    taken = (stamps[of, _DECIDED] - received) / 1e3
    bins = np.clip(np.searchsorted(EDGES_US, taken, side="right") - 1, 0, EDGES_US.size - 2)
    percentiles = np.percentile(taken, list(_SHARES.values())) if taken.size else []
    return {
        "answered": int(taken.size),
        "percentiles": {name: float(value) for name, value in zip(_SHARES, percentiles, strict=False)},
        "histogram": np.bincount(bins, minlength=EDGES_US.size - 1).tolist(),
        "deadline_us": deadline_ns / 1e3 if deadline_ns else None,
        "missed": int((taken > deadline_ns / 1e3).sum()) if deadline_ns else None,
        "lag_pixels": _lag(received, taken),
    }


def _lag(received: NDArray[np.int64], taken_us: NDArray[np.float64]) -> float | None:
    """Pixels by which the probe has moved on when half of the answers are there."""
    if received.size < 2:
        return None
    period = float(received.max() - received.min()) / (received.size - 1) / 1e3
    return float(np.median(taken_us)) / period if period > 0 else None
