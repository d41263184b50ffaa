"""The logical expression that every query is, whoever spells it: frozen dataclasses, joined by ``&``, ``|`` and ``~``.

What is meant
-------------
- A document is nested mappings and lists. A *path* names keys from the root; lists are passed through, so that
  ``signals.shape`` names every number in the shapes of all signals. All values that a path names in a record are its
  *elements*; a comparison holds if it holds for any of them, or with `every` if there is one and it holds for all.
- `every` looks at those elements that are of the literal's sort: with a `Quantity` at all quantities, with a `Date` at
  all dates, otherwise at all numbers, texts, truths and nothings. A text that is a quantity too is looked at as either.
  Literals of several sorts in one `In` ask for each sort by itself.
- Types are strict: a number compares with numbers only (``3`` equals ``3.0``), text with text (by code points), truth
  with truth (false is below true), nothing (``null``) with nothing. NaN equals NaN and is neither below nor above
  anything. ``<=`` is below or equal, for whatever is equal; `Between` is ``>=`` the one and ``<=`` the other.
- A `Quantity` compares with quantities of the same dimension, in SI base units, equal to twelve digits. Elements are
  ``{"value": 300, "units": "kV"}`` (or ``unit``), text such as ``"300 kV"``, and numbers under a key that ends in a
  unit: ``Cs(mm)``, ``dwell [us]``.
- A `Date` is the span that its text leaves open: ``2024-03`` is a month. ``=`` means within, ``<`` before it, ``<=``
  before its end, ``>`` after its end, ``>=`` from its start on. Elements are texts in ISO 8601 (with ``-`` and
  ``:``) of a day or less, each of them the instant at which it starts; without an offset they are UTC.
- `Not` is the complement: what lacks the path is in it.
- Lists of up to 64 values (of all lists below, together; a mapping is one) are elements; of longer ones only
  `Aspect.LENGTH`, `Aspect.LEAST` and `Aspect.GREATEST` are known, and the words of their texts. Texts of more than 512
  bytes in UTF-8 are found by their words only, and so is what lies under a path of more than 2000 characters, as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, cast


class Deep(Enum):
    """The step of a path that stands for any number of keys, also none: ``**``."""

    DEEP = "**"


Step: TypeAlias = str | Deep
"""A key, verbatim, or any depth."""


class Aspect(Enum):
    """What of a path is asked for."""

    VALUE = "value"
    LENGTH = "length"
    """Of each list there, [1]; of a list of lists that of the outer and those of the inner ones."""

    LEAST = "min"
    """Smallest number in each list there that is no part of another list, lists in it included; NaN is left out."""

    GREATEST = "max"


class Order(Enum):
    """How two values are compared; ``!=`` is the `Not` of ``=``."""

    EQUAL = "="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="


class State(Enum):
    """What a record can be, besides what its document says."""

    MISSING = "missing"
    """It had files, and none of them is where it was."""

    UNREAD = "unread"
    """No reader could read its file."""


@dataclass(frozen=True)
class Term:
    """Elements of a path, or an aspect of them."""

    path: tuple[Step, ...]
    aspect: Aspect = Aspect.VALUE


@dataclass(frozen=True)
class Quantity:
    """A number with a unit that `pint` knows."""

    value: float
    unit: str


@dataclass(frozen=True)
class Date:
    """A date or time in ISO 8601, cut anywhere after the year: ``2024``, ``2024-03``, ``2024-03-05T10:30``."""

    text: str


Literal: TypeAlias = bool | int | float | str | Quantity | Date | None


class Logic:
    """What all parts of an expression share: ``&``, ``|`` and ``~``, and no truth of their own."""

    def __and__(self, other: object) -> Expression:
        """Both hold."""
        return joined(And, cast("list[Expression]", [self, other])) if isinstance(other, Logic) else NotImplemented

    def __or__(self, other: object) -> Expression:
        """One of them holds."""
        return joined(Or, cast("list[Expression]", [self, other])) if isinstance(other, Logic) else NotImplemented

    def __invert__(self) -> Not:
        """It does not hold."""
        return Not(cast("Expression", self))

    def __bool__(self) -> bool:
        """Refuse: ``a and b`` would be ``b``, and ``1 < a < 3`` would be ``a < 3``, silently."""
        raise TypeError("a query is neither true nor false: join its parts by &, | and ~, with each part in brackets")


@dataclass(frozen=True)
class And(Logic):
    """All of them hold; of none: true."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Or(Logic):
    """Any of them holds; of none: false."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Not(Logic):
    """It does not hold."""

    part: Expression


@dataclass(frozen=True)
class Compare(Logic):
    """An element compares so with a literal."""

    term: Term
    order: Order
    literal: Literal
    every: bool = False


@dataclass(frozen=True)
class Between(Logic):
    """An element lies between two literals of one type, both included."""

    term: Term
    low: Literal
    high: Literal
    every: bool = False


@dataclass(frozen=True)
class In(Logic):
    """An element equals one of the literals."""

    term: Term
    literals: tuple[Literal, ...]
    every: bool = False


@dataclass(frozen=True)
class Like(Logic):
    """An element is text of this pattern as a whole; case counts.

    ``%`` stands for any characters, ``_`` for one, and a backslash takes the next one literally.
    """

    term: Term
    pattern: str
    every: bool = False


@dataclass(frozen=True)
class Matches(Logic):
    """An element is text in which this regular expression (RE2) is found anywhere; ``.`` is no line feed."""

    term: Term
    pattern: str
    every: bool = False


@dataclass(frozen=True)
class Exists(Logic):
    """The record has an element; with `Aspect.VALUE` anything is one: a mapping, a list, a text of any length."""

    term: Term


@dataclass(frozen=True)
class Fields(Logic):
    """An element of one path compares so with one of another, of the same type; quantities: of one dimension.

    Texts that both are quantities, or dates, compare as such too.
    """

    left: Term
    order: Order
    right: Term


@dataclass(frozen=True)
class Text(Logic):
    """All words occur in the texts of the record, keys not included.

    Words are runs of letters and digits, told apart by their first 128. Case does not count, nor how accents are
    composed; ``dom*`` is how a word begins.
    """

    words: str


@dataclass(frozen=True)
class DerivedFrom(Logic):
    """It was made from that record, directly or through others; a beginning of the name means all that begin so."""

    record: str


@dataclass(frozen=True)
class SourceOf(Logic):
    """That record was made from it, directly or through others; a beginning of the name means all that begin so."""

    record: str


@dataclass(frozen=True)
class Tagged(Logic):
    """Somebody gave it this tag."""

    tag: str


@dataclass(frozen=True)
class Collected(Logic):
    """It is in the collection of this name."""

    collection: str


@dataclass(frozen=True)
class Located(Logic):
    """A path under which one of its files was ever seen is of this pattern, as in `Like`."""

    pattern: str


@dataclass(frozen=True)
class Is(Logic):
    """It is in this state."""

    state: State


Expression: TypeAlias = (
    And
    | Or
    | Not
    | Compare
    | Between
    | In
    | Like
    | Matches
    | Exists
    | Fields
    | Text
    | DerivedFrom
    | SourceOf
    | Tagged
    | Collected
    | Located
    | Is
)
"""Any of the above."""

EVERYTHING = And(())
"""The query of all records."""


def joined(kind: type[And | Or], parts: Iterable[Expression]) -> Expression:
    """Join parts, so that what is joined in the same way already stays flat, and one part is itself.

    Parameters
    ----------
    kind : type
        `And` or `Or`.
    parts : iterable of Expression
        What is joined.

    Returns
    -------
    Expression
    """
    flat: list[Expression] = []
    for part in parts:
        flat += part.parts if isinstance(part, kind) else (part,)
    return flat[0] if len(flat) == 1 else kind(tuple(flat))
