"""Tells other programs over HTTP, and only those on hosts that the owner of this machine allows."""

from __future__ import annotations

import http.client
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from parscope.core.errors import InputError, MissingExtraError, OptionError, OutputError

_PATIENCE = 10.0  # seconds that a host may be silent
_PORTS = {"http": 80, "https": 443}


def allowed() -> frozenset[str]:
    """Hosts that may be told, ``host`` or ``host:port``.

    Those of the environment variable ``PARSCOPE_WEBHOOKS``, separated by commas; if it is not set, the list
    ``webhooks`` in ``settings.toml`` in the user's configuration folder of parscope. Without either nobody is told.

    Returns
    -------
    frozenset of str

    Raises
    ------
    InputError
        If the settings cannot be read.
    MissingExtraError
        If the library that knows their folder is not installed, and the environment variable is not set.
    """
    named = os.environ.get("PARSCOPE_WEBHOOKS")
    hosts: Any = _settings() if named is None else named.split(",")
    return frozenset(host.strip().lower() for host in hosts if host.strip())


def check(url: str) -> SplitResult:
    """Refuse an address that is none, or whose host is not allowed; a host without a port is allowed with any.

    Parameters
    ----------
    url : str
        ``http://host:port/path`` or ``https://...``.

    Returns
    -------
    SplitResult

    Raises
    ------
    OptionError
        If it may not be used.
    InputError
        If the settings cannot be read.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise OptionError(f"{url!r} is no address: {error}", "webhook") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None or not url.isascii():
        raise OptionError(f"{url!r} is no address of a webhook", "webhook", "write it as https://host/path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if not {host, f"{host}:{port or _PORTS[parts.scheme]}"} & allowed():
        raise OptionError(
            f"{host} is not on the list of hosts", "webhook", "add it to PARSCOPE_WEBHOOKS or settings.toml"
        )
    return parts


def post(url: str, message: Mapping[str, Any]) -> None:
    """Send a message as JSON. Redirects are not followed: they lead away from the list.

    Parameters
    ----------
    url : str
        Where to.
    message : mapping
        What JSON holds.

    Raises
    ------
    OutputError
        If the host cannot be reached, or does not answer that it has it (2xx).
    OptionError
        If it may not be told.
    InputError
        If the settings cannot be read.
    """
    parts = check(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = {"Content-Type": "application/json", "User-Agent": "parscope"}
    try:
        connection.request("POST", target, json.dumps(message).encode(), head)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise OutputError(f"cannot be told: {str(error) or type(error).__name__}", parts.hostname or "") from None
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise OutputError(f"answered {status} {http.client.responses.get(status, '')}".rstrip(), parts.hostname or "")


def _settings() -> list[str]:
    """The list in the file of settings; empty without one."""
    try:
        from platformdirs import user_config_dir
    except ImportError:
        raise MissingExtraError("platformdirs", "catalog") from None
    file = Path(user_config_dir("parscope", appauthor=False)) / "settings.toml"
    if not file.exists():
        return []
    try:
        hosts = tomllib.loads(file.read_text(encoding="utf-8")).get("webhooks", [])
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", str(file)) from None
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise InputError("webhooks is not a list of hosts", str(file), 'write it as webhooks = ["host.example"]')
    return hosts
