"""Queries as people type them: ``mode = "HAADF" and beam.voltage >= 200 kV and not sample.tags ~ "test"``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from parscope.catalog.query.ast import Expression
from parscope.catalog.query.build import Builder, place
from parscope.catalog.query.limits import checked
from parscope.catalog.query.shown import shown
from parscope.core.errors import MissingExtraError, QueryError

LONGEST = 100_000
"""Characters of the longest text, [1]."""

# What may come next, in words, by a terminal of the grammar that may: the first that fits is told.
_EXPECTED = {
    "NUMBER": "a value (text in double quotes, a number, a date)",
    "TAGGED": "a condition",
    "INNER": "a key",
    "ID": "the name of a record",
    "WORD": "a path",
    "ORDER": "a comparison (=, !=, <, <=, >, >=, ~, in, like, exists)",
    "IN": '"in" or "like"',
    "COMMA": '"," or ")"',
    "OR": '"and", "or" or the end',
    "RANGE": '"..", as in 3..5',
    "RPAR": '")"',
    "LPAR": '"("',
    "STRING": "a text in double quotes",
    "DOT": 'a ".", as in $.key',
    "$END": '"and", "or" or the end',
}


_OTHER_QUOTES = tuple("'`\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}“”„«»")


def parse(text: str) -> Expression:
    """Read a query as a person types it.

    Parameters
    ----------
    text : str
        A query; an empty one is that of all records.

    Returns
    -------
    Expression

    Raises
    ------
    QueryError
        In one line, with the column and what was expected there.
    MissingExtraError
        If a library is not installed that this needs.

    Examples
    --------
    >>> parse('not tagged "test"')
    Not(part=Tagged(tag='test'))
    >>> parse("mode = and")
    Traceback (most recent call last):
    ...
    parscope.core.errors.QueryError: column 8: expected a value, found "and"; a text is written "and", a path $.and
    """
    if len(text) > LONGEST:
        raise QueryError(f"the query has {len(text)} characters, of {LONGEST} at most")
    parser, unexpected = _parser()
    try:
        expression: Expression = parser.parse(text)
    except unexpected as error:
        _refuse(text, error)
    return checked(expression)


@cache
def _parser() -> tuple[Any, type[Exception]]:
    try:
        from lark import Lark, UnexpectedInput
    except ImportError as error:
        raise MissingExtraError("lark", "catalog") from error
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    builder: Any = Builder()
    return Lark(grammar, parser="lalr", transformer=builder, maybe_placeholders=False), UnexpectedInput


def _refuse(text: str, error: Any) -> NoReturn:
    """Say what stands where something else was expected."""
    token = getattr(error, "token", None)
    at = len(text.rstrip()) if getattr(token, "type", "") == "$END" else error.pos_in_stream
    where = place(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
    if text[at : at + 1] == '"' and token is None:
        raise QueryError("the quotes that open here are not closed", where) from error
    found = shown(str(token or text[at]).strip('"')) if text[at:].strip() else "the end"
    advice = 'write texts in double quotes: "HAADF"' if text[at : at + 1] in _OTHER_QUOTES else ""
    may_come = {name.lstrip("_") for name in error.interactive_parser.accepts()}
    expected = next(told for name, told in _EXPECTED.items() if name in may_come)
    raise QueryError(f"expected {expected}, found {found}", where, advice) from error
