"""The same rules over a recorded stream: the same decisions, or what was decided otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError, OptionError, ShapeError, UnreadableError
from parscope.live.pipeline.bank import STAMPS
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
        stamps : ndarray of int64, shape (positions, 7)
            Times of `parscope.live.pipeline.bank.STAMPS`, [ns]. Rules decided by the time ``analysed``; positions that
            have none were not decided upon, and are left out.
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
        if values.ndim != 2 or stamps.shape != (len(values), len(STAMPS)):
            raise ShapeError(f"values are {values.shape} and stamps {stamps.shape}", "recording")
        received, _, analysed, _, _, exposed, _ = stamps.T
        answered = np.flatnonzero(analysed > 0)
        order = answered[np.argsort(analysed[answered], kind="stable")].astype(np.int64)
        stop = np.where(exposed > 0, exposed, -1)[order]
        return cls(series, columns, order, values[order], received[order], analysed[order], order + first_image, stop)

    @classmethod
    def of_file(cls, store: Path, outputs: Sequence[str] = ()) -> Recording:
        """Take the maps that a session has saved.

        Parameters
        ----------
        store : Path
            ``..._live.zarr`` of one series.
        outputs : sequence of str, optional
            Names of the numbers, in the order in which rules are to have them. Default: all that was analysed, in the
            order of the analysis.

        Returns
        -------
        Recording

        Raises
        ------
        InputError
            If there is no such store.
        UnreadableError
            If it holds no live maps.
        OptionError
            If it does not have an output.
        """
        import xarray as xr

        if not store.is_dir():
            raise InputError("there is no such store", str(store), "name a folder that ends in _live.zarr")
        try:
            with xr.open_zarr(store) as maps:
                names = list(outputs) or json.loads(maps.attrs["outputs"])
                missing = [name for name in names if name not in maps]
                if missing:
                    raise OptionError(f"there is no {missing[0]!r}", str(store), f"it has {', '.join(map(str, maps))}")
                values = np.stack([maps[name].values.ravel() for name in names], axis=1)
                stamps = maps["stamps"].values.reshape(len(values), -1)
                number, columns = json.loads(maps.attrs["series"])["series"], maps.sizes["x"]
        except (KeyError, ValueError, OSError) as error:
            raise UnreadableError(f"holds no live maps: {error}", str(store)) from None
        return cls.of_results(int(number), columns, values, stamps)

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


class ByDetector(Decider):
    """Decides by the clock of the detector alone, so that a scan that is played again gives the same decisions.

    Every pattern counts as received and decided upon when its exposure ended, at whatever speed it is played: nothing
    is late, and intervals and limits are those of the scan. The clock begins anew with every series, and so is taken on
    from where it was. Where the detector told no time, that of this machine stands.
    """

    _began = _latest = 0

    def begin(self, series: int, columns: int = 0) -> None:
        """Begin a series; see `Decider.begin`."""
        self._began = self._latest
        super().begin(series, columns)

    def decide(
        self, position: int, values: NDArray[Any], received: int, now: int, image: int = -1, detector: int = -1
    ) -> Sequence[Decision]:
        """Try all rules on a pattern; see `Decider.decide`."""
        if detector > 0:
            received = now = self._latest = self._began + detector
        return super().decide(position, values, received, now, image, detector)

    @classmethod
    def in_place_of(cls, decider: Decider) -> ByDetector:
        """The same rules, outputs and limits.

        Parameters
        ----------
        decider : Decider
            One that is new.

        Returns
        -------
        ByDetector
        """
        return cls(decider.rules, decider.outputs, decider.limits, decider.dry)


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
