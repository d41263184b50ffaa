"""Who did it, and what people may call things."""

from __future__ import annotations

import getpass
from unicodedata import normalize

from parscope.core.errors import InputError

_LONGEST = 200


def login() -> str:
    """Name under which the person is logged in.

    Returns
    -------
    str
        ``unknown`` where the system has no name for the user.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a number without a name, as in some containers
        return "unknown"


def checked(name: str, what: str) -> str:
    """Refuse a name that cannot be read, typed again, or kept by every database.

    Parameters
    ----------
    name : str
        As somebody typed it; blanks around it are dropped, and letters with marks are one character each (NFC).
    what : str
        What it is a name of.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If it is empty, longer than 200 characters, or has characters that cannot be seen.

    Examples
    --------
    >>> checked(" Paper 3 ", "collection")
    'Paper 3'
    """
    name = normalize("NFC", name.strip())
    if not name or len(name) > _LONGEST:
        raise InputError(f"a name has 1 to {_LONGEST} characters, not {len(name)}", what)
    if not name.isprintable():
        raise InputError(f"{name!r} has characters that cannot be seen", what, "leave them out")
    return name
