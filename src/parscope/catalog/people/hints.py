"""Why a query may find nothing: a path that no record has, or that holds something else than it is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from unicodedata import normalize

from parscope.catalog.query.ast import (
    And,
    Between,
    Compare,
    Date,
    Exists,
    Expression,
    In,
    Like,
    Literal,
    Matches,
    Or,
    Quantity,
    Term,
)
from parscope.catalog.query.spell import spell
from parscope.catalog.query.text import parse
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.paths import types_of

_ADVICE = {
    ("number", "date"): 'write a year as date "2024"',
    ("number", "quantity"): "give the unit, as in 200 kV",
    ("quantity", "number"): "leave out the unit",
    ("text", "number"): "write a number without quotes",
    ("text", "truth"): "write true or false without quotes",
}


def hints(catalog: Catalog, query: Expression) -> list[str]:
    """Find out which parts of a query no record could match, and why.

    Parameters
    ----------
    catalog : Catalog
        In which nothing was found.
    query : Expression
        The question.

    Returns
    -------
    list of str
        One sentence for each part, what to do about it in it.
    """
    told: dict[str, None] = {}
    for term, sort in _asked(query):
        path = spell(Exists(term)).removesuffix(" exists")
        with catalog.reading() as connection:
            types = types_of(connection, term)
        if not types:
            told[f"no record has {path}; parscope find --paths lists what there is"] = None
        elif sort and sort not in types:
            advice = next((_ADVICE[sort, held] for held in types if (sort, held) in _ADVICE), "")
            held = " and ".join(one for one in types if one != "container") or "mappings or lists"
            told[f"{path} holds {held}, and no {sort}{'; ' if advice else ''}{advice}"] = None
    return [*told, *_respelled(catalog, query)]


def _respelled(catalog: Catalog, query: Expression) -> Iterator[str]:
    """What would be found with the same letters as other characters, as names of files on a Mac have them."""
    typed = spell(query)
    for form in ("NFC", "NFD"):
        other = normalize(form, typed)
        number = 0 if other == typed else catalog.count(parse(other))
        if number:
            yield f"{number} records match with other characters for the same letters ({form}): {other}"


def _asked(query: Expression) -> Iterator[tuple[Term, str]]:
    """Terms that have to match, and the sort of what they are compared with; what is negated may well be missing."""
    match query:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _asked(part)
        case Compare(term, _, literal):
            yield term, _sort(literal)
        case Between(term, low, _):
            yield term, _sort(low)
        case In(term, literals):
            yield from ((term, _sort(literal)) for literal in literals)
        case Like(term) | Matches(term):
            yield term, "text"
        case Exists(term):
            yield term, ""


def _sort(literal: Literal) -> str:
    """What a literal is compared with, as `PathInfo` calls it."""
    match literal:
        case Quantity():
            return "quantity"
        case Date():
            return "date"
        case None:
            return "nothing"
        case bool():
            return "truth"
        case str():
            return "text"
        case _:
            return "number"
