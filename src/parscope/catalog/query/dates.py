"""Dates and times in ISO 8601, as microseconds since 1970 in UTC: exact, ordered, and without a limit of years."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date

from parscope.catalog.query.shown import shown
from parscope.core.errors import QueryError

DAY = 86_400_000_000
"""Microseconds of a day, [1]."""

_ISO = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[T ]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?)?)?"
)
_EPOCH = date(1970, 1, 1).toordinal()


def moment(text: str) -> int | None:
    """When a text says that something was: the begin of the day, minute or whatever it names.

    Parameters
    ----------
    text : str
        Any text. A date has at least a day: ``2019-05-03``, ``2019-05-03 10:21``, ``2019-05-03T10:21:05.123+02:00``.

    Returns
    -------
    int or None
        Microseconds since 1970, UTC (also where the text names no offset), [1]; None if it is no date.

    Examples
    --------
    >>> moment("1970-01-02"), moment("1970-01-01T01:00:00.5+01:00"), moment("1970"), moment("1970-02-30")
    (86400000000, 500000, None, None)
    """
    if text[4:5] != "-" or len(text) < 10:
        return None
    found = _span(text)
    return found[0] if found else None


def span(text: str) -> tuple[int, int]:
    """Time that a date leaves open: of ``2024-03`` the whole month.

    Parameters
    ----------
    text : str
        A date or time in ISO 8601, cut anywhere after the year.

    Returns
    -------
    tuple of int
        First microsecond since 1970, UTC, and the first one after it, [1].

    Raises
    ------
    QueryError
        If the text is no date.

    Examples
    --------
    >>> [moment // DAY for moment in span("1970-02")]
    [31, 59]
    """
    found = _span(text)
    if found is None:
        raise QueryError(
            f"{shown(text)} is no date", "", "write one as 2024, 2024-03, 2024-03-05 or 2024-03-05T10:30:00Z"
        )
    return found


def _span(text: str) -> tuple[int, int] | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day = int(found[1]), int(found[2] or 1), int(found[3] or 1)
    hour, minute, second = (int(found[group] or 0) for group in (4, 5, 6))
    if not (year > 0 and 0 < month < 13 and 0 < day <= monthrange(year, month)[1]):
        return None
    offset = _offset(found[8] or "Z")
    if offset is None or hour > 23 or minute > 59 or second > 59:
        return None
    digits = (found[7] or "")[:6]
    start = (date(year, month, day).toordinal() - _EPOCH) * DAY + int(digits.ljust(6, "0"))
    start += (hour * 3600 + minute * 60 + second) * 1_000_000 - offset
    return start, start + _open(found, year, month, len(digits))


def _open(found: re.Match[str], year: int, month: int, digits: int) -> int:
    """Microseconds that the text leaves open."""
    if not found[3]:
        return DAY * (monthrange(year, month)[1] if found[2] else date(year, 12, 31).timetuple().tm_yday)
    parts = sum(found[group] is not None for group in (4, 5, 6))
    return int((DAY, 3_600_000_000, 60_000_000, 10 ** (6 - digits))[parts])


def _offset(text: str) -> int | None:
    """Microseconds that a time zone is ahead of UTC; None for one that there cannot be."""
    if text == "Z":
        return 0
    hours, minutes = int(text[1:3]), int(text[3:].removeprefix(":") or 0)
    ahead = (hours * 60 + minutes) * 60_000_000
    return None if hours > 23 or minutes > 59 else -ahead if text[0] == "-" else ahead
