"""UDP: one datagram a decision, for whatever acts within microseconds; nobody says whether it came."""

from __future__ import annotations

import socket

from parscope.core.errors import OutputError
from parscope.live.sinks.address import host_and_port


class UdpSink:
    """Sends datagrams to ``udp://host:port``.

    Parameters
    ----------
    address : str
        Where to; a name is looked up once, when it is opened.

    Raises
    ------
    OptionError
        If it is no such address.
    """

    name = "udp"

    def __init__(self, address: str) -> None:
        self.address, self.dropped, self.fault = address, 0, ""
        self._to = host_and_port(address)
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Look the host up and make the socket; whether anybody listens is not asked.

        Raises
        ------
        OutputError
            If there is no such host.
        """
        try:
            family, _, _, _, to = socket.getaddrinfo(*self._to, type=socket.SOCK_DGRAM)[0]
            made = socket.socket(family, socket.SOCK_DGRAM)
            made.setblocking(False)
            made.connect(to)  # saves the way to the host for every datagram
        except OSError as error:
            raise OutputError(f"cannot be reached: {error.strerror}", self.address, "check host and port") from None
        self._socket = made

    def send(self, message: bytes) -> None:
        """Send one datagram.

        Parameters
        ----------
        message : bytes
            A decision.

        Raises
        ------
        OutputError
            If the system does not take it.
        """
        if self._socket is None:
            raise OutputError("is not open", self.address)
        try:
            self._socket.send(message)
        except ConnectionRefusedError:  # of an earlier one: nobody listened then; this one was not sent yet
            self._lose("nobody listens")
            self._again(message)
        except OSError as error:
            self._lose(f"was not sent: {error.strerror}")
            raise OutputError(self.fault, self.address) from None

    def close(self) -> None:
        """Close the socket; may be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _again(self, message: bytes) -> None:
        """Send once more, after an answer of the host to the one before."""
        try:
            if self._socket is not None:
                self._socket.send(message)
        except OSError as error:
            self._lose(f"was not sent: {error.strerror}")
            raise OutputError(self.fault, self.address) from None

    def _lose(self, fault: str) -> None:
        """Count a message that nobody gets."""
        self.dropped += 1
        self.fault = fault
