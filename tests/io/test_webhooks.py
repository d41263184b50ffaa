"""Webhooks: who may be told, and what is a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parscope.core.errors import InputError, OptionError, OutputError
from parscope.io import webhooks


def allow(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    monkeypatch.setenv("PARSCOPE_WEBHOOKS", hosts)


# `listener` is a host of conftest.py that keeps what it was told.


def test_a_host_on_the_list_is_told(listener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, "other.example, 127.0.0.1")
    webhooks.post(listener.url, {"record": "3fa9", "name": "µ"})
    assert listener.told == [{"record": "3fa9", "name": "µ"}]
    assert listener.paths == ["/hook?key=1"]


@pytest.mark.parametrize("hosts", ["", "localhost", "127.0.0.1:1", "27.0.0.1", "127.0.0.1.example"])
def test_a_host_that_is_not_on_the_list_is_not_asked(
    listener: Any, monkeypatch: pytest.MonkeyPatch, hosts: str
) -> None:
    allow(monkeypatch, hosts)
    with pytest.raises(OptionError, match=r"127\.0\.0\.1 is not on the list"):
        webhooks.post(listener.url, {})
    assert listener.told == []


def test_a_port_may_be_listed(listener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, f"127.0.0.1:{listener.server_port}")
    webhooks.post(listener.url, {})
    assert listener.told == [{}]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure_and_not_followed(listener: Any, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    allow(monkeypatch, "127.0.0.1")
    listener.status = status
    with pytest.raises(OutputError, match=f"answered {status}"):
        webhooks.post(listener.url, {})
    assert listener.paths == ["/hook?key=1"]


def test_a_fault_of_the_host_is_told_without_the_secret_of_the_address(
    listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(monkeypatch, "127.0.0.1")
    listener.status = 503
    with pytest.raises(OutputError, match=r"^127\.0\.0\.1: answered 503 Service Unavailable$"):
        webhooks.post(listener.url, {})


def test_a_host_that_does_not_listen_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, "127.0.0.1")
    with pytest.raises(OutputError, match="cannot be told"):
        webhooks.post("http://127.0.0.1:9/", {})


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http://me:secret@127.0.0.1/",
        "http://127.0.0.1@other.example/",
        "http://exämple.org/",
        "127.0.0.1",
    ],
)
def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    allow(monkeypatch, "127.0.0.1,etc,other.example")
    with pytest.raises(OptionError, match="no address"):
        webhooks.check(url)


def test_the_list_may_be_in_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PARSCOPE_WEBHOOKS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert webhooks.allowed() == frozenset()
    settings = tmp_path / "parscope" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text('webhooks = ["Lab.Example", "[::1]:8080"]\n')
    assert webhooks.allowed() == {"lab.example", "[::1]:8080"}
    webhooks.check("https://LAB.example/hook")
    webhooks.check("http://[::1]:8080/hook")
    settings.write_text("webhooks = 3\n")
    with pytest.raises(InputError, match="not a list of hosts"):
        webhooks.allowed()
    settings.write_text("webhooks = [")
    with pytest.raises(InputError, match="cannot be read"):
        webhooks.allowed()
