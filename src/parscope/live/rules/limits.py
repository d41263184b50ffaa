"""What may be sent to a sink at most: how often, how much, and only while something holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from parscope.core.errors import OptionError
from parscope.live.kernels.contract import Output
from parscope.live.rules.condition import Predicate, find, predicate
from parscope.live.rules.text import parse_condition

SECOND = 1_000_000_000
"""[ns]."""

_MOST = 1_000_000  # actions a second: more than any detector has patterns, and what one of them keeps in memory


@dataclass(frozen=True)
class Limits:
    """Limits of one sink, over all rules that send to it. Safe actions are never held back by them.

    Parameters
    ----------
    per_second : int
        Actions within any second, [1].
    per_scan : int
        Actions within a series of patterns, [1].
    between : mapping of str to (float, float)
        Lowest and highest value that is sent of an output, in its unit; what is beyond is brought to that.
    only_while : str
        Interlock: a condition of the same pattern, as behind ``when``, without which nothing is sent; empty for none.

    Raises
    ------
    OptionError
        For a limit that is none.

    Examples
    --------
    >>> Limits(per_second=50, between={"com.x": (-4, 4)}, only_while="sum.counts > 1000").per_second
    50
    """

    per_second: int = 1000
    per_scan: int = 1_000_000
    between: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    only_while: str = ""

    def __post_init__(self) -> None:
        """Refuse what limits nothing, or everything."""
        if not 1 <= self.per_second <= _MOST or self.per_scan < 1:
            raise OptionError(f"{self.per_second} a second, {self.per_scan} a scan", "limits", "take 1 or more of each")
        for name, (low, high) in self.between.items():
            if not low <= high:
                raise OptionError(f"nothing is between {low:g} and {high:g}", f"limits of {name}")


class Budget:
    """Counts actions, and says when there were enough.

    Parameters
    ----------
    limits : Limits
        How many there may be.

    Examples
    --------
    >>> budget = Budget(Limits(per_second=2))
    >>> [budget.take(now) for now in (0, 10, 20, SECOND, SECOND + 5)]
    [True, True, False, True, False]
    """

    def __init__(self, limits: Limits) -> None:
        self._per_scan, self._taken = limits.per_scan, 0
        self._times = [-SECOND] * limits.per_second  # of the last actions, in a circle
        self._next = 0

    def take(self, now: int) -> bool:
        """Take one action.

        Parameters
        ----------
        now : int
            Time, [ns]; from 0.

        Returns
        -------
        bool
            Whether there was one left.
        """
        if self._taken >= self._per_scan or now - self._times[self._next] < SECOND:
            return False
        self._times[self._next] = now
        self._next = (self._next + 1) % len(self._times)
        self._taken += 1
        return True

    def begin(self) -> None:
        """Begin a series: its number of actions is full again; what a second may have is not."""
        self._taken = 0


class Guard:
    """What stands before one sink.

    What would have been sent is counted apart from what was sent, so that a dry run shows what the limits would do and
    yet uses nothing of them up.

    Parameters
    ----------
    limits : Limits
        Of this sink.
    outputs : sequence of Output
        What the analysis gives.

    Raises
    ------
    OptionError
        For names that are none, and an interlock that cannot be read.
    """

    def __init__(self, limits: Limits, outputs: Sequence[Output]) -> None:
        self._between = {find(name, outputs): ends for name, ends in limits.between.items()}
        self.holds: Predicate = predicate(parse_condition(limits.only_while), outputs) if limits.only_while else _always
        self._budgets = (Budget(limits), Budget(limits))

    def take(self, now: int, armed: bool) -> bool:
        """Take one action.

        Parameters
        ----------
        now : int
            Time, [ns].
        armed : bool
            Whether it is a real one.

        Returns
        -------
        bool
            Whether there was one left.
        """
        return self._budgets[armed].take(now)

    def clamp(self, index: int) -> Callable[[float], float] | None:
        """Function that brings an output within its limits.

        Parameters
        ----------
        index : int
            Of the output.

        Returns
        -------
        callable, optional
            None if it has no limits.
        """
        ends = self._between.get(index)
        return None if ends is None else lambda value: min(max(value, ends[0]), ends[1])

    def begin(self) -> None:
        """Begin a series."""
        for budget in self._budgets:
            budget.begin()


def _always(_: list[float]) -> bool:
    return True
