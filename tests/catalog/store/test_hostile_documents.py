"""Documents that nobody wrote in good faith are kept to the letter, or refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parscope.catalog.query.ast import Compare, Exists, Order, Term, Text
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.documents import DEEPEST, decode, encode
from parscope.core.errors import InputError

HOSTILE = [
    "",
    ".",
    "a.b",
    "'",
    '"',
    "\\",
    "[0]",
    "$",
    "%",
    "\0",
    "\ud800",
    "🔬",
    "é",
    "e\u0301",
    "'; DROP TABLE record;--",
]
HOSTILE += ["**", "k" * 5000, "\u202e", "not", "\n", "{}", "__proto__", "\x7f" * 300, "🔬" * 200]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(HOSTILE))
KEYS = st.text() | st.sampled_from(HOSTILE)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20)
DOCUMENTS = st.dictionaries(KEYS, VALUES)


def nested(levels: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


@settings(max_examples=25)
@given(DOCUMENTS)
def test_json_keeps_every_bit(document: dict[str, Any]) -> None:
    assert repr(decode(encode(document))) == repr(json.loads(json.dumps(document)))
    assert encode(document).isascii()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(DOCUMENTS)
def test_any_document_is_kept_and_known_by_its_keys(catalog: Catalog, document: dict[str, Any]) -> None:
    expected = json.loads(json.dumps(document))
    uid = catalog.add(document)
    assert repr(catalog.get(uid).document) == repr(expected)
    for key in expected:
        found = set(catalog.uids(Exists(Term((key,)))))
        assert (uid in found) == (len(json.dumps([key])) <= 2000)


def test_hostile_keys_and_texts_are_found(catalog: Catalog) -> None:
    uids = [catalog.add({key: {key: key}}) for key in HOSTILE]
    for uid, key in zip(uids, HOSTILE, strict=True):
        short = len(key.encode("utf-8", "surrogatepass")) <= 512 and len(json.dumps([key, key])) <= 2000
        assert list(catalog.uids(Compare(Term((key, key)), Order.EQUAL, key))) == [uid] * short
    assert list(catalog.uids(Text("drop"))) == [uids[HOSTILE.index("'; DROP TABLE record;--")]]
    assert catalog.count() == len(HOSTILE)


@pytest.mark.parametrize("wrap", [lambda value: {"a": value}, lambda value: [value]], ids=["mappings", "lists"])
def test_deep_documents_are_refused(catalog: Catalog, wrap: Callable[[Any], Any]) -> None:
    with pytest.raises(InputError, match="more than 100 levels deep"):
        catalog.add({"a": nested(3000, wrap)})
    with pytest.raises(InputError, match="more than 100 levels deep"):
        catalog.add({"a": nested(DEEPEST, wrap)})
    assert catalog.count() == 0
    catalog.add({"a": nested(DEEPEST - 1, wrap)})
    assert catalog.count() == 1


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({"a": {1: "x"}}, "a key of the document is 1, not a text"),
        ({"a": {None: "x"}}, "a key of the document is None, not a text"),
        ({"a": {1, 2}}, "holds no set"),
        ({"a": b"x"}, "holds no bytes"),
        ({"a": [np.float32(1)]}, "holds no float32"),
        ({"a": np.zeros(3)}, "holds no ndarray"),
        ({"a": 10**5000}, "the document cannot be kept"),
    ],
)
def test_what_json_cannot_hold_is_refused(catalog: Catalog, document: Any, what: str) -> None:
    with pytest.raises(InputError, match=what) as told:
        catalog.add(document)
    assert "\n" not in str(told.value)
    assert catalog.count() == 0


def test_a_document_that_contains_itself_is_refused(catalog: Catalog) -> None:
    document: dict[str, Any] = {}
    document["a"] = [document]
    with pytest.raises(InputError, match="levels deep"):
        catalog.add(document)


def test_other_mappings_and_tuples_are_kept_as_json_has_them(catalog: Catalog) -> None:
    uid = catalog.add(MappingProxyType({"a": (1, MappingProxyType({"b": 2}))}))
    assert catalog.get(uid).document == {"a": [1, {"b": 2}]}


def test_large_documents_are_kept(catalog: Catalog) -> None:
    document = {"list": list(range(100_000)), "text": "x" * 1_000_000, "wide": {f"k{n}": n for n in range(3000)}}
    uid = catalog.add(document)
    assert catalog.get(uid).document == document
    assert list(catalog.uids(Compare(Term(("wide", "k2999")), Order.EQUAL, 2999))) == [uid]


def test_what_readers_say_is_kept_as_far_as_databases_can(catalog: Catalog) -> None:
    uid = catalog.add({}, reader="r\0", error="\ud800 is no text\0 🔬")
    assert catalog.get(uid).error == "? is no text? 🔬"
    catalog.amend(uid, {}, reader="µ\0", error="\0")
    assert (catalog.get(uid).reader, catalog.get(uid).error) == ("µ?", "?")
