"""Documents and their JSON: what a record may say, checked before anything is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from parscope.catalog.query.wire import odd
from parscope.core.errors import InputError

DEEPEST = 100
"""Levels of mappings and lists that a document may have."""


def encode(document: Mapping[str, Any]) -> str:
    """JSON of a document, in ASCII, with every bit of its numbers; NaN and infinities are kept.

    Parameters
    ----------
    document : mapping
        Nested mappings, lists and tuples of texts, numbers, truths and None; keys are texts.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If it is more than `DEEPEST` levels deep, has a key that is no text, or a value that JSON has no form for.
    """
    try:
        return json.dumps(_plain(document, 1), separators=(",", ":"))
    except ValueError as error:  # Python writes whole numbers of up to 4300 digits
        raise InputError(f"the document cannot be kept: {error}") from error


def decode(text: str) -> dict[str, Any]:
    """Document of its JSON."""
    document: dict[str, Any] = json.loads(text)
    return document


def portable(value: Any) -> Any:
    """Value as any program reads its JSON: what is no number there is spelled as in queries.

    Parameters
    ----------
    value : object
        As `decode` gives it, or a part of it.

    Returns
    -------
    object
        The same, with ``{"number": "nan"}``, ``"inf"`` or ``"-inf"`` in place of NaN and infinities.

    Examples
    --------
    >>> portable({"drift": [0.5, float("-inf")]})
    {'drift': [0.5, {'number': '-inf'}]}
    """
    if isinstance(value, float) and not isfinite(value):
        return odd(value)
    if isinstance(value, Mapping):
        return {key: portable(item) for key, item in value.items()}
    return [portable(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any, depth: int) -> Any:
    """Value as the mappings and lists that json writes; tuples become lists, as they would after reading."""
    if isinstance(value, str | int | float) or value is None:
        return value
    if depth > DEEPEST:
        raise InputError(f"the document is more than {DEEPEST} levels deep")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InputError(f"a key of the document is {key!r:.80}, not a text")
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    raise InputError(f"a document holds no {type(value).__name__}", "", "make it text, a number or a list of those")
