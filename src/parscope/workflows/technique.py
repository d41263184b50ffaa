"""Techniques of spectra by name: which there are, what can be set, and their physics for some axis."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from parscope.core import registry
from parscope.core.axes import Axis
from parscope.core.errors import OptionError
from parscope.core.separable import Separable
from parscope.core.units import conversion

_GROUP = "parscope.techniques"


def techniques() -> tuple[str, ...]:
    """Names of the techniques of spectra, those of other packages last.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "be-sho" in techniques()
    True
    """
    return tuple(name.replace("_", "-") for name in registry.names(_GROUP))


def find(technique: str) -> type[Separable]:
    """Class of a technique.

    Parameters
    ----------
    technique : str
        Its name; dashes and underscores are the same.

    Returns
    -------
    type

    Raises
    ------
    OptionError
        If there is none of that name, or it is not separable.
    """
    known = {name.replace("_", "-"): name for name in registry.names(_GROUP)}
    name = known.get(technique.replace("_", "-"))
    kind = None if name is None else registry.load(_GROUP, name)
    if not (isinstance(kind, type) and issubclass(kind, Separable)):
        raise OptionError("is no technique of spectra", technique, f"choose one of {', '.join(known)}")
    return kind


def settable(kind: type[Separable]) -> dict[str, Any]:
    """What a person may set of a technique: its fields, and what it asks for to adapt to data.

    Parameters
    ----------
    kind : type
        Of the technique.

    Returns
    -------
    dict
        Type of each, by its name.

    Examples
    --------
    >>> settable(find("be-sho"))["background"]
    <class 'bool'>
    """
    own, adapts = get_type_hints(kind), get_type_hints(kind.for_spectra)
    given = inspect.signature(kind.for_spectra).parameters.values()
    names = [p.name for p in given if p.kind is p.KEYWORD_ONLY]
    return {field.name: own[field.name] for field in fields(kind)[1:]} | {name: adapts[name] for name in names}  # type: ignore[arg-type]


def decided(physics: Separable) -> dict[str, Any]:
    """What was set of a technique or found from the data, as far as it can be written down in words and numbers.

    Parameters
    ----------
    physics : Separable
        That is fitted.

    Returns
    -------
    dict
        Values of its fields but the axis, with which `adapt` makes it again.
    """
    values = {field.name: getattr(physics, field.name) for field in fields(physics)[1:]}  # type: ignore[arg-type]
    plain = (bool, int, float, str, tuple, type(None))
    return {name: value for name, value in values.items() if isinstance(value, plain)}


def adapt(
    technique: str,
    axis: Axis,
    sample: Callable[[], NDArray[Any]],
    options: Mapping[str, Any],
) -> Separable:
    """Physics of a technique for spectra, whose axis may differ from its own by a prefix of the unit.

    Parameters
    ----------
    technique : str
        Its name.
    axis : Axis
        Of the spectra.
    sample : callable
        As for `Separable.for_spectra`.
    options : mapping
        Some of what is `settable`.

    Returns
    -------
    Separable

    Raises
    ------
    OptionError
        If there is no such technique or option.
    ValueError
        If the axis, or the value of an option, is not of the technique.
    """
    kind = find(technique)
    wrong = [name for name in options if name not in settable(kind)]
    if wrong:
        known = ", ".join(settable(kind)) or "none"
        raise OptionError(f"{technique} has no {wrong[0]}", f"--{wrong[0].replace('_', '-')}", f"it has {known}")
    physics = kind.for_spectra(_converted(kind, axis), sample, **options)
    # Bounds are looked at when they are first asked for.
    _ = physics.parameters
    return physics


def usual(technique: str, bins: int | None, span: tuple[float, float] | None, options: Mapping[str, Any]) -> Separable:
    """Physics of a technique without any data, on its usual axis or on one like it.

    Parameters
    ----------
    technique : str
        Its name.
    bins : int, optional
        Number of samples of a spectrum. Default: as usual.
    span : tuple of float, optional
        Where the axis starts and stops, in the unit of the technique. Default: as usual.
    options : mapping
        Some of what is `settable`.

    Returns
    -------
    Separable

    Raises
    ------
    OptionError
        If there is no such technique or option, or no such axis.
    """
    axis = usual_axis(find(technique), bins, span)
    try:
        return adapt(technique, axis, lambda: np.zeros((0, axis.size)), options)
    except ValueError as error:
        raise OptionError(str(error), technique) from error


def usual_axis(kind: type[Separable], bins: int | None, span: tuple[float, float] | None) -> Axis:
    """Axis like the one a technique is usually measured on: of the same course, from start to stop.

    Parameters
    ----------
    kind : type
        Of the technique.
    bins : int, optional
        Number of samples of a spectrum. Default: as usual.
    span : tuple of float, optional
        Lowest and highest position, in the unit of the technique. Default: as usual.

    Returns
    -------
    Axis

    Raises
    ------
    OptionError
        If the span is not rising, the bins are too few, or nothing is usual and no span is given.

    Examples
    --------
    >>> usual_axis(find("be-sho"), 5, (300e3, 340e3)).values
    array([300000., 310000., 320000., 330000., 340000.])
    """
    known = kind.usual_axis
    if known is None and span is None:
        raise OptionError(f"{kind.__name__} has no usual axis", "--axis", "give one, as START:STOP")
    known = known or Axis("position", 80, "1")
    if bins is not None and bins < 2:
        raise OptionError(f"{bins} are too few", "--bins", "give 2 at least")
    values = known.values
    if bins is not None:
        values = np.interp(np.linspace(0, 1, bins), np.linspace(0, 1, len(values)), values)
    if span is not None:
        low, high = span
        if not low < high:
            raise OptionError(f"{low:g}:{high:g} does not rise", "--axis", "write it as START:STOP")
        values = low + (values - values.min()) / np.ptp(values) * (high - low)
    return Axis.from_values(known.name, values, known.unit)


def _converted(kind: type[Separable], axis: Axis) -> Axis:
    """The axis in the unit that the technique needs."""
    if kind.usual_axis is None or kind.any_unit or axis.unit == kind.usual_axis.unit:
        return axis
    factor = conversion(axis.unit, kind.usual_axis.unit)
    if factor is None:
        raise ValueError(f"their axis {axis.name} is in {axis.unit!r}, not in {kind.usual_axis.unit}")
    points = None if axis.points is None else tuple(factor * point for point in axis.points)
    return replace(
        axis, unit=kind.usual_axis.unit, scale=factor * axis.scale, offset=factor * axis.offset, points=points
    )
