"""A catalog as a whole: records go in, and are found again by what they say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from sqlalchemy import select

from parscope.catalog.query.ast import EVERYTHING, Expression, Term
from parscope.catalog.store import plan, write
from parscope.catalog.store.engine import Database
from parscope.catalog.store.facets import Facet, facet
from parscope.catalog.store.pages import Page, page
from parscope.catalog.store.paths import PathInfo, paths
from parscope.catalog.store.records import Record, load, resolve
from parscope.catalog.store.scope import chunks
from parscope.catalog.store.tables import record
from parscope.catalog.store.write import Entry

_AT_ONCE = 500  # records that are written in one transaction


class Catalog(Database):
    """Records with all their metadata, in one SQLite file or in PostgreSQL; a context manager.

    It may be shared between threads, and other processes may open it too; they write one after the other.

    Parameters
    ----------
    address : str or Path
        A file, which is made if it is not there, or ``postgresql://USER@HOST/NAME``.

    Raises
    ------
    CatalogError
        If it cannot be opened, is no catalog, or one of a newer version; then it is left as it is, byte for byte.
    MissingExtraError
        If it is in PostgreSQL, and the library for that is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from parscope.catalog.query.ast import Compare, Order, Quantity, Term
    >>> query = Compare(Term(("beam", "voltage")), Order.GREATER, Quantity(0.2, "MV"))
    >>> with tempfile.TemporaryDirectory() as folder, Catalog(f"{folder}/lab.db") as catalog:
    ...     uid = catalog.add({"name": "gold", "beam": {"voltage": "300 kV"}})
    ...     [found.document["name"] for found in catalog.find(query).records]
    ['gold']
    """

    def add(
        self,
        document: Mapping[str, Any],
        *,
        hash: str | None = None,  # noqa: A002 - the field's name of it
        reader: str = "",
        error: str | None = None,
    ) -> str:
        """Add a record.

        Parameters
        ----------
        document : mapping
            All that is known of it: nested mappings and lists of texts, numbers, truths and None.
        hash : str, optional
            SHA-256 of the content; None for what is no file.
        reader : str, optional
            Which reader and library, with version, wrote the document.
        error : str, optional
            Why no reader could read the file.

        Returns
        -------
        str
            Its uid.

        Raises
        ------
        InputError
            If the document cannot be kept.
        CatalogError
            If the catalog cannot be written.
        """
        with self.writing() as connection:
            return write.put_records(connection, [Entry(document, hash, reader, error)])[0][1]

    def add_many(self, documents: Iterable[Mapping[str, Any]]) -> list[str]:
        """Add records, hundreds in one transaction.

        Parameters
        ----------
        documents : iterable of mapping
            As for `add`.

        Returns
        -------
        list of str
            Their uids, in their order.

        Raises
        ------
        InputError
            If a document cannot be kept; records before it may be in the catalog.
        CatalogError
            If the catalog cannot be written.
        """
        uids: list[str] = []
        rest = iter(documents)
        while some := [Entry(document) for document in islice(rest, _AT_ONCE)]:
            with self.writing() as connection:
                uids += [uid for _, uid in write.put_records(connection, some)]
        return uids

    def amend(self, uid: str, document: Mapping[str, Any], *, reader: str = "", error: str | None = None) -> int:
        """Let a record say something else; what it said stays as an older version.

        Parameters
        ----------
        uid : str
            Of the record, or the beginning of it.
        document : mapping
            All that is known of it now.
        reader : str, optional
            Which reader and library, with version, wrote the document.
        error : str, optional
            Why no reader could read the file.

        Returns
        -------
        int
            Number of the version.

        Raises
        ------
        InputError
            If the document cannot be kept.
        CatalogError
            If there is no such record, or the catalog cannot be written.
        """
        with self.writing() as connection:
            this = resolve(connection, uid)
            content = connection.scalar(select(record.c.hash).where(record.c.id == this))
            return write.new_version(connection, this, document, hash=content, reader=reader, error=error)

    def get(self, uid: str) -> Record:
        """Record of a uid.

        Parameters
        ----------
        uid : str
            Of the record, or at least four characters of its beginning, if no other begins so.

        Returns
        -------
        Record

        Raises
        ------
        CatalogError
            If there is no such record, or several.
        """
        with self.reading() as connection:
            return load(connection, resolve(connection, uid))

    def find(
        self,
        query: Expression = EVERYTHING,
        *,
        order: Term | str | None = None,
        newest: bool = True,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Find the records that a query is true of, page by page.

        Parameters
        ----------
        query : Expression, optional
            Which records. Default: all.
        order : Term or "changed", optional
            What they are sorted by; records of which the term says nothing come last. Default: when they were added.
        newest : bool, default True
            Whether the newest, or largest, come first.
        limit : int, default 50
            Records of a page.
        cursor : str, optional
            That of the page before. Default: the first page.

        Returns
        -------
        Page

        Raises
        ------
        QueryError
            If the query, the order or the cursor is none.
        """
        with self.reading() as connection:
            return page(connection, query, order, newest=newest, limit=limit, cursor=cursor)

    def count(self, query: Expression = EVERYTHING) -> int:
        """Count the records that a query is true of, exactly.

        Parameters
        ----------
        query : Expression, optional
            Which records. Default: all.

        Returns
        -------
        int

        Raises
        ------
        QueryError
            If the query is none.
        """
        with self.reading() as connection:
            return len(plan.matching(connection, query))

    def uids(self, query: Expression = EVERYTHING) -> Iterator[str]:
        """Uids of the records that a query is true of, oldest first.

        Parameters
        ----------
        query : Expression, optional
            Which records. Default: all.

        Yields
        ------
        str

        Raises
        ------
        QueryError
            If the query is none.
        """
        with self.reading() as connection:
            ids = plan.matching(connection, query).tolist()
            found = [
                connection.scalars(select(record.c.uid).where(record.c.id.in_(some)).order_by(record.c.id)).all()
                for some in chunks(ids)
            ]
        for some in found:
            yield from some

    def facet(self, term: Term, query: Expression = EVERYTHING, most: int = 20) -> Facet:
        """Count the values of a term.

        Parameters
        ----------
        term : Term
            Whose values.
        query : Expression, optional
            In which records. Default: in all.
        most : int, default 20
            How many values to tell, and bins to count in.

        Returns
        -------
        Facet

        Raises
        ------
        QueryError
            If the query is none.
        """
        with self.reading() as connection:
            return facet(connection, term, query, most)

    def paths(self, like: str | None = None) -> list[PathInfo]:
        """List the paths that occur in documents: in how many records, of which types, in which units.

        Parameters
        ----------
        like : str, optional
            Only those of this pattern. Default: all.

        Returns
        -------
        list of PathInfo
        """
        with self.reading() as connection:
            return paths(connection, like)
