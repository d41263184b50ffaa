"""How messages show what somebody wrote: short, on one line, and never what a terminal cannot print."""

from __future__ import annotations

_MOST = 40


def shown(text: str) -> str:
    r"""Text in quotes, in few characters that can be printed.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str

    Examples
    --------
    >>> print(shown("kVV"), shown("x" * 50), shown(chr(0)))
    "kVV" "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..." "\x00"
    """
    short = text if len(text) <= _MOST else text[: _MOST - 3] + "..."
    return f'"{short if short.isprintable() else ascii(short)[1:-1]}"'
