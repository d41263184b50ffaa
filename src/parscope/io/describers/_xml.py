"""XML as nested mappings under its own names; entities, which can blow up or fetch files, are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from parscope.core.errors import FormatError, MissingExtraError
from parscope.io._scan import first_line
from parscope.io.describers._verbatim import gathered, number

LARGEST = 128 << 20
"""Bytes of a document, at most."""
_DEEPEST, _LONGEST = 80, 1 << 16


def parsed(raw: bytes, where: str) -> Any:
    """Root element of an XML document.

    Parameters
    ----------
    raw : bytes
        The document.
    where : str
        The file, for errors.

    Returns
    -------
    Element

    Raises
    ------
    FormatError
        If it is no XML, larger than 128 MiB, or declares entities.
    MissingExtraError
        If defusedxml is not installed.
    """
    try:
        from defusedxml import DefusedXmlException, ElementTree
    except ModuleNotFoundError as error:
        raise MissingExtraError("defusedxml", "catalog") from error
    if len(raw) > LARGEST:
        raise FormatError(f"has more than {LARGEST >> 20} MiB of XML", where)
    try:
        return ElementTree.fromstring(raw)
    except DefusedXmlException as error:
        raise FormatError("declares XML entities, which no instrument does", where, "do not trust it") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise FormatError(f"has damaged XML ({first_line(error)})", where, "copy it again") from error


def tree(element: Any, depth: int = 0) -> Any:
    """An element as a mapping of its attributes and children, or as its text if it has neither.

    Parameters
    ----------
    element : Element
        Of `parsed`.
    depth : int, default 0
        How deep it lies.

    Returns
    -------
    dict, int, float or str
        Children of the same name are a list; text beside attributes is under ``value``. Long texts are their length
        and SHA-256.
    """
    if depth > _DEEPEST:
        raise FormatError(f"has XML nested deeper than {_DEEPEST} levels")
    words = _told((element.text or "").strip())
    if not len(element) and not element.attrib:
        return words
    children = gathered((local(child), tree(child, depth + 1)) for child in element)
    held = {f"@{k}" if k in children or k == "value" else k: v for k, v in _attributes(element)}
    return {**held, **children, **({"value": words} if words != "" else {})}


def _attributes(element: Any) -> Iterator[tuple[str, Any]]:
    return ((key.rpartition("}")[2], _told(value)) for key, value in element.attrib.items())


def _told(words: str) -> Any:
    if len(words) > _LONGEST:
        return {"characters": len(words), "sha256": hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()}
    return number(words)


def local(element: Any) -> str:
    """Name of an element without its name space.

    Parameters
    ----------
    element : Element
        Any.

    Returns
    -------
    str
    """
    return str(element.tag).rpartition("}")[2]
