"""What can be opened is opened and brought up to date; what cannot is told in one line, and left as it is."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, make_url, text

from parscope.catalog.store import postgresql, versions
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.engine import Database
from parscope.core.errors import CatalogError, ParscopeError


def shape(engine: Engine) -> dict[str, Any]:
    """All that a database says of its tables."""
    look = inspect(engine)
    return {
        name: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in look.get_columns(name)],
            look.get_pk_constraint(name)["constrained_columns"],
            sorted(index["name"] or "" for index in look.get_indexes(name)),
            sorted(key["column_names"] for key in look.get_unique_constraints(name)),
            sorted((key["constrained_columns"], key["referred_table"]) for key in look.get_foreign_keys(name)),
        )
        for name in look.get_table_names()
    }


def aged(address: str) -> None:
    """Make a catalog without tables, as it was before the first version."""
    with Database(address) as made, made.writing() as connection:
        for name in inspect(connection).get_table_names():
            if name != versions.TABLE:
                connection.execute(text(f"DROP TABLE {name}{' CASCADE' if made.engine.name == 'postgresql' else ''}"))
        connection.execute(text(f"DELETE FROM {versions.TABLE}"))


def test_migrations_make_the_tables_that_a_new_catalog_has(address: str, tmp_path: Path) -> None:
    with Catalog(address) as new:
        expected = shape(new.engine)
        tables = "SELECT sql FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%'"
        with_rowid = new.engine.name == "postgresql" or new.engine.connect().scalar(text(tables))
    aged(address)
    with Catalog(address) as upgraded:
        assert shape(upgraded.engine) == expected
        assert with_rowid == (new.engine.name == "postgresql" or upgraded.engine.connect().scalar(text(tables)))
        upgraded.add({"name": "gold"})


def test_the_last_migration_is_the_version_of_a_new_catalog() -> None:
    assert ScriptDirectory(str(versions.MIGRATIONS)).get_current_head() == versions.HEAD


def test_a_migration_that_fails_changes_nothing(address: str) -> None:
    aged(address)
    plain = create_engine(
        address.replace("postgresql:", "postgresql+pg8000:") if ":" in address else f"sqlite:///{address}"
    )
    with plain.begin() as connection:
        connection.execute(text("CREATE TABLE saved (anything INTEGER)"))
    before = shape(plain)
    with pytest.raises(CatalogError, match=r"saved.* already exists"):
        Catalog(address)
    assert shape(plain) == before
    plain.dispose()


def test_a_newer_catalog_is_left_as_it_is(address: str) -> None:
    with Catalog(address) as made:
        made.add({"name": "gold"})
        with made.writing() as connection:
            connection.execute(text(f"UPDATE {versions.TABLE} SET version_num = '9999'"))
    before = Path(address).read_bytes() if "://" not in address else b""
    with pytest.raises(CatalogError, match="of a newer version of parscope, and left as it is"):
        Catalog(address)
    assert before == (Path(address).read_bytes() if "://" not in address else b"")


def test_another_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE record (id INTEGER)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(CatalogError, match="is not a catalog"):
        Catalog(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_another_database_in_postgresql_is_left_as_it_is(postgres_address: str) -> None:
    other = create_engine(postgres_address.replace("postgresql:", "postgresql+pg8000:"))
    with other.begin() as connection:
        connection.execute(text("CREATE TABLE record (id INTEGER)"))
    with pytest.raises(CatalogError, match="is not a catalog"):
        Catalog(postgres_address)
    assert inspect(other).get_table_names() == ["record"]
    other.dispose()


def damaged(content: bytes, at: int) -> bytes:
    return content[:at] + bytes(255 - byte for byte in content[at : at + 3000]) + content[at + 3000 :]


@pytest.mark.parametrize("how", ["no database", "cut", "head", "pages", "a beginning"])
def test_a_damaged_file_is_left_as_it_is(tmp_path: Path, how: str) -> None:
    path = tmp_path / "lab.db"
    with Catalog(path) as made:
        made.add_many({"n": n, "text": "word " * 50} for n in range(100))
    whole = path.read_bytes()
    content = {
        "no database": b"name,mode\ngold,HAADF\n" * 100,
        "cut": whole[:5000],
        "head": damaged(whole, 16),
        "pages": damaged(whole, 100),
        "a beginning": whole[:16],
    }[how]
    path.write_bytes(content)
    with pytest.raises(CatalogError) as told:
        Catalog(path)
    assert "\n" not in str(told.value) and str(path) in str(told.value)
    assert path.read_bytes() == content


def test_damage_that_is_met_later_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Catalog(path) as made:
        made.add_many({"n": n, "text": "word " * 50} for n in range(200))
    content = path.read_bytes()
    path.write_bytes(content[:20480] + b"\xff" * (len(content) - 20480))
    with pytest.raises(CatalogError, match="malformed"), Catalog(path) as broken:
        broken.find()


def test_places_that_hold_no_catalog_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for address, what in (
        (tmp_path, "is a folder, not a catalog"),
        (tmp_path / "no" / "lab.db", "there is no such folder"),
        (tmp_path / "file" / "lab.db", "cannot be opened"),
        ("", "is no address of a catalog"),
        ("a\0b", "is no address of a catalog"),
        ("mysql://host/name", "is no address of a catalog"),
        ("postgresql://", "is no address of a catalog"),
        ("postgresql://user:secret@127.0.0.1:1/name", r"postgresql://user:\*\*\*@127.0.0.1:1/name: "),
    ):
        with pytest.raises(ParscopeError, match=what) as told:
            Catalog(address)
        assert "secret" not in str(told.value) and "\n" not in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_odd_names_are_names(tmp_path: Path) -> None:
    for name in ("100% good?#.db", "µ 🔬'.db", "file:x?mode=ro"):
        for _ in range(2):
            with Catalog(tmp_path / name) as catalog:
                catalog.add({})
        assert (tmp_path / name).stat().st_size > 0


def test_an_empty_file_becomes_a_catalog(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    path.touch()
    with Catalog(path) as catalog:
        catalog.add({})
    with Catalog(path) as catalog:
        assert catalog.count() == 1


def test_opening_imports_neither_alembic_nor_pint(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    Catalog(path).close()
    program = (
        "import sys; from parscope.catalog.store.catalog import Catalog; "
        f"Catalog({str(path)!r}).find(); "
        "print(*{'alembic', 'pint', 'lark', 'numba', 'torch', 'matplotlib', 'pg8000'} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_addresses_of_postgresql_are_those_that_its_programs_take(
    postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = postgres_address.replace("postgres@", "")
    monkeypatch.setenv("PGUSER", "postgres")
    for options in ("", "?sslmode=disable", "?sslmode=prefer"):
        with Catalog(nobody + options) as catalog:
            catalog.add({})
    for options, what in (
        ("?sslmode=require", "Server refuses SSL"),
        ("?sslmode=verify-full", "Server refuses SSL"),
        ("?sslmode=verify-ca&sslrootcert=/there/is/none", "sslrootcert cannot be read: No such file"),
        ("?sslmode=always", "there is no sslmode 'always'; take disable, allow"),
        ("?options=-c", "the option 'options' is not understood"),
    ):
        with pytest.raises(CatalogError, match=what) as told:
            Catalog(nobody + options)
        assert "\n" not in str(told.value)


def test_the_password_is_found_where_programs_of_postgresql_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def password(address: str) -> object:
        engine = postgresql.postgresql(make_url(address), address, 1)
        return engine.url.password

    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    address = "postgresql+pg8000://lab@server/catalog"
    assert password(address) is None
    filed = ["# a note", "other:*:*:lab:one", "server:5432:catalog:*:a\\:b\\\\c", "*:*:*:*:three", "too:short"]
    (tmp_path / "pgpass").write_text("\n".join(filed))
    (tmp_path / "pgpass").chmod(0o644)
    assert password(address) is None  # others could read it
    (tmp_path / "pgpass").chmod(0o600)
    assert password(address) == "a:b\\c"
    assert password(address.replace("server", "other")) == "one"
    assert password(address.replace("server", "server:5433")) == "three"
    monkeypatch.setenv("PGPASSWORD", "four")
    assert password(address) == "four"
    assert password(address.replace("lab@", "lab:five@")) == "five"


READING = """
import os, sys
from parscope.catalog.store.catalog import Catalog
from parscope.core.errors import CatalogError

if os.geteuid() == 0:  # who may write everywhere
    os.setuid(65534)
with Catalog(sys.argv[1]) as catalog:
    print(catalog.find().records[0].document["name"])
    try:
        catalog.add({})
    except CatalogError as error:
        print(error)
"""


def test_who_may_only_read_a_catalog_reads_it() -> None:
    folder = Path(tempfile.mkdtemp())  # that of pytest is closed to others
    path = folder / "lab.db"
    read = [sys.executable, "-c", READING, str(path)]
    said = f"gold\n{path}: attempt to write a readonly database\n"
    try:
        with Catalog(path) as catalog:
            catalog.add({"name": "gold"})
            folder.chmod(0o555)
            assert subprocess.run(read, capture_output=True, text=True, check=True).stdout == said
            folder.chmod(0o755)
        folder.chmod(0o555)  # there is nothing beside it now
        assert subprocess.run(read, capture_output=True, text=True, check=True).stdout == said
        assert [*folder.iterdir()] == [path]
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
