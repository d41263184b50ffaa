"""What a rule is, once its text is read: a condition, how long it has to hold, and what is sent in which time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Order = Literal["<", "<=", ">", ">=", "=", "!="]


@dataclass(frozen=True)
class Number:
    """A number of the text.

    Parameters
    ----------
    value : float
        As written, in `unit`.
    unit : str
        As written; empty where there is none, which stands for the unit of what it is compared with.
    """

    value: float
    unit: str = ""


@dataclass(frozen=True)
class Signal:
    """One of the numbers that the analysis gives for every pattern.

    Parameters
    ----------
    name : str
        ``strain.e_xx``; the name of a kernel alone is its first output.
    absolute : bool
        Whether its absolute value is meant: ``abs(com.x)``.
    """

    name: str
    absolute: bool = False


@dataclass(frozen=True)
class Compare:
    """A comparison; false if either side is NaN.

    Parameters
    ----------
    left, right : Signal or Number
        What is compared.
    order : str
        ``<``, ``<=``, ``>``, ``>=``, ``=`` or ``!=``.
    """

    left: Signal | Number
    order: Order
    right: Signal | Number


@dataclass(frozen=True)
class And:
    """All of them.

    Parameters
    ----------
    parts : tuple of Condition
        Two or more.
    """

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Or:
    """Any of them.

    Parameters
    ----------
    parts : tuple of Condition
        Two or more.
    """

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """The opposite, of what is known: where a number is missing, neither a condition nor its opposite holds.

    Parameters
    ----------
    part : Condition
        What must not hold.
    """

    part: Condition


Condition = Compare | And | Or | Not


@dataclass(frozen=True)
class Send:
    """Where a message goes, and which numbers it carries.

    Parameters
    ----------
    address : str
        ``udp://host:port``, ``shm://name``, ...
    outputs : tuple of str
        Names of outputs; empty for those that the condition names.
    """

    address: str
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One rule: ``name: when condition for N frames every T within D: send ... else send ...``.

    Parameters
    ----------
    condition : Compare, And, Or or Not
        What has to hold.
    then : Send
        The action.
    otherwise : Send, optional
        The safe action: sent in place of `then` when the decision comes late, and by the watchdog of the loop.
    frames : int
        Number of consecutive patterns for which the condition has to hold, [1].
    gaps : bool
        Whether positions without an answer may lie between these; if not, they begin the count anew.
    every : int
        Shortest time between two decisions, [ns].
    within : int
        Longest time from the reception of a pattern to the decision, [ns]; 0 for no limit.
    name : str
        What the rule is called; empty for none.
    text : str
        The rule as it was written.
    """

    condition: Condition
    then: Send
    otherwise: Send | None = None
    frames: int = 1
    gaps: bool = False
    every: int = 0
    within: int = 0
    name: str = ""
    text: str = ""


def signals(condition: Condition) -> tuple[Signal, ...]:
    """Signals of a condition, in the order of its text.

    Parameters
    ----------
    condition : Compare, And, Or or Not
        Any.

    Returns
    -------
    tuple of Signal
    """
    if isinstance(condition, Compare):
        return tuple(side for side in (condition.left, condition.right) if isinstance(side, Signal))
    parts = (condition.part,) if isinstance(condition, Not) else condition.parts
    return tuple(signal for part in parts for signal in signals(part))
