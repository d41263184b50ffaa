"""Addresses of sources: what stands before the colon names the source, the rest is for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from parscope.core.contracts import Source
from parscope.core.errors import OptionError
from parscope.core.registry import load, names

_GROUP = "parscope.sources"


@dataclass(frozen=True)
class Wishes:
    """What a person wishes of a source; one that cannot do it does without.

    Parameters
    ----------
    low_latency : bool, default False
        Read a stream from the socket itself, rather than through ZeroMQ's library.
    scan : tuple of int, optional
        Scan positions (y, x).
    rate : float, default 0
        Patterns per second of a source that can choose, [Hz]; 0 for as fast as possible.
    series : int, default 1
        How often a source that can choose gives its scan.
    """

    low_latency: bool = False
    scan: tuple[int, int] | None = None
    rate: float = 0.0
    series: int = 1


def make_source(address: str, wishes: Wishes = Wishes(), tell: Callable[[str], None] | None = None) -> Source:
    """Make a source of an address, without opening it.

    Parameters
    ----------
    address : str
        ``tcp://HOST:31001`` for a detector, ``v1://HOST:9999`` for one that speaks the older stream V1,
        ``replay:FILE`` for a file, ``physics:`` for simulated patterns, or what an installed package adds.
    wishes : Wishes, optional
        How it is to be read.
    tell : callable, optional
        Is told, in a sentence, what a person should know of the connection, by sources that have one: those with a
        method ``tell_to`` that takes it.

    Returns
    -------
    Source

    Raises
    ------
    OptionError
        If it is no address of a source.

    Examples
    --------
    >>> make_source("tcp://192.168.1.10:31001").name
    'tcp'
    """
    scheme, colon, _ = address.partition(":")
    if not colon or scheme not in names(_GROUP):
        raise OptionError(
            "is no address of a source", address, "write tcp://HOST:31001, v1://HOST:9999, replay:FILE or physics:"
        )
    made: Source = load(_GROUP, scheme)(address, wishes)
    tell_to = getattr(made, "tell_to", None)
    if tell is not None and tell_to is not None:
        tell_to(tell)
    return made
