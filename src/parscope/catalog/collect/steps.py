"""The steps of one file from settled to committed; each begins with the journal and ends with it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

from sqlalchemy import update

import parscope
from parscope.catalog.collect import claims, journal
from parscope.catalog.collect.acquisitions import is_part, main_of, waits
from parscope.catalog.collect.commit import Commit, is_known, must_wait
from parscope.catalog.collect.digest import digest
from parscope.catalog.collect.document import Extract, of_unread, one_line
from parscope.catalog.collect.extract import Extractor
from parscope.catalog.collect.journal import COMMITTED, EXTRACTED, HASHED, QUARANTINED, SETTLED, Entry
from parscope.catalog.collect.sweep import examine, is_lost
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.clock import now
from parscope.catalog.store.tables import journal as table
from parscope.core.errors import InputError, ParscopeError
from parscope.core.record import fingerprint

_PAUSE = 500_000


def carry_out(catalog: Catalog, extractor: Extractor, entry: Entry) -> bool:
    """Take one file as far as it goes.

    Parameters
    ----------
    catalog : Catalog
        Where the journal is.
    extractor : Extractor
        What reads files.
    entry : Entry
        The file, claimed.

    Returns
    -------
    bool
        False if it has to wait for another file, or for its disk.

    Raises
    ------
    CatalogError
        If the catalog cannot be written, or no process can be started that reads files.
    Exception
        For a fault of parscope itself; the file is set aside with it, and other files may be taken on.
    """
    at_hand: Entry | None = entry
    while at_hand is not None and at_hand.stage in journal.WORK:
        before = at_hand
        if not _rests(catalog, before):
            return _wait(catalog, before) if _is_away(before) else True
        try:
            at_hand = _step(catalog, extractor, before)
        except ParscopeError:
            raise
        except Exception as fault:
            _set_aside(catalog, before, fault)
            raise
        if at_hand is before:
            return _wait(catalog, before)
    return True


def _wait(catalog: Catalog, entry: Entry) -> bool:
    with catalog.writing() as connection:
        claims.postpone(connection, entry, now() + _PAUSE)
    return False


def _is_away(entry: Entry) -> bool:
    """Whether a file cannot be looked at now, though nobody took it away."""
    return examine(entry.path) is None and not is_lost(entry.path, entry.root)


def _set_aside(catalog: Catalog, entry: Entry, fault: Exception) -> None:
    """Keep a file that parscope failed with: in the journal at least, then in a record that says no more than that."""
    reason = one_line(f"parscope itself failed with {type(fault).__name__}: {fault}")
    with catalog.writing() as connection:
        kept = journal.advance(connection, entry, QUARANTINED, error=reason)
    if kept and entry.hash is not None:
        _commit(catalog, Commit(replace(entry, stage=QUARANTINED, owner=""), "", _unread(entry, reason)))


def _step(catalog: Catalog, extractor: Extractor, entry: Entry) -> Entry | None:
    """Do what is next; a file that the operating system refuses is set aside."""
    step = {SETTLED: hash_it, HASHED: read_it, EXTRACTED: commit_it}[entry.stage]
    try:
        return step(catalog, extractor, entry)
    except OSError as error:
        if _rests(catalog, entry):
            reason = one_line(f"cannot be read: {error.strerror or error}")
            with catalog.writing() as connection:
                journal.advance(connection, entry, QUARANTINED, error=reason)
        return None


def _rests(catalog: Catalog, entry: Entry) -> bool:
    """Whether a file still is what the journal says; if not, it begins anew, or is lost, unless it is away."""
    found = examine(entry.path)
    if found is not None and (found.size, found.mtime_ns) == (entry.size, entry.mtime_ns):
        return True
    with catalog.writing() as connection:
        if found is not None:
            journal.see(connection, entry.root, [found])
        elif is_lost(entry.path, entry.root):
            journal.lose(connection, [entry.name])
    return False


def _next(catalog: Catalog, entry: Entry, then: Entry, **values: int) -> Entry | None:
    """Write down that a step is done, if the file still is what the step began with."""
    if not _rests(catalog, entry):
        return None
    with catalog.writing() as connection:
        done = journal.advance(connection, entry, then.stage, hash=then.hash, extracted=then.extracted, **values)
    return then if done else None


def hash_it(catalog: Catalog, extractor: Extractor, entry: Entry) -> Entry | None:
    """Hash a settled file.

    Parameters
    ----------
    catalog : Catalog
        Where the journal is.
    extractor : Extractor
        Not used.
    entry : Entry
        The file.

    Returns
    -------
    Entry or None
        What is next; None if nothing is.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    return _next(catalog, entry, replace(entry, stage=HASHED, hash=digest(entry.path)))


