"""What was decided of a pattern, and the message that tells it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from parscope.core.errors import OptionError

LARGEST = 999
"""Bytes of the longest message, [1]."""

_DIGITS = 20  # of the longest whole number, with its sign


class Outcome(StrEnum):
    """What a rule that fired led to; the sentence a person reads is `Outcome.sentence`."""

    ACT = "act"
    SAFE = "safe"
    MISSED = "missed"
    LIMITED = "limited"
    INTERLOCKED = "interlocked"

    @property
    def sentence(self) -> str:
        """One sentence for a report."""
        return _SENTENCES[self]


_SENTENCES = {
    Outcome.ACT: "the action was sent, or would have been",
    Outcome.SAFE: "the safe action took the place of the action: the decision was late, or the loop stood still",
    Outcome.MISSED: "the decision was late, and the rule has no safe action",
    Outcome.LIMITED: "as many actions had been sent as the limits allow",
    Outcome.INTERLOCKED: "the interlock did not hold",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """A rule that fired for a pattern, and what came of it; equal if everything is the same.

    Parameters
    ----------
    rule : int
        Index of the rule.
    outcome : Outcome
        What came of it.
    armed : bool
        Whether messages were really sent; if not, this is what would have been.
    series, image, position : int
        Of the pattern: number of the series, identity of the image in it, and scan position, row by row. -1 where
        there is none.
    detector, received, decided : int
        When the exposure ended by the clock of the detector, when the pattern was received and when it was decided
        upon by the clock of this machine, [ns]; -1 where unknown.
    row : tuple of float or None
        All numbers of the pattern, as recorded (float32), in the units of the outputs; None for NaN.
    values : tuple of float or None
        Those that the message carries, within the limits of what may be sent, in the units of the outputs.
    clamped : bool
        Whether one of `values` was brought within its limits.
    """

    rule: int
    outcome: Outcome
    armed: bool
    series: int
    image: int
    position: int
    detector: int
    received: int
    decided: int
    row: tuple[float | None, ...]
    values: tuple[float | None, ...]
    clamped: bool

    @property
    def sent(self) -> bool:
        """Whether there is a message to be sent."""
        return self.armed and self.outcome in _TOLD


_TOLD = (Outcome.ACT, Outcome.SAFE)


class Letter:
    """Writes the messages of one rule: JSON of less than a kilobyte, in UTF-8 (here ASCII).

    Parameters
    ----------
    rule : str
        Name of the rule.
    outputs : sequence of str
        Names of the numbers that it carries.

    Raises
    ------
    OptionError
        If a message could be longer than a kilobyte.

    Examples
    --------
    >>> decision = Decision(0, Outcome.ACT, True, 7, 12, 12, -1, 10, 20, (0.5,), (0.5,), False)
    >>> print(Letter("hot", ["com.x"]).write(decision, columns=8).decode())
    {"parscope":1,"rule":"hot","action":"act","series":7,"image":12,"position":12,"y":1,"x":4,"detector_ns":-1,\
"received_ns":10,"decided_ns":20,"clamped":false,"values":{"com.x":0.5}}
    """

    def __init__(self, rule: str, outputs: Sequence[str]) -> None:
        self._rule = json.dumps(rule)
        self._names = tuple(json.dumps(name) for name in outputs)
        largest = -(10 ** (_DIGITS - 2))
        nothing = (-1.23456789e-300,) * len(self._names)
        longest = Decision(0, Outcome.SAFE, True, *(largest,) * 6, nothing, nothing, clamped=False)
        length = len(self.write(longest, columns=0)) + 2 * _DIGITS
        if length > LARGEST:
            raise OptionError(
                f"its messages have up to {length} bytes, of {LARGEST} at most", rule, "send fewer outputs"
            )

    def write(self, decision: Decision, columns: int) -> bytes:
        """Write the message of a decision.

        Parameters
        ----------
        decision : Decision
            Of this rule.
        columns : int
            Scan positions in a row, [1]; 0 if unknown, for which y and x are -1.

        Returns
        -------
        bytes
        """
        y, x = divmod(decision.position, columns) if columns > 0 <= decision.position else (-1, -1)
        values = ",".join(f"{name}:{_number(value)}" for name, value in zip(self._names, decision.values, strict=True))
        clamped = "true" if decision.clamped else "false"
        text = (
            f'{{"parscope":1,"rule":{self._rule},"action":"{decision.outcome.value}","series":{decision.series},'
            f'"image":{decision.image},"position":{decision.position},"y":{y},"x":{x},'
            f'"detector_ns":{decision.detector},"received_ns":{decision.received},"decided_ns":{decision.decided},'
            f'"clamped":{clamped},"values":{{{values}}}}}'
        )
        return text.encode("ascii")


def _number(value: float | None) -> str:
    """Nine digits tell every float32 apart; JSON knows no infinity."""
    return "null" if value is None or value in (_INFINITE, -_INFINITE) else f"{value:.9g}"


_INFINITE = float("inf")
