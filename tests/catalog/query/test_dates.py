"""Dates become microseconds and spans, as Python's own calendar has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.catalog.query.dates import DAY, moment, span
from parscope.core.errors import QueryError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def microseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES), st.sampled_from("T "))
def test_any_time_of_any_zone(time: datetime, between: str) -> None:
    assert moment(time.isoformat(between)) == microseconds(time)


@given(st.datetimes())
def test_what_names_no_zone_is_utc(time: datetime) -> None:
    assert moment(time.isoformat()) == moment(time.isoformat() + "Z") == microseconds(time.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024",
        "2024-03",
        "2024-02-30",
        "2023-02-29",
        "2024-13-01",
        "0000-01-01",
        "2024-03-05T24:00",
        "2024-03-05T10:60",
        "2024-03-05T10:30:60",
        "2024-03-05T10:30+24:00",
        "2024-03-05Z",
        "2024-3-5",
        "20240305",
        "2024-03-05x",
        "٢٠٢٤-03-05",
        " 2024-03-05",
        "2024-03-05\n",
        "2024-W10-2",
        "-2024-03-05",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert moment(text) is None


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2024", "2024-01-01", "2025-01-01"),
        ("2024-02", "2024-02-01", "2024-03-01"),
        ("2024-12", "2024-12-01", "2025-01-01"),
        ("2024-02-29", "2024-02-29", "2024-03-01"),
        ("2024-02-29T10", "2024-02-29T10:00", "2024-02-29T11:00"),
        ("2024-02-29 10:30", "2024-02-29T10:30", "2024-02-29T10:31"),
        ("2024-02-29T10:30:05+0200", "2024-02-29T08:30:05", "2024-02-29T08:30:06"),
        ("2024-02-29T10:30:05.25-02", "2024-02-29T12:30:05.25", "2024-02-29T12:30:05.26"),
        ("2024-02-29T10:30:05,1234567", "2024-02-29T10:30:05.123456", "2024-02-29T10:30:05.123457"),
    ],
)
def test_spans(text: str, begin: str, end: str) -> None:
    assert span(text) == (moment(begin), moment(end))


def test_the_ends_of_the_calendar() -> None:
    assert span("9999")[1] - span("9999-12-31")[0] == DAY
    assert moment("9999-12-31T23:59:59-23:59") == moment("9999-12-31T23:59:59") + (23 * 60 + 59) * 60_000_000  # type: ignore[operator]


def test_a_date_that_is_none_is_told() -> None:
    with pytest.raises(QueryError, match=r'^"yesterday" is no date; write one as 2024'):
        span("yesterday")
