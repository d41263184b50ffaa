"""What is remembered of one rule from pattern to pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from parscope.live.kernels.contract import Output
from parscope.live.rules.condition import find, predicate
from parscope.live.rules.decision import Decision, Outcome
from parscope.live.rules.limits import Guard
from parscope.live.rules.rule import Rule, Send, signals

_LONG_AGO = -(1 << 62)

Pattern = tuple[int, int, int, int, int, int]
"""Series, image, position; times of detector, reception and decision, [ns]."""


class Watch:
    """A rule with its count of patterns and the time it fired last; the heart of `Decider`.

    Parameters
    ----------
    index : int
        Of the rule.
    rule : Rule
        Any.
    outputs : sequence of Output
        What the analysis gives.
    guards : mapping of str to Guard
        What stands before the sinks, by address.

    Raises
    ------
    OptionError
        For outputs that are none, and units that do not fit.
    """

    __slots__ = (
        "_clamps",
        "_frames",
        "_gaps",
        "_guard",
        "_holds",
        "_last",
        "acts",
        "every",
        "index",
        "rule",
        "safes",
        "streak",
    )

    def __init__(self, index: int, rule: Rule, outputs: Sequence[Output], guards: Mapping[str, Guard]) -> None:
        self.index, self.rule, self.every = index, rule, rule.every
        self._frames, self._gaps = rule.frames, rule.gaps
        self._guard = guards[rule.then.address]
        self._holds = predicate(rule.condition, outputs)
        self._last = [_LONG_AGO, _LONG_AGO]  # when it would have fired, and when it did
        self.streak = 0
        safe = rule.otherwise or rule.then
        self.acts, self.safes = _carried(rule, rule.then, outputs), _carried(rule, safe, outputs)
        self._clamps = (
            [(i, self._guard.clamp(i)) for i in self.acts],
            [(i, guards[safe.address].clamp(i)) for i in self.safes],
        )

    def fires(self, row: list[float], gap: bool, now: int, armed: bool) -> bool:
        """Whether the rule fires for a pattern.

        Parameters
        ----------
        row : list of float
            Its numbers, in the units of the outputs.
        gap : bool
            Whether a position lies between it and the one before that has no answer.
        now : int
            Time, [ns].
        armed : bool
            Whether this is in earnest.

        Returns
        -------
        bool
        """
        if not self._holds(row):
            self.streak = 0
            return False
        self.streak = 1 if gap and not self._gaps else self.streak + 1
        if self.streak < self._frames or now - self._last[armed] < self.every:
            return False
        self._last[armed] = now
        return True

    def decision(self, row: list[float], pattern: Pattern, armed: bool) -> Decision:
        """What comes of it that the rule fired.

        Parameters
        ----------
        row : list of float
            As of `fires`, in the units of the outputs.
        pattern : tuple of int
            Which one, and its times.
        armed : bool
            Whether this is in earnest.

        Returns
        -------
        Decision
        """
        outcome = self._outcome(row, pattern, armed)
        known = tuple(None if value != value else value for value in row)
        values, clamped = [], False
        for index, clamp in self._clamps[outcome is Outcome.SAFE]:
            value = known[index]
            within = value if clamp is None or value is None else clamp(value)
            clamped |= within != value
            values.append(within)
        return Decision(self.index, outcome, armed, *pattern, row=known, values=tuple(values), clamped=clamped)

    def _outcome(self, row: list[float], pattern: Pattern, armed: bool) -> Outcome:
        *_, received, now = pattern
        if self.rule.within and now - received > self.rule.within:
            return Outcome.MISSED if self.rule.otherwise is None else Outcome.SAFE
        if not self._guard.holds(row):
            return Outcome.INTERLOCKED
        return Outcome.ACT if self._guard.take(now, armed) else Outcome.LIMITED


def _carried(rule: Rule, send: Send, outputs: Sequence[Output]) -> tuple[int, ...]:
    """Indices of the outputs that a message carries: those named, else those of the condition."""
    names = send.outputs or tuple(signal.name for signal in signals(rule.condition))
    return tuple(dict.fromkeys(find(name, outputs) for name in names))
