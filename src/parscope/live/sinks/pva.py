"""EPICS: the last decision as a process variable over pvAccess, which any EPICS client can monitor."""

from __future__ import annotations

import json
import re
import time
from importlib import import_module
from typing import Any

from parscope.core.errors import MissingExtraError, OptionError, OutputError
from parscope.live.sinks.queued import QueuedSink

# Beside the message, which is the value: what clients want to show or to archive.
_FIELDS = (("rule", "s"), ("action", "s"), ("series", "l"), ("position", "l"), ("names", "as"), ("numbers", "ad"))


class PvaSink(QueuedSink):
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
        super().__init__(address)
        found = re.fullmatch(r"pva://([A-Za-z0-9_:.\-{}\[\]<>;]{1,100})", address)
        if found is None:
            raise OptionError("is no address of this kind", address, "write it as pva://NAME")
        self.variable = found[1]
        self._server: Any = None
        self._value: Any = None

    def _begin(self) -> None:
        try:
            nt, server, thread = map(import_module, ("p4p.nt", "p4p.server", "p4p.server.thread"))
        except ImportError:
            raise MissingExtraError("p4p", "epics") from None
        self._value = thread.SharedPV(nt=nt.NTScalar("s", extra=list(_FIELDS)), initial="")
        try:
            self._server = server.Server(providers=[{self.variable: self._value}])
        except (RuntimeError, OSError) as error:
            raise OutputError(f"cannot be served: {error}", self.address, "check EPICS_PVAS_*") from None

    def _deliver(self, message: bytes) -> None:
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
            raise OutputError(f"was not posted: {error}", self.address) from None

    def _end(self) -> None:
        self._value.close()
        self._server.stop()
        self._server = self._value = None
