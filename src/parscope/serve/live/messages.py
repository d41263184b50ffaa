"""Messages to the page: a number for the kind, a text in JSON, and arrays as they are in memory.

::

    uint32   kind: 1 hello, 2 lines, 3 state, 4 pattern          all numbers little-endian
    uint32   bytes of the text, a multiple of 4
    text     JSON, filled up with spaces
    arrays   lines: for every column float32 (lines, x), then the fates uint8 (lines, x)
             pattern: float32 (q_y, q_x), NaN where the detector has no value
"""

from __future__ import annotations

import json
import math
import struct
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.serve.live.changes import Changes

_LARGEST = 1 << 22


class Kind(IntEnum):
    """What a message is."""

    HELLO = 1
    LINES = 2
    STATE = 3
    PATTERN = 4


def pack(kind: Kind, text: dict[str, Any], *arrays: NDArray[Any]) -> bytes:
    r"""Make a message.

    Parameters
    ----------
    kind : Kind
        What it is.
    text : dict
        Goes into JSON; what JSON has no number for (NaN) as null.
    *arrays : ndarray of any shape
        Behind it, as they are.

    Returns
    -------
    bytes

    Examples
    --------
    >>> unpack(pack(Kind.STATE, {"a": 1}, np.zeros(1, np.float32)))
    (<Kind.STATE: 3>, {'a': 1}, b'\x00\x00\x00\x00')
    """
    words = json.dumps(_plain(text), separators=(",", ":"), allow_nan=False).encode()
    words += b" " * (-len(words) % 4)
    return b"".join([struct.pack("<II", kind, len(words)), words, *(array.tobytes() for array in arrays)])


def _plain(value: Any) -> Any:
    """The same without what JSON cannot say."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def unpack(message: bytes) -> tuple[Kind, dict[str, Any], bytes]:
    """Read a message.

    Returns
    -------
    kind : Kind
    text : dict
    rest : bytes
        The arrays.
    """
    kind, length = struct.unpack_from("<II", message)
    return Kind(kind), json.loads(message[8 : 8 + length]), message[8 + length :]


def lines(changes: Changes, after: int, edition: int, first: int = 0) -> list[bytes]:
    """Messages with the lines that have changed.

    Parameters
    ----------
    changes : Changes
        What is there.
    after : int
        Version up to which the reader has them.
    edition : int
        Of the list of maps they belong to.
    first : int
        Column of the first of its outputs.

    Returns
    -------
    list of bytes
        None larger than a few MB, unless a line is.
    """
    rows = changes.since(after)
    _, columns, outputs = changes.values.shape
    most = max(1, _LARGEST // max(1, columns * (4 * outputs + 1)))
    parts = [rows[start : start + most] for start in range(0, rows.size, most)]
    return [
        pack(
            Kind.LINES,
            {"edition": edition, "rows": part.tolist(), "first": first, "columns": outputs},
            np.moveaxis(changes.values[part], 2, 0).astype("<f4"),
            changes.fate[part],
        )
        for part in parts
    ]


def pattern(shown: NDArray[np.float64], what: dict[str, Any]) -> bytes:
    """A message with a pattern.

    Parameters
    ----------
    shown : ndarray, shape (q_y, q_x)
        Counts; NaN where there is no value.
    what : dict
        Which one it is.

    Returns
    -------
    bytes
    """
    return pack(Kind.PATTERN, {**what, "shape": list(shown.shape)}, shown.astype("<f4"))
