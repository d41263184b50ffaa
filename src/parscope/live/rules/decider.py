"""Decides pattern by pattern which rules fire: a function of the stream alone, with the time as an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError
from parscope.live.kernels.contract import Output
from parscope.live.rules.decision import Decision, Letter, Outcome
from parscope.live.rules.limits import Guard, Limits
from parscope.live.rules.rule import Rule
from parscope.live.rules.watch import Watch

_NOTHING: tuple[Decision, ...] = ()


@dataclass(frozen=True)
class Switch:
    """Rules were armed or disarmed.

    Parameters
    ----------
    series, position : int
        The first pattern for which that holds.
    now : int
        Time, [ns].
    armed : bool
        What holds from there on.
    """

    series: int
    position: int
    now: int
    armed: bool


class Decider:
    """Tries rules on the numbers of every pattern. It sends nothing and reads no clock.

    **When a rule fires.** Patterns come in the order in which they are answered; one whose position is not after the
    last one's is not looked at (`passed_over` counts them). The condition is tried on the numbers rounded to float32,
    as they are recorded. ``for N frames`` asks that it held for N patterns of consecutive positions: a position that
    was lost, damaged or skipped, and a number that is NaN, begin the count anew, since nobody knows what was there.
    ``for N answered frames`` counts what was answered, whatever lies between. The rule then fires at every pattern
    as long as the condition holds; with ``every T`` at times that are at least T apart. A new series begins counts
    anew, but no intervals.

    **What comes of it**, in this order:

    1. the decision is more than ``within`` after the reception of the pattern: the safe action
       (``else send``), `Outcome.SAFE`, or without one `Outcome.MISSED`; nothing holds a safe action back;
    2. the interlock of the sink does not hold for this pattern: `Outcome.INTERLOCKED`;
    3. the sink has had as many actions as its limits allow: `Outcome.LIMITED`;
    4. otherwise the action: `Outcome.ACT`.

    **Armed by hand.** Nothing is sent before `arm` is called; until then decisions are what would have been sent. It
    stays armed from series to series. Intervals and limits are counted apart for what is sent and what would have been.

    Parameters
    ----------
    rules : sequence of Rule
        Tried in this order.
    outputs : sequence of Output
        What the analysis gives, in the order of the numbers.
    limits : mapping of str to Limits, optional
        By address; those under ``""`` hold for addresses that are not named.
    dry : bool, default False
        Whether it can never be armed.

    Raises
    ------
    OptionError
        For outputs that are none, units that do not fit, two rules of one name, and messages above a kilobyte.

    Examples
    --------
    >>> from parscope.live.rules.text import parse
    >>> rule = parse("when bf.counts > 10 for 2 frames within 200 us: send udp://daq:9000")
    >>> decider = Decider([rule], [Output("bf.counts", "counts", "bright field")])
    >>> decider.begin(series=1, columns=64)
    >>> [len(decider.decide(p, np.array([v]), 1000 * p, 1000 * p + 50)) for p, v in enumerate([5, 11, 12, 13])]
    [0, 0, 1, 1]
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        outputs: Sequence[Output],
        limits: Mapping[str, Limits] | None = None,
        dry: bool = False,
    ) -> None:
        self.rules, self.outputs, self.dry = tuple(rules), tuple(outputs), dry
        self.limits = dict(limits or {})
        self.names = _names(self.rules)
        self._guards = {address: Guard(self._limits_of(address), self.outputs) for address in self.addresses}
        _only_known(self.limits, self._guards)
        self._watches = [Watch(index, rule, self.outputs, self._guards) for index, rule in enumerate(self.rules)]
        self._letters = [
            tuple(Letter(name, [self.outputs[i].name for i in indices]) for indices in (watch.acts, watch.safes))
            for name, watch in zip(self.names, self._watches, strict=True)
        ]
        self._row: NDArray[np.float32] = np.empty(len(self.outputs), np.float32)
        self._armed = self._wanted = False
        self.series, self._last, self._columns = -1, -1, 0
        self.passed_over = 0
        self.switches: list[Switch] = []

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of all sinks, each once."""
        sends = [send for rule in self.rules for send in (rule.then, rule.otherwise) if send is not None]
        return tuple(dict.fromkeys(send.address for send in sends))

    @property
    def armed(self) -> bool:
        """Whether messages are to be sent."""
        return self._wanted

    def arm(self) -> None:
        """Let messages be sent, from the next pattern on; of any thread.

        Raises
        ------
        OptionError
            If this is a dry run.
        """
        if self.dry:
            raise OptionError("a dry run cannot be armed", "rules", "start again without the dry run")
        self._wanted = True

    def disarm(self) -> None:
        """Let nothing be sent, from the next pattern on; of any thread."""
        self._wanted = False

    def begin(self, series: int, columns: int = 0) -> None:
        """Begin a series.

        Parameters
        ----------
        series : int
            Its number.
        columns : int, default 0
            Scan positions in a row, [1]; 0 if unknown.
        """
        self.series, self._columns, self._last = series, columns, -1
        for guard in self._guards.values():
            guard.begin()
        for watch in self._watches:
            watch.streak = 0

    def decide(
        self, position: int, values: NDArray[Any], received: int, now: int, image: int = -1, detector: int = -1
    ) -> Sequence[Decision]:
        """Try all rules on a pattern. Nothing is allocated that stays if none fires.

        Parameters
        ----------
        position : int
            Scan position, row by row, from 0.
        values : ndarray of float, shape (number of outputs,)
            Its numbers, in the units of the outputs.
        received : int
            When it was received, [ns].
        now : int
            When this is called, on the same clock, [ns]. Maps have it as the stamp ``analysed``, for a replay.
        image : int, default -1
            What the detector calls it.
        detector : int, default -1
            When its exposure ended, by the clock of the detector, [ns].

        Returns
        -------
        sequence of Decision
            Mostly empty.
        """
        if self._wanted is not self._armed:
            self._switch(position, now)
        if position <= self._last:
            self.passed_over += 1
            return _NOTHING
        gap = position != self._last + 1
        self._last = position
        self._row[:] = values
        row: list[float] = self._row.tolist()
        fired = [watch for watch in self._watches if watch.fires(row, gap, now, self._armed)]
        if not fired:
            return _NOTHING
        pattern = (self.series, image, position, detector, received, now)
        return [watch.decision(row, pattern, self._armed) for watch in fired]

    def safe(self, now: int) -> Sequence[Decision]:
        """Safe actions of all rules, for a watchdog to send when the loop stands still; of any thread.

        Parameters
        ----------
        now : int
            Time, [ns].

        Returns
        -------
        sequence of Decision
            One for each rule that has a safe action; their numbers are unknown.
        """
        unknown = (None,) * len(self.outputs)
        return [
            Decision(
                watch.index, Outcome.SAFE, self._wanted, self.series, -1, self._last, -1, -1, now,
                unknown, (None,) * len(watch.safes), clamped=False,
            )
            for watch in self._watches
            if watch.rule.otherwise is not None
        ]  # fmt: skip

    def address(self, decision: Decision) -> str:
        """Where a decision is sent, or would have been.

        Parameters
        ----------
        decision : Decision
            One of this decider.

        Returns
        -------
        str
        """
        rule = self.rules[decision.rule]
        safe = rule.otherwise if decision.outcome is Outcome.SAFE else None
        return (safe or rule.then).address

    def message(self, decision: Decision) -> bytes:
        """What is sent of a decision.

        Parameters
        ----------
        decision : Decision
            One of this decider.

        Returns
        -------
        bytes
            JSON of less than a kilobyte.
        """
        letter = self._letters[decision.rule][decision.outcome is Outcome.SAFE]
        return letter.write(decision, self._columns)

    def _switch(self, position: int, now: int) -> None:
        """From here on it is armed, or no longer."""
        self._armed = self._wanted
        self.switches.append(Switch(self.series, position, now, self._armed))

    def _limits_of(self, address: str) -> Limits:
        return self.limits.get(address, self.limits.get("", Limits()))


def _names(rules: Sequence[Rule]) -> tuple[str, ...]:
    """Names of rules; those without one are numbered from 1."""
    names = tuple(rule.name or f"rule-{index}" for index, rule in enumerate(rules, 1))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"two rules are called {twice[0]}", "rule", "give each a name of its own")
    return names


def _only_known(limits: Mapping[str, Limits], guards: Mapping[str, Guard]) -> None:
    """Limits of a sink that no rule sends to are a slip: what they were meant for has none."""
    foreign = [address for address in limits if address and address not in guards]
    if foreign:
        raise OptionError(f"no rule sends to {foreign[0]}", "limits", "write the address as the rule does")
