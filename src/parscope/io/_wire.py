"""The words that two processes exchange over a pipe: a length, a JSON object, and the raw bytes it announces."""

from __future__ import annotations

import json
import struct
from typing import Any, Protocol, runtime_checkable

_LENGTH = struct.Struct(">I")
_LONGEST = 64 << 20


@runtime_checkable
class Stream(Protocol):
    """A pipe, or what stands in for one."""

    def read(self, size: int, /) -> bytes | None:
        """At most `size` bytes; nothing at the end."""


@runtime_checkable
class Outlet(Protocol):
    """The writing end of a pipe, or what stands in for one."""

    def write(self, data: Any, /) -> Any:
        """Take the bytes."""

    def flush(self) -> None:
        """Pass on what was taken."""


def send(stream: Outlet, message: dict[str, Any], payload: Any = b"") -> None:
    """Send a message.

    Parameters
    ----------
    stream : Outlet
        The pipe.
    message : dict
        JSON-able.
    payload : bytes-like, optional
        Raw bytes that follow it.

    Raises
    ------
    OSError
        If nobody listens.
    """
    view = memoryview(payload).cast("B")
    head = json.dumps({**message, "bytes": len(view)}).encode()
    stream.write(_LENGTH.pack(len(head)))
    stream.write(head)
    stream.write(view)
    stream.flush()


def receive(stream: Stream) -> tuple[dict[str, Any], int] | None:
    """Receive a message; its payload is still in the pipe.

    Parameters
    ----------
    stream : Stream
        The pipe.

    Returns
    -------
    message : dict
        What was sent.
    size : int
        Bytes of payload that follow.
    None
        At the end of the pipe, or if what comes is no message.
    """
    head = exactly(stream, _LENGTH.size)
    if head is None or _LENGTH.unpack(head)[0] > _LONGEST:
        return None
    body = exactly(stream, _LENGTH.unpack(head)[0])
    if body is None:
        return None
    message: dict[str, Any] = json.loads(body)
    return message, int(message["bytes"])


def exactly(stream: Stream, size: int) -> bytes | None:
    """Read so many bytes.

    Parameters
    ----------
    stream : Stream
        The pipe.
    size : int
        How many.

    Returns
    -------
    bytes
    None
        If the pipe ends before.
    """
    parts, left = [], size
    while left:
        part = stream.read(left)
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
