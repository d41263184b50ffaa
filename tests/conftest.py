"""What all tests share: types checked at run time, repeatable random examples, real files, a host for webhooks."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from beartype import BeartypeConf
from beartype.claw import beartype_package
from hypothesis import settings

SOURCE = Path(__file__).parents[1] / "src"

# A shell that starts the tests in the background has them ignore Ctrl-C, and what they start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _unchecked() -> tuple[str, ...]:
    """Modules that cannot be checked at run time.

    A check round a numba kernel would hide it from the kernels that call it, a name imported for type checkers only is
    not there to be checked against, and neither is any name where Python makes the methods of a NamedTuple.
    """
    files = [file for file in (SOURCE / "parscope").rglob("*.py") if file.name != "__init__.py"]
    odd = [
        file
        for file in files
        if {"numba", "NamedTuple", "TYPE_CHECKING"} & set(re.findall(r"\w+", file.read_text("utf-8")))
    ]
    return tuple(".".join(file.relative_to(SOURCE).with_suffix("").parts) for file in odd)


beartype_package(
    "parscope", conf=BeartypeConf(claw_is_pep526=False, claw_skip_package_names=_unchecked(), is_pep484_tower=True)
)
settings.register_profile("parscope", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("parscope")


@pytest.fixture(scope="session")
def sample_files() -> Path:
    """Folder of real microscope files; the test is skipped where there is none."""
    folder = Path(os.environ.get("PARSCOPE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real sample files in {folder}; set PARSCOPE_TEST_DATA")
    return folder


class Listener(ThreadingHTTPServer):
    """Listens for webhooks on this machine: answers with `status`, and keeps what it was told and under which path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 204
        self.told: list[Any] = []
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?key=1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        server.paths.append(self.path)
        server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(server.status)
        if 300 <= server.status < 400:
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A host that is on the list."""
    monkeypatch.setenv("PARSCOPE_WEBHOOKS", "127.0.0.1")
    server = Listener()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
