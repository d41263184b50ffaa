"""The port of the interface SIMPLON: who may call when, and what two detectors at one port are told."""

from __future__ import annotations

import re
import socket
import threading
from typing import Any

import httpx
import pytest
import uvicorn

from parscope.core.errors import OptionError
from parscope.live.emulator import Emulator, Scene


def test_who_calls_before_the_server_is_ready_waits(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    run, called = uvicorn.Server.run, threading.Event()

    def late(server: uvicorn.Server, sockets: Any) -> None:
        called.wait(60)
        run(server, sockets)

    monkeypatch.setattr(uvicorn.Server, "run", late)
    with Emulator(scene, ports=(0, 0, 0)) as emulator:
        host, port = emulator.address.removeprefix("http://").split(":")
        try:
            socket.create_connection((host, int(port)), timeout=60).close()
        finally:
            called.set()
        assert httpx.get(f"{emulator.address}/detector/api/1.8.0/status/state").json()["value"] == "na"


def test_a_second_detector_at_the_same_port_is_refused(scene: Scene) -> None:
    with Emulator(scene, ports=(0, 0, 0)) as first:
        port = int(first.address.rpartition(":")[2])
        with pytest.raises(OptionError, match=re.escape(f"127.0.0.1:{port}")), Emulator(scene, ports=(port, 0, 0)):
            pass
