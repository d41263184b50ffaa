"""The library for CBOR, imported when it is needed."""

from __future__ import annotations

from types import ModuleType

from parscope.core.errors import MissingExtraError


def codec() -> ModuleType:
    """Import cbor2.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import cbor2 as library
    except ImportError as error:
        raise MissingExtraError("cbor2", "live") from error
    return library
