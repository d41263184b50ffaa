"""Thermo Fisher Velox (.emd): HDF5 in which metadata are JSON, and spectrum images are streams of single photons."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.description import Description, Preview, Signal
from parscope.io._h5 import looks, opened
from parscope.io._meta import text
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._common import axis, dig, judge, nested, quantity, real, since
from parscope.io.describers._h5_tree import Walk
from parscope.io.describers._preview import BUDGET, curve, image, look
from parscope.io.describers._verbatim import number

_FRAMES = 8
# a photon is its channel; this number ends the photons of a pixel
_NEXT_PIXEL = 65535


class VeloxDescriber(FileDescriber):
    """Tells everything in Velox files; numbers that Velox writes as texts are numbers."""

    name = "velox"
    extensions = (".emd",)
    library = "h5py"

    def accepts(self, path: Path) -> bool:
        """Whether `path` is HDF5 with the version that Velox writes."""
        return looks(path, lambda file: "Data" in file and b"Velox" in _version(file))

    def _describe(self, path: Path, within: Path) -> Description:
        with opened(path) as file, closing(Walk(path, within)) as walk:
            tree = _parsed(walk.tree(file["/"]))
            heads = {name: _heads(node) for name, node in walk.arrays.items() if name.endswith("/Metadata")}
            for name, told in heads.items():
                _put(tree, name, told[0] if len(told) == 1 else told)
            found = list(_signals(walk, heads))
            previews = _pictures(walk, found, heads)
        signals = tuple(signal for _, signal in found)
        head: Any = next((told[0] for told in heads.values() if told), {})
        return self.told(
            "spectrum image" if dig(tree, "Data", "SpectrumImage") else judge(signals),
            tree,
            signals=signals,
            acquired=_acquired(head),
            common=_common(head),
            previews=previews,
            parts=tuple(part for part in walk.parts if not part.samefile(path)),
            warnings=tuple(walk.notes),
        )


def _version(file: h5py.File) -> bytes:
    # a link may lead out of the folder
    node: Any = file["Version"] if isinstance(file.get("Version", getlink=True), h5py.HardLink) else None
    own = isinstance(node, h5py.Dataset) and node.size == 1 and not node.external and not node.is_virtual
    value: Any = node[()] if own else b""
    found = np.reshape(np.asarray(value, object), -1)[0]
    return found if isinstance(found, bytes) else b""


def _parsed(tree: Any) -> Any:
    """The tree with JSON in place of the texts that are JSON."""
    if isinstance(tree, Mapping):
        return {key: _parsed(value) for key, value in tree.items()}
    if isinstance(tree, list) and len(tree) == 1 and isinstance(tree[0], (bytes, str)):
        return _numbers(_json(text(tree[0])))
    return tree


def _json(words: str) -> Any:
    if not words.lstrip().startswith(("{", "[")):
        return words
    try:
        return json.loads(words)
    except ValueError:
        return words


def _numbers(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _numbers(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_numbers(value) for value in tree]
    return number(tree) if isinstance(tree, str) else tree


def _heads(node: h5py.Dataset) -> list[Any]:
    """Metadata of the frames: of all if they are few, otherwise of the first and the last."""
    if node.ndim != 2 or node.dtype != np.uint8 or node.nbytes > BUDGET:
        return []
    count = node.shape[1]
    places = range(count) if count <= _FRAMES else (0, count - 1)
    return [_numbers(_json(node[:, place].tobytes().rstrip(b"\0").decode("utf-8", "replace"))) for place in places]


def _put(tree: Any, name: str, value: Any) -> None:
    *groups, last = name.strip("/").split("/")
    node = dig(tree, *groups)
    if isinstance(node, dict):
        node[last] = value


def _signals(walk: Walk, heads: Mapping[str, list[Any]]) -> Iterator[tuple[str, Signal]]:
    for name, node in walk.arrays.items():
        _, _, kind, *rest = name.split("/") if name.count("/") >= 3 else ("", "", "")
        told = dig(heads.get(name.removesuffix("Data") + "Metadata"), 0)
        label = str(dig(told, "BinaryResult", "Detector") or kind)
        if not rest or rest[-1] != "Data":
            continue
        if kind == "Image" and node.ndim == 3:
            yield name, _image(node, label, told)
        elif kind == "Spectrum" and node.ndim == 2:
            yield name, Signal(label, (int(node.shape[0]),), str(node.dtype), "counts", (_energy(node.shape[0], told),))
        elif kind == "SpectrumStream":
            shape = (int(node.shape[0]),)
            yield name, Signal(f"{label} photons", shape, str(node.dtype), "1", (Axis("event", max(1, shape[0])),))


def _image(node: h5py.Dataset, label: str, told: Any) -> Signal:
    height, width, frames = (int(n) for n in node.shape)
    result = dig(told, "BinaryResult")
    lengths = [
        axis(name, size, dig(result, "PixelSize", side), str(dig(result, unit) or ""), dig(result, "Offset", name))
        for name, size, side, unit in (("y", height, "height", "PixelUnitY"), ("x", width, "width", "PixelUnitX"))
    ]
    return Signal(label, (height, width, frames), str(node.dtype), "1", (*lengths, Axis("frame", frames)))


def _energy(size: int, told: Any) -> Axis:
    detectors, label = dig(told, "Detectors"), dig(told, "BinaryResult", "Detector")
    found: Any = next(
        (d for d in (detectors or {}).values() if dig(d, "DetectorName") == label and dig(d, "Dispersion")),
        next((d for d in (detectors or {}).values() if dig(d, "Dispersion")), {}),
    )
    return axis("energy", size, dig(found, "Dispersion"), "eV", dig(found, "OffsetEnergy"))


def _pictures(walk: Walk, found: list[tuple[str, Signal]], heads: Mapping[str, list[Any]]) -> tuple[Preview, ...]:
    streams = [(name, signal) for name, signal in found if signal.name.endswith("photons")]
    images = [(name, signal) for name, signal in found if len(signal.shape) == 3]
    spectra = [(name, signal) for name, signal in found if name.startswith("/Data/Spectrum/")]
    previews = [_frames(walk.arrays[name], signal) for name, signal in images[:1]]
    previews += [p for name, signal in spectra[:1] for p in look(_Column(walk.arrays[name]), signal)]
    if not spectra and streams:
        previews += _photons(walk.arrays[streams[0][0]], dig(heads.get(streams[0][0][:-4] + "Metadata"), 0))
    return tuple(previews)


def _frames(node: h5py.Dataset, signal: Signal) -> Preview:
    """Mean over the frames that fit into the budget."""
    count = max(1, min(node.shape[2], BUDGET // max(1, node.shape[0] * node.shape[1] * node.dtype.itemsize)))
    return image(np.asarray(node[:, :, :count], np.float64).mean(2), signal.name, signal.unit, signal.axes[:2])


class _Column:
    """The one column of a table; reads when it is sliced."""

    def __init__(self, node: h5py.Dataset) -> None:
        self.node, self.shape, self.dtype = node, (int(node.shape[0]),), node.dtype

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        return np.asarray(self.node[key[0], 0])


def _photons(node: h5py.Dataset, told: Any) -> list[Preview]:
    """Sum spectrum of a stream of photons."""
    if node.dtype != np.uint16 or node.ndim != 2:
        return []
    events = np.asarray(node[: BUDGET // 2, 0])
    spectrum = np.bincount(events[events != _NEXT_PIXEL], minlength=1)
    return [curve(spectrum, "sum spectrum", "counts", _energy(len(spectrum), told))]


def _acquired(head: Any) -> str:
    for key in ("AcquisitionStartDatetime", "AcquisitionDatetime"):
        seconds = real(dig(head, "Acquisition", key, "DateTime"))
        if seconds:
            return since("1970-01-01", seconds)
    return ""


def _common(head: Any) -> dict[str, Any]:
    optics, instrument = dig(head, "Optics"), dig(head, "Instrument")
    return nested(
        {
            "beam.voltage": quantity(dig(optics, "AccelerationVoltage"), "V"),
            "beam.convergence_angle": quantity(_positive(dig(optics, "BeamConvergence")), "rad"),
            "camera_length": quantity(dig(optics, "CameraLength"), "m"),
            "magnification": real(dig(optics, "NominalMagnification")),
            "instrument.name": _word(dig(instrument, "InstrumentClass"), dig(instrument, "InstrumentId")),
            "instrument.vendor": _word(dig(instrument, "Manufacturer")),
            "detector.name": _word(dig(head, "BinaryResult", "Detector")),
            "exposure": quantity(_exposure(head), "s"),
            "operator": _word(dig(head, "Acquisition", "Operator")),
            "sample.name": _word(dig(head, "Sample", "Name") or dig(head, "Sample", "SampleId")),
        }
    )


def _exposure(head: Any) -> Any:
    place = dig(head, "BinaryResult", "DetectorIndex")
    return dig(head, "Detectors", f"Detector-{place}", "ExposureTime") or dig(head, "Scan", "FrameTime")


def _positive(value: Any) -> float | None:
    """A value that has a meaning only above zero: Velox writes others where it does not know it."""
    found = real(value)
    return found if found and found > 0 else None


def _word(*parts: Any) -> str:
    return " ".join(str(part) for part in parts if part not in (None, ""))
