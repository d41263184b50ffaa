"""DECTRIS's older stream V1, of several parts a message, from the PUSH socket on port 9999; translated at the door."""

from __future__ import annotations

from collections.abc import Callable

from parscope.core.errors import InputError
from parscope.live.sources.address import Wishes
from parscope.live.transport.handshake import Address
from parscope.live.transport.zmq_pull import ZmqPull
from parscope.live.transport.zmtp import ZmtpPull
from parscope.live.wire.errors import MessageError
from parscope.live.wire.v1 import translate


class DectrisV1Source:
    """Detector that sends stream V1.

    Parameters
    ----------
    address : str
        ``v1://HOST:PORT`` or ``tcp://HOST:PORT``.
    wishes : Wishes
        Of which `Wishes.low_latency` is heard.

    Raises
    ------
    OptionError
        If it is no address.
    """

    name = "v1"

    def __init__(self, address: str, wishes: Wishes) -> None:
        place = Address.parse("tcp" + address[address.find(":") :])
        self._pull: ZmtpPull | ZmqPull = ZmtpPull(place, busy=True) if wishes.low_latency else ZmqPull(place)
        self._known = False

    def open(self) -> None:
        """Connect; see `parscope.core.contracts.Source.open`."""
        self._pull.open()

    def receive(self, wait: float) -> memoryview | None:
        """Take the next message; see `parscope.core.contracts.Source.receive`."""
        parts = self._pull.receive_parts(wait)
        if parts is None:
            return None
        if not self._known:
            self._check(parts)
        try:
            message = translate(parts)
        except MessageError:
            # it is counted as damaged where all messages are
            return memoryview(b"".join(parts[:1]))
        return None if message is None else memoryview(message)

    def _check(self, parts: list[bytes]) -> None:
        """Refuse the first message if it is of another stream."""
        if parts[0][:1] != b"{":
            told = "speaks stream V2 here" if parts[0] and parts[0][0] >> 5 == 5 else "sends what is no stream V1"
            raise InputError(told, str(self._pull.address), "leave out --v1, or set its format to legacy")
        self._known = True

    def tell_to(self, tell: Callable[[str], None]) -> None:
        """Have somebody told what becomes of the connection; see `parscope.live.sources.address.make_source`."""
        self._pull.tell = tell

    def close(self) -> None:
        """Disconnect; see `parscope.core.contracts.Source.close`."""
        self._pull.close()
