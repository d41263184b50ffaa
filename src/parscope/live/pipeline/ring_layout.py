"""How the memory of a ring of messages is laid out: a page of numbers, then the records."""

from __future__ import annotations

import struct

from parscope.core.errors import InputError
from parscope.live.pipeline.memory import Segment

MAGIC = 0x70617273_72696E67
START = 4096  # of the data
READERS = 8
STRIDE = 3  # cells of a reader: what it is, where it is, which process it is in
SIZE, HEAD, RESERVED, COUNT, CLOSED, LAST, SLOTS = 1, 2, 3, 4, 5, 6, 16
FREE, LOSSY, LOSSLESS = 0, 1, 2
RECORD = struct.Struct("<4q")
PAD = -1  # number of a record that only fills the rest of the ring


def slots() -> range:
    """First cell of each reader.

    Returns
    -------
    range
    """
    return range(SLOTS, SLOTS + STRIDE * READERS, STRIDE)


def cells_of(memory: Segment) -> memoryview:
    """First page of the memory as integers; refuses memory that is no ring, unless it is new.

    Parameters
    ----------
    memory : Segment
        Of the ring.

    Returns
    -------
    memoryview of int64

    Raises
    ------
    InputError
        If it is no ring.
    """
    cell = memory.buffer[:START].cast("q")
    if cell[0] not in (0, MAGIC):
        raise InputError("is no ring of messages", memory.name, "take its name from a running session")
    return cell
