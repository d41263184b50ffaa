"""Networks in folders: arrays as safetensors, layers and notes as JSON; nothing in them is ever run.

A folder is written beside its place and renamed, so that there is a whole network or none; the one that was there is
put aside before and removed after, so that there is a whole one at any moment. All that happens in a hidden folder of
a name that nobody has: what else a person keeps beside the network stays.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from parscope.core.errors import FormatError, OutputError
from parscope.core.network import Layer, Network
from parscope.solvers.networks.module import NetworkModule

FORMAT = "parscope network 1"
Model = tuple[Network, Mapping[str, Any]]
_ARRAYS, _NOTES = "weights.safetensors", "model.json"
_ADVICE = "make it with: parscope train"
# What is raised by a folder in which something is missing, or does not go together.
_DAMAGE = (SafetensorError, OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)


def check_folder(folder: Path, overwrite: bool) -> None:
    """Refuse a place for a network before the hours of training, not after.

    Parameters
    ----------
    folder : Path
        Where it is to go.
    overwrite : bool
        Whether a network that is there may be replaced.

    Raises
    ------
    OutputError
        If something is there that may not be replaced, or the folder above does not exist.
    """
    if folder.name in ("", ".."):
        raise OutputError("has no name to write beside", str(folder), "choose another name")
    if not folder.absolute().parent.is_dir():
        raise OutputError("is in no folder that exists", str(folder), "make it first")
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() and not (folder / _NOTES).exists():
        raise OutputError("exists and is no network", str(folder), "choose another name")
    if folder.exists() and not overwrite:
        raise OutputError("exists already", str(folder), "choose another name or pass --overwrite")


def save_network(
    folder: Path, network: Network, notes: Mapping[str, Any], others: Mapping[str, Model] | None = None
) -> None:
    """Write a network, and others that go with it.

    Parameters
    ----------
    folder : Path
        Where to; a network that is there is replaced.
    network : Network
        Layers and arrays.
    notes : mapping
        What else is needed to use it, and what is known of it; as JSON.
    others : mapping of str to tuple, optional
        Networks and notes that are written to folders of these names in it, an outer one before those within.

    Raises
    ------
    OutputError
        If it cannot be written; what was there stays then.
    """
    try:
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
    except OSError as error:
        raise _unwritten(folder, error) from error
    new, old = work / "new", work / "old"
    try:
        _write(new, network, notes)
        for name, other in (others or {}).items():
            _write(new / name, *other)
        _replace(folder, new, old)
    except OSError as error:
        raise _unwritten(folder, error) from error
    finally:
        # Where neither could be put in its place, the one that was there is all there is.
        if folder.exists() or not old.exists():
            shutil.rmtree(work, ignore_errors=True)


def _unwritten(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot be written ({error.strerror})", str(folder), "choose another place")


def _replace(folder: Path, new: Path, old: Path) -> None:
    """Give a folder the name of another one, which is put aside as `old` until that is done."""
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)


def _write(folder: Path, network: Network, notes: Mapping[str, Any]) -> None:
    """Write one network into a folder that is made for it."""
    layers = [asdict(layer) for layer in network.layers]
    told = {"format": FORMAT, "input_shape": network.input_shape, "layers": layers, "notes": dict(notes)}
    folder.mkdir()
    # As bytes, which a full disk refuses with an error of the system.
    (folder / _ARRAYS).write_bytes(save(dict(network.arrays)))
    (folder / _NOTES).write_text(json.dumps(told, indent=1), encoding="utf-8")


def load_network(folder: Path) -> tuple[Network, dict[str, Any]]:
    """Read a network.

    Parameters
    ----------
    folder : Path
        Where it is.

    Returns
    -------
    network : Network
        Layers and arrays.
    notes : dict
        As they were given to `save_network`.

    Raises
    ------
    FormatError
        If there is no network, or one that is damaged or of another version.
    """
    where = str(folder)
    if not (folder / _NOTES).is_file():
        raise FormatError("is no folder with a network", where, _ADVICE)
    try:
        told = json.loads((folder / _NOTES).read_text(encoding="utf-8"))
        found = told["format"]
        arrays = load_file(folder / _ARRAYS)
        layers = tuple(_layer(layer) for layer in told["layers"])
        network = Network(tuple(told["input_shape"]), layers, arrays)
        notes = dict(told["notes"])
        # Layers and arrays that do not go together are found by a signal of nothing, before hours of data.
        with torch.no_grad():
            NetworkModule(network)(torch.zeros(1, *network.input_shape))
    except _DAMAGE as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise FormatError(f"is damaged: {why}", where, "train it again") from error
    if found != FORMAT:
        raise FormatError(f"is a {found!r}, not a {FORMAT!r}", where, "train it again")
    return network, notes


def _layer(told: Mapping[str, Any]) -> Layer:
    options = {n: tuple(v) if isinstance(v, list) else v for n, v in told["options"].items()}
    return Layer(told["kind"], tuple(told["inputs"]), tuple(told["arrays"]), options)
