"""The text of rules: what is understood, and what is said of the rest."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from parscope.core import registry
from parscope.core.errors import MissingExtraError, OptionError
from parscope.live.kernels.plan import GROUP, kernel_of
from parscope.live.rules import text
from parscope.live.rules.rule import And, Compare, Not, Number, Or, Rule, Send, Signal, signals
from parscope.live.rules.text import LONGEST, parse, parse_condition

A, B, C = (Compare(Signal(name), ">", Number(1.0)) for name in "abc")


def test_a_rule_with_everything() -> None:
    written = """hot: when strain.e_xx > 2 % for 3 frames every 10ms within 0.2 ms:
        send strain.e_xx, com.y to udp://[::1]:9000 else send shm://safe-1"""
    assert parse(written) == Rule(
        Compare(Signal("strain.e_xx"), ">", Number(2.0, "%")),
        Send("udp://[::1]:9000", ("strain.e_xx", "com.y")),
        Send("shm://safe-1"),
        frames=3,
        every=10_000_000,
        within=200_000,
        name="hot",
        text=" ".join(written.split()),
    )


def test_clauses_come_in_any_order_or_not_at_all() -> None:
    assert parse("when a > 1 within 1 s every 2 us for 5 answered frames: send udp://h:1").gaps
    plain = parse("WHEN a > 1: SEND udp://h:1")
    assert (plain.frames, plain.gaps, plain.every, plain.within, plain.otherwise) == (1, False, 0, 0, None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a > 1", A),
        ("not a > 1 and b > 1", And((Not(A), B))),
        ("a > 1 or b > 1 and c > 1", Or((A, And((B, C))))),
        ("(a > 1 or b > 1) and c > 1", And((Or((A, B)), C))),
        ("not (a > 1 or not b > 1)", Not(Or((A, Not(B))))),
        ("1<a", Compare(Number(1.0), "<", Signal("a"))),
        ("abs(a) >= .5px", Compare(Signal("a", absolute=True), ">=", Number(0.5, "px"))),
        ("a == -1e3 mrad", Compare(Signal("a"), "=", Number(-1000.0, "mrad"))),
        ("a != b", Compare(Signal("a"), "!=", Signal("b"))),
        ("a <= 3 counts2", Compare(Signal("a"), "<=", Number(3.0, "counts2"))),
        ("a-b.c-1 > -1", Compare(Signal("a-b.c-1"), ">", Number(-1.0))),
        ("not-a > 1 and or-b > 1", And((Compare(Signal("not-a"), ">", Number(1.0)),
                                        Compare(Signal("or-b"), ">", Number(1.0))))),
        ("format > 3 and order.by < 2", And((Compare(Signal("format"), ">", Number(3.0)),
                                             Compare(Signal("order.by"), "<", Number(2.0))))),
    ],
)  # fmt: skip
def test_conditions_mean_what_they_say(written: str, meant: Any) -> None:
    assert parse_condition(written) == meant


@pytest.mark.parametrize("kind", sorted(set(registry.names(GROUP)) - {"mask", "onnx", "solver"}))
@pytest.mark.parametrize("label", ["", "halo-1="])
def test_whatever_a_kernel_gives_can_be_named_in_a_rule(label: str, kind: str) -> None:
    kernel = kernel_of(f"{label}{kind}")
    for output in kernel.outputs:
        name = f"{kernel.name}.{output.name}"
        condition = parse_condition(f"{name} > 1 and not abs({name}) < {name}")
        assert [signal.name for signal in signals(condition)] == [name] * 3


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", 'rule, column 1: expected a name and a colon, or "when", found the end'),
        ("a > 1: send udp://h:1", 'rule, column 3: expected a ":" and "when", found ">"'),
        ("when a: send udp://h:1", 'column 7: expected a comparison (<, <=, >, >=, =, !=), found ":"'),
        ("when a ~ 1: send udp://h:1", 'column 8: expected a comparison (<, <=, >, >=, =, !=), found "~"'),
        ("when a > : send udp://h:1", 'column 10: expected an output of the analysis or a number, found ":"'),
        ("when a > 1", 'column 11: expected "for", "every", "within" or ":", then "send", found the end'),
        ("when (a > 1: send udp://h:1", 'column 12: expected ")", found ":"'),
        ("when a > 1: post udp://h:1", 'column 13: expected "send", found "post"'),
        ("when a > 1: send daq:9000", 'column 21: expected "to" and an address, found ":"'),
        ("when a > 1: send a to daq", 'column 23: expected an address such as udp://host:port, found "daq"'),
        ("when a > 1: send udp://h:1 or", 'column 28: expected "else send" or the end, found "or"'),
        ("when a > 1 for 3: send udp://h:1", 'column 17: expected "frames", found ":"'),
        ("when a > 1 for 0 frames: send udp://h:1", "column 16: 0 is no number of frames; write a whole number from 1"),
        ("when a > 1 for 2.5 frames: send udp://h:1", "column 16: 2.5 is no number of frames"),
        ("when a > 1 every 10: send udp://h:1", 'column 20: expected a unit of time such as ms or us, found ":"'),
        ("when a > 1 every 10 px: send udp://h:1", "10 px is no time from 1 ns to a day; write it as 10 ms"),
        ("when a > 1 within 1e300 s: send udp://h:1", "no time from 1 ns to a day"),
        ("when a > 1 within -1 s: send udp://h:1", "no time from 1 ns to a day"),
        ("when a > 1 for 3 frames for 4 frames: send udp://h:1", 'says "for", "every" or "within" twice'),
        ("when 1 < 2: send udp://h:1", "column 8: compares a number with a number; name an output of the analysis"),
    ],
)
def test_what_is_wrong_is_told_with_its_column(written: str, told: str) -> None:
    with pytest.raises(OptionError) as raised:
        parse(written)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_longest_rule_is_read_however_it_is_nested() -> None:
    nested = "not " * ((LONGEST - 10) // 4) + "a > 1"
    assert isinstance(parse_condition(nested), Not)
    with pytest.raises(OptionError, match=f"of {LONGEST} at most"):
        parse_condition("(" * LONGEST + "a > 1")


def test_the_library_that_reads_rules_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lark", None)
    text._parser.cache_clear()
    with pytest.raises(MissingExtraError, match=r"pip install 'parscope\[live\]'"):
        parse("when a > 1: send udp://h:1")
    text._parser.cache_clear()
