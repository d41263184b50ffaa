"""The time, as the catalog keeps it."""

from __future__ import annotations

import time


def now() -> int:
    """Read the clock.

    Returns
    -------
    int
        Microseconds since 1970, UTC.
    """
    return time.time_ns() // 1000
