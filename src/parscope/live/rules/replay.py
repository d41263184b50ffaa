"""The same rules over a recorded stream: the same decisions, or what was decided otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import ShapeError, UnreadableError
from parscope.live.rules.decider import Decider, Switch
from parscope.live.rules.decision import Decision, Outcome
from parscope.live.rules.journal import read


@dataclass(frozen=True)
class Recording:
    """The numbers of one series, in the order in which they were decided upon.

    Parameters
    ----------
    series : int
        Its number.
    columns : int
        Scan positions in a row, [1]; 0 if unknown.
    positions : ndarray of int, shape (n,)
        Scan positions, row by row.
    values : ndarray of float, shape (n, number of outputs)
        The numbers, in the units of the outputs.
    received, decided : ndarray of int, shape (n,)
        When each pattern was received and decided upon, [ns].
    images, detector : ndarray of int, shape (n,)
        What the detector calls it, and when its exposure ended, [ns]; -1 where unknown.
    """

    series: int
    columns: int
    positions: NDArray[np.int64]
    values: NDArray[np.floating[Any]]
    received: NDArray[np.int64]
    decided: NDArray[np.int64]
    images: NDArray[np.int64]
    detector: NDArray[np.int64]

    @classmethod
    def of_results(
        cls, series: int, columns: int, values: NDArray[Any], stamps: NDArray[np.int64], first_image: int = 0
    ) -> Recording:
        """Take the results of a live run, as its board or its file has them.

        Parameters
        ----------
        series : int
            Its number.
        columns : int
            Scan positions in a row, [1].
        values : ndarray of float32, shape (positions, number of outputs)
            The numbers, in the units of the outputs.
        stamps : ndarray of int64, shape (positions, 5)
            When each was received, decoded, decided and emitted, and the time of the detector, [ns]; positions that
            were not decided upon have 0 for that, or less, and are left out.
        first_image : int, default 0
            What the detector calls the image of the first position.

        Returns
        -------
        Recording

        Raises
        ------
        ShapeError
            If the two do not belong together.
        """
        if values.ndim != 2 or stamps.shape != (len(values), 5):
            raise ShapeError(f"values are {values.shape} and stamps {stamps.shape}", "recording")
        answered = np.flatnonzero(stamps[:, 2] > 0)
        order = answered[np.argsort(stamps[answered, 2], kind="stable")].astype(np.int64)
        taken = stamps[order]
        return cls(
            series, columns, order, values[order], taken[:, 0], taken[:, 2], order + first_image, taken[:, 4]
        )  # fmt: skip

    @classmethod
    def of_values(cls, series: int, columns: int, values: NDArray[Any], stop: NDArray[np.int64]) -> Recording:
        """Take numbers that were calculated from a recorded file, where no time but that of the detector is known.

        Every pattern counts as received and decided upon when its exposure ended: no decision is late.

        Parameters
        ----------
        series : int
            Its number.
        columns : int
            Scan positions in a row, [1].
        values : ndarray of float, shape (positions, number of outputs)
            The numbers, in the units of the outputs.
        stop : ndarray of int64, shape (positions,)
            When each exposure ended, [ns].

        Returns
        -------
        Recording

        Raises
        ------
        ShapeError
            If the two do not belong together.
        """
        if values.ndim != 2 or stop.shape != (len(values),):
            raise ShapeError(f"values are {values.shape} and times {stop.shape}", "recording")
        positions = np.arange(len(values), dtype=np.int64)
        return cls(series, columns, positions, values, stop, stop, positions, stop)


def replay(decider: Decider, recordings: Iterable[Recording], switches: Sequence[Switch] = ()) -> list[Decision]:
    """Decide once more upon what was recorded.

    A live run and its replay give equal decisions, if the recordings are all that the decider of the live run was
    given since it was made, in order: conditions are tried on float32, which is what is recorded, and all times come
    from the recording.

    Parameters
    ----------
    decider : Decider
        One that is new; it is used up.
    recordings : iterable of Recording
        Series, in the order of the run.
    switches : sequence of Switch, optional
        When it was armed and disarmed, as in `Decider.switches` and the journal; never if omitted.

    Returns
    -------
    list of Decision
        In the order of the run.

    Examples
    --------
    >>> from parscope.live.kernels.contract import Output
    >>> from parscope.live.rules.text import parse
    >>> rule = parse("when bf.counts > 10 every 2 s: send udp://daq:9000")
    >>> values, times = np.array([[11.0], [12.0], [13.0]]), np.array([1, 2, 3], np.int64) * 10**9
    >>> decider = Decider([rule], [Output("bf.counts", "counts", "bright field")])
    >>> [decision.position for decision in replay(decider, [Recording.of_values(1, 3, values, times)])]
    [0, 2]
    """
    turns = {(switch.series, switch.position): switch.armed for switch in switches}
    decisions: list[Decision] = []
    for one in recordings:
        decider.begin(one.series, one.columns)
        times = zip(one.received.tolist(), one.decided.tolist(), one.detector.tolist(), strict=True)
        for row, position, image, (received, decided, detector) in zip(
            one.values, one.positions.tolist(), one.images.tolist(), times, strict=True
        ):
            turn = turns.get((one.series, position))
            if turn is not None:
                decider.arm() if turn else decider.disarm()
            decisions += decider.decide(position, row, received, decided, image, detector)
    return decisions


def journalled(path: Path) -> tuple[list[Decision], list[Switch]]:
    """Decisions and switches of the last run that wrote to a journal, without those of its watchdog.

    Parameters
    ----------
    path : Path
        A journal.

    Returns
    -------
    list of Decision and list of Switch

    Raises
    ------
    InputError
        If there is no such file.
    UnreadableError
        If it is no journal.
    """
    decisions: list[Decision] = []
    switches: list[Switch] = []
    for record in read(path):
        if record["t"] == "rules":
            decisions, switches = [], []
        elif record["t"] == "switch":
            switches.append(_made(Switch, record, path))
        elif record["t"] == "decision" and record.get("received", -1) != -1:
            made: Decision = _made(Decision, record, path)
            decisions.append(made)
    return decisions, switches


def _made(kind: type[Any], record: dict[str, Any], path: Path) -> Any:
    """A decision or a switch, out of its record."""
    try:
        told: dict[str, Any] = {name: record[name] for name in kind.__dataclass_fields__}
        if kind is Decision:
            told |= {"outcome": Outcome(told["outcome"]), "row": tuple(told["row"]), "values": tuple(told["values"])}
    except (KeyError, ValueError, TypeError) as error:
        raise UnreadableError(f"a {record['t']} lacks or does not know {error}", str(path)) from None
    return kind(**told)
