"""Reads options that are pairs, or lists, of numbers."""

from __future__ import annotations

from typing import overload

from parscope.core.errors import OptionError


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
    if text is None:
        return None
    try:
        y, x = (float(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"{text!r} is not two numbers", option, "write it as 64.0,64.0") from None
    return y, x


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
    try:
        y, x = (int(part) for part in text.lower().replace("x", ",").split(","))
    except ValueError:
        raise OptionError(f"{text!r} is not two whole numbers", option, "write it as 64,64") from None
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
    if text is None:
        return None
    try:
        start, stop = (float(part) for part in text.split(":"))
    except ValueError:
        raise OptionError(f"{text!r} is not two numbers", option, "write it as 280e3:360e3") from None
    return start, stop


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
