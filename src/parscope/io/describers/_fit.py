"""Metadata made to fit: the longest lists and texts are summarised, so that all the rest is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from parscope.core.description import Description

_MOST = 14 << 20  # characters of JSON, of 16 MB that a catalog takes of one file
_LONG = 1000  # characters: what is shorter is not worth a summary


def fitted(told: Description) -> Description:
    """Metadata of a file, of which a catalog takes 16 MB at most.

    Parameters
    ----------
    told : Description
        What its describer said.

    Returns
    -------
    Description
        The same, if it fits. Else the longest lists and texts of `vendor` are ``{"length", "sha256"}``, the hash of
        their JSON in ASCII, first those that hold no others; a warning says how many.
    """
    try:
        excess = _size(told.vendor) - _MOST
        if excess <= 0:
            return told
        gone: set[int] = set()
        for plain in (True, False):
            lengths = {id(node): size for node, size in _long(told.vendor, gone, plain)}
            for node in sorted(lengths, key=lambda one: -lengths[one]):
                if excess > 0:
                    gone.add(node)
                    excess -= lengths[node] - 100
    except (TypeError, ValueError, RecursionError):
        return told  # no JSON: whoever keeps it will say so
    note = f"{len(gone)} long lists or texts of the metadata are kept as a summary: they are too large together."
    return replace(told, vendor=_shortened(told.vendor, gone), warnings=(*told.warnings, note))


def _size(node: Any) -> int:
    return len(json.dumps(node))


def _long(node: Any, gone: set[int], plain: bool) -> Iterator[tuple[Any, int]]:
    """Lists and texts that are long; only those without others in them, or all."""
    if id(node) in gone:
        return
    inner = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    nested = any(isinstance(one, (dict, list)) for one in inner)
    if isinstance(node, str) or (isinstance(node, list) and not (plain and nested)):
        size = _size(node)
        if size > _LONG:
            yield node, size
    if nested or isinstance(node, dict):
        for one in inner:
            yield from _long(one, gone, plain)


def _shortened(node: Any, gone: set[int]) -> Any:
    if id(node) in gone:
        return {"length": len(node), "sha256": hashlib.sha256(json.dumps(node).encode()).hexdigest()}
    if isinstance(node, dict):
        return {key: _shortened(one, gone) for key, one in node.items()}
    return [_shortened(one, gone) for one in node] if isinstance(node, list) else node
