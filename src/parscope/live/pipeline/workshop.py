"""Makes the analysis of a series while its first patterns wait: lattices are found and kernels compiled there."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ParscopeError
from parscope.live.kernels.contract import Detector
from parscope.live.pipeline.realtime import stand_back
from parscope.live.pipeline.series import Analyser, Analysis, same_patterns


class Workshop:
    """One analysis at a time, made in a thread of its own so that the source is emptied meanwhile.

    An analysis that needed no examples serves again for a series of the same detector; one that did is made anew, since
    the next series may show another crystal, unless it is to be kept.

    Parameters
    ----------
    analyser : Analyser
        Makes it.
    keep : bool, default False
        Whether what was made of the examples of one series serves for all of the same detector.

    Attributes
    ----------
    analysis : Analysis, optional
        The one that is ready.
    fault : ParscopeError, optional
        Why there will be none.
    """

    def __init__(self, analyser: Analyser, keep: bool = False) -> None:
        self.analyser = analyser
        self._again = keep or not analyser.examples
        self.analysis: Analysis | None = None
        self.fault: ParscopeError | None = None
        self._detector: Detector | None = None
        self._examples: list[NDArray[Any]] = []
        self._thread: threading.Thread | None = None
        self._crash: BaseException | None = None

    def begin(self, detector: Detector) -> None:
        """Begin a series.

        Parameters
        ----------
        detector : Detector
            Of its patterns.
        """
        self.join()
        if self.analysis is not None and self._again and same_patterns(self._detector, detector):
            return
        self.analysis, self.fault, self._detector = None, None, detector
        self._examples = []
        if not self.analyser.examples:
            self._start()

    @property
    def wants(self) -> bool:
        """Whether more examples are wanted."""
        return self._thread is None and self.analysis is None and self.fault is None

    @property
    def busy(self) -> bool:
        """Whether it works."""
        return self._thread is not None and self._thread.is_alive()

    def show(self, frame: NDArray[Any]) -> None:
        """Give an example.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            A pattern; it is kept, not copied.
        """
        self._examples.append(frame)
        if len(self._examples) >= self.analyser.examples:
            self._start()

    def join(self) -> None:
        """Wait until it is ready; with fewer examples than wanted if the series has no more.

        Raises
        ------
        BaseException
            What went wrong in a way that nobody foresaw.
        """
        if self.wants and self._examples:
            self._start()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._crash is not None:
            raise self._crash

    def _start(self) -> None:
        """Make it, in a thread."""
        self._thread = threading.Thread(target=self._make, daemon=True)
        self._thread.start()

    def _make(self) -> None:
        """Make it, and keep what went wrong."""
        stand_back()  # a thread begins with the core and the priority of the loop, which must not share them
        detector = self._detector
        if detector is None:
            return
        try:
            examples = np.array(self._examples, np.dtype(detector.dtype)).reshape(-1, *detector.shape)
            self.analysis = self.analyser.make(detector, examples)
        except ParscopeError as error:
            self.fault = error
        except BaseException as error:  # noqa: BLE001 - raised again by `join`
            self._crash = error
        self._examples = []
