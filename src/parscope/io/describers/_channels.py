"""Spectra as they are opened, as the signals of a description: one for each channel of an image or a sweep."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.description import Preview, Signal
from parscope.core.spectra import Spectra
from parscope.io.describers._preview import look

_TRIED = 8
_NAMED = re.compile(r"(.*) \(([^()]*)\)")


def channels_of(spectra: Spectra, name: str) -> tuple[tuple[Signal, ...], tuple[Preview, ...]]:
    """Signals of a file, and a picture of the first.

    Parameters
    ----------
    spectra : Spectra
        As opened.
    name : str
        Of the signal, if it has no channels.

    Returns
    -------
    signals : tuple of Signal
        One for each channel.
    previews : tuple of Preview
        Of the first channel that is not the same everywhere, as the height is at constant height.
    """
    place = next((i for i, axis in enumerate(spectra.axes) if axis.name == "channel"), None)
    names = spectra.metadata.get("channels")
    if place is None or not isinstance(names, (list, tuple)):
        whole = Signal(name, tuple(spectra.data.shape), str(spectra.data.dtype), spectra.unit, tuple(spectra.axes))
        return (whole,), look(spectra.data, whole, spectral=True)
    axes = tuple(axis for i, axis in enumerate(spectra.axes) if i != place)
    shape = tuple(axis.size for axis in axes)
    signals = tuple(Signal(*_split(str(n), shape, str(spectra.data.dtype)), axes) for n in names)
    drawn: tuple[Preview, ...] = ()
    for index, signal in enumerate(signals[:_TRIED]):
        drawn = look(_Channel(spectra.data, (place, index)), signal, spectral=True)
        if drawn and np.ptp(drawn[0].data) > 0:
            break
    return signals, drawn


def _split(label: str, shape: tuple[int, ...], dtype: str) -> tuple[str, tuple[int, ...], str, str]:
    found = _NAMED.fullmatch(label)
    return (found[1], shape, dtype, found[2] or "1") if found else (label, shape, dtype, "1")


class _Channel:
    """One channel of an array; reads when it is sliced."""

    def __init__(self, data: Any, where: tuple[int, int]) -> None:
        self.data, (self.place, self.index) = data, where
        self.shape = tuple(n for i, n in enumerate(data.shape) if i != self.place)
        self.dtype = data.dtype

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        return np.asarray(self.data[(*key[: self.place], self.index, *key[self.place :])])
