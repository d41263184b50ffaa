"""Another program at the same detector: a PUSH socket deals its messages out, each to one of its clients, in turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parscope.core.stream import Fate

_LEAST = 20  # patterns that must have come before anything is said
_REGULAR = 0.8  # share of the steps between them that are alike; by chance, half of the patterns lost, it is 0.5
_FIRST = 2  # images of which one is seen first where another program has taken the start
_ADVICE = "connect to the detector through `parscope tee`"


def others(fate: NDArray[np.uint8]) -> int:
    """How many other programs take patterns of a series, judged by which ones came.

    Parameters
    ----------
    fate : ndarray of uint8, shape (positions,)
        A `Fate` each.

    Returns
    -------
    int
        0 if patterns are missing here and there, or none.

    Examples
    --------
    >>> others(np.array(30 * [Fate.ANSWERED, Fate.LOST], np.uint8))
    1
    """
    steps = np.diff(np.flatnonzero((fate != Fate.LOST) & (fate != Fate.WAITING)))
    if len(steps) < _LEAST:
        return 0
    usual = int(np.median(steps))
    return usual - 1 if (steps == usual).mean() > _REGULAR else 0


def shared(series: int, fate: NDArray[np.uint8]) -> str:
    """What is said of a series of which others took a part.

    Parameters
    ----------
    series : int
        Its number.
    fate : ndarray of uint8, shape (positions,)
        A `Fate` each.

    Returns
    -------
    str
        Empty if nobody did.
    """
    count = others(fate)
    if not count:
        return ""
    who, part = "another program takes", "half"
    if count > 1:
        who, part = f"{count} other programs take", f"{count} of {count + 1} parts"
    return f"{who} {part} of the patterns of series {series}; {_ADVICE}"


def strange(series: int, image: int, last: int) -> str:
    """What is said of the first image of a series that is not measured.

    Parameters
    ----------
    series : int
        Its number.
    image : int
        That of the image.
    last : int
        Number of the last series that was; -1 for none.

    Returns
    -------
    str

    Examples
    --------
    >>> strange(7, 4000, -1)
    'series 7 was running already; waiting for the start of the next one'
    """
    if series <= last:
        return f"images of series {series}, which has ended, are left out"
    if image < _FIRST or last >= 0:
        return f"the start of series {series} did not come; if another program has taken it, {_ADVICE}"
    return f"series {series} was running already; waiting for the start of the next one"
