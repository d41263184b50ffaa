"""Writes a selection of records with their files as an RO-Crate (https://w3id.org/ro/crate), whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from parscope.catalog.people.card import card, thumbnail
from parscope.core.errors import InputError, MissingExtraError, OutputError

if TYPE_CHECKING:
    from parscope.catalog.store.catalog import Catalog

INSIDE, FORMAT = "parscope-catalog.json", {"format": "parscope catalog", "version": 1}
_BLOCK = 1 << 20


class Item(NamedTuple):
    """One file of the crate."""

    place: str
    """Path in the crate, with slashes."""
    source: Path | None
    """The file that is copied there; none if it is there."""
    hash: str
    """SHA-256 that it must have; empty if any."""
    about: str
    """Uid of the record; empty for the crate's own."""


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
        hashes = {item.place: _copy(item, beside / item.place) for item in items}
        write_manifest(beside, cards, [item._replace(hash=hashes[item.place]) for item in items], folder.name)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Written(len(cards), sum(item.source is not None for item in items), tuple(missing))


def digest(file: Path) -> str:
    """SHA-256 of a file.

    Parameters
    ----------
    file : Path
        Any file.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _gather(catalog: Catalog, uids: Iterable[str], folder: Path) -> tuple[list[dict[str, Any]], list[Item], list[str]]:
    """Write what the catalog knows, as of one moment, and list what is to be copied."""
    cards: list[dict[str, Any]] = []
    items: list[Item] = []
    missing: list[str] = []
    with catalog.reading() as connection:
        for uid in uids:
            id_ = catalog.resolve(connection, uid)
            told = card(connection, id_)
            places = dict(_places(told))
            copied = {(file["hash"], Path(file["path"]).name) for file in told["files"] if file["path"] in places}
            for file in told["files"]:
                place = places.get(file["path"])
                file["copy"] = place
                if place:
                    items.append(Item(place, Path(file["path"]), file["hash"], uid))
                elif (file["hash"], Path(file["path"]).name) not in copied:
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
        if file["present"] and Path(file["path"]).is_file():
            chosen.setdefault(file["hash"], file["path"])
    if chosen:
        common = os.path.commonpath([str(Path(path).parent) for path in chosen.values()])
        for path in chosen.values():
            yield path, f"files/{told['uid']}/{Path(path).relative_to(common).as_posix()}"


def _copy(item: Item, target: Path) -> str:
    """Bring one file to its place, and see whether it is the one that was collected; its SHA-256."""
    if item.source is None:
        return digest(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256()
    with item.source.open("rb") as source, target.open("wb") as copy:
        while block := source.read(_BLOCK):
            found.update(block)
            copy.write(block)
    if found.hexdigest() != item.hash:
        raise InputError("has changed since it was collected", str(item.source), "collect it again, or see verify")
    shutil.copystat(item.source, target)
    return item.hash
