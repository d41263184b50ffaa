"""Computations of whole maps beside the page, so that nobody waits for those of a large scan."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

SMALL = 1 << 17
"""Positions up to which a computation takes no time that anybody notices."""


class Later(Generic[_T]):
    """Does one computation at a time; what is asked for meanwhile is left out.

    Parameters
    ----------
    first : object
        The answer before there is one.
    size : int
        Positions of the scan; up to `SMALL`, answers are there at once.
    """

    def __init__(self, first: _T, size: int) -> None:
        self.answer = first
        self.number = 0
        self._beside = size > SMALL
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether it computes."""
        return self._thread is not None and self._thread.is_alive()

    def ask(self, function: Callable[..., _T], *given: Any) -> None:
        """Compute an answer, unless another is being computed.

        Parameters
        ----------
        function : callable
            Gives the answer.
        *given : object
            Its arguments; nobody else changes them.
        """
        if self.busy:
            return
        if not self._beside:
            self._compute(function, given)
            return
        self._thread = threading.Thread(target=self._compute, args=(function, given), daemon=True)
        self._thread.start()

    def now(self, function: Callable[..., _T], *given: Any) -> None:
        """Compute an answer, and wait for it.

        Parameters
        ----------
        function : callable
            Gives the answer.
        *given : object
            Its arguments.
        """
        self.wait()
        self._compute(function, given)

    def wait(self) -> None:
        """Wait for what is being computed."""
        if self._thread is not None:
            self._thread.join()

    def _compute(self, function: Callable[..., _T], given: tuple[Any, ...]) -> None:
        """Compute it."""
        self.answer = function(*given)
        self.number += 1
