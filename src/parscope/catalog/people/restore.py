"""Puts cards of records back into a catalog, whether it knows the records or not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, insert, select, update

from parscope.catalog.collect.digest import digest
from parscope.catalog.collect.names import to_text
from parscope.catalog.people.card import PARTS
from parscope.catalog.people.links import descends, tied
from parscope.catalog.store import tables, write
from parscope.catalog.store.clock import now
from parscope.core.errors import InputError

Row = dict[str, Any]

# What tells two rows of a record apart.
_KEYS = {
    "sightings": ("path", "hash"),
    "annotations": ("key", "value", "who", "created"),
    "tags": ("name",),
    "collections": ("collection",),
    "retractions": ("what", "name", "who", "created"),
}
_TIMES = frozenset({"created", "changed", "first", "last", "withdrawn"})
_LATEST = 253_402_300_800_000_000  # microseconds until the year 10000, which nobody prints
_OBJECTS = frozenset({"document", "parameters", "said"})  # columns with the JSON of a mapping
_STATE = ("hash", "number", "document", "reader", "error")


class Restorer:
    """Writes the cards of one crate within one transaction.

    Parameters
    ----------
    connection : Connection
        In a write transaction of the catalog to which they come.
    folder : Path
        The crate, absolute.
    hashes : dict of str
        SHA-256 of the files in it, by their paths in it.
    """

    def __init__(self, connection: Connection, folder: Path, hashes: dict[str, str]) -> None:
        self._connection, self._folder, self._hashes = connection, folder, hashes
        self._ids: dict[str, int] = {}
        self.added = 0
        """Records that were not there."""

    def take(self, card: Row) -> None:
        """Write one record, or what is new of one that is there.

        Parameters
        ----------
        card : dict
            As `write_crate` wrote it.

        Raises
        ------
        InputError
            If the record has another history here.
        KeyError, TypeError, ValueError
            If it is no card.
        """
        connection, table = self._connection, tables.record
        if not re.fullmatch("[0-9a-f]{32}", card["uid"]):
            raise ValueError(f"{card['uid']!r:.80} is no uid")
        held = connection.execute(select(table).where(table.c.uid == card["uid"])).mappings().first()
        if held is None and card["hash"] is not None:  # the same file, collected here too
            held = connection.execute(select(table).where(table.c.hash == card["hash"])).mappings().first()
        if held is None:
            row = {column.name: card[column.name] for column in table.c if column.name != "id"}
            id_ = connection.execute(insert(table).values(_sound(table, row)).returning(table.c.id)).scalar_one()
            self._add_versions(id_, card["versions"], known=0)
            self.added += 1
        else:
            id_ = held["id"]
            if held["uid"] == card["uid"]:
                self._catch_up(dict(held), card)
        self._ids[card["uid"]] = id_
        self._place(id_, card["files"])
        for part, keys in _KEYS.items():
            self._add(part, keys, id_, card[part])
        self._show(id_, card["uid"])
        write.reindex(connection, id_)

    def link(self, cards: list[Row]) -> int:
        """Write the links of all records, once the records are there.

        Parameters
        ----------
        cards : list of dict
            All that were taken.

        Returns
        -------
        int
            Number of links that lead to records that are not here.

        Raises
        ------
        InputError
            If a record would come to be made from itself.
        """
        table, loose = tables.link, set()
        for row in (row for card in cards for row in card["links"]):
            source, target = self._find(row["source"]), self._find(row["target"])
            if source is None or target is None:
                loose.add((row["source"], row["target"], row["kind"]))
                continue
            ends = {"source": source, "target": target}
            if not self._has(table, ends | {"kind": row["kind"]}):
                if source == target or descends(self._connection, source, target):
                    raise InputError(
                        "would be derived from itself", row["target"], "the crate does not fit the catalog"
                    )
                self._connection.execute(insert(table).values(_sound(table, row | ends)))
                tied(self._connection, source, target)
        return len(loose)

    def _catch_up(self, held: Row, card: Row) -> None:
        """Bring a record that is here to the state in the crate, if that is a later one."""
        table = tables.version
        rows = self._connection.execute(select(table.c.number, table.c.document).where(table.c.record == held["id"]))
        ours = {row.number: row.document for row in rows} | {held["number"]: held["document"]}
        theirs = {row["number"]: row["document"] for row in [*card["versions"], card]}
        if any(ours[number] != theirs[number] for number in ours.keys() & theirs.keys()):
            raise InputError("has another history in this catalog", card["uid"], "take the crate into another one")
        if card["number"] > held["number"]:
            self._add_versions(held["id"], card["versions"], known=held["number"] - 1)
            state = {name: card[name] for name in (*_STATE, "changed")}
            self._connection.execute(update(tables.record).where(tables.record.c.id == held["id"]).values(state))

    def _add_versions(self, id_: int, versions: list[Row], known: int) -> None:
        """Write the versions after those that are known."""
        for row in versions:
            if row["number"] > known:
                self._connection.execute(insert(tables.version).values(_sound(tables.version, row | {"record": id_})))

    def _place(self, id_: int, files: list[Row]) -> None:
        """Say where the files of a record are: in the crate, or missing where they were."""
        when = now()
        for row in files:
            place = row.pop("copy")
            new = row | {"record": id_, "present": False, "verified": None}
            if place is not None:
                path = (self._folder / place).resolve()
                if not path.is_relative_to(self._folder):
                    raise ValueError(f"{place} leads out of the crate")
                if self._hashes.get(place) != row["hash"] and not (path.is_dir() and digest(path) == row["hash"]):
                    raise ValueError(f"{place} is not the file of the record")
                new |= {"path": to_text(path), "root": to_text(self._folder), "mtime_ns": path.stat().st_mtime_ns}
                new |= {"present": True, "verified": when}
                seen = {"path": to_text(path), "hash": row["hash"], "first": when, "last": when}
                self._add("sightings", _KEYS["sightings"], id_, [seen])
            if not self._has(tables.file, {"path": new["path"]}):
                self._connection.execute(insert(tables.file).values(_sound(tables.file, new)))

    def _show(self, id_: int, uid: str) -> None:
        """Take the thumbnail, if there is none."""
        place = f"thumbnails/{uid}.png"
        if place in self._hashes and not self._has(tables.thumbnail, {"record": id_}):
            png = (self._folder / place).read_bytes()
            self._connection.execute(insert(tables.thumbnail).values(record=id_, png=png))

    def _add(self, part: str, keys: tuple[str, ...], id_: int, rows: list[Row]) -> None:
        """Write those rows of a record that are not there."""
        table = PARTS[part][0]
        for row in rows:
            new = _sound(table, row | {"record": id_})
            same = {"record": id_} | {key: row[key] for key in keys}
            if not self._has(table, same):
                self._connection.execute(insert(table).values(new))
            elif row.get("withdrawn") is not None:  # there, and not here yet
                standing = [*_equal(table, same), table.c.withdrawn.is_(None)]
                self._connection.execute(update(table).where(*standing).values(withdrawn=row["withdrawn"]))

    def _has(self, table: Table, row: Row) -> bool:
        """Whether a row with these values is there."""
        query = select(table.c[next(iter(row))]).where(*_equal(table, row))
        return self._connection.execute(query).first() is not None

    def _find(self, uid: str) -> int | None:
        """Number of the row of a record in the crate or in the catalog."""
        if uid not in self._ids:
            found = select(tables.record.c.id).where(tables.record.c.uid == uid)
            return self._connection.execute(found).scalar()
        return self._ids[uid]


def _equal(table: Table, row: Row) -> list[ColumnElement[bool]]:
    """That these columns have these values."""
    return [table.c[key] == value for key, value in row.items()]


def _sound(table: Table, row: Row) -> Row:
    """Refuse a row that is none of this table: a crate may come from anywhere."""
    wanted = {column.name: column for column in table.c if column.name != "id"}
    if row.keys() != wanted.keys():
        raise ValueError(f"{table.name} has {sorted(row)}, not {sorted(wanted)}")
    for name, column in wanted.items():
        if not (isinstance(row[name], column.type.python_type) or (row[name] is None and column.nullable)):
            raise TypeError(f"{table.name}.{name} is {row[name]!r:.80}")
        if name in _TIMES and not 0 <= (row[name] or 0) < _LATEST:
            raise ValueError(f"{table.name}.{name} is no time: {row[name]}")
    _check_json(table, row)
    return row


def _check_json(table: Table, row: Row) -> None:
    """Refuse a row with JSON that nobody could read later."""
    for name in _OBJECTS & row.keys():
        if not isinstance(json.loads(row[name]), dict):
            raise TypeError(f"{table.name}.{name} is no JSON object")
    if table is tables.annotation:
        json.loads(row["value"])
    if table is tables.retraction:
        said = json.loads(row["said"])
        if not (isinstance(said["who"], str) and isinstance(said["created"], int) and 0 <= said["created"] < _LATEST):
            raise ValueError("what was taken back is of nobody, or of no time")
