"""Formats that only RosettaSciIO knows: read in a process of its own, as it is under the GPL."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.description import Description, Preview, Signal
from parscope.core.errors import FormatError
from parscope.io.describers._base import FileDescriber, library
from parscope.io.describers._common import axis, dig, judge, moment, nested, quantity, real
from parscope.io.describers._preview import look
from parscope.io.describers._text import beginning
from parscope.io.em import Helper, open_signals, window

# how files begin, and RosettaSciIO's name of the format; only those are taken that are told by their content
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"IMGBLO", "blockfile"),
    (0, b"TVIPS", "tvips"),
    (0, b"PANTARHEI01", "pantarhei"),
    (0, b"WDF1", "renishaw"),
    (0, b"DIGITAL SURF", "digitalsurf"),
    (0, b"DSCOMPRESSED", "digitalsurf"),
)
# suffixes of files that do not say what they are
_SUFFIXES = {
    **{
        ".spc": "edax",
        ".spd": "edax",
        ".prz": "pantarhei",
        ".img": "hamamatsu",
        ".wdf": "renishaw",
        ".blo": "blockfile",
    },
    **{".sur": "digitalsurf", ".pro": "digitalsurf", ".elid": "phenom", ".tvips": "tvips", ".spx": "bruker"},
    **{".pts": "jeol", ".eds": "jeol"},
}
_LARGEST = 256 << 20


class OthersDescriber(FileDescriber):
    """Tells the metadata that RosettaSciIO finds; needs the extra ``em``."""

    name = "em"
    extensions = tuple(_SUFFIXES)

    def accepts(self, path: Path) -> bool:
        """Whether `path` begins, or is named, like one of these formats."""
        return path.is_file() and _plugin(path) is not None

    def _describe(self, path: Path, within: Path) -> Description:
        plugin = _plugin(path)
        if plugin is None:
            raise FormatError("is of no vendor format that is known", str(path))
        helper, told = open_signals(path, plugin, whole=True)
        with closing(helper):
            found = [(_signal(one), one) for one in told]
            signals = tuple(signal for signal, _ in found)
            previews = _pictures(helper, signals)
        vendor: Any = [one["metadata"] for one in told]
        mapped = told[0]["mapped"] if told else {}
        description = self.told(
            judge(signals),
            vendor[0] if len(vendor) == 1 and isinstance(vendor[0], Mapping) else {"signals": vendor},
            signals=signals,
            acquired=_acquired(mapped),
            common=_common(mapped),
            previews=previews,
        )
        return replace(description, library=library("rosettasciio"))


def _plugin(path: Path) -> str | None:
    head = beginning(path, 64)
    named = next((plugin for place, magic, plugin in _MAGIC if head[place:].startswith(magic)), None)
    return named or _SUFFIXES.get(path.suffix.lower())


def _signal(told: Mapping[str, Any]) -> Signal:
    shape = tuple(int(n) for n in told["shape"])
    axes = tuple(_axis(n, entry) for n, entry in zip(shape, told["axes"], strict=False))
    return Signal(str(told["title"]), shape, str(told["dtype"]), "1", axes if len(axes) == len(shape) else ())


def _axis(size: int, entry: list[Any]) -> Axis:
    scale, unit, offset, name = entry
    return axis(str(name), max(1, size), scale, str(unit).replace("<undefined>", ""), offset)


class _Remote:
    """A signal in the helper's process; reads when it is sliced."""

    def __init__(self, helper: Helper, place: int, signal: Signal) -> None:
        self.helper, self.place = helper, place
        self.shape, self.dtype = signal.shape, np.dtype(signal.dtype)

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        stretches = [(0, n) if isinstance(k, slice) else (k, k + 1) for k, n in zip(key, self.shape, strict=True)]
        block = window(self.helper, self.place, stretches)
        return block[tuple(k if isinstance(k, slice) else 0 for k in key)]


def _pictures(helper: Helper, signals: tuple[Signal, ...]) -> tuple[Preview, ...]:
    for place, signal in enumerate(signals):
        if math.prod(signal.shape) * np.dtype(signal.dtype).itemsize <= _LARGEST:
            return look(_Remote(helper, place, signal), signal)
    return ()


def _acquired(mapped: Mapping[str, Any]) -> str:
    general = dig(mapped, "General")
    return moment(f"{dig(general, 'date')}T{dig(general, 'time')}") or moment(dig(general, "date"))


def _common(mapped: Mapping[str, Any]) -> dict[str, Any]:
    machine = dig(mapped, "Acquisition_instrument", "TEM") or dig(mapped, "Acquisition_instrument", "SEM")
    return nested(
        {
            "beam.voltage": quantity(dig(machine, "beam_energy"), "kV"),
            "beam.convergence_angle": quantity(dig(machine, "convergence_angle"), "mrad"),
            "camera_length": quantity(dig(machine, "camera_length"), "mm"),
            "magnification": real(dig(machine, "magnification")),
            "instrument.name": dig(machine, "microscope"),
            "operator": dig(mapped, "General", "authors"),
            "sample.name": dig(mapped, "Sample", "name"),
        }
    )
