"""Two machines with a folder each under the same path are told apart; those that share one are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from parscope.catalog.collect.collector import Collector
from parscope.catalog.collect.roots import enter
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.tables import root
from parscope.core.errors import InputError
from tests.catalog.collect.played_describer import play
from tests.catalog.collect.rows import places, rows

REFUSED = r"is another folder than .* of pc-a, which is in this catalog already; give each machine a path of its own"


@pytest.fixture
def foreign(catalog: Catalog, folder: Path) -> Path:
    """A folder under the path of another one, which another machine collects."""
    with catalog.writing() as connection:
        enter(connection, folder, "pc-a")
    folder.rename(folder.parent / "theirs")
    folder.mkdir()
    return folder


def test_machines_that_share_a_folder_may_both_collect_it(catalog: Catalog, folder: Path) -> None:
    play(folder / "a.play", number=1)
    with catalog.writing() as connection:
        enter(connection, folder, "pc-a")
    Collector(catalog, folder, settle=0.0).run(once=True)
    assert places(catalog) == {"a.play": (1, True)}
    assert len(rows(catalog, root)) == 2


def test_another_folder_under_the_same_path_is_refused(catalog: Catalog, foreign: Path) -> None:
    play(foreign / "b.play", number=2)
    (foreign / "day").mkdir()
    play(foreign / "day" / "c.play", number=3)
    for folder in (foreign, foreign / "day", foreign.parent):
        with pytest.raises(InputError, match=REFUSED):
            Collector(catalog, folder, settle=0.0).run(once=True)
    assert places(catalog) == {}


def test_a_machine_that_was_not_heard_of_for_long_has_no_say(catalog: Catalog, foreign: Path) -> None:
    play(foreign / "b.play", number=2)
    with catalog.writing() as connection:
        connection.execute(update(root).values(seen=0))
    Collector(catalog, foreign, settle=0.0).run(once=True)
    assert places(catalog) == {"b.play": (1, True)}
