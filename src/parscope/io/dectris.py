"""DECTRIS detectors (ARINA, EIGER, QUADRO): a master file that links to the data files beside it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import FormatError, ShapeError, TruncatedError, UnreadableError
from parscope.core.frames import Frames
from parscope.io._h5 import attributes, beside, looks, open_file, opened, refuse_missing, sources
from parscope.io._h5_scan import H5Stack, Part
from parscope.io._meta import flatten, plain_axes
from parscope.io._scan import fold

_DATA, _DETECTOR = "entry/data", "entry/instrument/detector"
_SPECIFIC = f"{_DETECTOR}/detectorSpecific"
_NUMBERED = re.compile(r"data_\d+$")


class DectrisReader:
    """Reads a master file; the scan shape is given, or taken from the triggers, or guessed as a square and stated."""

    name = "dectris"
    extensions: tuple[str, ...] = (".h5",)

    def accepts(self, path: Path) -> bool:
        """Whether `path` is an HDF5 master file of a DECTRIS detector."""
        return looks(path, lambda file: _DATA in file and (_SPECIFIC in file or bool(_links(file))))

    def read(
        self,
        path: Path,
        *,
        scan_shape: tuple[int, int] | None = None,
        pattern_shape: tuple[int, int] | None = None,
        dtype: str | None = None,
        dataset: str | None = None,
    ) -> Frames:
        """Open a master file; see `parscope.core.contracts.Reader.read`.

        Dead and masked pixels, and those at the highest value throughout, become `Frames.mask`.
        """
        with opened(path) as file:
            parts, kind, pattern = _parts(path, file, dataset)
            frames = sum(part.frames for part in parts)
            told = (_number(file, "ntrigger"), _number(file, "nimages"))
            scan, guessed = (scan_shape, False) if scan_shape else _scan_shape(path, frames, told)
            shape = fold((frames, *pattern), scan, pattern_shape, str(path))
            mask = _pixel_mask(file, pattern)
            metadata = {"scan_shape_guessed": guessed, **_short(file), **flatten(attributes(file))}
            depth = _number(file, "bit_depth_image")
        data = H5Stack(path, shape, kind, parts)
        stuck = _stuck(data, depth)
        return Frames(data, plain_axes(shape), metadata, str(path), _joined(mask, stuck))


def _links(file: h5py.File) -> list[str]:
    group = file.get(_DATA)
    return sorted(name for name in group if _NUMBERED.match(name)) if isinstance(group, h5py.Group) else []


def _parts(path: Path, file: h5py.File, dataset: str | None) -> tuple[tuple[Part, ...], np.dtype[Any], tuple[int, int]]:
    names = [dataset.strip("/")] if dataset else [f"{_DATA}/{name}" for name in _links(file)]
    targets = [_target(path, file, name) for name in names or [f"{_DATA}/data"]]
    refuse_missing(path, [target.name for target, _ in targets if not target.exists()])
    parts, kinds = [], set()
    for target, name in targets:
        part, kind, pattern = _part(target, name)
        parts.append(part)
        kinds.add((kind, pattern))
    if len(kinds) != 1:
        raise FormatError(f"its data files differ in type or pattern shape: {sorted(map(str, kinds))}", str(path))
    kind, pattern = kinds.pop()
    return tuple(parts), kind, pattern


def _target(path: Path, file: h5py.File, name: str) -> tuple[Path, str]:
    link = file.get(name, getlink=True)
    if not isinstance(link, h5py.ExternalLink):
        return path, name
    target = beside(path, link.filename)
    # an absolute path of the acquisition machine: the file was copied here along with its master
    return (target if target.exists() else path.parent / Path(link.filename).name), link.path


def _part(target: Path, name: str) -> tuple[Part, np.dtype[Any], tuple[int, int]]:
    with open_file(target) as file:
        stored = file.get(name)
        if not isinstance(stored, h5py.Dataset) or stored.ndim != 3 or stored.dtype.kind not in "buif":
            raise FormatError(f"has no stack of patterns at {name}", str(target), "copy it again from the instrument")
        sources(stored, target)
        frames, height, width = (int(n) for n in stored.shape)
        return Part(target, name, frames), stored.dtype, (height, width)


def _number(file: h5py.File, name: str) -> int:
    for place in (_SPECIFIC, _DETECTOR):
        stored = file.get(f"{place}/{name}")
        if isinstance(stored, h5py.Dataset) and stored.size == 1:
            return int(np.reshape(stored[()], -1)[0])
    return 0


def _scan_shape(path: Path, frames: int, told: tuple[int, int]) -> tuple[tuple[int, int], bool]:
    triggers, images = told
    if triggers * images > frames:
        raise TruncatedError(
            f"promises {triggers * images} patterns, its data files hold {frames}",
            str(path),
            "copy the data files again, or give --scan-shape for what there is",
        )
    if min(told) > 1 and triggers * images == frames:
        return (triggers, images), False
    root = math.isqrt(frames)
    if root * root != frames:
        raise ShapeError(f"does not say the scan shape of its {frames} patterns", str(path), "give --scan-shape")
    return (root, root), True


def _short(file: h5py.File) -> dict[str, int]:
    values = {name: _number(file, name) for name in ("saturation_value", "countrate_correction_count_cutoff")}
    return {name: value for name, value in values.items() if value > 0}


def _pixel_mask(file: h5py.File, pattern: tuple[int, int]) -> NDArray[np.bool_] | None:
    for place in (_SPECIFIC, _DETECTOR):
        stored = file.get(f"{place}/pixel_mask")
        if isinstance(stored, h5py.Dataset) and stored.shape == pattern:
            mask: NDArray[np.bool_] = stored[()] != 0
            return mask
    return None


def _stuck(data: H5Stack, depth: int) -> NDArray[np.bool_] | None:
    """Pixels at the highest value in the first, middle and last pattern: how the detector writes unusable ones."""
    if data.dtype.kind != "u":
        return None
    height, width = data.shape[:2]
    tops = {int(np.iinfo(data.dtype).max), (1 << depth) - 1} if 0 < depth < 64 else {int(np.iinfo(data.dtype).max)}
    stuck: NDArray[np.bool_] | None = None
    for y, x in {(0, 0), (height // 2, width // 2), (height - 1, width - 1)}:
        try:
            pattern = data[y, x]
        except UnreadableError:
            # one damaged chunk must not keep the rest of the scan shut; it is named when it is read
            continue
        at_top = np.isin(pattern, [top for top in tops if top <= np.iinfo(data.dtype).max])
        stuck = at_top if stuck is None else stuck & at_top
    data.close()
    return stuck


def _joined(mask: NDArray[np.bool_] | None, stuck: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    if mask is None or stuck is None:
        return stuck if mask is None else mask
    return mask | stuck
