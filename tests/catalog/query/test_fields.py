"""Python's operators make the expressions that the text makes, and what Python would drop silently is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from math import nan

import numpy as np
import pytest

from parscope.catalog.query import EVERYTHING, Date, Expression, M, Q, Tagged, Text, parse, spell
from parscope.catalog.query.fields import Field
from parscope.core.errors import QueryError

VOLTAGE = M["beam"]["voltage"]


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Q(200, "kV") <= VOLTAGE, "beam.voltage >= 200 kV"),
        (M["a"] != 3, "a != 3"),
        (M["a"] == None, "a = null"),  # noqa: E711
        ((M["a"] < 1) & (M["b"] <= 2) & (M["c"] > 3), "a < 1 and b <= 2 and c > 3"),
        ((M["a"] < 1) | (M["b"] == "x") & ~Tagged("y"), 'a < 1 or b = "x" and not tagged "y"'),
        (M["Cs(mm)"] > M["a"]["b"], '"Cs(mm)" > a.b'),
        (M["a"] != M["b"], "a != $.b"),
        (M["vendor"].any_depth["Cs(mm)"].exists(), 'vendor.**."Cs(mm)" exists'),
        (M["a"].all >= 64, "all(a) >= 64"),
        (M["a"].length > 2, "length(a) > 2"),
        (M["a"].min < M["a"].max, "min(a) < max(a)"),
        (M["a"].between(3, 5.5), "a in 3..5.5"),
        (M["a"].all.isin(["BF", "DF"]), 'all(a) in ("BF", "DF")'),
        (M["a"].like("%.dm4"), 'a like "%.dm4"'),
        (M["a"].matches("x|y"), 'a ~ "x|y"'),
        (M["a"] >= Date("2024-03"), "a >= 2024-03"),
        (M["a"] >= date(2024, 3, 5), "a >= 2024-03-05"),
        (M["a"] == datetime(2024, 3, 5, 10, 30), "a = 2024-03-05T10:30:00.000000Z"),
        (
            M["a"] == datetime(2024, 3, 5, 10, tzinfo=timezone(timedelta(hours=2))),
            "a = 2024-03-05T08:00:00.000000Z",
        ),
        (M["a"] == np.float32(0.5), "a = 0.5"),
        (M["a"] == np.int64(3), "a = 3"),
        (M["a"] == nan, "a = nan"),
        (EVERYTHING & (M["a"] == True), "a = true"),  # noqa: E712
    ],
)
def test_operators_mean_what_the_text_means(made: Expression, text: str) -> None:
    assert spell(made) == text
    assert spell(parse(text)) == text


def test_long_sums_stay_flat() -> None:
    many = EVERYTHING
    for number in range(1000):
        many &= M["a"] != number
    assert len(parse(spell(many)).parts) == 1000  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "slip",
    [
        lambda: (M["a"] > 1) and (M["b"] > 2),
        lambda: 1 < M["a"] < 3,
        lambda: not Text("x"),
        lambda: M["a"] or M["b"],
        lambda: M["a"] > 1 & M["b"],
        lambda: (M["a"] > 1) & 2,
        lambda: (M["a"] > 1) | "x",
        lambda: {M["a"]},
    ],
)
def test_slips_that_python_would_pass_over(slip: object) -> None:
    with pytest.raises(TypeError):
        slip()  # type: ignore[operator]


@pytest.mark.parametrize(
    "slip",
    [
        lambda: M["a"] == [1],
        lambda: M["a"] == np.array(3),
        lambda: M["a"] < 1j,
        lambda: M["a"].all > M["b"],
        lambda: M["a"] > M["b"].all,
        lambda: M["a"].all.exists(),
        lambda: M["signals"][0],
        lambda: spell(M == 3),
    ],
)
def test_slips_that_are_told(slip: object) -> None:
    with pytest.raises(QueryError):
        slip()  # type: ignore[operator]


def test_a_time_is_one_moment() -> None:
    assert isinstance(M["a"], Field)
    assert spell(M["a"] == datetime(2024, 3, 5, tzinfo=UTC)) != spell(M["a"] == date(2024, 3, 5))
