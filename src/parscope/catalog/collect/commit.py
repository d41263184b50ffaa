"""Which record a file belongs to, and all that is written for it, in one transaction.

- Content that the catalog has is another place of the same record: a copy, or a file that was moved or renamed.
- New content where a record has its only file is a new version of this record; the old document stays.
- New content where a record has other files with the old content is a new record, `CHANGED_FROM` the old one.
- A part named by the main file of an acquisition belongs to the record of the main file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, or_, select

from parscope.catalog.collect.acquisitions import complete, main_file
from parscope.catalog.collect.derivation import tie_derivation
from parscope.catalog.collect.document import Extract
from parscope.catalog.collect.journal import SEEN, SETTLED, WORK, Entry, lose, under
from parscope.catalog.collect.names import to_path, to_text
from parscope.catalog.collect.parts import give_parts, lone_part
from parscope.catalog.collect.rows import lies, picture, tie
from parscope.catalog.collect.sweep import is_away, is_gone
from parscope.catalog.store import write
from parscope.catalog.store.clock import now
from parscope.catalog.store.documents import decode, encode
from parscope.catalog.store.tables import file, journal, record

CHANGED_FROM = "changed from"
_PATIENCE = 60_000_000  # µs that a changed file waits for one that does not come to rest


def is_known(connection: Connection, entry: Entry) -> bool:
    """Whether the content of a file stands in the catalog, read without fault, and from another place.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    entry : Entry
        The file.

    Returns
    -------
    bool
        Then it need not be read.
    """
    here = exists().where(file.c.path == entry.name, file.c.hash == entry.hash)
    main = exists().where(record.c.hash == entry.hash, record.c.error.is_(None))
    part = exists().where(file.c.hash == entry.hash, file.c.part)
    return bool(connection.scalar(select(and_(~here, or_(main, part)))))


def must_wait(connection: Connection, entry: Entry) -> bool:
    """Whether what a changed file held before may just have been moved elsewhere, where it is not yet recognised.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    entry : Entry
        The file.

    Returns
    -------
    bool
    """
    old = connection.execute(select(file).where(file.c.path == entry.name)).one_or_none()
    known = exists().where(record.c.hash == entry.hash)
    if old is None or old.hash == entry.hash or connection.scalar(select(known)):
        return False  # what is known already becomes no version of anything, and files may have swapped their names
    moved = and_(journal.c.stage.in_(WORK), journal.c.hash == old.hash)
    unhashed = journal.c.stage.in_((SETTLED, SEEN) if entry.since > now() - _PATIENCE else (SETTLED,))
    likely = and_(journal.c.size == old.size, under(journal.c.path, entry.root), journal.c.path != entry.name)
    other = exists().where(likely, or_(moved, unhashed))
    return bool(connection.scalar(select(other)))


@dataclass(frozen=True)
class Commit:
    """All that is written for one file; to be called in a write transaction.

    Parameters
    ----------
    entry : Entry
        The file.
    fingerprint : str
        Of its content, as results of parscope name their source.
    extract : Extract or None
        What its reader said; None if it was not read.
    """

    entry: Entry
    fingerprint: str
    extract: Extract | None

    def __call__(self, connection: Connection) -> int | None:
        """Write it.

        Parameters
        ----------
        connection : Connection
            In a write transaction.

        Returns
        -------
        int or None
            The record; None if the file has to be read after all, as the record that it was a copy of has changed.
        """
        old = connection.execute(select(file).where(file.c.path == self.entry.name)).one_or_none()
        if self.extract is None:
            number, part = self._known(connection, old)
        else:
            number, part = self._record(connection, old, self.extract), False
        if number is None:
            return None
        lies(connection, self.entry, number, fingerprint=self.fingerprint, part=part)
        if self.extract is None:
            lose(connection, _left(connection, self.entry))
        else:
            picture(connection, number, self.extract.thumbnail)
            give_parts(connection, self.entry, number, map(Path, self.extract.parts))
            tie_derivation(connection, number, self.extract.document, self.fingerprint)
        return number

    def _known(self, connection: Connection, old: Row[Any] | None) -> tuple[int | None, bool]:
        """Record of a copy, or of a part that a main file named, and whether it is a part."""
        if old is not None and old.part:
            main = main_file(connection, old.record)
            if main is not None:
                complete(connection, main, self.entry.since)
            return int(old.record), True
        known = connection.scalar(select(record.c.id).where(record.c.hash == self.entry.hash))
        if known is not None:
            return int(known), False
        return connection.scalar(
            select(file.c.record).where(file.c.hash == self.entry.hash, file.c.part).limit(1)
        ), True

    def _record(self, connection: Connection, old: Row[Any] | None, extract: Extract) -> int:
        """Find, change or make the record of a file that was read."""
        same = connection.execute(select(record).where(record.c.hash == self.entry.hash)).one_or_none()
        if same is not None:
            copy = old is None or old.hash != self.entry.hash
            # somebody else was faster with a copy: documents of copies differ in what readers make of their names
            return int(same.id) if copy and same.error is None else self._change(connection, int(same.id), extract)
        if old is None:
            lone = lone_part(connection, map(Path, extract.parts))
            return self._make(connection, extract) if lone is None else self._change(connection, lone, extract)
        if not old.part and not _lies_elsewhere(connection, old):
            return self._change(connection, int(old.record), extract)
        number = self._make(connection, extract)
        if old.present and not old.part and not _is_unread(connection, old):
            tie(connection, CHANGED_FROM, (int(old.record), number))
        return number

    def _make(self, connection: Connection, extract: Extract) -> int:
        hashed = self.entry.hash
        return write.put_record(connection, extract.document, hash=hashed, reader=extract.reader, error=extract.error)

    def _change(self, connection: Connection, number: int, extract: Extract) -> int:
        """Write a new version, unless it would say nothing new."""
        present = connection.execute(select(record).where(record.c.id == number)).one()
        document = extract.document
        if present.hash == self.entry.hash:
            if extract.error and present.error and extract.reader == present.reader:
                return number
            # the copies of a record differ in their names
            document = {**document, "name": decode(present.document).get("name", self.entry.path.name)}
        new = (self.entry.hash, encode(document), extract.reader, extract.error)
        if new != (present.hash, present.document, present.reader, present.error):
            hashed, reader, error = self.entry.hash, extract.reader, extract.error
            write.new_version(connection, number, document, hash=hashed, reader=reader, error=error)
        return number


def _left(connection: Connection, entry: Entry) -> list[str]:
    """Places in other folders from which a content was moved here: a folder that has a new name is swept no more."""
    elsewhere = (file.c.hash == entry.hash, file.c.present, file.c.root != to_text(entry.root))
    places = connection.execute(select(file.c.path, file.c.root).where(*elsewhere)).all()
    return [path for path, root in places if is_gone(to_path(path)) and _is_left(to_path(root))]


def _is_left(root: Path) -> bool:
    """Whether a folder is no more, or there; a mount point without its disk is neither."""
    return is_gone(root) or not is_away(root)


def _is_unread(connection: Connection, old: Row[Any]) -> bool:
    """Whether nothing could be read of what a file held before: many files begin empty, and have no more in common."""
    unread = exists().where(record.c.id == old.record, record.c.hash == old.hash, record.c.error.is_not(None))
    return bool(connection.scalar(select(unread)))


def _lies_elsewhere(connection: Connection, old: Row[Any]) -> bool:
    """Whether the record of a file has other files with the content that this one had."""
    same = (file.c.record == old.record, file.c.hash == old.hash, file.c.present, file.c.path != old.path)
    return any(not is_gone(to_path(path)) for path in connection.scalars(select(file.c.path).where(*same)))
