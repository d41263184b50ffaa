"""What every describer promises, tried on a file that it reads, and on what is left of it when it is cut short."""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from parscope.core.contracts import Describer
from parscope.core.description import Description
from parscope.core.errors import InputError, MissingExtraError

_SIDE = 512
_CUTS = (0.0, 0.05, 0.3, 0.7, 0.99)


def check_describer(describer: Describer, path: Path, within: Path | None = None) -> Description:
    """Try a describer against its contract.

    Parameters
    ----------
    describer : Describer
        Any.
    path : Path
        A file, or a folder, that it describes.
    within : Path, optional
        Folder that is collected; that of `path` if omitted.

    Returns
    -------
    Description
        Of `path`, to look at what it says.

    Raises
    ------
    AssertionError
        With what is not as it must be.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from parscope.io.describers.numpy import NumpyDescriber
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/image.npy", np.zeros((8, 8)))
    ...     check_describer(NumpyDescriber(), Path(folder) / "image.npy").kind
    'image'
    """
    folder = path.parent if within is None else within
    _require(isinstance(describer, Describer), "it has name, extensions, accepts and describe")
    _require(
        all(re.fullmatch(r"\.[a-z0-9.]+", e) for e in describer.extensions), "extensions are lower case, with a dot"
    )
    _require(describer.accepts(path), "it accepts its own file")
    told = describer.describe(path, within=folder)
    _require(told.reader == describer.name, "the description names the describer")
    _tree(told)
    _signals(told)
    _previews(told)
    _require(all(part.is_file() for part in told.parts), "parts exist")
    with tempfile.TemporaryDirectory() as scratch:
        _foreign(describer, Path(scratch))
        if path.is_file():
            _cut(describer, path, Path(scratch))
    return told


def _require(holds: Any, sentence: str) -> None:
    if not holds:
        raise AssertionError(f"not so: {sentence}")


def _tree(told: Description) -> None:
    _require(told.kind and told.library, "kind and library are told")
    for tree in (told.vendor, told.common):
        back = json.loads(json.dumps(tree))
        _require(_alike(tree, back), "metadata are the same after a journey through JSON")
    _require(not told.acquired or datetime.fromisoformat(told.acquired), "the moment is ISO 8601")
    _require(all("\n" not in warning for warning in told.warnings), "a warning is one line")


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(_alike(v, other[k]) for k, v in one.items())
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return type(one) is type(other) and one == other


def _signals(told: Description) -> None:
    for signal in told.signals:
        sizes = tuple(axis.size for axis in signal.axes)
        _require(not sizes or sizes == signal.shape, f"axes of {signal.name!r} are as long as it is")
        _require(all(type(n) is int for n in signal.shape), f"the shape of {signal.name!r} is of integers")


def _previews(told: Description) -> None:
    for preview in told.previews:
        _require(max(preview.data.shape, default=0) <= _SIDE, f"the picture {preview.title!r} is small")
        sizes = tuple(axis.size for axis in preview.axes)
        _require(not sizes or sizes == preview.data.shape, f"axes of the picture {preview.title!r} fit it")


def _foreign(describer: Describer, scratch: Path) -> None:
    others = {"empty": b"", "noise": bytes(range(128, 256)) * 8, "short": b"\0"}
    for name, content in others.items():
        (scratch / name).write_bytes(content)
        _require(not describer.accepts(scratch / name), f"it does not accept what is {name}")
    (scratch / "folder").mkdir()
    _require(not describer.accepts(scratch / "folder"), "it does not accept an empty folder")


def _cut(describer: Describer, path: Path, scratch: Path) -> None:
    """A copy that is cut short is described as far as it goes, or refused."""
    copy = scratch / path.name
    for share in _CUTS:
        shutil.copyfile(path, copy)
        with copy.open("r+b") as stream:
            stream.truncate(int(share * path.stat().st_size))
        try:
            if describer.accepts(copy):
                _tree(describer.describe(copy, within=scratch))
        except (InputError, MissingExtraError) as error:
            _require("\n" not in str(error), "an error is one line")
