"""Any HDF5 file: USID, NSID, EMD, py4DSTEM, NeXus, DECTRIS, HyperSpy, netCDF, with all groups and attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py

from parscope.core.description import Description, Preview, Signal
from parscope.core.errors import InputError
from parscope.core.spectra import Spectra
from parscope.io import nsid, usid
from parscope.io._h5 import opened, signed
from parscope.io._meta import text
from parscope.io.dectris import DectrisReader
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._common import dig, judge, moment, nested, quantity
from parscope.io.describers._h5_signals import signals_of
from parscope.io.describers._h5_tree import Walk
from parscope.io.describers._preview import look

_PICTURES = 4
_SPECIFIC = ("entry", "instrument", "detector", "detectorSpecific")


class Hdf5Describer(FileDescriber):
    """Tells the whole tree of an HDF5 file; attributes stand beside the members of their group."""

    name = "hdf5"
    extensions = (".h5", ".hdf5", ".emd", ".nxs", ".hspy", ".nc", ".hf5")
    library = "h5py"

    def accepts(self, path: Path) -> bool:
        """Whether `path` bears the HDF5 signature."""
        return signed(path)

    def _describe(self, path: Path, within: Path) -> Description:
        with opened(path) as file, closing(Walk(path, within)) as walk:
            tree = walk.tree(file["/"])
            signals = signals_of(walk)
            spectra = _spectra(path, walk, list(signals))
            known = {name: _of(name, spectra[name]) if name in spectra else s for name, s in signals.items()}
            previews = _pictures(walk, known, spectra)
            if walk.parts and not walk.notes and _is_dectris(tree):
                known, previews = _scan(path, known, previews)
            told = tuple(known.values())
            return self.told(
                _kind(tree, told, spectra),
                tree,
                signals=told,
                acquired=_acquired(tree),
                common=_common(tree),
                previews=previews,
                parts=tuple(part for part in walk.parts if not part.samefile(path)),
                warnings=tuple(walk.notes),
            )


def _spectra(path: Path, walk: Walk, names: list[str]) -> dict[str, Spectra]:
    """Data sets of USID and NSID under the axes that these layouts give them; none if the file leads elsewhere."""
    found: dict[str, Spectra] = {}
    for name in names if walk.closed else []:
        node = walk.arrays[name]
        try:
            if all(table in node.attrs for table in usid.TABLES):
                found[name] = usid.spectra_of(path, node.file, (name, None), {})
            elif all(mark in node.attrs for mark in nsid.MARKS):
                found[name] = nsid.spectra_of(path, node, {})
        except InputError as error:
            walk.notes.append(f"{name} keeps its own shape: {error.what}.")
    return found


def _of(name: str, spectra: Spectra) -> Signal:
    return Signal(name, tuple(spectra.data.shape), str(spectra.data.dtype), spectra.unit, tuple(spectra.axes))


def _kind(tree: Mapping[str, Any], signals: tuple[Signal, ...], spectra: Mapping[str, Spectra]) -> str:
    if spectra:
        images = all(s.axes[-1].size == 1 for s in spectra.values())
        return "scanning probe image" if images else "spectroscopy"
    if "e_xx" in tree and "misfit" in tree:
        return "strain map"
    if "misfit" in tree and "status" in tree:
        return "fit"
    if _is_dectris(tree):
        return "4D-STEM" if _patterns(dig(tree, *_SPECIFIC)) > 1 else "diffraction pattern"
    return judge(signals)


def _is_dectris(tree: Mapping[str, Any]) -> bool:
    return dig(tree, *_SPECIFIC, "ntrigger") is not None


def _scan(
    path: Path, known: dict[str, Signal], previews: tuple[Preview, ...]
) -> tuple[dict[str, Signal], tuple[Preview, ...]]:
    """The scan that a master file and its data files, all of which are in the folder, are together."""
    try:
        frames = DectrisReader().read(path)
    except InputError:
        # it does not say its scan shape
        return known, previews
    scan = Signal(path.stem, tuple(frames.data.shape), str(frames.data.dtype), "counts", tuple(frames.axes))
    return {scan.name: scan}, look(frames.data, scan)


def _patterns(detector: Mapping[str, Any]) -> int:
    counts = [detector.get(key) for key in ("ntrigger", "nimages")]
    values = [dig(count, "value") if isinstance(count, Mapping) else count for count in counts]
    return math.prod(int(value) for value in values if value is not None)


def _acquired(tree: Mapping[str, Any]) -> str:
    places = (
        ("entry", "start_time"),
        ("entry", "instrument", "detector", "detectorSpecific", "data_collection_date"),
        ("timestamp",),
        ("time_stamp",),
    )
    for place in places:
        found = dig(tree, *place)
        value = dig(found, "value") if isinstance(found, Mapping) else found
        if value is not None and (told := moment(text(value), "%Y_%m_%d-%H_%M_%S")):
            return told
    return ""


def _common(tree: Mapping[str, Any]) -> dict[str, Any]:
    """What EMD 0.2 and NeXus tell under names of their own."""
    scope, sample, user = (dig(tree, key) for key in ("microscope", "sample", "user"))
    instrument = dig(tree, "entry", "instrument")
    return nested(
        {
            "beam.voltage": _of_unit(dig(scope, "voltage"), "V"),
            "beam.energy": _of_unit(dig(instrument, "beam", "incident_energy"), "eV"),
            "camera_length": _of_unit(dig(instrument, "detector", "detector_distance"), "m"),
            "exposure": _of_unit(dig(instrument, "detector", "count_time"), "s"),
            "instrument.name": _word(dig(scope, "microscope name") or dig(scope, "name")),
            "detector.name": _word(dig(instrument, "detector", "description")),
            "sample.name": _word(
                dig(sample, "sample name") or dig(sample, "name") or dig(tree, "entry", "sample", "name")
            ),
            "operator": _word(dig(user, "User name") or dig(user, "name")),
        }
    )


def _of_unit(found: Any, default: str) -> Any:
    if isinstance(found, Mapping):
        return quantity(_plain(found.get("value")), text(found.get("units", default)) or default)
    return quantity(_plain(found), default)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value


def _word(found: Any) -> str:
    value = dig(found, "value") if isinstance(found, Mapping) else found
    return "" if value is None else text(value)


def _pictures(walk: Walk, known: Mapping[str, Signal], spectra: Mapping[str, Spectra]) -> tuple[Preview, ...]:
    telling = sorted(known, key=lambda name: -sum(n > 1 for n in known[name].shape))[:_PICTURES]
    for name in telling:
        node = walk.arrays[name]
        try:
            previews = look(spectra[name].data if name in spectra else node, known[name], _cost(node), name in spectra)
        except (InputError, OSError, ValueError) as error:
            walk.notes.append(f"{name} cannot be drawn: {error}")
            continue
        if previews:
            return previews
    return ()


def _cost(node: h5py.Dataset) -> int:
    return math.prod(node.chunks) * node.dtype.itemsize if node.chunks else 0
