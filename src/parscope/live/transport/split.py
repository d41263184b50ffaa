"""Where the messages lie that one read from a connection has brought, in numba."""

# numba tells no types of what it has compiled
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.live.wire._memory import KERNEL

_LONG = 2


@nb.njit(**KERNEL)
def split(data: NDArray[np.uint8], begin: int, end: int, run: NDArray[np.int64]) -> int:
    """Find whole messages of one part; anything else ends the search.

    Parameters
    ----------
    data : ndarray of uint8, shape (m,)
        What was read: frames of ZMTP.
    begin, end : int
        First byte of a frame, and that after the last byte that was read.
    run : ndarray of int64, shape (n, 2)
        Takes where each message begins, and its length.

    Returns
    -------
    int
        How many were found.
    """
    count = 0
    while count < run.shape[0] and end - begin >= 2:
        flags = data[begin]
        length = 0
        if flags == 0:
            start = begin + 2
            length = int(data[begin + 1])
        elif flags == _LONG and end - begin >= 9:
            start = begin + 9
            for i in range(1, 9):
                # of a length beyond 62 bits, something larger than any buffer remains
                length = min((length << 8) | int(data[begin + i]), 1 << 54)
        else:
            break
        if length > end - start:
            break
        run[count, 0], run[count, 1] = start, length
        begin = start + length
        count += 1
    return count
