"""Addresses of sinks: ``udp://host:port``, ``shm://name``; the part before the colon says which sink it is."""

from __future__ import annotations

from urllib.parse import urlsplit

from parscope.core import registry
from parscope.core.contracts import Sink
from parscope.core.errors import OptionError


def make_sink(address: str) -> Sink:
    """Make the sink of an address; it is not opened.

    Parameters
    ----------
    address : str
        ``udp://host:port``, ``shm://name``, ``zmq://interface:port``, ``ws://interface:port``, ``http://...``,
        ``https://...``, ``pva://name``, or that of a sink which somebody has added.

    Returns
    -------
    Sink

    Raises
    ------
    OptionError
        If there is no such sink, or if it cannot have this address.
    InputError
        If the settings with the list of hosts of webhooks cannot be read.

    Examples
    --------
    >>> make_sink("udp://127.0.0.1:9000").name
    'udp'
    """
    name = address.partition("://")[0].lower()
    sink: Sink = registry.load("parscope.sinks", name)(address)
    return sink


def host_and_port(address: str) -> tuple[str, int]:
    """Host and port of an address that is nothing else.

    Parameters
    ----------
    address : str
        ``scheme://host:port``; an IPv6 address stands in brackets.

    Returns
    -------
    str and int

    Raises
    ------
    OptionError
        If one of them is missing, or something else is there.

    Examples
    --------
    >>> host_and_port("udp://[::1]:9000")
    ('::1', 9000)
    """
    scheme = address.partition("://")[0]
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    plain = host and port is not None and parts.username is None and parts.path in ("", "/") and not parts.query
    if not plain or host is None or port is None:
        raise OptionError("is no address of this kind", address, f"write it as {scheme}://host:port")
    return host, port
