"""One stream for several programs: a PUSH socket gives each message to one client only, whoever they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from parscope.core.errors import OptionError
from parscope.live.transport.handshake import Address, probe
from parscope.live.transport.zmq_pull import Watch, keep_alive, library

_QUEUE = 20_000
_BUFFER = 8 << 20
_AT_ONCE = 256  # messages between two looks whether to go on


@dataclass
class Branch:
    """One of the programs.

    Parameters
    ----------
    address : str
        Where it connects to.
    sent : int, default 0
        Messages that were handed over.
    dropped : int, default 0
        Messages for which it had no room, or while nobody was connected.
    """

    address: str
    sent: int = 0
    dropped: int = 0


class Tee:
    """Takes a stream, V1 or V2, and gives all of it to every branch; a context manager.

    No branch waits for another: one that is too slow loses messages, which are counted, after 20 000 of them wait.

    Parameters
    ----------
    source : Address
        Of the detector.
    ports : sequence of int
        Where programs connect, one each; 0 for any that is free.
    host : str, default "127.0.0.1"
        On which network they connect; ``*`` for any.
    tell : callable, optional
        Is told, in a sentence, that the connection to the detector is lost, and that it is there again.

    Attributes
    ----------
    received : int
        Messages that came.
    branches : list of Branch
        The programs.
    """

    def __init__(
        self,
        source: Address,
        ports: Sequence[int],
        host: str = "127.0.0.1",
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.source, self._ports, self._host, self.tell = source, ports, host, tell
        self.received = 0
        self.branches: list[Branch] = []
        self._sockets: list[Any] = []

    def __enter__(self) -> Tee:
        """Connect to the detector, and listen.

        Raises
        ------
        InputError
            If the detector cannot be reached, or speaks something else.
        OptionError
            If a port is taken.
        MissingExtraError
            If pyzmq is not installed.
        """
        zmq = library()
        self._zmq = zmq
        sixth = probe(self.source)
        self._context = zmq.Context()
        self._pull = self._socket(zmq.PULL, sixth)
        self._watch = Watch(self._pull, self.source)
        self._pull.connect(str(self.source))
        try:
            for port in self._ports:
                self._branch(port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect; what waits for a program is given a second."""
        self._context.destroy(linger=1000)

    def pump(self, wait: float) -> int:
        """Pass on what has come.

        Parameters
        ----------
        wait : float
            Longest time to wait for the first message, [s].

        Returns
        -------
        int
            Messages that were passed on.
        """
        if not self._pull.poll(wait * 1e3):
            self._watch.look(self.tell)
            return 0
        count = 0
        again, now = self._zmq.Again, self._zmq.NOBLOCK
        try:
            while count < _AT_ONCE:
                parts = self._pull.recv_multipart(now, copy=False)
                count += 1
                for branch, socket in zip(self.branches, self._sockets, strict=True):
                    self._give(branch, socket.send_multipart, parts)
        except again:
            pass
        self.received += count
        return count

    def _give(self, branch: Branch, send: Callable[..., Any], parts: Any) -> None:
        """Hand a message to one program, if it has room."""
        try:
            send(parts, self._zmq.NOBLOCK, copy=False)
            branch.sent += 1
        except self._zmq.Again:
            branch.dropped += 1

    def _branch(self, port: int) -> None:
        """Listen on a port."""
        socket = self._socket(self._zmq.PUSH, ":" in self._host)
        host = f"[{self._host}]" if ":" in self._host else self._host
        try:
            socket.bind(f"tcp://{host}:{port or '*'}")
        except self._zmq.ZMQError as error:
            raise OptionError(f"cannot listen: {error}", f"port {port}", "choose another") from None
        told = socket.getsockopt(self._zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
        self.branches.append(Branch(told))
        self._sockets.append(socket)

    def _socket(self, kind: int, sixth: bool) -> Any:
        """A socket with room."""
        made = self._context.socket(kind)
        keep_alive(made, sixth)
        made.set_hwm(_QUEUE)
        made.setsockopt(self._zmq.RCVBUF, _BUFFER)
        made.setsockopt(self._zmq.SNDBUF, _BUFFER)
        return made
