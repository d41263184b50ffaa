"""Empty catalogs of both kinds: in a SQLite file, and in a PostgreSQL server that the tests start for themselves."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError

from parscope.catalog.store.catalog import Catalog


def _programs() -> Path | None:
    """Folder with initdb and postgres: Debian has them outside of PATH, one folder a version."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


def _await(engine: Engine, server: subprocess.Popen[bytes]) -> None:
    """Return as soon as the server answers."""
    for _ in range(600):
        assert server.poll() is None, "PostgreSQL ended before it answered"
        try:
            engine.connect().close()
        except DBAPIError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("PostgreSQL does not answer")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Address, without a database, of a server for this run of the tests; skipped where there is none to start."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="parscope-postgres-"))
    if user:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    making = [programs / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C", "-A", "trust", "-N"]
    subprocess.run(making, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off"}
    settings |= {"synchronous_commit": "off", "full_page_writes": "off", "max_connections": 60}
    running = [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(running, user=user, cwd=folder, stdout=log, stderr=log)
    address = f"postgresql+pg8000://postgres@127.0.0.1:{port}"
    try:
        engine = create_engine(f"{address}/postgres")
        _await(engine, server)
        engine.dispose()
        yield address
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_address(postgres_server: str) -> Iterator[str]:
    """``postgresql://`` address of a database that is emptied after the test, which is faster than making one."""
    yield f"{postgres_server}/postgres".replace("+pg8000", "")
    engine = create_engine(f"{postgres_server}/postgres")
    with engine.begin() as connection:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid, 5000) {others}")
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where no catalog is yet, in both databases."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_address"))
    return str(tmp_path / "catalog.db")


@pytest.fixture
def catalog(address: str) -> Iterator[Catalog]:
    """An empty catalog, in both databases."""
    with Catalog(address) as made:
        yield made
