"""Writes a selection of records with their files as an RO-Crate (https://w3id.org/ro/crate), whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from parscope.catalog.collect.digest import digest
from parscope.catalog.collect.names import to_path
from parscope.catalog.people.card import card, thumbnail
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.records import resolve
from parscope.core.errors import InputError, MissingExtraError, OutputError

INSIDE, FORMAT = "parscope-catalog.json", {"format": "parscope catalog", "version": 1}

# Bytes of a name that are no UTF-8, as `to_text` spells them: the copy is named so that every system can.
_READABLE = {0xF700 + byte: f"%{byte:02X}" for byte in range(0x80, 0x100)}


@dataclass(frozen=True)
class Item:
    """One file of the crate.

    Parameters
    ----------
    place : str
        Path in the crate, with slashes.
    source : Path or None
        What is copied there; none if it is there.
    hash : str
        SHA-256 that it must have; empty if any.
    about : str
        Uid of the record; empty for the crate's own.
    """

    place: str
    source: Path | None
    hash: str
    about: str


@dataclass(frozen=True)
class Written:
    """What a crate holds.

    Parameters
    ----------
    records : int
        Number of records.
    files : int
        Number of files copied.
    missing : tuple of str
        Files of these records that are not where they were, and so not in the crate.
    """

    records: int
    files: int
    missing: tuple[str, ...]


def write_crate(catalog: Catalog, uids: Iterable[str], folder: Path) -> Written:
    """Copy records and their files into a folder that any tool for RO-Crates reads, and `read_crate` without loss.

    Documents, versions, links, tags, annotations and collections are in ``parscope-catalog.json``, the same in terms of
    schema.org in ``ro-crate-metadata.json``, with the SHA-256 of every file.

    Parameters
    ----------
    catalog : Catalog
        Where the records are.
    uids : iterable of str
        Which ones.
    folder : Path
        To be made; it appears when everything is in it.

    Returns
    -------
    Written

    Raises
    ------
    OutputError
        If the folder is there already.
    InputError
        If a file has another content than when it was collected.
    MissingExtraError
        If the library `rocrate` is not installed.
    OSError
        If a file cannot be read or written.
    """
    try:
        from parscope.catalog.people.manifest import write_manifest
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "catalog") from None
    if folder.exists():
        raise OutputError("exists already", str(folder), "choose another folder")
    beside = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        cards, items, missing = _gather(catalog, uids, beside)
        inside = [part for item in items for part in _copied(item, beside / item.place)]
        write_manifest(beside, cards, inside, folder.name)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Written(len(cards), sum(item.source is not None for item in items), tuple(missing))


def _gather(catalog: Catalog, uids: Iterable[str], folder: Path) -> tuple[list[dict[str, Any]], list[Item], list[str]]:
    """Write what the catalog knows, as of one moment, and list what is to be copied."""
    cards: list[dict[str, Any]] = []
    items: list[Item] = []
    missing: list[str] = []
    with catalog.reading() as connection:
        # As they came into this catalog, so that they come into another one in the same order.
        for id_ in sorted(resolve(connection, uid) for uid in uids):
            told = card(connection, id_)
            uid = told["uid"]
            places = dict(_places(told))
            copied = {file["hash"] for file in told["files"] if file["path"] in places}
            for file in told["files"]:
                place = places.get(file["path"])
                file["copy"] = place
                if place:
                    items.append(Item(place, to_path(file["path"]), file["hash"], uid))
                elif file["hash"] not in copied:
                    missing.append(file["path"])
            png = thumbnail(connection, id_)
            if png is not None:
                (folder / "thumbnails").mkdir(exist_ok=True)
                (folder / "thumbnails" / f"{uid}.png").write_bytes(png)
                items.append(Item(f"thumbnails/{uid}.png", None, "", uid))
            cards.append(told)
    (folder / INSIDE).write_text(json.dumps(FORMAT | {"records": cards}, indent=1), encoding="ascii")
    items.append(Item(INSIDE, None, "", ""))
    return cards, items, missing


def _places(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where files of a record come to lie in the crate: one of each content, as they lie to each other."""
    chosen: dict[str, str] = {}
    for file in told["files"]:
        if file["present"] and to_path(file["path"]).exists():
            chosen.setdefault(file["hash"], file["path"])
    if chosen:
        common = os.path.commonpath([str(Path(path).parent) for path in chosen.values()])
        for path in chosen.values():
            inside = Path(path).relative_to(common).as_posix().translate(_READABLE)
            yield path, f"files/{told['uid']}/{inside}"


def _copied(item: Item, target: Path) -> Iterator[Item]:
    """Bring one item to its place, and see whether it is what was collected; a folder becomes its files."""
    if item.source is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if item.source.is_dir():
            shutil.copytree(item.source, target, symlinks=True)
        else:
            shutil.copy2(item.source, target)
        # The copy is hashed, not the source: what counts is what has arrived.
        if digest(target) != item.hash:
            raise InputError("has changed since it was collected", str(item.source), "see parscope verify")
    if target.is_dir():
        for file in sorted(path for path in target.rglob("*") if path.is_file() and not path.is_symlink()):
            place = f"{item.place}/{file.relative_to(target).as_posix()}"
            yield replace(item, place=place, hash=digest(file))
    else:
        yield replace(item, hash=item.hash or digest(target))
