"""Maps of detectors that a person draws while the probe scans, summed beside the analysis and without slowing it."""

from __future__ import annotations

import time
from collections.abc import Mapping
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

_AT_ONCE = 1 << 12  # positions that are looked up in one look at the board

_MOST = 8


class Drawn:
    """Sums over drawn detectors in one series, of the newest patterns first and then of those before that are kept.

    Rules have what the session was started with. Pixels that the detector marks in its mask alone, without the value
    that says so, are not left out.

    Parameters
    ----------
    patterns : callable, optional
        Gives the patterns. Default: nothing can be drawn.
    generation : int
        Which series, as the board counts them.
    head : mapping
        What the board tells of it.
    detectors : tuple of VirtualDetector, optional
        As drawn in the series before; left out if they were drawn on patterns of another shape.
    """

    def __init__(
        self,
        patterns: Patterns | None,
        generation: int,
        head: Mapping[str, Any],
        detectors: tuple[VirtualDetector, ...] = (),
    ) -> None:
        self._patterns, self._generation = patterns, generation
        self._shape = tuple(head.get("scan_shape", (0, 0)))
        self._detector: Detector | None = None
        if "pattern_shape" in head:
            shape, dtype = tuple(head["pattern_shape"]), head["dtype"]
            nodata = int(np.iinfo(dtype).max)
            self._detector = Detector(shape, dtype, np.zeros(shape, np.bool_), nodata, self._shape)
        try:
            plan = self._planned(detectors)
        except ParscopeError:
            detectors, plan = (), None
        self.use(detectors, plan)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What is summed."""
        return tuple(Output(f"{one.name}.counts", "counts", f"virtual detector {one.name}") for one in self.detectors)

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

    def use(self, detectors: tuple[VirtualDetector, ...], plan: Plan | None) -> None:
        """Sum over these, in place of those before.

        Parameters
        ----------
        detectors : tuple of VirtualDetector
            As drawn.
        plan : Plan, optional
            As `prepare` made it of them.
        """
        self.detectors, self._plan = detectors, plan
        self.changes = Changes(self._shape, len(detectors))
        positions = self._shape[0] * self._shape[1]
        self._values: NDArray[np.float32] = np.full((positions, len(detectors)), np.nan, np.float32)
        self._fate = np.zeros(positions, np.uint8)

    def step(self, fate: NDArray[np.uint8]) -> bool:
        """Sum over some patterns.

        Parameters
        ----------
        fate : ndarray of uint8, shape (positions,)
            What became of all patterns.

        Returns
        -------
        bool
            Whether nothing is left to sum.
        """
        plan, patterns = self._plan, self._patterns
        if plan is None or patterns is None:
            return True
        end, out = time.perf_counter() + _BUDGET, plan.room()
        analysed = (fate == Fate.ANSWERED) | (fate == Fate.FILLED)
        self._fate[~analysed] = fate[~analysed]
        waiting = np.flatnonzero(analysed & (self._fate != fate))
        done = 0
        for position in waiting[: -_AT_ONCE - 1 : -1].tolist():
            frame = patterns(position, self._generation)
            if frame is not None and frame.shape == plan.detector.shape:
                plan.run(frame, out)
                self._values[position] = out
            self._fate[position] = fate[position]
            done += 1
            if time.perf_counter() > end:
                break
        self.changes.look(self._values, self._fate)
        return done == len(waiting)

    def saved(self) -> dict[str, tuple[Output, NDArray[np.float32], str]]:
        """The sums, to be kept.

        Returns
        -------
        dict of tuple
            By the name of the map: what it is, its values (NaN where no pattern was summed), and the detector as
            ``--analyse`` takes it.
        """
        columns = zip(self.outputs, self._values.T, self.detectors, strict=True)
        return {output.name: (output, values.copy(), one.spelled) for output, values, one in columns}
