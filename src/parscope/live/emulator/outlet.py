"""A socket of the stream: what is sent goes to one of its clients, in turn; and how many there are."""

from __future__ import annotations

import zmq
from zmq.utils.monitor import recv_monitor_message

from parscope.core.errors import OptionError

_LINGER = 2000
_FAILED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH


class Outlet:
    """Sends messages as a detector does: a PUSH socket that waits for clients.

    Parameters
    ----------
    context : zmq.Context
        Of the process.
    host : str
        Address to listen at.
    port : int
        Port to listen at; 0 for any that is free.
    most : int
        Messages that wait for a client at most; what comes then is lost.

    Raises
    ------
    OptionError
        If it cannot listen there.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], host: str, port: int, most: int) -> None:
        self.socket = context.socket(zmq.PUSH)
        self.socket.set(zmq.SNDHWM, most)
        self.socket.set(zmq.LINGER, _LINGER)
        self._monitor = self.socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | _FAILED)
        self._clients = self._strangers = 0
        try:
            self.socket.bind(f"tcp://{host}:{port or '*'}")
        except zmq.ZMQError as error:
            self.close()
            raise OptionError(f"cannot listen: {error}", f"{host}:{port}", "choose another port") from error
        address = self.socket.getsockopt(zmq.LAST_ENDPOINT)
        self.port = int(bytes(address).rstrip(b"\0").rsplit(b":", 1)[1]) if isinstance(address, bytes) else port

    def clients(self) -> int:
        """Clients that are connected now.

        Returns
        -------
        int
        """
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._clients += 1
            elif event & _FAILED:
                self._strangers += 1
            elif self._strangers:
                self._strangers -= 1  # what never was a client leaves too, right after it has failed
            else:
                self._clients = max(0, self._clients - 1)
        return self._clients

    def close(self) -> None:
        """Stop listening; what waits for a client is given two seconds."""
        self.socket.disable_monitor()
        self._monitor.close(0)
        self.socket.close()
