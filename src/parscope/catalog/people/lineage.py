"""What a record was made from, and what was made from it, as a graph."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select

from parscope.catalog.people.links import reached
from parscope.catalog.people.tree import printable
from parscope.catalog.store.tables import link, record

_SHORT = 8  # characters of a uid that a person is shown


@dataclass(frozen=True)
class Node:
    """A record in a lineage.

    Parameters
    ----------
    uid : str
        Of the record.
    name : str
        As its document has it; empty without one.
    kind : str
        As its document has it; empty without one.
    """

    uid: str
    name: str
    kind: str

    def __str__(self) -> str:
        """The record in a few words."""
        return " ".join(part for part in (self.uid[:_SHORT], printable(self.name), printable(self.kind)) if part)


@dataclass(frozen=True)
class Edge:
    """One step: `target` was made from `source`.

    Parameters
    ----------
    source, target : str
        Uids.
    kind : str
        ``derived from``, ``changed from``.
    program : str
        What made it, with its version; empty where it is not told.
    parameters : mapping
        Of the program.
    who : str
        Who said so, or ran it.
    created : int
        When that was noted, microseconds since 1970, UTC.
    """

    source: str
    target: str
    kind: str
    program: str
    parameters: Any
    who: str
    created: int


@dataclass(frozen=True)
class Lineage:
    """Ancestors and descendants of a record, all of them, with the steps between.

    Parameters
    ----------
    uid : str
        The record asked about.
    nodes : tuple of Node
        All records, itself too.
    edges : tuple of Edge
        All steps between them, in the order in which they were noted.
    """

    uid: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def as_json(self) -> dict[str, Any]:
        """The graph as lists of nodes and edges.

        Returns
        -------
        dict of str
        """
        return {"nodes": [asdict(node) for node in self.nodes], "edges": [asdict(edge) for edge in self.edges]}

    def ancestors(self) -> list[str]:
        """Draw what the record was made from.

        Returns
        -------
        list of str
            Lines of a tree; a record that was drawn before is not unfolded again.
        """
        return list(self._walk(upward=True))

    def descendants(self) -> list[str]:
        """Draw what was made from the record.

        Returns
        -------
        list of str
            As of `ancestors`.
        """
        return list(self._walk(upward=False))

    def _walk(self, upward: bool) -> Iterator[str]:
        """Lines of the tree, deepest first, without recursion: a chain may be longer than Python's stack."""
        nodes = {node.uid: node for node in self.nodes}
        steps: dict[str, list[tuple[str, Edge]]] = defaultdict(list)
        for edge in self.edges:
            here, there = (edge.target, edge.source) if upward else (edge.source, edge.target)
            steps[here].append((there, edge))
        seen: set[str] = set()
        stack = [(there, edge, 0) for there, edge in reversed(steps[self.uid])]
        while stack:
            uid, edge, depth = stack.pop()
            again = uid in seen and bool(steps[uid])
            yield "  " * depth + f"{nodes[uid]}{_how(edge)}{' (see above)' if again else ''}"
            if uid not in seen:
                stack += [(there, edge, depth + 1) for there, edge in reversed(steps[uid])]
            seen.add(uid)


def _how(edge: Edge) -> str:
    """How a step was made, as far as it is told."""
    kind = "" if edge.kind == "derived from" else edge.kind
    told = ", ".join(printable(part) for part in (kind, edge.program) if part)
    return f"  [{told}]" if told else ""


def lineage(connection: Connection, of: int) -> Lineage:
    """Find all ancestors and descendants of a record.

    Parameters
    ----------
    connection : Connection
        To the catalog.
    of : int
        Number of the row.

    Returns
    -------
    Lineage
    """
    # Both ways, each on its own: what else was made from an ancestor is no relative.
    rows: dict[tuple[int, int, str], Any] = {}
    ids = {of}
    for here, there in ((link.c.target, link.c.source), (link.c.source, link.c.target)):
        for row in connection.execute(select(link).where(here.in_(reached(of, here, there)))).mappings():
            rows[row["source"], row["target"], row["kind"]] = row
            ids |= {row["source"], row["target"]}
    nodes = dict(_nodes(connection, sorted(ids)))
    found = sorted(rows.values(), key=lambda row: (row["created"], row["source"], row["target"], row["kind"]))
    edges = tuple(
        Edge(
            nodes[row["source"]].uid,
            nodes[row["target"]].uid,
            row["kind"],
            row["program"],
            json.loads(row["parameters"]),
            row["who"],
            row["created"],
        )
        for row in found
    )
    return Lineage(nodes[of].uid, tuple(nodes.values()), edges)


def _nodes(connection: Connection, ids: list[int]) -> Iterator[tuple[int, Node]]:
    """Records by their row numbers; a few hundred at a time, as databases limit what a statement may name."""
    for start in range(0, len(ids), 500):
        some = record.c.id.in_(ids[start : start + 500])
        for id_, uid, text in connection.execute(select(record.c.id, record.c.uid, record.c.document).where(some)):
            document = json.loads(text)
            yield id_, Node(uid, *(text_of(document.get(key)) for key in ("name", "kind")))


def text_of(value: Any) -> str:
    """Text as it is, and nothing for what is no text.

    Parameters
    ----------
    value : object
        A value of a document.

    Returns
    -------
    str
    """
    return value if isinstance(value, str) else ""
