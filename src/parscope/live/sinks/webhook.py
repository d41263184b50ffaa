"""HTTP webhook: a POST for every decision, to hosts on the list of this machine's owner only; for what may take time."""

from __future__ import annotations

import json

from parscope.core.errors import OutputError
from parscope.io import webhooks
from parscope.live.sinks.backlog import Backlog


class WebhookSink:
    """Posts to ``http://host:port/path`` or ``https://...``, one after the other, beside the loop.

    Parameters
    ----------
    address : str
        Its host must be on the list: see `parscope.io.webhooks.allowed`.

    Raises
    ------
    OptionError
        If it is no such address, or the host not on the list.
    InputError
        If the settings with the list cannot be read.
    """

    def __init__(self, address: str) -> None:
        self.name = webhooks.check(address).scheme
        self.address = address
        self._backlog: Backlog | None = None
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Messages that could not be delivered."""
        return self._dropped + (self._backlog.dropped if self._backlog else 0)

    @property
    def fault(self) -> str:
        """What went wrong last; empty if nothing did."""
        return self._backlog.fault if self._backlog else ""

    def open(self) -> None:
        """Begin to deliver; the host is asked with the first message."""
        self._backlog = Backlog(self._post, self.address)
        self._backlog.start()

    def send(self, message: bytes) -> None:
        """Put one message into the queue.

        Parameters
        ----------
        message : bytes
            A decision.

        Raises
        ------
        OutputError
            If the queue is full.
        """
        if self._backlog is None:
            raise OutputError("is not open", self.address)
        self._backlog.put(message)

    def close(self) -> None:
        """Deliver what waits, for some seconds at most; may be called twice."""
        if self._backlog is not None:
            self._backlog.stop()
            self._dropped += self._backlog.dropped
            self._backlog = None

    def _post(self, message: bytes) -> None:
        webhooks.post(self.address, json.loads(message))
