"""Messages of stream V2 as a detector sends them, for replay, for simulated patterns and for the emulator.

The numbers that differ from image to image have eight bytes each and stand in front, always at the same places: a
message that was made once can be sent again as another image (`patch`), with the compression paid once.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from numpy.typing import NDArray

from parscope.core.stream import Series
from parscope.live.wire._codec import codec
from parscope.live.wire.errors import MessageError
from parscope.live.wire.pack import Packed, pack
from parscope.live.wire.scan import SAMPLES

_SAMPLE_TAGS = {stored: tag for tag, stored in SAMPLES.items()} | {"|u1": 64}

_NANO = b"\x1a" + struct.pack(">I", 10**9)
_EIGHT = b"\x1b" + bytes(8)
_RATIO = b"\x82" + _EIGHT + _NANO


@lru_cache(256)
def _text(text: str) -> bytes:
    return bytes(codec().dumps(text))


@lru_cache(64)
def _key(name: str) -> bytes:
    """A short key, as every key of the stream is."""
    return bytes([0x60 + len(name)]) + name.encode()


def _front() -> tuple[bytes, dict[str, int]]:
    """The keys whose values are patched, and where these values are."""
    front, places = _key("type") + _key("image"), {}
    for name, value in (("series_id", _EIGHT), ("image_id", _EIGHT)):
        front += _key(name)
        places[name] = 1 + len(front) + 1
        front += value
    for name in ("start_time", "stop_time", "real_time"):
        front += _key(name)
        places[name] = 1 + len(front) + 2
        front += _RATIO
    front += _key("user_data")
    places["user_data"] = 1 + len(front)
    return front, places


_FRONT, _AT = _front()
_SENT = _key("sent_ns") + _EIGHT
_SENT_AT = _AT["user_data"] + 1 + len(_SENT) - 8
_PAIRS = 10
_HEADER = bytes([0xA0 + _PAIRS])
_BEFORE = _HEADER + _FRONT[: _AT["series_id"] - 1]


def _date(series: Series) -> Any:
    """When the series was armed, as the tag of a date; now if it does not say."""
    told = series.metadata.get("arm_date")
    date = (
        told if isinstance(told, str) else datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    )
    return codec().CBORTag(0, date)


def start_message(series: Series, user_data: Any = None) -> bytes:
    """Announce a series.

    Parameters
    ----------
    series : Series
        What is announced. What its metadata say goes along under the names that they have there, ``arm_date`` also
        with the images; a mask goes along for every channel, as with ``header_detail=all``.
    user_data : any, optional
        What a person has set as ``header_appendix``: numbers, text, lists and mappings, such as
        ``{"scan_shape": [64, 64]}``.

    Returns
    -------
    bytes

    Raises
    ------
    MissingExtraError
        If cbor2 is not installed.

    Examples
    --------
    >>> from parscope.live.wire.messages import read_start
    >>> message = start_message(Series(3, "a", 16, (4, 6), "uint16", ("threshold_1",)))
    >>> read_start(message).shape
    (4, 6)
    """
    rows, columns = series.shape
    content: dict[str, Any] = {"type": "start", "arm_date": _date(series)}
    content |= {key: value for key, value in series.metadata.items() if key not in ("type", "arm_date")}
    content |= {
        "series_id": series.number,
        "series_unique_id": series.unique,
        "number_of_images": series.images,
        "image_size_x": columns,
        "image_size_y": rows,
        "image_dtype": series.dtype,
        "channels": list(series.channels),
        "saturation_value": series.metadata.get("saturation_value", series.nodata - 1),
    }
    if series.mask is not None:
        mask = array_tag(series.mask.astype("<u4"))
        content |= {"pixel_mask_enabled": True, "pixel_mask": dict.fromkeys(series.channels, mask)}
    if user_data is not None:
        content["user_data"] = user_data
    return bytes(codec().dumps(content))


def array_tag(array: NDArray[Any]) -> Any:
    """Tag an uncompressed array, as masks and flat-fields are sent.

    Parameters
    ----------
    array : ndarray of uint32 or float32, shape (q_y, q_x)
        Values, least significant byte first.

    Returns
    -------
    CBORTag

    Raises
    ------
    MissingExtraError
        If cbor2 is not installed.
    """
    tag = _SAMPLE_TAGS[array.dtype.str]
    return codec().CBORTag(40, [list(array.shape), codec().CBORTag(tag, array.tobytes())])


def end_message(series: Series) -> bytes:
    """End a series.

    Parameters
    ----------
    series : Series
        What has come to its end.

    Returns
    -------
    bytes

    Raises
    ------
    MissingExtraError
        If cbor2 is not installed.
    """
    return bytes(codec().dumps({"type": "end", "series_id": series.number, "series_unique_id": series.unique}))


def image_message(
    series: Series,
    image: int,
    channels: Mapping[str, Packed | NDArray[Any]],
    times: tuple[int, int] = (0, 0),
    user_data: Mapping[str, Any] | None = None,
    algorithm: str = "bslz4",
) -> bytes:
    """Send one pattern of every channel.

    Parameters
    ----------
    series : Series
        To which it belongs.
    image : int
        Number of the image in the series.
    channels : mapping of str to Packed or ndarray, shape (q_y, q_x)
        Patterns by the name of their channel; arrays are compressed.
    times : tuple of int, default (0, 0)
        Begin and end of the exposure, since the start of the series [ns].
    user_data : mapping, optional
        What a person has set as ``image_appendix``. With ``sent_ns`` in it that number comes first, where `patch`
        finds it.
    algorithm : str, default "bslz4"
        How arrays are compressed; see `pack`.

    Returns
    -------
    bytes

    Raises
    ------
    OptionError
        If the compression is not known.
    MissingExtraError
        If cbor2 or the library of the compression is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from parscope.live.wire.scan import scan
    >>> series = Series(3, "a", 16, (4, 6), "uint16", ("threshold_1",))
    >>> message = image_message(series, 5, {"threshold_1": np.zeros((4, 6), np.uint16)}, (100, 300))
    >>> head = scan(message)
    >>> head.image, head.stop_ns, head.channels[0].shape, head.channels[0].algorithm
    (5, 300, (4, 6), 'bslz4')
    """
    data = b"".join(_text(name) + _payload(pattern, algorithm) for name, pattern in channels.items())
    message = bytearray(
        _HEADER
        + _FRONT
        + _user(user_data)
        + _key("series_unique_id")
        + _text(series.unique)
        + _key("series_date")
        + bytes(codec().dumps(_date(series)))
        + _key("data")
        + _header(5, len(channels))
        + data
    )
    patch(message, image=image, series=series.number, times=times, sent_ns=_sent(user_data))
    return bytes(message)


def _sent(user_data: Mapping[str, Any] | None) -> int | None:
    """The time of sending, if there is one."""
    sent = (user_data or {}).get("sent_ns")
    return sent if isinstance(sent, int) and 0 <= sent < 1 << 63 else None


def _user(user_data: Mapping[str, Any] | None) -> bytes:
    """Data of the user, the time of sending first."""
    if user_data is None or _sent(user_data) is None:
        return bytes(codec().dumps(user_data))
    rest = {key: value for key, value in user_data.items() if key != "sent_ns"}
    pairs = b"".join(_text(key) + bytes(codec().dumps(value)) for key, value in rest.items())
    return _header(5, len(user_data)) + _SENT + pairs


@lru_cache(1024)
def _header(major: int, value: int) -> bytes:
    """The head of an item."""
    if value < 24:
        return bytes([major << 5 | value])
    width = next(width for width in (1, 2, 4, 8) if value < 1 << 8 * width)
    return bytes([major << 5 | 24 + width.bit_length() - 1]) + value.to_bytes(width, "big")


def _payload(pattern: Packed | NDArray[Any], algorithm: str) -> bytes:
    """One pattern: tag of the array, its shape, tag of the samples, its bytes."""
    packed = pattern if isinstance(pattern, Packed) else pack(pattern, algorithm)
    rows, columns = packed.shape
    content = _header(2, len(packed.data)) + packed.data
    if packed.algorithm != "none":
        head = _header(6, 56500) + b"\x83" + _text(packed.algorithm) + _header(0, packed.element)
        content = head + content
    shape = b"\x82" + _header(0, rows) + _header(0, columns)
    order = _header(6, 1040 if packed.by_columns else 40)
    return order + b"\x82" + shape + _header(6, _SAMPLE_TAGS[packed.stored]) + content


def patch(
    message: bytearray | memoryview,
    *,
    image: int | None = None,
    series: int | None = None,
    times: tuple[int, int] | None = None,
    sent_ns: int | None = None,
) -> None:
    """Make another image of a message that `image_message` has made, in place.

    Parameters
    ----------
    message : bytearray or writable memoryview
        Such a message.
    image, series : int, optional
        New numbers.
    times : tuple of int, optional
        New begin and end of the exposure [ns].
    sent_ns : int, optional
        New time of sending; for messages that were made with one.

    Raises
    ------
    MessageError
        If it was not made by `image_message`, or has no time of sending to be changed.
    """
    if bytes(message[: len(_BEFORE)]) != _BEFORE:
        raise MessageError("only messages of image_message can be patched", "message")
    if series is not None:
        struct.pack_into(">Q", message, _AT["series_id"], series)
    if image is not None:
        struct.pack_into(">Q", message, _AT["image_id"], image)
    if times is not None:
        start, stop = times
        struct.pack_into(">Q", message, _AT["start_time"], start)
        struct.pack_into(">Q", message, _AT["stop_time"], stop)
        struct.pack_into(">Q", message, _AT["real_time"], max(stop - start, 0))
    if sent_ns is not None:
        if bytes(message[_SENT_AT - len(_SENT) + 8 : _SENT_AT]) != _SENT[:-8]:
            raise MessageError("it was made without a time of sending", "message", "make it with user_data sent_ns=0")
        struct.pack_into(">Q", message, _SENT_AT, sent_ns)
