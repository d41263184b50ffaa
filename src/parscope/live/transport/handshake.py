"""Who is at the other end of a connection: the greeting of ZMTP, by which ZeroMQ's sockets know each other.

After the public specifications rfc.zeromq.org/spec/23 (ZMTP 3.0) and /37 (3.1); NULL mechanism only.
"""

from __future__ import annotations

import select
import socket
import struct
from dataclasses import dataclass

from parscope.core.errors import InputError, OptionError

_SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
_GREETING = 64
PATIENCE = 3.0
"""How long the other end may take to answer, [s]."""
_SHY = 0.5  # s in which the other end says what it is, unless it waits to be told first
KEEPALIVE = {"TCP_KEEPALIVE": 1, "TCP_KEEPALIVE_IDLE": 5, "TCP_KEEPALIVE_INTVL": 2, "TCP_KEEPALIVE_CNT": 3}
"""How a connection that is silent is asked whether it still is one, by the names of ZeroMQ; times in [s].

Without, a detector that lost its power, or a cable that was pulled, looks like one that has nothing to send.
"""
_KEPT = {
    "TCP_KEEPALIVE": (socket.SOL_SOCKET, "SO_KEEPALIVE"),
    "TCP_KEEPALIVE_IDLE": (socket.IPPROTO_TCP, "TCP_KEEPIDLE"),
    "TCP_KEEPALIVE_INTVL": (socket.IPPROTO_TCP, "TCP_KEEPINTVL"),
    "TCP_KEEPALIVE_CNT": (socket.IPPROTO_TCP, "TCP_KEEPCNT"),
}
LOST = "the connection to {} is lost; it is made again as soon as that is possible"
BACK = "the connection to {} is there again; what was sent meanwhile is lost"


@dataclass(frozen=True)
class Address:
    """Where a detector's stream is to be had.

    Parameters
    ----------
    host : str
        Name or number of the machine.
    port : int
        TCP port.

    Examples
    --------
    >>> Address.parse("tcp://192.168.1.10:31001").port
    31001
    """

    host: str
    port: int

    def __str__(self) -> str:
        """As ZeroMQ writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address.

        Parameters
        ----------
        text : str
            ``tcp://HOST:PORT``.

        Returns
        -------
        Address

        Raises
        ------
        OptionError
            If it is none.
        """
        scheme, _, rest = text.partition("://")
        host, _, port = rest.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if scheme != "tcp" or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise OptionError("is no address of a stream", text, "write it as tcp://HOST:31001")
        return cls(host, int(port))


def connect(address: Address, patience: float = PATIENCE) -> socket.socket:
    """Open a connection and exchange greetings; no message has been sent by the other end then.

    A stream gives each message to one client only: whoever greets and leaves takes none away.

    Parameters
    ----------
    address : Address
        Of the other end.
    patience : float, default `PATIENCE`
        How long it may take, [s].

    Returns
    -------
    socket

    Raises
    ------
    InputError
        If it is not there, is no ZeroMQ, a version too old for this reader, or wants encryption.
    """
    try:
        made = socket.create_connection((address.host, address.port), patience)
    except (socket.gaierror, ValueError):  # or a name that cannot be one
        raise InputError("there is no machine of this name", str(address), "check the address") from None
    except ConnectionRefusedError:
        raise InputError("nothing listens there", str(address), "is the stream enabled, and the port right?") from None
    except OSError:
        raise InputError("cannot be reached", str(address), "check address, cable and firewall") from None
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option, value in KEEPALIVE.items():
            level, name = _KEPT[option]
            if hasattr(socket, name):
                made.setsockopt(level, getattr(socket, name), value)
        greeting = _SIGNATURE + b"\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
        check_greeting(_hear(made, greeting, _GREETING, address), address)
    except BaseException:
        made.close()
        raise
    return made


