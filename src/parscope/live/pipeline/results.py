"""What stays of a series: its maps, what became of each position, and the report of latency, as one Zarr store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OutputError
from parscope.core.record import Provenance
from parscope.core.stream import Fate
from parscope.live.kernels.contract import Output
from parscope.live.kernels.integrate import integrated, pair_of
from parscope.live.pipeline.board import STAMPS, Board
from parscope.live.pipeline.latency import Report, report_of
from parscope.report.files import write_whole

_RUNNING = ("ring_high_water", "series", "finished")  # counters that are no number of messages


@dataclass(frozen=True)
class Result:
    """One series as it was analysed.

    Parameters
    ----------
    generation : int
        Which series of the session, from 1.
    head : mapping
        What is known of it; see `parscope.live.pipeline.series.head_of`.
    outputs : tuple of Output
        What was computed.
    values : ndarray of float32, shape (positions, outputs)
        The numbers.
    stamps : ndarray of int64, shape (positions, 7)
        Times of `STAMPS`, [ns].
    fate : ndarray of uint8, shape (positions,)
        A `Fate` each.
    counters : mapping of int
        What was counted from its beginning to its end; ``ring_high_water`` is the largest of the session until then.
    found : mapping, optional
        What kernels found in its first patterns, by name of the kernel: the zero of what they give.
    """

    generation: int
    head: Mapping[str, Any]
    outputs: tuple[Output, ...]
    values: NDArray[np.float32]
    stamps: NDArray[np.int64]
    fate: NDArray[np.uint8]
    counters: Mapping[str, int] = field(default_factory=dict)
    found: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, board: Board, generation: int) -> Result | None:
        """Copy a series from the board.

        Parameters
        ----------
        board : Board
            Of the session.
        generation : int
            Which series, from 1.

        Returns
        -------
        Result, optional
            None if a later series has taken its place.
        """
        if board.generation - generation > 1:
            return None
        bank = board.of(generation)
        made = cls(
            generation,
            bank.head,
            board.layout.outputs,
            bank.values.copy(),
            bank.stamps.copy(),
            bank.fate.copy(),
            _counted(board, generation),
            bank.found,
        )
        return None if board.generation - generation > 1 else made

    def report(self, deadline: int) -> Report:
        """Account for it.

        Parameters
        ----------
        deadline : int
            Longest time from arrival to answer, [ns].

        Returns
        -------
        Report
        """
        return report_of(self.stamps, self.fate, deadline)


def _counted(board: Board, generation: int) -> dict[str, int]:
    """Counters of one series: what came until the next one began, without what came before."""
    before = board.of(generation).head.get("counted", {})
    after = board.bank.head.get("counted", {}) if board.generation > generation else board.counters
    return {name: count - (0 if name in _RUNNING else before.get(name, 0)) for name, count in after.items()}


Drawn = Mapping[str, tuple[Output, NDArray[np.float32], str]]
"""Maps of detectors that a person has drawn, by name: output, values (positions,), and the detector as spelled."""


def dataset(
    result: Result, report: Report, provenance: Provenance, standing: str = "", drawn: Drawn | None = None
) -> Any:
    """Maps with names, units and axes; with deflections or a centre of mass, their integral too.

    Parameters
    ----------
    result : Result
        The series.
    report : Report
        Of its latency.
    provenance : Provenance
        Where the patterns are, and how they were analysed.
    standing : str, optional
        What the system granted the frame loop.
    drawn : mapping, optional
        Maps of detectors that a person has drawn meanwhile.

    Returns
    -------
    xarray.Dataset
    """
    import xarray as xr

    shape: tuple[int, int] = tuple(result.head["scan_shape"])
    made: dict[str, Any] = {}
    for column, output in enumerate(result.outputs):
        told = {"units": output.unit, "long_name": output.label}
        made[output.name] = (("y", "x"), result.values[:, column].reshape(shape), told)
    made |= _integral(result, shape)
    for name, (output, values, spelled) in (drawn or {}).items():
        told = {"units": output.unit, "long_name": output.label, "detector": spelled}
        made[name] = (("y", "x"), values.reshape(shape), told)
    meanings = " ".join(one.name.lower() for one in Fate)
    flags = {"long_name": "what became of the pattern", "flag_values": [int(one) for one in Fate]}
    made["fate"] = (("y", "x"), result.fate.reshape(shape), {**flags, "flag_meanings": meanings})
    stamps = result.stamps.reshape(*shape, len(STAMPS))
    made["stamps"] = (("y", "x", "stamp"), stamps, {"units": "ns", "long_name": "time of each step; 0 for none"})
    attributes = {
        "title": f"live analysis of series {result.head['series']}",
        "latency": json.dumps(report.as_json()),
        "counters": json.dumps(dict(result.counters)),
        "realtime": standing,
        "series": json.dumps(
            {key: value for key, value in result.head.items() if key not in ("scan_shape", "counted")}
        ),
        "outputs": json.dumps([output.name for output in result.outputs]),
        "found": json.dumps(dict(result.found)),
        **provenance.attributes(),
    }
    axes = {name: (name, np.arange(n), {"units": "px"}) for name, n in zip(("y", "x"), shape, strict=True)}
    return xr.Dataset(made, {**axes, "stamp": list(STAMPS)}, attributes)


def _integral(result: Result, shape: tuple[int, int]) -> dict[str, Any]:
    """The integrated centre of mass, if there is something to integrate."""
    pair = pair_of(result.outputs)
    if pair is None:
        return {}
    name, y, x = pair
    com_y, com_x = (result.values[:, column].reshape(shape).astype(np.float64) for column in (y, x))
    told = {"units": f"{result.outputs[y].unit}·step", "long_name": "integrated centre of mass", "made_from": name}
    return {"icom": (("y", "x"), integrated(name, com_y, com_x).astype(np.float32), told)}


def save(stem: Path, made: Any, lines: Sequence[str]) -> Path:
    """Write the maps as ``STEM_live.zarr`` and the report as ``STEM_report.txt``.

    Parameters
    ----------
    stem : Path
        Folder and beginning of the names.
    made : xarray.Dataset
        As `dataset` makes it.
    lines : sequence of str
        The report for a person.

    Returns
    -------
    Path
        The store.

    Raises
    ------
    OutputError
        If it cannot be written; nothing is left of it then.
    """
    path = stem.with_name(f"{stem.name}_live.zarr")
    if path.exists():
        raise OutputError("cannot be written (it exists)", str(path), "choose another folder")
    beside = path.with_name(f".{path.name}.part")  # renamed when it is whole, so that a killed session leaves no half
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(beside, ignore_errors=True)
        made.to_zarr(beside, mode="w-", zarr_format=2, consolidated=True)
        write_report(stem, lines)
        beside.rename(path)
    except (OSError, OutputError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        _report(stem).unlink(missing_ok=True)
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"cannot be written ({error.strerror or error})", str(path), "free some space, or choose another disk"
        ) from error
    return path


def write_report(stem: Path, lines: Sequence[str]) -> None:
    """Write the report of a series as ``STEM_report.txt``, in the place of an earlier one.

    Parameters
    ----------
    stem : Path
        Folder and beginning of the names.
    lines : sequence of str
        The report for a person.

    Raises
    ------
    OutputError
        If it cannot be written; an earlier one is left as it was.
    """
    write_whole(_report(stem), ("\n".join(lines) + "\n").encode())


def _report(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}_report.txt")
