"""EPICS: the last decision as a process variable over pvAccess, which any EPICS client can monitor."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from parscope.core.errors import MissingExtraError, OptionError, OutputError

# Beside the message, which is the value: what clients want to show or to archive.
_FIELDS = (("rule", "s"), ("action", "s"), ("series", "l"), ("position", "l"), ("names", "as"), ("numbers", "ad"))


class PvaSink:
    """Serves the variable ``pva://NAME``: an NTScalar of text, the message, with its parts beside it.

    The parts are ``rule``, ``action``, ``series``, ``position``, ``names`` and ``numbers``. Clients cannot write it.
    Where it is served is set by the environment variables of EPICS (``EPICS_PVAS_INTF_ADDR_LIST`` and so on).

    Parameters
    ----------
    address : str
        With the name of the variable, such as ``pva://LAB:LIVE:DECISION``.

    Raises
    ------
    OptionError
        If it is no such address.
    """

    name = "pva"

    def __init__(self, address: str) -> None:
        self.address, self.dropped = address, 0
        found = re.fullmatch(r"pva://([A-Za-z0-9_:.\-{}\[\]<>;]{1,100})", address)
        if found is None:
            raise OptionError("is no address of this kind", address, "write it as pva://NAME")
        self.variable = found[1]
        self._server: Any = None
        self._value: Any = None

    def open(self) -> None:
        """Begin to serve.

        Raises
        ------
        OutputError
            If the server cannot be started.
        MissingExtraError
            If p4p is not installed.
        """
        try:
            from p4p.nt import NTScalar
            from p4p.server import Server
            from p4p.server.thread import SharedPV
        except ImportError:
            raise MissingExtraError("p4p", "epics") from None
        kind = NTScalar("s", extra=list(_FIELDS))
        self._value = SharedPV(nt=kind, initial="")
        try:
            self._server = Server(providers=[{self.variable: self._value}])
        except (RuntimeError, OSError) as error:
            raise OutputError(f"cannot be served: {error}", self.address, "check EPICS_PVAS_*") from None

    def send(self, message: bytes) -> None:
        """Post one message to all clients that monitor the variable.

        Parameters
        ----------
        message : bytes
            A decision.

        Raises
        ------
        OutputError
            If it cannot be posted.
        """
        if self._server is None:
            raise OutputError("is not open", self.address)
        told = json.loads(message)
        numbers = [float("nan") if value is None else value for value in told["values"].values()]
        now, part = divmod(time.time_ns(), 1_000_000_000)
        try:
            self._value.post(
                {
                    "value": message.decode(),
                    "timeStamp": {"secondsPastEpoch": now, "nanoseconds": part},
                    **{name: told[name] for name in ("rule", "action", "series", "position")},
                    "names": list(told["values"]),
                    "numbers": numbers,
                }
            )
        except (RuntimeError, TypeError, ValueError) as error:
            self.dropped += 1
            raise OutputError(f"was not posted: {error}", self.address) from None

    def close(self) -> None:
        """End serving; may be called twice."""
        if self._server is not None:
            self._value.close()
            self._server.stop()
            self._server = self._value = None
