"""Conditions as functions: against three-valued logic, units, and names."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parscope.core.errors import OptionError
from parscope.live.kernels import Output
from parscope.live.rules.condition import find, predicate
from parscope.live.rules.rule import And, Compare, Condition, Not, Number, Or, Signal
from parscope.live.rules.text import parse_condition

OUTPUTS = (
    Output("com.y", "px", ""),
    Output("com.x", "px", ""),
    Output("strain.e_xx", "1", ""),
    Output("strain.rotation", "rad", ""),
    Output("bf.counts", "counts", ""),
)
NAN = float("nan")


def holds(written: str, **values: float) -> bool:
    row = [values.get(output.name.replace(".", "_"), 0.0) for output in OUTPUTS]
    return predicate(parse_condition(written), OUTPUTS)(row)


ORDERS = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
FEW = st.sampled_from([-1.0, 0.0, 0.5, 1.0, NAN])


# Trees of plain values: the run-time check of types draws at random, which must not happen while examples are made.
LEAVES = st.tuples(
    st.sampled_from([output.name for output in OUTPUTS[:2]]),
    st.booleans(),
    st.sampled_from(sorted(ORDERS)),
    st.sampled_from([-1.0, 0.0, 0.5, 1.0]),
    st.booleans(),
)
TREES = st.recursive(
    LEAVES,
    lambda parts: st.tuples(st.sampled_from(["not", "and", "or"]), st.lists(parts, min_size=2, max_size=3)),
    max_leaves=8,
)


def grown(tree: Any) -> Condition:
    if len(tree) == 5:
        name, absolute, order, number, turned = tree
        sides = [Signal(name, absolute), Number(number)]
        return Compare(sides[turned], order, sides[not turned])
    parts = tuple(map(grown, tree[1]))
    return Not(parts[0]) if tree[0] == "not" else (And if tree[0] == "and" else Or)(parts)


def kleene(condition: Condition, row: list[float]) -> bool | None:
    """True, False, or None for unknown: the strong logic of Kleene."""
    if isinstance(condition, Not):
        inner = kleene(condition.part, row)
        return None if inner is None else not inner
    if isinstance(condition, Compare):
        sides = [
            side.value if isinstance(side, Number) else (abs if side.absolute else float)(row[find(side.name, OUTPUTS)])
            for side in (condition.left, condition.right)
        ]
        return None if any(map(math.isnan, sides)) else ORDERS[condition.order](*sides)
    parts = [kleene(part, row) for part in condition.parts]
    decisive = isinstance(condition, Or)
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


@settings(max_examples=300)
@given(TREES, st.lists(FEW, min_size=5, max_size=5))
def test_a_condition_holds_only_if_it_is_known_to(tree: Any, row: list[float]) -> None:
    condition = grown(tree)
    assert predicate(condition, OUTPUTS)(row) is (kleene(condition, row) is True)


@pytest.mark.parametrize("written", ["com.x > 1", "not com.x > 1", "com.x != 1", "not com.x = 1", "com.x = com.x"])
def test_nothing_is_known_of_what_is_missing(written: str) -> None:
    assert not holds(written, com_x=NAN)


@pytest.mark.parametrize(
    ("written", "name", "below", "above"),
    [
        ("strain.e_xx > 2 %", "strain_e_xx", 0.0199, 0.0201),
        ("strain.e_xx > 20 ‰", "strain_e_xx", 0.0199, 0.0201),
        ("strain.e_xx > 0.02", "strain_e_xx", 0.0199, 0.0201),
        ("strain.rotation > 5 mrad", "strain_rotation", 0.0049, 0.0051),
        ("strain.rotation > 1 deg", "strain_rotation", 0.0174, 0.0175),
        ("strain.rotation > 1°", "strain_rotation", 0.0174, 0.0175),
        ("com.x > 1.5 px", "com_x", 1.4, 1.6),
        ("com > 1.5", "com_y", 1.4, 1.6),
    ],
)
def test_units_are_those_of_the_output(written: str, name: str, below: float, above: float) -> None:
    assert not holds(written, **{name: below})
    assert holds(written, **{name: above})


def test_two_outputs_are_compared_in_one_unit() -> None:
    assert holds("abs(com.y) > abs(com.x)", com_y=-3.0, com_x=2.0)
    assert not holds("com.y > com.x", com_y=-3.0, com_x=2.0)
    with pytest.raises(OptionError, match=r"com.y is in px and bf.counts in counts"):
        holds("com.y > bf.counts")


@pytest.mark.parametrize(
    "written", ["strain.rotation > 2 %", "com.x > 5 mrad", "strain.e_xx > 1 deg", "bf > 3 kcounts"]
)
def test_units_that_do_not_fit_are_refused(written: str) -> None:
    with pytest.raises(OptionError, match="does not fit"):
        holds(written)


def test_an_output_that_is_not_analysed_is_named_with_those_that_are() -> None:
    with pytest.raises(OptionError, match=r"there is no output 'adf'; the analysis gives com.y, com.x, strain.e_xx"):
        holds("adf > 1")