def read_it(catalog: Catalog, extractor: Extractor, entry: Entry) -> Entry | None:
    """Have a hashed file read, unless it is a part of another or a copy of what is known.

    Parameters
    ----------
    catalog : Catalog
        Where the journal is.
    extractor : Extractor
        What reads files.
    entry : Entry
        The file.

    Returns
    -------
    Entry or None
        What is next; itself if it has to wait for another file.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with catalog.reading() as connection:
        needless = is_part(connection, entry) or is_known(connection, entry)
    if not needless and main_of(entry.path) is not None:
        with catalog.writing() as connection:
            if waits(connection, entry):
                return entry
    began = now()
    extract = None if needless else extractor(entry.path, entry.root, entry.size)
    said = _packed(fingerprint(entry.path), extract)
    return _next(catalog, entry, replace(entry, stage=EXTRACTED, extracted=said), changed=began)


def commit_it(catalog: Catalog, extractor: Extractor, entry: Entry) -> Entry | None:
    """Commit what was read: record, file and journal, in one transaction.

    Parameters
    ----------
    catalog : Catalog
        Where it goes.
    extractor : Extractor
        Not used.
    entry : Entry
        The file.

    Returns
    -------
    Entry or None
        What is next; None if it is done; itself if it has to wait for another file.
    """
    mark, extract = _unpacked(entry.extracted or "")
    commit = Commit(entry, mark, extract)
    try:
        return _commit(catalog, commit)
    except InputError as error:
        return _commit(catalog, replace(commit, extract=_unread(entry, f"its metadata cannot be kept: {error}")))


def _unread(entry: Entry, reason: str) -> Extract:
    """What is known of a file of which no reader told, or none that can be kept."""
    reason = one_line(reason)
    return Extract(of_unread(entry.path, entry.size, reason), f"parscope {parscope.__version__}", reason)


def _commit(catalog: Catalog, commit: Commit) -> Entry | None:
    entry, error = commit.entry, commit.extract.error if commit.extract else None
    with catalog.writing() as connection:
        if must_wait(connection, entry):
            return entry
        if not journal.advance(connection, entry, QUARANTINED if error else COMMITTED, error=error):
            return None
        if commit(connection) is not None:
            return None
        connection.execute(update(table).where(table.c.path == entry.name).values(stage=HASHED, error=None))
    return None


def _packed(mark: str, extract: Extract | None) -> str:
    if extract is None:
        return json.dumps({"fingerprint": mark})
    picture = None if extract.thumbnail is None else base64.b64encode(extract.thumbnail).decode()
    said = {"document": extract.document, "reader": extract.reader, "error": extract.error, "parts": extract.parts}
    return json.dumps({"fingerprint": mark, "extract": {**said, "thumbnail": picture}})


def _unpacked(text: str) -> tuple[str, Extract | None]:
    told = json.loads(text)
    said = told.get("extract")
    if said is None:
        return told["fingerprint"], None
    picture = None if said["thumbnail"] is None else base64.b64decode(said["thumbnail"])
    return told["fingerprint"], Extract(**{**said, "parts": tuple(said["parts"]), "thumbnail": picture})
