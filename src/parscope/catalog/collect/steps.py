"""The steps of one file from settled to committed; each begins with the journal and ends with it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import update

import parscope
from parscope.catalog.collect import journal
from parscope.catalog.collect.acquisitions import is_part, main_of, waits
from parscope.catalog.collect.commit import Commit, is_known, must_wait
from parscope.catalog.collect.digest import digest
from parscope.catalog.collect.document import Extract, of_unread, one_line
from parscope.catalog.collect.extract import Extractor
from parscope.catalog.collect.journal import COMMITTED, EXTRACTED, HASHED, QUARANTINED, SETTLED, Entry
from parscope.catalog.collect.sweep import examine
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.tables import journal as table
from parscope.core.errors import CatalogError
from parscope.core.record import fingerprint

_PAUSE = 500_000


def carry_out(catalog: Catalog, extractor: Extractor, entry: Entry) -> None:
    """Take one file as far as it goes.

    Parameters
    ----------
    catalog : Catalog
        Where the journal is.
    extractor : Extractor
        What reads files.
    entry : Entry
        The file, claimed.

    Raises
    ------
    CatalogError
        If the catalog cannot be written.
    """
    steps: dict[str, Callable[[Catalog, Extractor, Entry], Entry | None]] = {
        SETTLED: hash_it,
        HASHED: read_it,
        EXTRACTED: commit_it,
    }
    at_hand: Entry | None = entry
    while at_hand is not None and at_hand.stage in steps:
        if not _rests(catalog, at_hand):
            return
        at_hand = steps[at_hand.stage](catalog, extractor, at_hand)


def _rests(catalog: Catalog, entry: Entry) -> bool:
    """Whether a file still is what the journal says; if not, it begins anew, or is lost."""
    found = examine(entry.path)
    if found is not None and (found.size, found.mtime_ns) == (entry.size, entry.mtime_ns):
        return True
    with catalog.writing() as connection:
        if found is None:
            journal.lose(connection, [entry.name])
        else:
            journal.see(connection, entry.root, [found])
    return False


def _next(catalog: Catalog, entry: Entry, stage: str, **values: str | None) -> Entry | None:
    """Write down that a step is done, if the file still is what the step began with."""
    if not _rests(catalog, entry):
        return None
    with catalog.writing() as connection:
        done = journal.advance(connection, entry, stage, **values)
    return replace(entry, stage=stage, **values) if done else None


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
    """
    try:
        content = digest(entry.path)
    except FileNotFoundError:
        return None if not _rests(catalog, entry) else entry
    except OSError as error:
        with catalog.writing() as connection:
            journal.advance(connection, entry, QUARANTINED, error=one_line(f"cannot be read: {error.strerror}"))
        return None
    return _next(catalog, entry, HASHED, hash=content)


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
        What is next; None if nothing is, for now.
    """
    with catalog.reading() as connection:
        needless = is_part(connection, entry) or is_known(connection, entry)
    if not needless and main_of(entry.path) is not None:
        with catalog.writing() as connection:
            if waits(connection, entry):
                journal.postpone(connection, entry, journal.now() + _PAUSE)
                return None
    extract = None if needless else extractor(entry.path, entry.root, entry.size)
    return _next(catalog, entry, EXTRACTED, extracted=_packed(fingerprint(entry.path), extract))


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
        What is next; None if it is done.
    """
    mark, extract = _unpacked(entry.extracted or "")
    commit = Commit(entry, mark, extract)
    try:
        return _commit(catalog, commit)
    except CatalogError:
        raise
    except Exception as error:  # noqa: BLE001 one document that the store does not take must not stop all others
        reason = one_line(f"its metadata cannot be kept: {error}")
        unread = Extract(of_unread(entry.path, entry.size, reason), f"parscope {parscope.__version__}", reason)
        return _commit(catalog, replace(commit, extract=unread))


def _commit(catalog: Catalog, commit: Commit) -> Entry | None:
    entry, error = commit.entry, commit.extract.error if commit.extract else None
    with catalog.writing() as connection:
        if must_wait(connection, entry):
            journal.postpone(connection, entry, journal.now() + _PAUSE)
            return None
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
