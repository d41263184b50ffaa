"""Many messages at once, in numba: from the buffer of a connection into the ring, and where they lie there.

A run is a table of two columns, one line a message: where it begins in its memory, and its length.
"""

# numba tells no types of what it has compiled
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.live.wire._memory import KERNEL

Bytes = NDArray[np.uint8]
Table = NDArray[np.int64]

_HEAD = 32  # bytes of a record before its message
_PAD = -1


@nb.njit(**KERNEL)
def room(run: Table, free: int) -> tuple[int, int]:
    """How many messages of a run fit.

    Parameters
    ----------
    run : ndarray of int64, shape (n, 2)
        The messages.
    free : int
        Bytes for their records.

    Returns
    -------
    tuple of int
        How many messages, and bytes of their records.
    """
    total = 0
    for k in range(run.shape[0]):
        need = _HEAD + ((run[k, 1] + 7) & -8)
        if total + need > free:
            return k, total
        total += need
    return run.shape[0], total


@nb.njit(**KERNEL)
def _copy(to: Bytes, start: Bytes) -> None:
    """Copy bytes; a loop like this is what the compiler makes wide, and an assignment of slices is not."""
    for i in range(to.size):
        to[i] = start[i]


@nb.njit(**KERNEL)
def store(ring: Bytes, at: tuple[int, int, int], data: Bytes, run: Table) -> int:
    """Write records that have been found to fit.

    Parameters
    ----------
    ring : ndarray of uint8, shape (m,)
        Memory of the ring.
    at : tuple of int
        Where in it the first record goes, the number of the first message, and the time of arrival of all, [ns].
    data : ndarray of uint8, shape (k,)
        Holds the messages.
    run : ndarray of int64, shape (n, 2)
        The messages.

    Returns
    -------
    int
        Where in the ring the last record begins.
    """
    place, number, received = at
    words = ring.view(np.int64)
    last = place
    for k in range(run.shape[0]):
        start, length = run[k, 0], run[k, 1]
        need = _HEAD + ((length + 7) & -8)
        head = place // 8
        words[head], words[head + 1], words[head + 2], words[head + 3] = need, number + k, received, length
        _copy(ring[place + _HEAD : place + _HEAD + length], data[start : start + length])
        last = place
        place += need
    return last


@nb.njit(**KERNEL)
def find(words: Table, place: int, stop: int, run: Table, told: Table) -> int:
    """Find the records that lie one behind the other.

    Parameters
    ----------
    words : ndarray of int64, shape (m,)
        Memory of the ring.
    place, stop : int
        Bytes where the first one begins, and where no more begins.
    run : ndarray of int64, shape (n, 2)
        Takes the messages.
    told : ndarray of int64, shape (n, 3)
        Takes where each record begins and ends, counted from the first one, and the time of its arrival, [ns].

    Returns
    -------
    int
        How many were found.
    """
    count, first = 0, place
    while count < run.shape[0] and place + _HEAD <= stop:
        head = place // 8
        if words[head + 1] == _PAD:
            break
        run[count, 0], run[count, 1] = place + _HEAD, words[head + 3]
        told[count, 0], told[count, 1], told[count, 2] = place - first, place - first + words[head], words[head + 2]
        place += words[head]
        count += 1
    return count


def warm() -> None:
    """Compile all of this, or load it from disk."""
    run, words = np.zeros((1, 2), np.int64), np.zeros(8, np.int64)
    store(words.view(np.uint8), (0, 0, 0), words.view(np.uint8), run)
    find(words, 0, int(room(run, 0)[1]), run, np.zeros((1, 3), np.int64))
