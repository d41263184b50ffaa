"""What stands in a message of stream V2, in about a microsecond: which image it is, and where its samples are.

Only the few fields that a loop over images needs are read, and nothing is copied: a `Payload` says where the bytes of
a pattern lie in the message. `messages` reads all of a message, slowly, and with a library.

How the freedoms of the format are treated:

- several channels: all are told, in the order of the message; each has its own type, shape and compression;
- big-endian samples and column-major arrays: told by the payload; `Decompressor` brings both into the order of this
  machine, rows first, at the cost of one pass;
- lengths that are not told beforehand (RFC 8949, 3.2.2): read for maps, refused for the names, shapes and samples that
  are needed, passed over elsewhere;
- a key twice: refused for the keys that are read, and for channels; overlooked elsewhere;
- keys that are not known: passed over, up to a depth of 32;
- bytes behind the message, numbers beyond 63 bits, an image of other than two dimensions: refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parscope.live.wire import _cbor, _table
from parscope.live.wire._walk import walk, walk_run
from parscope.live.wire.errors import MessageError

Buffer = bytes | bytearray | memoryview

SAMPLES = {
    64: "|u1",
    65: ">u2",
    66: ">u4",
    67: ">u8",
    68: "|u1",
    69: "<u2",
    70: "<u4",
    71: "<u8",
    72: "|i1",
    73: ">i2",
    74: ">i4",
    75: ">i8",
    77: "<i2",
    78: "<i4",
    79: "<i8",
    80: ">f2",
    81: ">f4",
    82: ">f8",
    84: "<f2",
    85: "<f4",
    86: "<f8",
}
"""NumPy type of the samples by the tag of a typed array (RFC 8746)."""

_KINDS = ("other", "start", "image", "end")
_FAULTS = {
    _cbor.TRUNCATED: "it ends before its content does",
    _cbor.RESERVED: "it has a byte that no item begins with",
    _cbor.DEEP: f"it is nested deeper than {_cbor.DEPTH} levels",
    _cbor.BREAK: "something in it ends that has not begun, or not in the middle",
    _cbor.NUMBER: "it has a number beyond 63 bits, or a time that is none",
    _cbor.KIND: "a field of it is of another type than it must be",
    _cbor.DUPLICATE: "a field of it, or a channel, stands twice",
    _cbor.TRAILING: "bytes follow its end",
    _cbor.MISSING: "it does not say which image of which series it is, or holds none",
    _cbor.MANY: f"it has more than {_table.CHANNELS_AT_MOST} channels",
    _cbor.LONG: f"a name in it is longer than {_table.NAME_AT_MOST} bytes",
    _cbor.CHUNKED: "a name in it is in pieces",
    _cbor.IMAGE: "a channel of it is no image of two dimensions and a known type",
}
_WHERE, _ADVICE = "message", "is this a DECTRIS detector with the stream's format set to cbor?"


@dataclass(slots=True)
class Payload:
    """Where in a message the samples of one channel are, and what they are.

    Parameters
    ----------
    name : str
        Of the channel, such as ``threshold_1``.
    shape : tuple of int
        Detector pixels (q_y, q_x).
    stored : str
        NumPy type of the samples as they lie in the message, with the order of bytes: ``|u1``, ``<u2``, ``>u4``, ...
    algorithm : str
        ``none``, ``bslz4``, ``lz4``, ``bszstd``, ``trpx``, or what else the message says.
    element : int
        Bytes of an element as the compression knows it; 0 where it does not matter.
    offset, length : int
        First byte of the samples in the message, and how many there are.
    by_columns : bool, default False
        The samples are in column-major order.
    """

    name: str
    shape: tuple[int, int]
    stored: str
    algorithm: str
    element: int
    offset: int
    length: int
    by_columns: bool = False

    @property
    def dtype(self) -> str:
        """NumPy name of the type of the samples, whatever their order of bytes: ``uint8``, ``uint16``, ..."""
        return np.dtype(self.stored).name


@dataclass(slots=True)
class Head:
    """What a message says, as far as a loop over images must know.

    Parameters
    ----------
    kind : str
        ``start``, ``image``, ``end`` or ``other``.
    series, image : int
        Numbers of the series, and of the image in it; -1 where it says none.
    start_ns, stop_ns : int
        When the exposure began and ended, on the clock of the detector, since the start of the series [ns]; -1 if
        unknown.
    sent_ns : int
        What the sender wrote into ``user_data`` as ``sent_ns``: its monotonic clock [ns], of use on one machine only;
        -1 if nothing.
    channels : tuple of Payload
        Where the samples are, in the order of the message; empty for what is no image.
    """

    kind: str = "other"
    series: int = -1
    image: int = -1
    start_ns: int = -1
    stop_ns: int = -1
    sent_ns: int = -1
    channels: tuple[Payload, ...] = ()


class Scanner:
    """Reads the heads of messages one after the other without allocating: for one thread.

    Making one compiles what it needs, or loads that from disk: make it before the first message comes.

    Examples
    --------
    >>> from parscope.live.wire.encode import end_message
    >>> from parscope.core.stream import Series
    >>> head = Scanner().scan(end_message(Series(7, "", 16, (4, 4), "uint8", ("threshold_1",))))
    >>> head.kind, head.series, head.image
    ('end', 7, -1)
    """

    def __init__(self) -> None:
        self._table = np.zeros(_table.TABLE, np.int64)
        self._first = self._table[: _table.LENGTH + 1]
        self._names = self._table[_table.NAMES :].view(np.uint8).reshape(_table.CHANNELS_AT_MOST, 2, -1)
        self._payloads: tuple[Payload, ...] = ()
        self._head = Head()
        nothing = np.zeros((0, 2), np.int64)
        heads = np.zeros((0, _table.LENGTH + 1), np.int64)
        walk_run(self._names.reshape(-1), nothing, self._table, (1, 0), (0, 0), heads)
        for empty in (b"\xa0", bytearray(b"\xa0")):
            self.scan(empty)  # numba compiles for memory that may be written, and once more for memory that may not

    def scan(self, message: Buffer) -> Head:
        """Read the head of one message.

        Parameters
        ----------
        message : bytes-like
            One message; it is not kept.

        Returns
        -------
        Head
            The same object at every call, and so are its payloads: it says what the last message said.

        Raises
        ------
        MessageError
            If the message is malformed, or is an image that cannot be found in it.
        """
        code = walk(np.frombuffer(message, np.uint8), self._table) if len(message) else _cbor.TRUNCATED
        if code < 0:
            # what has been compared with the last message is half overwritten
            self._payloads = ()
            raise MessageError(f"{_FAULTS[code]} (byte {self._table[_table.WHERE]})", _WHERE, _ADVICE)
        head = self._head
        kind, head.series, head.image, head.start_ns, head.stop_ns, head.sent_ns, count, offset, length = (
            self._first.tolist()
        )
        head.kind = _KINDS[kind]
        if count != len(self._payloads) or code:
            self._payloads = tuple(self._payload(channel) for channel in range(count))
        elif count:
            self._payloads[0].offset, self._payloads[0].length = offset, length
            if count > 1:
                self._place()
        head.channels = self._payloads
        return head

    @property
    def channels(self) -> tuple[Payload, ...]:
        """Channels of the last message."""
        return self._payloads

    def scan_run(
        self,
        data: NDArray[np.uint8],
        spans: NDArray[np.int64],
        channel: int,
        follow: tuple[int, int],
        heads: NDArray[np.int64],
    ) -> int:
        """Read the heads of several messages at once, as far as they are images like the one that was read last.

        They are of one series, and their numbers follow each other without a gap.

        Parameters
        ----------
        data : ndarray of uint8, shape (m,)
            Memory that holds them all.
        spans : ndarray of int64, shape (n, 2)
            Where each begins, and its length.
        channel : int
            Number of the channel that is wanted, of those that the last `Head` told.
        follow : tuple of int
            Number of the series, and of the first image.
        heads : ndarray of int64, shape (n, 9)
            Takes a line each: kind, series, image, begin and end of the exposure, time of sending, number of channels
            (as in `Head`, -1 for what is not there), first byte of the samples in `data`, and their length.

        Returns
        -------
        int
            How many are such; the first one that is not is for `scan` to read.
        """
        count = len(self._payloads)
        if channel >= count:
            return 0
        done = int(walk_run(data, spans, self._table, (count, channel), follow, heads))
        if done < len(spans):
            self._payloads = ()  # the table was compared with a message of another kind
        return done

    def _place(self) -> None:
        """Say of every channel where it is."""
        for channel, payload in enumerate(self._payloads):
            row = _table.OFFSET + _table.FIELDS * channel
            payload.offset, payload.length = self._table[row : row + 2].tolist()

    def _payload(self, channel: int) -> Payload:
        """Describe one channel anew."""
        row = _table.OFFSET + _table.FIELDS * channel
        offset, length, rows, columns, order, samples, element = self._table[row : row + _table.FIELDS].tolist()
        if samples not in SAMPLES:
            raise self._odd(f"a channel of it has samples of an unknown type (tag {samples})")
        name, compression = self._names[channel]
        algorithm = "none" if element == _table.UNCOMPRESSED else self._text(compression)
        return Payload(
            self._text(name),
            (rows, columns),
            SAMPLES[samples],
            algorithm,
            max(element, 0),
            offset,
            length,
            order == _table.COLUMN_MAJOR,
        )

    def _text(self, word: NDArray[np.uint8]) -> str:
        """Decode a name."""
        try:
            return word[1 : 1 + int(word[0])].tobytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._odd("a name in it is no text") from error

    def _odd(self, fault: str) -> MessageError:
        """Forget the channels, and say why."""
        self._payloads = ()
        return MessageError(fault, _WHERE, _ADVICE)


def scan(message: Buffer) -> Head:
    """Read the head of one message; in a loop, `Scanner` is faster.

    Parameters
    ----------
    message : bytes-like
        One message.

    Returns
    -------
    Head

    Raises
    ------
    MessageError
        If the message is malformed, or is an image that cannot be found in it.
    """
    return Scanner().scan(message)
