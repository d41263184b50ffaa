"""Sets of records by what people and the collector know of them: tags, collections, files, lineage, states."""

from __future__ import annotations

import re

from sqlalchemy import Column, exists, select, true

from parscope.catalog.query.ast import Collected, DerivedFrom, Is, Located, SourceOf, State, Tagged
from parscope.catalog.store import texts
from parscope.catalog.store.keys import text
from parscope.catalog.store.scope import Chosen, Scope
from parscope.catalog.store.tables import file, link, member, record, sighting, tag

_NAME = re.compile("[0-9a-f]{4,32}")


def be_tagged(scope: Scope, asked: Tagged) -> Chosen:
    """Records with a tag."""
    return (
        scope.found(tag, tag.c.record, tag.c.name.in_(texts.spellings(asked.tag)))
        if _storable(asked.tag)
        else scope.nothing
    )


def be_collected(scope: Scope, asked: Collected) -> Chosen:
    """Records in a collection."""
    if not _storable(asked.collection):
        return scope.nothing
    return scope.found(member, member.c.record, member.c.collection.in_(texts.spellings(asked.collection)))


def be_located(scope: Scope, asked: Located) -> Chosen:
    """Records of which a file was ever seen under a path of a pattern."""
    accepts = texts.like(asked.pattern)
    rows = scope.texts(sighting.c.path, sighting.c.record)
    return scope.marked(texts.matching(accepts, ((text(path), ids) for path, ids in rows))[0])


def be(scope: Scope, asked: Is) -> Chosen:
    """Records in a state."""
    if asked.state is State.UNREAD:
        return scope.found(record, record.c.id, record.c.error.is_not(None))
    copied = exists().where(file.c.hash == record.c.hash, file.c.present)
    seen = scope.found(sighting, sighting.c.record, true()) | scope.found(file, file.c.record, true())
    return seen & ~(scope.found(file, file.c.record, file.c.present) | scope.found(record, record.c.id, copied))


def descend(scope: Scope, asked: DerivedFrom) -> Chosen:
    """Records that were made from others."""
    return _reached(scope, asked.record, link.c.source, link.c.target)


def ascend(scope: Scope, asked: SourceOf) -> Chosen:
    """Records that others were made from."""
    return _reached(scope, asked.record, link.c.target, link.c.source)


def _reached(scope: Scope, name: str, start: Column[int], end: Column[int]) -> Chosen:
    """Records to which links lead, one or more of them."""
    if not _NAME.fullmatch(name):
        return scope.nothing
    begins = select(record.c.id).where(record.c.uid >= name, record.c.uid < f"{name}g")
    first = select(end.label("record")).where(start.in_(begins))
    reached = first.cte("reached", recursive=True)
    reached = reached.union(select(end).join(reached, start == reached.c.record))
    return scope.found(reached, reached.c.record)


def _storable(text: str) -> bool:
    """Whether databases can hold a text at all; what they cannot is the name of nothing."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
