"""Reads options that are pairs, or lists, of numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar, overload

from parscope.core.errors import OptionError

PORTS = (1 << 16) - 1
"""The largest number of a port."""

Number = TypeVar("Number", int, float)


def _pair(
    text: str, option: str, kind: Callable[[str], Number], like: str, divider: str = ","
) -> tuple[Number, Number]:
    """Two numbers with a divider, a regular expression, between them; what is wrong is said with an example."""
    try:
        one, other = (kind(part) for part in re.split(divider, text))
    except ValueError:
        what = "two whole numbers" if kind is int else "two numbers"
        raise OptionError(f"{text!r} is not {what}", option, f"write it as {like}") from None
    return one, other


def numbers(text: str | None, option: str) -> tuple[float, float] | None:
    """Read two numbers.

    Parameters
    ----------
    text : str or None
        ``Y,X``.
    option : str
        Where it was given.

    Returns
    -------
    tuple of float, or None

    Raises
    ------
    OptionError
        If it is not two numbers.

    Examples
    --------
    >>> numbers("63.5,64", "--centre")
    (63.5, 64.0)
    """
    return None if text is None else _pair(text, option, float, "64.0,64.0")


@overload
def shape(text: str, option: str) -> tuple[int, int]: ...
@overload
def shape(text: None, option: str) -> None: ...
def shape(text: str | None, option: str) -> tuple[int, int] | None:
    """Read two lengths.

    Parameters
    ----------
    text : str or None
        ``Y,X`` or ``YxX``.
    option : str
        Where it was given.

    Returns
    -------
    tuple of int, or None

    Raises
    ------
    OptionError
        If it is not two whole numbers above zero.

    Examples
    --------
    >>> shape("64x32", "--scan-shape")
    (64, 32)
    """
    if text is None:
        return None
    y, x = _pair(text, option, int, "64,64", "[,xX]")
    if min(y, x) < 1:
        raise OptionError(f"{text!r} is not above zero", option, "write it as 64,64")
    return y, x


def span(text: str | None, option: str) -> tuple[float, float] | None:
    """Read where an axis starts and stops.

    Parameters
    ----------
    text : str or None
        ``START:STOP``.
    option : str
        Where it was given.

    Returns
    -------
    tuple of float, or None

    Raises
    ------
    OptionError
        If it is not two numbers.

    Examples
    --------
    >>> span("280e3:360e3", "--axis")
    (280000.0, 360000.0)
    """
    return None if text is None else _pair(text, option, float, "280e3:360e3", ":")


def assignments(text: str | None, option: str, share: bool = False) -> dict[str, str]:
    """Read numbers with names.

    Parameters
    ----------
    text : str or None
        ``NAME=NUMBER,NAME=NUMBER``.
    option : str
        Where it was given.
    share : bool, default False
        Whether numbers may be shares, as ``5%``.

    Returns
    -------
    dict of str
        The numbers, as they were typed.

    Raises
    ------
    OptionError
        If a name or a number is missing.

    Examples
    --------
    >>> assignments("resonance=50,quality=5%", "--want", share=True)
    {'resonance': '50', 'quality': '5%'}
    """
    found = {}
    for part in text.split(",") if text else []:
        name, _, number = part.strip().partition("=")
        try:
            float(number.removesuffix("%") if share else number)
        except ValueError:
            raise OptionError(f"{part!r} is not a name and a number", option, "write it as quality=150") from None
        found[name] = number
    return found
