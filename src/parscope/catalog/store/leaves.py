"""A document as rows of the index: each of its values with its path, type and key.

What is found by which path is said in `parscope.catalog.query.ast`; this is that meaning, as rows:

- a number, text, truth or nothing is a row of its path; a text of more than `LONGEST_TEXT` bytes is one without a key;
- a mapping is a row without a key, so that it exists, and so is a list without elements in the index;
- a list is a row of its length, and one each of the smallest and greatest number in it;
- what has a unit, or is a date, is one more row of its path;
- the words of all texts are rows of the root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, TypeAlias

from parscope.catalog.query import units
from parscope.catalog.query.ast import Aspect
from parscope.catalog.query.dates import moment
from parscope.catalog.query.units import Measure
from parscope.catalog.store.keys import ASPECTS, WORDS, Type, date, number, quantity_type, text, typed
from parscope.catalog.store.words import words

Leaf: TypeAlias = tuple[str, int, int, bytes]
"""A path as a JSON array of its keys, an aspect, a type, and a key."""

LONGEST_LIST = 64
"""Values of a list, and of the lists in it together, that are elements."""

LONGEST_TEXT = 512
"""Bytes in UTF-8 of a text that is compared; of longer ones only the words are known."""

LONGEST_PATH = 2000
"""Characters of a path, as a JSON array, that is in the index: databases keep no longer keys."""

ROOT = "[]"

_LENGTH, _LEAST, _GREATEST = ASPECTS[Aspect.LENGTH], ASPECTS[Aspect.LEAST], ASPECTS[Aspect.GREATEST]


def leaves(document: Mapping[str, Any]) -> set[Leaf]:
    """Rows of the index that a document is.

    Parameters
    ----------
    document : mapping
        As JSON knows it, after reading.

    Returns
    -------
    set of (str, int, int, bytes)
    """
    rows = _Rows()
    rows.mapping(ROOT, document)
    return rows.all()


@lru_cache(4096)
def below(path: str, key: str) -> str:
    """Path of a key in what lies at a path.

    Parameters
    ----------
    path : str
        A JSON array of keys.
    key : str
        One more.

    Returns
    -------
    str

    Examples
    --------
    >>> below('["beam"]', "voltage")
    '["beam","voltage"]'
    """
    return f"{path[:-1]}{',' if path != ROOT else ''}{encode_basestring_ascii(key)}]"


class _Rows:
    """Collects the rows of one document."""

    def __init__(self) -> None:
        self._rows: set[Leaf] = set()
        self._texts: set[str] = set()

    def all(self) -> set[Leaf]:
        """Rows of all values, and of all words."""
        found = {word for one in self._texts for word in words(one)}
        return self._rows | {(ROOT, WORDS, Type.TEXT, text(word)) for word in found}

    def mapping(self, path: str, mapping: Mapping[str, Any]) -> None:
        """Rows of all that is in a mapping."""
        for key, value in mapping.items():
            child = below(path, key)
            if len(child) > LONGEST_PATH:
                self._texts.update(_texts(value))
            elif isinstance(value, list):
                self._list(child, value, units.of_key(key))
            else:
                self._element(child, value, units.of_key(key))

    def _element(self, path: str, value: Any, unit: str | None) -> None:
        """Rows of what is no list."""
        if isinstance(value, str):
            self._text(path, value)
        elif isinstance(value, dict):
            self._rows.add((path, 0, Type.CONTAINER, b""))
            self._quantity(path, units.in_mapping(value))
            self.mapping(path, value)
        else:
            self._rows.add((path, 0, *typed(value)))
            if unit is not None and value is not None and not isinstance(value, bool):
                self._quantity(path, units.si(value, unit))

    def _text(self, path: str, value: str) -> None:
        """Rows of a text."""
        self._texts.add(value)
        key = text(value)
        if len(key) > LONGEST_TEXT:
            self._rows.add((path, 0, Type.LONG_TEXT, b""))
            return
        self._rows.add((path, 0, Type.TEXT, key))
        self._quantity(path, units.in_text(value))
        time = moment(value)
        if time is not None:
            self._rows.add((path, 0, Type.DATE, date(time)))

    def _quantity(self, path: str, found: Measure | None) -> None:
        """Row of a quantity, if it is one."""
        if found is not None:
            self._rows.add((path, 0, quantity_type(found.dimension), number(found.value)))

    def _list(self, path: str, values: list[Any], unit: str | None) -> None:
        """Rows of a list that is in no other."""
        for length in {len(values), *_lengths(values)}:
            self._rows.add((path, _LENGTH, Type.NUMBER, number(length)))
        elements = list(_elements(values))
        counted = [one for one in elements if isinstance(one, int | float) and not isinstance(one, bool) and one == one]
        if counted:
            self._rows.add((path, _LEAST, Type.NUMBER, number(min(counted))))
            self._rows.add((path, _GREATEST, Type.NUMBER, number(max(counted))))
        if 0 < len(elements) <= LONGEST_LIST:
            for element in elements:
                self._element(path, element, unit)
        else:
            self._rows.add((path, 0, Type.CONTAINER, b""))
            self._texts.update(_texts(elements))


def _elements(values: list[Any]) -> Iterator[Any]:
    """All that is no list, of a list and the lists in it."""
    for value in values:
        if isinstance(value, list):
            yield from _elements(value)
        else:
            yield value


def _lengths(values: list[Any]) -> Iterator[int]:
    """Lengths of the lists in a list."""
    for value in values:
        if isinstance(value, list):
            yield len(value)
            yield from _lengths(value)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
