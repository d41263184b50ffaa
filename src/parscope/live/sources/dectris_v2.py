"""DECTRIS stream V2: one CBOR message per pattern, from the PUSH socket on port 31001."""

from __future__ import annotations

from collections.abc import Callable

from parscope.core.errors import InputError
from parscope.live.sources.address import Wishes
from parscope.live.transport.handshake import Address
from parscope.live.transport.zmq_pull import ZmqPull
from parscope.live.transport.zmtp import ZmtpPull


class DectrisV2Source:
    """Detector that sends stream V2.

    Parameters
    ----------
    address : str
        ``tcp://HOST:PORT``.
    wishes : Wishes
        Of which `Wishes.low_latency` is heard.

    Raises
    ------
    OptionError
        If it is no address.
    """

    name = "tcp"

    def __init__(self, address: str, wishes: Wishes) -> None:
        place = Address.parse(address)
        self._pull: ZmtpPull | ZmqPull = ZmtpPull(place, busy=True) if wishes.low_latency else ZmqPull(place)
        self._known = False

    def open(self) -> None:
        """Connect; see `parscope.core.contracts.Source.open`."""
        self._pull.open()

    def receive(self, wait: float) -> memoryview | None:
        """Take the next message; see `parscope.core.contracts.Source.receive`."""
        message = self._pull.receive(wait)
        if message is not None and not self._known:
            self._check(message)
        return message

    @property
    def many(self) -> ZmtpPull | None:
        """Where many messages can be taken at once; see `parscope.live.pipeline.bulk.Many`."""
        return self._pull if self._known and isinstance(self._pull, ZmtpPull) else None

    def _check(self, message: memoryview) -> None:
        """Refuse the first message if it is of another stream."""
        first = message[0] if len(message) else 0
        if first == ord("{"):
            raise InputError("speaks stream V1 here", str(self._pull.address), "give --v1, or set its format to cbor")
        if first >> 5 != 5:
            raise InputError("sends what is no message of stream V2", str(self._pull.address), "check the port")
        self._known = True

    def tell_to(self, tell: Callable[[str], None]) -> None:
        """Have somebody told what becomes of the connection; see `parscope.live.sources.address.make_source`."""
        self._pull.tell = tell

    def close(self) -> None:
        """Disconnect; see `parscope.core.contracts.Source.close`."""
        self._pull.close()
