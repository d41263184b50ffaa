"""Which version a catalog is of; new ones are made at once, older ones brought up to date by Alembic."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, delete, insert, inspect, select

from parscope.catalog.store.tables import metadata
from parscope.core.errors import CatalogError, MissingExtraError

HEAD = "0003"
"""Version of the tables as this parscope knows them: the last file in migrations/versions."""

TABLE = "parscope_catalog"
"""Table with the version, by which a database is known to be a catalog."""

MIGRATIONS = Path(__file__).with_name("migrations")

_version = Table(
    TABLE,
    MetaData(),
    Column("version_num", String(32), primary_key=True),
)


def is_current(connection: Connection, name: str) -> bool:
    """Tell whether a database holds a catalog of this very version; it is only read.

    Parameters
    ----------
    connection : Connection
        To the database.
    name : str
        What errors call it.

    Returns
    -------
    bool
        False for an empty database, and for a catalog of an older version.

    Raises
    ------
    CatalogError
        If it is something else, or a catalog of a newer version.
    """
    tables = inspect(connection).get_table_names()
    if not tables:
        return False
    if TABLE not in tables:
        raise CatalogError("is not a catalog; it is left as it is", name)
    version = connection.scalar(select(_version.c.version_num)) or ""
    if version > HEAD:
        advice = "update parscope: pip install --upgrade parscope"
        raise CatalogError("is of a newer version of parscope, and left as it is", name, advice)
    return bool(version == HEAD)


def make_current(connection: Connection, name: str) -> None:
    """Make the tables, or bring them up to date; others may have done so in the meantime.

    Parameters
    ----------
    connection : Connection
        In the transaction that writes; all of it happens in this one.
    name : str
        What errors call the database.

    Raises
    ------
    CatalogError
        If the database is no catalog, or one of a newer version.
    MissingExtraError
        If it has to be brought up to date, and the library for that is not installed.
    """
    if is_current(connection, name):
        return
    if inspect(connection).has_table(TABLE):
        upgrade(connection)
    else:
        metadata.create_all(connection, checkfirst=False)
        _version.create(connection, checkfirst=False)
        connection.execute(insert(_version).values(version_num=HEAD))


def upgrade(connection: Connection) -> None:
    """Bring an older catalog up to date.

    Parameters
    ----------
    connection : Connection
        In the transaction that writes.

    Raises
    ------
    MissingExtraError
        If Alembic is not installed.
    """
    try:
        from alembic.operations import Operations
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory
    except ModuleNotFoundError:
        raise MissingExtraError("alembic", "catalog") from None
    script = ScriptDirectory(str(MIGRATIONS))
    version = connection.scalar(select(_version.c.version_num)) or "base"
    with Operations.context(MigrationContext.configure(connection)):
        for revision in reversed([*script.iterate_revisions("head", version)]):
            revision.module.upgrade()
    connection.execute(delete(_version))
    connection.execute(insert(_version).values(version_num=HEAD))
