"""What every sink promises, tried with messages that nobody minds."""

from __future__ import annotations

from typing import Any

from parscope.core.contracts import Sink
from parscope.core.errors import OutputError

_MESSAGE = (
    b'{"parscope":1,"rule":"check","action":"safe","series":-1,"image":-1,"position":-1,"y":-1,"x":-1,'
    b'"detector_ns":-1,"received_ns":-1,"decided_ns":0,"clamped":false,"values":{"com.x":null}}'
)


def check_sink(sink: Sink) -> None:
    """Try a sink against its contract; it is opened twice, and closed in the end.

    Parameters
    ----------
    sink : Sink
        Any that was not opened yet. It is sent two safe actions of a rule ``check``.

    Raises
    ------
    AssertionError
        With what is not as it must be.

    Examples
    --------
    >>> from parscope.live.sinks.address import make_sink
    >>> check_sink(make_sink("shm://parscope-check"))
    """
    _require(isinstance(sink, Sink), "it has name, dropped, fault, open, send and close")
    _require(sink.name.isidentifier() and sink.name.islower(), "its name is a word in lower case")
    sink.close()
    _refuses(sink)
    for _ in range(2):
        sink.open()
        before = sink.dropped
        sink.send(_MESSAGE)
        _require(sink.dropped >= before, "what was dropped is counted, and never counted back")
        sink.close()
        sink.close()
    _refuses(sink)


def _refuses(sink: Sink) -> None:
    """What is not open takes nothing, and says so."""
    try:
        sink.send(_MESSAGE)
    except OutputError:
        return
    _require(False, "a sink that is not open raises OutputError")


def _require(holds: Any, sentence: str) -> None:
    if not holds:
        raise AssertionError(f"not so: {sentence}")
