"""What a file says of itself: units turned into ours, metadata flattened and kept small."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis

_ENTRIES, _CHARACTERS, _ITEMS = 2000, 2000, 64
NAMES = ("y", "x", "q_y", "q_x")
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), ("nm", 1.0)),
    **dict.fromkeys(("A", "Å", "Ang", "Angstrom", "Angstroms", "angstrom", "angstroms"), ("nm", 0.1)),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns"), ("nm", 1000.0)),
    **{"pm": ("nm", 1e-3), "mm": ("nm", 1e6), "m": ("nm", 1e9)},
    **dict.fromkeys(("1/nm", "nm^-1", "nm-1", "nm⁻¹"), ("1/nm", 1.0)),
    **dict.fromkeys(("1/A", "A^-1", "A-1", "1/Å", "Å^-1", "Å-1", "Å⁻¹", "1/Ang", "1/Angstrom"), ("1/nm", 10.0)),
    **{"1/pm": ("1/nm", 1e3), "pm^-1": ("1/nm", 1e3), "1/m": ("1/nm", 1e-9), "m^-1": ("1/nm", 1e-9)},
    **{"mrad": ("mrad", 1.0), "rad": ("mrad", 1e3), "deg": ("mrad", 1e3 * math.pi / 180)},
}
_PREFIXED = {"kHz": ("Hz", 1e3), "MHz": ("Hz", 1e6), "GHz": ("Hz", 1e9), "mV": ("V", 1e-3), "kV": ("V", 1e3)}
_BIAS = ("bias calc", "dc_offset", "dc offset", "dc bias", "voltage")
_COMMON = {
    **{name: name for name in ("bias", "cycle", "field", "forc", "frequency", "x", "y", "z")},
    **dict.fromkeys(_BIAS, "bias"),
    "freq": "frequency",
}


def axis(place: int, size: int, scale: float, unit: object, offset: float = 0.0) -> Axis:
    """Axis in nm, 1/nm or mrad; in px where the file's calibration says nothing usable.

    Parameters
    ----------
    place : int
        0 to 3: which dimension.
    size : int
        Its length.
    scale : float
        Distance of two samples, in `unit`.
    unit : object
        As the file has it.
    offset : float, default 0.0
        Position of sample 0, in `unit`.

    Returns
    -------
    Axis
    """
    known, factor = _known(unit)
    fits = known == "nm" if place < 2 else known in ("1/nm", "mrad")
    if not fits or not math.isfinite(scale) or scale == 0:
        return Axis(NAMES[place], size)
    start = offset * factor if math.isfinite(offset) and scale > 0 else 0.0
    return Axis(NAMES[place], size, known, abs(scale) * factor, start)


def _known(unit: object) -> tuple[str, float]:
    """Our unit for one of a file, and what to multiply by; px for one that is not known."""
    bare = text(unit).strip().strip("[]()").replace("_", "").replace(" ", "").replace("**", "^").replace("\u212b", "Å")
    return _UNITS.get(bare, ("px", 1.0))


def spectral_axis(name: object, values: NDArray[Any], unit: object) -> Axis:
    """Axis of spectra under the name and in the unit that all files share: nm, Hz, V; others as the file has them.

    Parameters
    ----------
    name : object
        As the file has it: ``DC_Offset`` and ``Voltage`` become ``bias``.
    values : ndarray, shape (size,)
        Positions, in `unit`.
    unit : object
        As the file has it; an empty one becomes ``1``.

    Returns
    -------
    Axis

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    label, stated = (without_latex(text(said)) for said in (name, unit))
    known, factor = _known(stated)
    if known != "nm":
        known, factor = _PREFIXED.get(stated, (stated or "1", 1.0))
    # a damaged number may overflow: it is infinite then, and refused
    with np.errstate(over="ignore", invalid="ignore"):
        places = np.asarray(values, np.float64) * factor
        return Axis.from_values(_COMMON.get(label.lower(), label or "step"), places, known)


def plain_axes(shape: Iterable[int]) -> tuple[Axis, ...]:
    """Axes that count pixels.

    Parameters
    ----------
    shape : iterable of int
        Lengths of the four dimensions.

    Returns
    -------
    tuple of Axis
    """
    return tuple(Axis(name, int(size)) for name, size in zip(NAMES, shape, strict=True))


def text(value: object) -> str:
    """Text of a value that may be bytes or an array of one.

    Parameters
    ----------
    value : object
        Of an attribute.

    Returns
    -------
    str
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def without_latex(label: str) -> str:
    r"""A label or unit as it is read aloud: not every figure or shell that shows it parses LaTeX.

    Parameters
    ----------
    label : str
        As the file has it.

    Returns
    -------
    str

    Examples
    --------
    >>> without_latex(r"$\sqrt E$"), without_latex("$(V/m)^{0.5}$")
    ('√E', '(V/m)^0.5')
    """
    return re.sub(r"\\sqrt\s*", "√", re.sub(r"[${}]", "", label)).strip()


def flatten(tree: Mapping[Any, Any], prefix: str = "", limit: int = _ENTRIES) -> dict[str, Any]:
    """Flatten nested metadata to ``a/b/c`` -> value, JSON-able and bounded.

    Parameters
    ----------
    tree : mapping
        As read from the file.
    prefix : str, optional
        Put before every key.
    limit : int, default 2000
        Most entries.

    Returns
    -------
    dict
        Long texts and arrays are cut.
    """
    flat: dict[str, Any] = {}
    for key, value in _leaves(tree, prefix):
        if len(flat) >= limit:
            break
        flat[key[:_CHARACTERS]] = plain(value)
    return flat


def _leaves(tree: Mapping[Any, Any], prefix: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = f"{prefix}{text(key)}"
        if isinstance(value, Mapping) and depth < 32:
            yield from _leaves(value, f"{name}/", depth + 1)
        else:
            yield name, value


def plain(value: Any) -> Any:
    """Turn a value of any library into one that JSON knows.

    Parameters
    ----------
    value : object
        Number, text, array, ...

    Returns
    -------
    object
        Arrays longer than 64 become a note of their shape.
    """
    if isinstance(value, np.ndarray):
        if value.size > _ITEMS:
            return f"array of shape {value.shape}, {value.dtype}"
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value[:_ITEMS]]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        # NaN and infinity are not JSON
        return value if math.isfinite(value) else str(value)
    return text(value)[:_CHARACTERS].rstrip("\x00")
