"""What a person is told of a series: each thing once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ParscopeError
from parscope.live.pipeline.rivals import shared, strange
from parscope.live.wire.errors import MessageError

Tell = Callable[[str | ParscopeError], None]
"""Is told what a person should know, in a sentence; an error if a thing that was asked for is not there at the end."""


class Sentences:
    """Tells of the troubles of a series.

    Parameters
    ----------
    tell : callable
        Gets the sentences.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._series = self._strange = -1
        self._damage = False
        self._told: set[str] = set()

    def begin(self, series: int) -> None:
        """Begin a series.

        Parameters
        ----------
        series : int
            Its number.
        """
        self._series, self._damage = series, False
        self._told.clear()

    def damaged(self, error: MessageError, position: int = -1) -> None:
        """A message that cannot be read, or the pattern in it.

        Parameters
        ----------
        error : MessageError
            Why.
        position : int, default -1
            Scan position of the pattern, if it is known.
        """
        if not self._damage:
            self._damage = True
            of = f"image {position} of series {self._series} is damaged: {error}"
            self._tell(of if position >= 0 else f"a message cannot be read: {error.what}")

    def stray(self, series: int, image: int, last: int) -> None:
        """An image of a series that has ended, or of which the start did not come.

        Parameters
        ----------
        series, image : int
            Their numbers.
        last : int
            Number of the last series that was measured; -1 for none.
        """
        if series != self._strange:
            self._strange = series
            self._tell(strange(series, image, last))

    def divided(self, fate: NDArray[np.uint8]) -> None:
        """The end of a series, of which another program may have taken a part.

        Parameters
        ----------
        fate : ndarray of uint8, shape (positions,)
            A `Fate` each.
        """
        if told := shared(self._series, fate):
            self._tell(told)

    def silent(self, seconds: float) -> None:
        """A series that has stopped coming in its middle.

        Parameters
        ----------
        seconds : float
            For how long nothing has come, [s].
        """
        self._tell(f"nothing has come for {seconds:.0f} s: the series ends without its last patterns")

    def dry(self) -> None:
        """A series whose source has ended in its middle."""
        self._tell(f"series {self._series} ends without its last patterns: its source has ended")

    def crashed(self, failed: Mapping[str, Exception], position: int) -> None:
        """Kernels that failed with a pattern.

        Parameters
        ----------
        failed : mapping of Exception
            By name.
        position : int
            Scan position of the pattern.
        """
        for name, error in failed.items():
            self._once(f"{name} has no numbers", f" for image {position}: {type(error).__name__}: {error}")

    def not_yet(self, faults: Mapping[str, ParscopeError]) -> None:
        """Kernels that could not be set up so far.

        Parameters
        ----------
        faults : mapping of ParscopeError
            Why, by name.
        """
        for name, fault in faults.items():
            self._once(f"no {name} so far", f": {fault}")

    def never(self, faults: Mapping[str, ParscopeError]) -> None:
        """Kernels that could not be set up at all, at the end of a series.

        Parameters
        ----------
        faults : mapping of ParscopeError
            Why, by name.
        """
        for name, fault in faults.items():
            self._tell(ParscopeError(_of(fault, name), f"series {self._series}: no {name}", fault.advice))

    def _once(self, what: str, why: str) -> None:
        """Tell it, unless it has been told of this series."""
        if what not in self._told:
            self._told.add(what)
            self._tell(f"series {self._series}: {what}{why}")


def _of(fault: ParscopeError, name: str) -> str:
    """What happened, without the advice, and without the name of the kernel."""
    return fault.what if fault.where in ("", name) else f"{fault.where} {fault.what}"
