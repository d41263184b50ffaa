"""Everything that somebody says about a record at once: all of it is kept, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from parscope.catalog.people.annotations import annotate, withdraw
from parscope.catalog.people.labels import COLLECTIONS, TAGS
from parscope.catalog.people.links import Making, derive, part
from parscope.catalog.people.names import checked, login
from parscope.catalog.store import write
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.clock import now
from parscope.catalog.store.records import resolve
from parscope.core.errors import InputError


@dataclass(frozen=True)
class Note:
    """What is said, and what is taken back.

    Parameters
    ----------
    tags, untag : tuple of str
        Tags to give and to take.
    values : mapping
        Annotations: keys with what JSON holds. One that stands under the key is withdrawn.
    withdraw : tuple of str
        Keys of annotations to withdraw.
    collections, leave : tuple of str
        Collections to put the record into, and to take it out of.
    sources, unlink : tuple of str
        Uids of records from which it was derived, and of those from which it was not after all.
    program : str
        What derived it, with its version.
    parameters : mapping
        Of the program.
    """

    tags: tuple[str, ...] = ()
    untag: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    withdraw: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    unlink: tuple[str, ...] = ()
    program: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


def note(catalog: Catalog, uid: str, said: Note, who: str = "") -> None:
    """Keep what somebody says about a record, in one transaction.

    Parameters
    ----------
    catalog : Catalog
        Where the record is.
    uid : str
        Of the record, or how it begins.
    said : Note
        What is said.
    who : str, default the login name
        Who says so.

    Raises
    ------
    InputError
        If a name cannot be used, something is taken back that was never said, or a record would be derived from itself.
    CatalogError
        If there is no such record.

    Examples
    --------
    ``note(catalog, "3fa9", Note(tags=("good",), values={"sample.name": "PZT"}))``
    """
    by = checked(who or login(), "who"), now()
    program = checked(said.program, "program") if said.program else ""
    with catalog.writing() as connection:
        record = resolve(connection, uid)
        _label(connection, record, said, by)
        for key in said.withdraw:
            _must(withdraw(connection, record, key, by), f"annotation {key}")
        for key, value in said.values.items():
            annotate(connection, record, key, value, by)
        for source in said.unlink:
            _must(part(connection, record, resolve(connection, source), by), f"derived from {source}")
        for source in said.sources:
            making = Making(program, said.parameters, *by)
            derive(connection, record, resolve(connection, source), making)
        write.reindex(connection, record)


def _label(connection: Connection, record: int, said: Note, by: tuple[str, int]) -> None:
    """Tags and collections."""
    for labels, given, taken in ((TAGS, said.tags, said.untag), (COLLECTIONS, said.collections, said.leave)):
        for name in taken:
            _must(labels.drop(connection, record, name, by), f"{labels.what} {name}")
        for name in given:
            labels.put(connection, record, name, by)


def _must(done: bool, what: str) -> None:
    """Refuse to take back what nobody said."""
    if not done:
        raise InputError("the record has none", what, "see parscope show")
