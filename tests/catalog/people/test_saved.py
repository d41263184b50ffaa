"""Questions that are kept, and what is told of their new matches: once, and not before it is committed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, select

from parscope.catalog.collect.collector import Collector
from parscope.catalog.people.deliver import Courier, deliver
from parscope.catalog.people.notes import Note, note
from parscope.catalog.people.notices import Notice, state
from parscope.catalog.people.saved import everything, forget, load, save
from parscope.catalog.query.ast import (
    EVERYTHING,
    Compare,
    DerivedFrom,
    Is,
    Located,
    Matches,
    Not,
    Order,
    Quantity,
    State,
    Tagged,
    Term,
)
from parscope.catalog.store import tables, write
from parscope.catalog.store.catalog import Catalog
from parscope.core.errors import InputError, OptionError, QueryError

HAADF = Compare(Term(("mode",)), Order.EQUAL, "HAADF")


def waiting(catalog: Catalog, name: str) -> tuple[int, str]:
    with catalog.reading() as connection:
        return state(connection, name)


def test_a_question_is_kept_replaced_and_forgotten(catalog: Catalog) -> None:
    save(catalog, "dark field", Not(HAADF), who="ann")
    save(catalog, "dark field", HAADF, who="bob")
    save(catalog, "all", EVERYTHING)
    with catalog.reading() as connection:
        assert load(connection, "dark field").expression == HAADF
        assert [(one.name, one.webhook) for one in everything(connection)] == [("all", None), ("dark field", None)]
        with pytest.raises(InputError, match="there are all, dark field"):
            load(connection, "bright field")
    forget(catalog, "all")
    with pytest.raises(InputError, match="no saved query of this name"):
        forget(catalog, "all")


def test_what_could_not_be_answered_is_not_kept(catalog: Catalog) -> None:
    with pytest.raises(QueryError):
        save(catalog, "bad", Matches(Term(("a",)), "("), webhook="")
    with pytest.raises(QueryError):
        save(catalog, "bad", Compare(Term(("a",)), Order.LESS, Quantity(3, "furlongs per elephant")), webhook="")
    with catalog.reading() as connection:
        assert everything(connection) == []


def test_a_new_match_is_told_once_for_each_version(catalog: Catalog) -> None:
    catalog.add({"mode": "HAADF", "name": "before"})
    save(catalog, "haadf", HAADF, webhook="")
    save(catalog, "nobody asks", HAADF)
    first = catalog.add({"mode": "HAADF", "name": "first", "kind": "image"})
    catalog.add({"mode": "BF"})
    told: list[Notice] = []
    assert deliver(catalog, told.append).told == 1
    assert [(one.saved, one.record, one.number, one.name, one.kind) for one in told] == [
        ("haadf", first, 1, "first", "image")
    ]
    assert deliver(catalog, told.append).told == 0
    catalog.amend(first, {"mode": "HAADF", "name": "again"})
    (later,) = catalog.add_many([{"mode": "HAADF", "name": "later"}])
    deliver(catalog, told.append)
    assert [(one.record, one.number) for one in told[1:]] == [(first, 2), (later, 1)]


def test_what_people_say_makes_a_match_too(catalog: Catalog) -> None:
    save(catalog, "good ones", Tagged("good"), webhook="")
    uid = catalog.add({"name": "one"})
    assert waiting(catalog, "good ones") == (0, "")
    note(catalog, uid, Note(tags=("good",)))
    note(catalog, uid, Note(tags=("better",)))
    assert waiting(catalog, "good ones") == (1, "")


def _fail_after_a_record(catalog: Catalog) -> None:
    with catalog.writing() as connection:
        write.put_record(connection, {"name": "one"})
        raise ZeroDivisionError


def test_nothing_is_told_of_what_was_not_committed(catalog: Catalog) -> None:
    save(catalog, "all", EVERYTHING, webhook="")
    with pytest.raises(ZeroDivisionError):
        _fail_after_a_record(catalog)
    assert waiting(catalog, "all") == (0, "")
    catalog.add({"name": "two"})
    assert waiting(catalog, "all") == (1, "")


def test_many_records_are_tried_at_once(catalog: Catalog) -> None:
    save(catalog, "haadf", HAADF, webhook="")
    asked: list[str] = []

    def hear(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)

    event.listen(catalog.engine, "before_cursor_execute", hear)
    uids = catalog.add_many({"mode": "HAADF" if number % 3 else "BF", "n": number} for number in range(400))
    assert sum("FROM saved" in statement for statement in asked) == 1
    assert sum(statement.startswith("SELECT") for statement in asked) < 20
    told: list[Notice] = []
    deliver(catalog, told.append)
    assert [one.record for one in told] == [uid for number, uid in enumerate(uids) if number % 3]


def test_a_collected_file_is_tried_when_all_that_is_known_of_it_is_there(catalog: Catalog, tmp_path: Path) -> None:
    """Where it lies, what it was made from, and whether it is still there, are not in its document."""
    folder = tmp_path / "titan"
    folder.mkdir()
    source = catalog.add({"name": "source"})
    asked = {"lies": Located("%/titan/%"), "made": DerivedFrom(source[:8]), "gone": Is(State.MISSING)}
    for name, question in asked.items():
        save(catalog, name, question, webhook="")
    np.save(folder / "a.npy", np.zeros((4, 4)))
    Collector(catalog, folder, settle=0.0).run(once=True)
    (uid,) = catalog.uids(Located("%a.npy"))
    result = catalog.add({"name": "result"})
    note(catalog, result, Note(sources=(uid,)))
    note(catalog, uid, Note(sources=(source,)))
    np.save(folder / "b.npy", np.ones((4, 4)))
    (folder / "a.npy").unlink()
    Collector(catalog, folder, settle=0.0).run(once=True)
    told: list[Notice] = []
    deliver(catalog, told.append)
    (other,) = catalog.uids(Located("%b.npy"))
    found = {name: {one.record for one in told if one.saved == name} for name in asked}
    assert found == {"lies": {uid, other}, "made": {uid, result}, "gone": {uid}}


def test_another_question_under_an_old_name_starts_afresh(catalog: Catalog) -> None:
    save(catalog, "new", HAADF, webhook="")
    uid = catalog.add({"mode": "HAADF"})
    save(catalog, "new", HAADF, webhook="")
    assert waiting(catalog, "new") == (1, "")
    save(catalog, "new", EVERYTHING, webhook="")
    assert waiting(catalog, "new") == (0, "")
    note(catalog, uid, Note(tags=("good",)))
    assert waiting(catalog, "new") == (1, "")


def test_a_callable_that_fails_is_asked_again(catalog: Catalog) -> None:
    save(catalog, "all", EVERYTHING, webhook="")
    uids = [catalog.add({"name": name}) for name in "abc"]
    heard: list[str] = []

    def hear(one: Notice) -> None:
        if one.name == "b" and len(heard) < 2:
            heard.append("nothing")
            raise ValueError("deaf")
        heard.append(one.record)

    assert deliver(catalog, hear).failed == ("all",)
    assert waiting(catalog, "all") == (2, "deaf")
    assert deliver(catalog, hear).failed == ()
    assert heard == [uids[0], "nothing", uids[1], uids[2]]
    assert waiting(catalog, "all") == (0, "")


def test_a_webhook_is_told(catalog: Catalog, listener: Any) -> None:
    save(catalog, "haadf", HAADF, webhook=listener.url)
    uid = catalog.add({"mode": "HAADF", "name": "µ", "kind": "image"})
    assert deliver(catalog).told == 1
    (message,) = listener.told
    assert {key: message[key] for key in ("saved", "record", "number", "name", "kind")} == {
        "saved": "haadf",
        "record": uid,
        "number": 1,
        "name": "µ",
        "kind": "image",
    }
    assert deliver(catalog).told == 0


def test_a_webhook_that_fails_is_noted_and_asked_again(catalog: Catalog, listener: Any) -> None:
    save(catalog, "all", EVERYTHING, webhook=listener.url)
    catalog.add({"name": "one"})
    listener.status = 307
    assert deliver(catalog).failed == ("all",)
    assert waiting(catalog, "all") == (1, "127.0.0.1: answered 307 Temporary Redirect")
    assert listener.paths == ["/hook?key=1"]
    assert deliver(catalog, resting=["all"]).failed == ()
    listener.status = 200
    assert deliver(catalog).told == 1
    with catalog.reading() as connection:
        row = connection.execute(select(tables.notice)).mappings().one()
    assert row["error"] is None
    assert row["delivered"] >= row["created"]


def test_a_host_that_left_the_list_is_told_no_more(
    catalog: Catalog, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(catalog, "all", EVERYTHING, webhook=listener.url)
    catalog.add({})
    monkeypatch.setenv("PARSCOPE_WEBHOOKS", "")
    assert deliver(catalog).failed == ("all",)
    assert listener.told == []
    with pytest.raises(OptionError, match="not on the list"):
        save(catalog, "more", EVERYTHING, webhook=listener.url)


def test_a_courier_tells_while_others_write_and_lets_rest_what_fails(catalog: Catalog, listener: Any) -> None:
    save(catalog, "hook", EVERYTHING, webhook=listener.url)
    save(catalog, "call", EVERYTHING, webhook="")
    listener.status = 500
    heard = threading.Semaphore(0)
    with Courier(catalog, lambda _: heard.release(), every=0.01):
        for name in "abcde":
            catalog.add({"name": name})
        for _ in range(5):
            assert heard.acquire(timeout=30)
        listener.status = 200
    assert waiting(catalog, "hook") == (0, "")
    told = [message["name"] for message in listener.told]
    assert [name for name, later in zip(told, [*told[1:], ""], strict=True) if name != later] == [*"abcde"]
