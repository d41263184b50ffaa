"""Takes the records of an RO-Crate that parscope wrote into a catalog, all or none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from parscope.catalog.collect.digest import digest
from parscope.catalog.people.crate import FORMAT, INSIDE
from parscope.catalog.people.restore import Restorer
from parscope.catalog.store.catalog import Catalog
from parscope.core.errors import FormatError, InputError, UnreadableError

_MANIFEST = "ro-crate-metadata.json"

# What comes of rows that nobody wrote who knows the tables.
_ODD = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Taken:
    """What came into the catalog.

    Parameters
    ----------
    added : int
        Records that were not in it.
    known : int
        Records that were: their tags, annotations and places were added.
    loose : int
        Links that lead to records which are neither in the crate nor in the catalog; they come when those come.
    """

    added: int
    known: int
    loose: int


def read_crate(catalog: Catalog, folder: Path) -> Taken:
    """Take records into a catalog, with their uids, documents, versions, links, tags, annotations and collections.

    The files stay in the folder of the crate, and the catalog names them there. Once more, nothing is added.

    Parameters
    ----------
    catalog : Catalog
        Where they come to.
    folder : Path
        A crate of `write_crate`.

    Returns
    -------
    Taken

    Raises
    ------
    FormatError
        If it is no crate of parscope, or of a newer version.
    UnreadableError
        If a file of it is missing or damaged; nothing is taken then.
    InputError
        If a record has another history in this catalog.
    OSError
        If a file cannot be read.
    """
    folder = folder.resolve()
    hashes = _verified(folder)
    cards = _cards(folder)
    with catalog.writing() as connection:
        restorer = Restorer(connection, folder, hashes)
        for number, card in enumerate(cards):
            try:
                restorer.take(card)
            except _ODD as error:
                raise FormatError(f"record {number} is damaged: {error!r}", str(folder / INSIDE)) from None
        try:
            loose = restorer.link(cards)
        except _ODD as error:
            raise FormatError(f"a link is damaged: {error!r}", str(folder / INSIDE)) from None
    return Taken(restorer.added, len(cards) - restorer.added, loose)


def _verified(folder: Path) -> dict[str, str]:
    """SHA-256 of all files that the manifest names, after a look at each."""
    hashes: dict[str, str] = {}
    for entity in _graph(folder / _MANIFEST):
        if isinstance(entity, Mapping) and isinstance(entity.get("sha256"), str):
            place = unquote(str(entity.get("@id")))
            file = (folder / place.replace("\0", "")).resolve()
            if not file.is_relative_to(folder):
                raise InputError("leads out of the crate", place, "do not trust it")
            if not file.is_file():
                raise UnreadableError("is missing", str(file), "copy the crate again")
            if digest(file) != entity["sha256"]:
                raise UnreadableError("is damaged: it has another SHA-256", str(file), "copy the crate again")
            hashes[place] = entity["sha256"]
    if INSIDE not in hashes:
        raise FormatError("is no crate of parscope", str(folder), f"it has no {INSIDE}")
    return hashes


def _graph(manifest: Path) -> list[Any]:
    """Entities of a manifest."""
    found = _json(manifest).get("@graph")
    if not isinstance(found, list):
        raise FormatError("is no manifest of an RO-Crate", str(manifest))
    return found


def _cards(folder: Path) -> list[dict[str, Any]]:
    """Records of a crate."""
    told = _json(folder / INSIDE)
    version = told.get("version")
    if told.get("format") != FORMAT["format"] or not isinstance(told.get("records"), list):
        raise FormatError("holds no records of parscope", str(folder / INSIDE))
    if version != FORMAT["version"]:
        raise FormatError(f"has version {version}, not {FORMAT['version']}", str(folder / INSIDE), "update parscope")
    cards: list[dict[str, Any]] = told["records"]
    if not all(isinstance(card, dict) for card in cards):
        raise FormatError("has records that are none", str(folder / INSIDE))
    return cards


def _json(file: Path) -> dict[str, Any]:
    """A JSON object."""
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"is no JSON: {error}", str(file), "copy the crate again") from None
    if not isinstance(found, dict):
        raise FormatError("is no JSON object", str(file))
    return found
