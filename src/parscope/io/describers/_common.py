"""What formats tell under names of their own: quantities, moments, axes and the kind of the data, alike for all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from parscope.core.axes import Axis
from parscope.core.description import Signal
from parscope.io.describers._verbatim import number

_PAST, _FUTURE = 1930, 2200
_POINTS = 1 << 14
_ENERGY = {"eV", "keV", "meV", "EV", "KEV", "cm-1", "1/cm", "cm^-1"}


def dig(tree: Any, *keys: str | int) -> Any:
    """What lies under some keys of nested mappings and lists.

    Parameters
    ----------
    tree : object
        Where to begin.
    *keys : str or int
        One after the other.

    Returns
    -------
    object
        None where there is nothing.
    """
    for key in keys:
        if isinstance(tree, Mapping):
            tree = tree.get(key)
        elif isinstance(tree, (list, tuple)) and isinstance(key, int) and -len(tree) <= key < len(tree):
            tree = tree[key]
        else:
            return None
    return tree


def real(value: Any) -> float | None:
    """A finite number, also from a text that begins with one; None for anything else.

    Parameters
    ----------
    value : object
        As a file has it.

    Returns
    -------
    float or None
        In whatever unit the file has; [1].
    """
    if isinstance(value, str) and value.strip():
        value = number(value.split()[0])
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def quantity(value: Any, units: str, factor: float = 1.0, *, zero: bool = False) -> dict[str, Any] | None:
    """A number with its unit, as a catalog indexes it.

    Parameters
    ----------
    value : object
        Number, or text that begins with one.
    units : str
        Its unit, after the factor.
    factor : float, default 1.0
        By which it is multiplied; [1].
    zero : bool, default False
        Whether zero is a value, as of a bias; what else instruments tell is zero where they do not know it.

    Returns
    -------
    dict or None
        None where there is no finite number, or a zero that is no value.
    """
    found = real(value)
    if found is None or not (found or zero):
        return None
    return {"value": found * factor if factor != 1.0 else found, "units": units}


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mapping of dotted names; what is None or empty is left out.

    Parameters
    ----------
    flat : mapping
        ``{"beam.voltage": {...}, "operator": ""}``.

    Returns
    -------
    dict

    Examples
    --------
    >>> nested({"beam.voltage": 200, "operator": "", "sample.name": "STO"})
    {'beam': {'voltage': 200}, 'sample': {'name': 'STO'}}
    """
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        if value is None or value == "":
            continue
        *groups, last = name.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[last] = value.strip() if isinstance(value, str) else value
    return tree


def moment(text: Any, *patterns: str) -> str:
    """A moment as ISO 8601.

    Parameters
    ----------
    text : object
        As a file has it.
    *patterns : str
        How it may be written, in the words of `datetime.strptime`; ISO 8601 is always taken.

    Returns
    -------
    str
        Empty where it is none.

    Examples
    --------
    >>> moment("29-Aug-2022 10:14", "%d-%b-%Y %H:%M"), moment("yesterday")
    ('2022-08-29T10:14:00', '')
    """
    bare = " ".join(str(text).split())
    for pattern in ("", *patterns):
        try:
            found = datetime.strptime(bare, pattern) if pattern else datetime.fromisoformat(bare)
        except ValueError:
            continue
        return found.isoformat() if _PAST < found.year < _FUTURE else ""
    return ""


def since(start: str, seconds: Any) -> str:
    """A moment that is counted in seconds from another, both in UTC, as ISO 8601.

    Parameters
    ----------
    start : str
        ISO 8601 without offset.
    seconds : object
        Number; [s].

    Returns
    -------
    str
        Empty where it is none of this time.
    """
    count = real(seconds)
    if count is None or abs(count) > 1e11:
        return ""
    try:
        found = datetime.fromisoformat(start).replace(tzinfo=UTC) + timedelta(seconds=count)
    except OverflowError:
        return ""
    return found.isoformat() if _PAST < found.year < _FUTURE else ""


def axis(name: str, size: int, scale: Any = 1.0, unit: str = "", offset: Any = 0.0) -> Axis:
    """Axis in the unit of the file; one of pixels where the file has no usable calibration.

    Parameters
    ----------
    name : str
        Of the axis.
    size : int
        Number of samples.
    scale : object, default 1.0
        Distance of two samples.
    unit : str, optional
        As the file has it.
    offset : object, default 0.0
        Position of the first sample.

    Returns
    -------
    Axis
    """
    step, start = real(scale), real(offset)
    if not unit.strip() or step is None or step == 0:
        return Axis(name, size)
    if step < 0:
        # a falling axis is told by its points, if they are few
        places = tuple((start or 0.0) + step * i for i in range(size if size <= _POINTS else 0))
        return Axis(name, size, unit.strip(), points=places) if places else Axis(name, size)
    return Axis(name, size, unit.strip(), step, start or 0.0)


def is_reciprocal(axis: Axis) -> bool:
    """Whether an axis is one of diffraction patterns.

    Parameters
    ----------
    axis : Axis
        Any.

    Returns
    -------
    bool
    """
    unit = axis.unit.replace(" ", "").replace("_", "")
    return (
        unit in ("mrad", "rad") or (unit.startswith("1/") and unit != "1/cm") or unit.endswith(("m^-1", "A^-1", "Å^-1"))
    )


def is_energy(axis: Axis) -> bool:
    """Whether an axis is one of spectra.

    Parameters
    ----------
    axis : Axis
        Any.

    Returns
    -------
    bool
    """
    return axis.unit in _ENERGY or axis.name.lower() in ("energy", "energy loss", "frequency", "bias", "wavelength")


def judge(signals: Iterable[Signal]) -> str:
    """Kind of the data, by the axes of the signal with most dimensions.

    Parameters
    ----------
    signals : iterable of Signal
        All of a file.

    Returns
    -------
    str
        ``document`` for none.
    """
    leading = max(signals, key=lambda s: len(long_axes(s)), default=None)
    if leading is None:
        return "document"
    axes = long_axes(leading)
    patterns, spectra = sum(map(is_reciprocal, axes)), any(map(is_energy, axes))
    if len(axes) <= 1:
        return "spectrum"
    if len(axes) == 2:
        return "diffraction pattern" if patterns == 2 else "spectrum image" if spectra else "image"
    if len(axes) == 3:
        return "spectrum image" if spectra else "diffraction stack" if patterns == 2 else "image stack"
    return "spectrum image" if spectra else "4D-STEM" if len(axes) == 4 else "array"


def long_axes(signal: Signal) -> tuple[Axis, ...]:
    """Axes of a signal along which there is more than one sample.

    Parameters
    ----------
    signal : Signal
        Any.

    Returns
    -------
    tuple of Axis
    """
    every = signal.axes or tuple(Axis(f"axis {i}", n) for i, n in enumerate(signal.shape))
    return tuple(axis for axis in every if axis.size > 1)
