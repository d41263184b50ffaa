"""HTTP webhook: a POST for every decision, only to hosts that the owner of this machine allows; it may take time."""

from __future__ import annotations

import json

from parscope.io import webhooks
from parscope.live.sinks.queued import QueuedSink


class WebhookSink(QueuedSink):
    """Posts to ``http://host:port/path`` or ``https://...``, one after the other, beside the loop.

    The host is asked with the first message, not when the sink is opened.

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
        super().__init__(address)
        self.name = webhooks.check(address).scheme

    def _begin(self) -> None:
        """Nothing is held."""

    def _deliver(self, message: bytes) -> None:
        webhooks.post(self.address, json.loads(message))

    def _end(self) -> None:
        """Nothing is held."""
