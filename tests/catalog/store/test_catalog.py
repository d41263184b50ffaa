"""Records go in, are found, change and keep their history, in both databases."""

from __future__ import annotations

from math import inf, isnan, nan
from typing import Any

import pytest
from sqlalchemy import select

from parscope.catalog.query.ast import Compare, Literal, Order, Quantity, Term
from parscope.catalog.store import tables
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.write import put_record, reindex
from parscope.core.errors import CatalogError

GOLD: dict[str, Any] = {"name": "gold", "beam": {"voltage": {"value": 300, "units": "kV"}}, "Cs(mm)": [1.2, 0.5]}


def equal(path: str, literal: Literal) -> Compare:
    return Compare(Term(tuple(path.split("."))), Order.EQUAL, literal)


def test_a_record_comes_back_as_it_went_in(catalog: Catalog) -> None:
    uid = catalog.add(GOLD, hash="a" * 64, reader="test 1", error="half of it")
    found = catalog.get(uid)
    assert (found.uid, found.number, found.document) == (uid, 1, GOLD)
    assert (found.hash, found.reader, found.error) == ("a" * 64, "test 1", "half of it")
    assert found.created == found.changed > 1_700_000_000_000_000


def test_numbers_keep_every_bit(catalog: Catalog) -> None:
    told = {"small": 5e-324, "third": 1 / 3, "large": 2**70 + 1, "huge": 10**400, "inf": [inf, -inf], "zero": -0.0}
    found = catalog.get(catalog.add(told | {"none": nan})).document
    assert isnan(found.pop("none"))
    assert str(found) == str(told)
    for path in ("large", "huge", "third"):
        assert catalog.count(equal(path, told[path])) == 1  # type: ignore[arg-type]
    assert catalog.count(equal("large", 2**70)) == 0
    assert catalog.count(equal("none", nan)) == 1


def test_a_quantity_is_found_in_any_unit(catalog: Catalog) -> None:
    catalog.add(GOLD)
    assert catalog.count(equal("beam.voltage", Quantity(0.3, "MV"))) == 1
    assert catalog.count(equal("Cs(mm)", Quantity(500, "µm"))) == 1


def test_an_amended_record_is_found_by_what_it_says_now_and_keeps_what_it_said(catalog: Catalog) -> None:
    uid = catalog.add(GOLD, hash="a" * 64, reader="test 1")
    first = catalog.get(uid)
    assert catalog.amend(uid, {"name": "silver"}, reader="test 2") == 2
    assert (catalog.count(equal("name", "gold")), catalog.count(equal("name", "silver"))) == (0, 1)
    now = catalog.get(uid)
    assert (now.number, now.hash, now.created, now.document) == (2, "a" * 64, first.created, {"name": "silver"})
    with catalog.reading() as connection:
        (old,) = connection.execute(select(tables.version)).mappings()
    assert (old["number"], old["reader"], old["created"]) == (1, "test 1", first.changed)


def test_annotations_are_found_until_they_are_withdrawn(catalog: Catalog) -> None:
    uid = catalog.add({"name": "gold"})
    row = {"id": 1, "record": 1, "key": "a.b", "value": '{"depth": "3 nm"}', "who": "me", "created": 1}
    asked = Compare(Term(("annotation", "a.b", "depth")), Order.EQUAL, Quantity(3, "nm"))
    with catalog.writing() as connection:
        connection.execute(tables.annotation.insert().values(row))
        reindex(connection, 1)
    assert list(catalog.uids(asked)) == [uid]
    catalog.amend(uid, {"name": "silver"})
    assert catalog.count(asked) == catalog.count(equal("name", "silver")) == 1
    with catalog.writing() as connection:
        connection.execute(tables.annotation.update().values(withdrawn=2))
        reindex(connection, 1)
    assert (catalog.count(asked), catalog.count(equal("name", "silver"))) == (0, 1)


def test_many_records_come_in_their_order(catalog: Catalog) -> None:
    uids = catalog.add_many({"n": n} for n in range(1200))
    assert list(catalog.uids()) == uids
    assert [catalog.get(uid).document["n"] for uid in uids[::400]] == [0, 400, 800]
    assert [found.document["n"] for found in catalog.find(limit=2).records] == [1199, 1198]


def test_a_record_is_called_by_the_beginning_of_its_uid(catalog: Catalog) -> None:
    uids = catalog.add_many({"n": n} for n in range(3))
    assert catalog.get(uids[1][:12]).uid == uids[1]


@pytest.mark.parametrize("name", ["abc", "", "%", "zzzz", "0'; drop", "ABCD", "0" * 33, "🔬" * 5])
def test_what_is_no_name_of_a_record_is_told(catalog: Catalog, name: str) -> None:
    catalog.add(GOLD)
    with pytest.raises(CatalogError, match="is no name of a record"):
        catalog.get(name)


def test_a_beginning_that_several_records_have_is_told(catalog: Catalog) -> None:
    catalog.add_many([{}, {}])
    with catalog.writing() as connection:
        connection.execute(tables.record.update().values(uid="abcd" + tables.record.c.uid))
    with pytest.raises(CatalogError, match="several records begin so"):
        catalog.get("abcd")
    with pytest.raises(CatalogError, match="there is no such record"):
        catalog.get("abcde0123456789")


def test_nothing_of_a_transaction_that_fails_is_kept(catalog: Catalog) -> None:
    def fail() -> None:
        with catalog.writing() as connection:
            put_record(connection, {"new": {"path": 1}})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert catalog.count() == 0
    catalog.add({"new": {"path": 1}})  # whose paths are not those that were undone
    assert catalog.count(equal("new.path", 1)) == 1


def test_one_content_is_one_record(catalog: Catalog) -> None:
    catalog.add({}, hash="a" * 64)
    with pytest.raises(CatalogError):
        catalog.add({}, hash="a" * 64)
    assert catalog.count() == 1
