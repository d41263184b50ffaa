"""How long answers took, and which patterns got none: the report that a session prints and saves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.stream import Fate

_POINTS = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
_EDGES = np.concatenate([[0.0], np.geomspace(5.0, 1e6, 54)])
_BLOCKS = 20


@dataclass(frozen=True)
class Report:
    """Latency and losses of one series.

    Parameters
    ----------
    patterns : int
        Scan positions of the series.
    fates : mapping of int
        How many of them are ``answered``, ``skipped``, ``lost``, ``damaged`` or still ``waiting``, and how many were
        passed over and ``filled`` in afterwards for the maps: those are no answers, neither in time nor late.
    deadline_us : float
        Longest time from the arrival of a pattern to its answer, as declared, [us].
    missed : int
        Answers that came later.
    answer : mapping of float
        Percentiles of the time from arrival to answer, [us]: ``p50``, ``p90``, ``p99``, ``p99.9``, ``max``. An answer
        is there when rules have decided upon it, or when the last message was handed over where one was sent.
    steps : mapping of mapping of float
        The same for its parts, [us]: ``decode`` (with the time in the ring), ``analyse``, ``decide`` where there are
        rules, and ``emit`` where a message was sent.
    jitter : mapping of float
        The same for the time from the end of the exposure to the answer, above its smallest value, [us]: the clocks
        of detector and machine have no common zero. Empty where the detector tells no times.
    lag_pixels : mapping of float
        The same for the time from arrival to answer in dwell times, [1]: how many positions the probe moves on.
    dwell_us : float
        Time from one scan position to the next, [us]; the median of what was seen.
    histogram : mapping of list
        ``edges`` [us] and ``counts`` of the time from arrival to answer.

    Examples
    --------
    >>> stamps = np.array([[1000, 0, 41000, 41000, 0, 0, 0], [201000, 0, 501000, 501000, 0, 0, 0]])
    >>> report = report_of(stamps, np.array([1, 1], np.uint8), 200_000)
    >>> report.answer["max"], report.missed, report.in_time
    (300.0, 1, 0.5)
    """

    patterns: int
    fates: Mapping[str, int]
    deadline_us: float
    missed: int
    answer: Mapping[str, float]
    steps: Mapping[str, Mapping[str, float]]
    jitter: Mapping[str, float]
    lag_pixels: Mapping[str, float]
    dwell_us: float
    histogram: Mapping[str, list[float]]

    @property
    def in_time(self) -> float:
        """Share of the patterns of the scan so far that were answered within the deadline, [1]; NaN before any."""
        due = self.patterns - self.fates["waiting"]
        return (self.fates["answered"] - self.missed) / due if due else float("nan")

    def as_json(self) -> dict[str, Any]:
        """The report as plain numbers.

        Returns
        -------
        dict of str
        """
        return {**asdict(self), "in_time": None if np.isnan(self.in_time) else self.in_time}

    def lines(self) -> list[str]:
        """The report for a person.

        Returns
        -------
        list of str
            One line each.
        """
        fates = self.fates
        told = [f"{fates[fate.name.lower()]} {_WORDS[fate]}" for fate in Fate if fates[fate.name.lower()]]
        lines = [f"{self.patterns} positions: {', '.join(told) or 'none'}"]
        if fates["answered"]:
            line = f"{100 * self.in_time:.2f} % answered within {self.deadline_us:g} us of arrival"
            lines.append(f"{line}, {self.missed} later" if self.missed else line)
            lines += [f"{title}: {_said(p, unit)}" for title, p, unit in self._rows() if p]
        return lines

    def _rows(self) -> list[tuple[str, Mapping[str, float], str]]:
        """Percentiles that are printed."""
        return [
            ("arrival to answer", self.answer, "us"),
            *((f"  of which {name}", points, "us") for name, points in self.steps.items()),
            ("jitter from the end of the exposure", self.jitter, "us"),
            ("lag", self.lag_pixels, "pixels"),
        ]


_WORDS = {
    Fate.WAITING: "not measured",
    Fate.ANSWERED: "answered",
    Fate.SKIPPED: "passed over",
    Fate.LOST: "lost",
    Fate.DAMAGED: "damaged",
    Fate.FILLED: "filled in afterwards",
}


def report_of(stamps: NDArray[np.int64], fate: NDArray[np.uint8], deadline: int) -> Report:
    """Account for a series.

    Parameters
    ----------
    stamps : ndarray of int64, shape (positions, 7)
        Times of `parscope.live.pipeline.board.STAMPS`, [ns].
    fate : ndarray of uint8, shape (positions,)
        A `Fate` each.
    deadline : int
        Longest time from arrival to answer, [ns].

    Returns
    -------
    Report
    """
    positions = np.flatnonzero(fate == Fate.ANSWERED)
    positions = positions[np.argsort(stamps[positions, 0], kind="stable")]
    received, decoded, analysed, decided, emitted, exposed, _ = stamps[positions].T
    answered = np.maximum(decided, emitted)
    latency = (answered - received) / 1e3
    dwell = _dwell(positions, received, exposed)
    steps = {
        "decode": decoded - received,
        "analyse": analysed - decoded,
        "decide": (decided - analysed)[decided > analysed],
        "emit": (emitted - decided)[emitted > 0],
    }
    counts, _ = np.histogram(np.clip(latency, 0, _EDGES[-1]), _EDGES)
    return Report(
        patterns=len(fate),
        fates={one.name.lower(): int((fate == one).sum()) for one in Fate},
        deadline_us=deadline / 1e3,
        missed=int((answered - received > deadline).sum()),
        answer=percentiles(latency),
        steps={name: percentiles(values / 1e3) for name, values in steps.items()},
        jitter=percentiles(_above_least(answered[exposed > 0] - exposed[exposed > 0]) / 1e3),
        lag_pixels=percentiles(latency / dwell) if dwell else {},
        dwell_us=dwell,
        histogram={"edges": _EDGES.tolist(), "counts": counts.tolist()},
    )


def percentiles(values: NDArray[np.float64]) -> dict[str, float]:
    """Percentiles by which a latency is told.

    Parameters
    ----------
    values : ndarray, shape (n,)
        In any unit.

    Returns
    -------
    dict of float
        ``p50``, ``p90``, ``p99``, ``p99.9`` and ``max``, in that unit, [`unit`]; empty without values.
    """
    if not len(values):
        return {}
    return dict(zip(_POINTS, np.percentile(values, list(_POINTS.values())).tolist(), strict=True))


def _dwell(positions: NDArray[np.int64], received: NDArray[np.int64], exposed: NDArray[np.int64]) -> float:
    """Median time between neighbours in us, by the detector's clock if it tells it; 0 if unknown."""
    times = exposed if len(exposed) and (exposed > 0).all() else received
    steps = np.diff(positions)  # more than one where patterns between were lost or passed over
    onward = steps > 0
    return float(np.median(np.diff(times)[onward] / steps[onward])) / 1e3 if onward.any() else 0.0


def _above_least(delays: NDArray[np.int64]) -> NDArray[np.float64]:
    """Delays above the line under all of them: clocks differ in zero, and a little in rate."""
    if len(delays) < 2 * _BLOCKS:
        return (delays - delays.min()).astype(float) if len(delays) else np.zeros(0)
    edges = np.linspace(0, len(delays), _BLOCKS + 1).astype(int)
    lowest = np.array([a + delays[a:b].argmin() for a, b in pairwise(edges)])
    slope = np.polyfit(lowest, delays[lowest].astype(float), 1)[0]
    straight = delays - slope * np.arange(len(delays))
    above: NDArray[np.float64] = straight - straight.min()
    return above


def _said(points: Mapping[str, float], unit: str) -> str:
    """Percentiles in one line."""
    return (
        ", ".join(f"{name} {value:.0f}" if value >= 1000 else f"{name} {value:.3g}" for name, value in points.items())
        + f" {unit}"
    )
