"""Sets of records by what is in their documents: each a statement or two over the index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np
from sqlalchemy import ColumnElement, and_, select, true

from parscope.catalog.query.ast import Between, Compare, Exists, Fields, In, Like, Matches, Order, Term, Text
from parscope.catalog.store import keys, texts
from parscope.catalog.store.keys import WORDS, Type
from parscope.catalog.store.leaves import ROOT
from parscope.catalog.store.scope import Chosen, Scope
from parscope.catalog.store.spans import OPERATORS, SORTS, Span, between, compared, merged, outside
from parscope.catalog.store.tables import path, value
from parscope.catalog.store.terms import conditions
from parscope.catalog.store.texts import Accepts, matching
from parscope.catalog.store.words import words


def compare(scope: Scope, asked: Compare) -> Chosen:
    """Records with an element that compares so."""
    return _in_spans(scope, asked.term, [compared(asked.order, asked.literal)], asked.every)


def lie_between(scope: Scope, asked: Between) -> Chosen:
    """Records with an element between two literals."""
    span = between(asked.low, asked.high)
    return _in_spans(scope, asked.term, [span], asked.every) if span else scope.nothing


def be_in(scope: Scope, asked: In) -> Chosen:
    """Records with an element that equals one of the literals."""
    return _in_spans(scope, asked.term, [compared(Order.EQUAL, each) for each in asked.literals], asked.every)


def exist(scope: Scope, asked: Exists) -> Chosen:
    """Records with an element, whatever it is."""
    return _rows(scope, asked.term, true())


def be_like(scope: Scope, asked: Like) -> Chosen:
    """Records with an element of a pattern; the keys that begin like it are all that is looked at."""
    start = keys.text(texts.beginning(asked.pattern))
    return _of_pattern(scope, asked.term, texts.like(asked.pattern), start, asked.every)


def match(scope: Scope, asked: Matches) -> Chosen:
    """Records with an element in which a regular expression is found."""
    return _of_pattern(scope, asked.term, texts.containing(asked.pattern), b"", asked.every)


def compare_fields(scope: Scope, asked: Fields) -> Chosen:
    """Records whose elements compare so with one another."""
    left, right = value.alias("left"), value.alias("right")
    alike = and_(left.c.record == right.c.record, left.c.type == right.c.type)
    order = OPERATORS[asked.order](left.c.key, right.c.key)
    comparable = left.c.type.not_in((Type.LONG_TEXT, Type.CONTAINER))
    return scope.united(
        scope.found(left.join(right, and_(alike, order)), left.c.record, comparable, one, other)
        for one in conditions(scope.connection, asked.left, left)
        for other in conditions(scope.connection, asked.right, right)
    )


def have_words(scope: Scope, asked: Text) -> Chosen:
    """Records in whose texts all words occur."""
    exact = (path.c["keys"] == ROOT, path.c.aspect == WORDS)
    of_words = value.c.path == select(path.c.id).where(*exact).scalar_subquery()
    sets = [scope.found(value, value.c.record, of_words, span.condition()) for span in _word_spans(asked.words)]
    return reduce(np.logical_and, sets) if sets else scope.everything


def _word_spans(asked: str) -> Iterator[Span]:
    """Words, and beginnings of words where a star stands behind."""
    for part in asked.split():
        found = [keys.text(word) for word in words(part)]
        begins = found.pop() if found and part.endswith("*") else None
        yield from (Span(Type.TEXT, ((Order.EQUAL, word),)) for word in found)
        if begins is not None:
            yield Span(Type.TEXT, _beginning(begins))


def _beginning(start: bytes) -> tuple[tuple[Order, bytes], ...]:
    """Bounds of the texts that begin so; no byte of UTF-8 is the largest, so that the last one can be counted up."""
    if not start:
        return ()
    return (Order.GREATER_EQUAL, start), (Order.LESS, start[:-1] + bytes([start[-1] + 1]))


def _rows(scope: Scope, term: Term, holds: ColumnElement[bool]) -> Chosen:
    """Records with a row of a term for which a condition holds."""
    return scope.united(
        scope.found(value, value.c.record, of_term, holds) for of_term in conditions(scope.connection, term)
    )


def _in_spans(scope: Scope, term: Term, spans: Sequence[Span], every: bool) -> Chosen:
    """Records with an element in one of the spans; with `every`, and with none of its sort that is in none."""
    chosen = scope.united(_rows(scope, term, holds) for holds in merged(spans))
    for sort in {span.sort for span in spans} if every and chosen.any() else ():
        for holds in outside([span for span in spans if span.sort == sort]):
            chosen &= ~_rows(scope, term, holds)
    return chosen


def _of_pattern(scope: Scope, term: Term, accepts: Accepts, start: bytes, every: bool) -> Chosen:
    """Records with a text of a pattern, and that begins so; with `every`, and with nothing else."""
    bounds = () if every else _beginning(start)
    chosen, others = scope.nothing, scope.nothing
    for of_term in conditions(scope.connection, term):
        rows = scope.texts(value.c.key, value.c.record, of_term, Span(Type.TEXT, bounds).condition())
        of_it, of_others = matching(accepts, rows)
        chosen |= scope.marked(of_it)
        others |= scope.marked(of_others)
    if every:
        others |= _rows(scope, term, and_(SORTS[Type.NUMBER], value.c.type != Type.TEXT))
        chosen &= ~others
    return chosen