def check_greeting(greeting: bytes, address: Address) -> None:
    """Refuse what this reader does not speak.

    Parameters
    ----------
    greeting : bytes
        What came first; shorter than 64 bytes if no more came.
    address : Address
        Of the other end.

    Raises
    ------
    InputError
        With what it is, as far as that can be told.
    """
    where = str(address)
    if greeting[:1] == b"\x01" or (greeting[:1] == b"\xff" and greeting[10:11] in (b"\0", b"\1", b"\2")):
        raise InputError("speaks a ZeroMQ older than version 4", where, "leave out --low-latency, or update it")
    if len(greeting) < _GREETING or greeting[0] != 0xFF or not greeting[9] & 1:
        raise InputError("does not speak ZeroMQ", where, "is this the port of the stream?")
    mechanism = greeting[12:32].rstrip(b"\0").decode("ascii", "replace")
    if mechanism != "NULL":
        raise InputError(f"wants the {mechanism} security of ZeroMQ, which is not spoken here", where, "turn it off")


def introduce(connection: socket.socket, address: Address) -> None:
    """Say that this is a PULL socket, and hear what the other is.

    Parameters
    ----------
    connection : socket
        As `connect` gave it.
    address : Address
        Of the other end.

    Raises
    ------
    InputError
        If it is not a PUSH socket, or refuses.
    """
    body = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 4) + b"PULL"
    _expect_push(_hear(connection, bytes((4, len(body))) + body, 2, address), connection, address)


def probe(address: Address) -> bool:
    """See whether a stream is there, without becoming one of those to whom it sends.

    Parameters
    ----------
    address : Address
        Of the other end.

    Returns
    -------
    bool
        Whether it was reached by an address of the sixth version of IP, which ZeroMQ's library must be told.

    Raises
    ------
    InputError
        If it is not there, is no ZeroMQ, is not a PUSH socket, or wants encryption.
    """
    try:
        made = connect(address)
    except InputError as error:
        if "older" in error.what:  # which the library speaks
            return ":" in address.host
        raise
    with made:
        # as a rule it says what it is without having been told what this is: until then it has nobody to send to
        if select.select([made], [], [], _SHY)[0]:
            _expect_push(_hear(made, b"", 2, address), made, address)
        return made.family == socket.AF_INET6


def _expect_push(head: bytes, connection: socket.socket, address: Address) -> None:
    """Read the rest of what the other end says of itself."""
    if len(head) < 2 or head[0] != 4:
        raise _gone(address)
    told = _hear(connection, b"", head[1], address)
    if told[:6] != b"\x05READY":
        reason = told[7:].decode("ascii", "replace") if told[:6] == b"\x05ERROR" else "no reason given"
        raise InputError(f"refuses the connection: {reason}", str(address))
    kind = _properties(told[6:]).get("socket-type", "?")
    if kind != "PUSH":
        raise InputError(f"is a {kind} socket, not the PUSH socket of a stream", str(address), "check the port")


def _properties(data: bytes) -> dict[str, str]:
    """Properties of an introduction, by name in lower case."""
    found = {}
    while len(data) > 5:
        end = 1 + data[0]
        (length,) = struct.unpack(">I", data[end : end + 4].rjust(4, b"\0"))
        found[data[1:end].decode("ascii", "replace").lower()] = data[end + 4 : end + 4 + length].decode(
            "ascii", "replace"
        )
        data = data[end + 4 + length :]
    return found


def _hear(connection: socket.socket, said: bytes, size: int, address: Address) -> bytes:
    """Say something, and hear so many bytes, or fewer if the other end says no more."""
    got = b""
    try:
        connection.sendall(said)
        while len(got) < size and (some := connection.recv(size - len(got))):
            got += some
    except TimeoutError:
        if not got:
            raise InputError("does not answer", str(address), "is this the port of the stream?") from None
    except OSError:
        raise _gone(address) from None
    return got


def _gone(address: Address) -> InputError:
    """What is said where the other end hangs up."""
    return InputError("closed the connection", str(address), "is this the port of the stream?")
