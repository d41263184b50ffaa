"""Maps of detectors that a person draws while the probe scans, summed beside the analysis and without slowing it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError, ParscopeError
from parscope.core.stream import Fate
from parscope.live.kernels.contract import Detector, Output
from parscope.live.kernels.plan import Plan
from parscope.serve.live.changes import Changes
from parscope.serve.live.contract import Patterns, VirtualDetector

_BUDGET = 0.015
"""Time for sums in one look at the board, [s]: less than half of what there is."""

_MOST = 8


class Drawn:
    """Sums over drawn detectors, of the newest patterns first and then of those before that are still kept.

    They are to be looked at: rules and saved results have what the session was started with. Pixels that the detector
    marks in its mask alone, without the value that says so, are not left out.

    Parameters
    ----------
    patterns : callable, optional
        Gives the patterns. Default: nothing can be drawn.
    """

    def __init__(self, patterns: Patterns | None) -> None:
        self._patterns = patterns
        self._detectors: tuple[VirtualDetector, ...] = ()
        self._detector: Detector | None = None
        self._plan: Plan | None = None
        self._shape = (0, 0)
        self._empty()

    def _empty(self) -> None:
        """Forget all sums."""
        outputs = len(self._detectors)
        self.changes = Changes(self._shape, outputs)
        self._values: NDArray[np.float32] = np.full((self._shape[0] * self._shape[1], outputs), np.nan, np.float32)
        self._fate = np.zeros(len(self._values), np.uint8)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What is summed."""
        return tuple(Output(f"{one.name}.counts", "counts", f"virtual detector {one.name}") for one in self._detectors)

    def begin(self, head: dict[str, Any], scan_shape: tuple[int, int]) -> None:
        """A series begins.

        Parameters
        ----------
        head : dict
            As the board tells of it.
        scan_shape : tuple of int
            Scan positions (y, x).
        """
        self._shape, self._detector = scan_shape, None
        if "pattern_shape" in head:
            shape, dtype = tuple(head["pattern_shape"]), head["dtype"]
            nodata = int(np.iinfo(dtype).max)
            self._detector = Detector(shape, dtype, np.zeros(shape, np.bool_), nodata, scan_shape)
        try:
            self._plan = self._planned(self._detectors)
        except ParscopeError:
            # They were drawn on patterns of another shape.
            self._detectors, self._plan = (), None
        self._empty()

    def _planned(self, detectors: tuple[VirtualDetector, ...]) -> Plan | None:
        """What sums over detectors, as soon as the patterns are known."""
        if not detectors or self._detector is None:
            return None
        return Plan([one.kernel for one in detectors], self._detector)

    def prepare(self, detectors: tuple[VirtualDetector, ...]) -> Plan | None:
        """See whether they can be summed over; takes a moment for the first.

        Parameters
        ----------
        detectors : tuple of VirtualDetector
            As drawn.

        Returns
        -------
        Plan, optional
            For `use`; None if there is nothing to sum yet.

        Raises
        ------
        OptionError
            If they cannot.
        """
        if self._patterns is None:
            raise OptionError("cannot be summed over: no patterns are kept", "detectors")
        if len(detectors) > _MOST:
            raise OptionError(f"are {len(detectors)}, more than {_MOST}", "detectors", "remove some")
        plan = self._planned(detectors)
        if plan is not None:
            plan.warm()
        return plan

    def use(self, detectors: tuple[VirtualDetector, ...], plan: Plan | None) -> str:
        """Sum over these, in place of those before.

        Parameters
        ----------
        detectors : tuple of VirtualDetector
            As drawn.
        plan : Plan, optional
            As `prepare` made it of them.

        Returns
        -------
        str
            A sentence for the person.
        """
        self._detectors, self._plan = detectors, plan
        self._empty()
        if not detectors:
            return "No detector is in use."
        return f"In use. To have them saved and in rules, next time: --analyse {','.join(d.spelled for d in detectors)}"

    def step(self, fate: NDArray[np.uint8]) -> None:
        """Sum over some patterns.

        Parameters
        ----------
        fate : ndarray of uint8, shape (positions,)
            What became of all patterns.
        """
        plan, patterns = self._plan, self._patterns
        if plan is None or patterns is None:
            return
        end, out = time.perf_counter() + _BUDGET, plan.room()
        analysed = (fate == Fate.ANSWERED) | (fate == Fate.FILLED)
        self._fate[~analysed] = fate[~analysed]
        for position in np.flatnonzero(analysed & (self._fate != fate))[::-1].tolist():
            frame = patterns(position)
            if frame is not None and frame.shape == plan.detector.shape:
                plan.run(frame, out)
                self._values[position] = out
            self._fate[position] = fate[position]
            if time.perf_counter() > end:
                break
        self.changes.look(self._values, self._fate)
