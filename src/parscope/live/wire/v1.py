"""DECTRIS's older stream V1, messages of several parts in JSON and bytes, translated to V2 and made from it.

What differs, and how it is treated:

- shapes are (x, y) here, and the only channel has no name: it becomes ``threshold_1``;
- ``bs16-lz4<`` is the framing of V2 byte for byte, and stays as it is. The simulator of LiberTEM leaves its header of
  twelve bytes empty: it is filled in;
- ``lz4<`` is one LZ4 block without any framing. It gets sixteen bytes of framing in front, and stays as it is; a block
  that is by chance as long as what is in it would read as uncompressed then, and is decompressed;
- ``<`` alone is uncompressed, ``>`` in place of it big-endian;
- times are in nanoseconds since the start of the series, images are counted from zero, as in V2.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from hashlib import md5
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError
from parscope.core.stream import Series
from parscope.live.wire import lz4
from parscope.live.wire._codec import codec
from parscope.live.wire.encode import end_message, image_message, start_message
from parscope.live.wire.errors import MessageError
from parscope.live.wire.pack import Packed, pack

Part = bytes | bytearray | memoryview

CHANNEL = "threshold_1"
"""Name that the only channel of stream V1 gets."""

_ENCODING = re.compile(r"(?:bs(8|16|32)-?)?(lz4)?([<>])")
_FRAMING, _BLOCK = 12, 8192
_SIDE = 1 << 16
_WHERE, _ADVICE = "message of stream V1", "is this a DECTRIS detector with the stream's format set to legacy?"
_NAMES = {
    "x_pixels_in_detector": "image_size_x",
    "y_pixels_in_detector": "image_size_y",
    "description": "detector_description",
    "detector_number": "detector_serial_number",
    "x_pixel_size": "pixel_size_x",
    "y_pixel_size": "pixel_size_y",
    "wavelength": "incident_wavelength",
    "photon_energy": "incident_energy",
    "data_collection_date": "arm_date",
}


def translate(parts: Sequence[Part]) -> bytes | None:
    """Make one message of stream V2 of the parts of one of V1.

    Parameters
    ----------
    parts : sequence of bytes-like
        All parts of one message.

    Returns
    -------
    bytes, optional
        The message; None for a kind that V2 does not have.

    Raises
    ------
    MessageError
        If the parts are malformed, or too few.
    MissingExtraError
        If cbor2 is not installed.

    Examples
    --------
    >>> from parscope.live.wire.scan import scan
    >>> series = Series(3, "", 16, (4, 6), "uint16", (CHANNEL,))
    >>> parts = image_parts(series, 5, np.zeros((4, 6), np.uint16), (100, 300))
    >>> head = scan(translate(parts))
    >>> head.image, head.stop_ns, head.channels[0].shape
    (5, 300, (4, 6))
    """
    try:
        return _translated(_json(parts, 0), parts)
    except (codec().CBORError, ValueError, RecursionError) as error:
        raise MessageError(f"what it says has no place in V2: {' '.join(str(error).split())}", _WHERE) from error


def _translated(head: Mapping[str, Any], parts: Sequence[Part]) -> bytes | None:
    """One message, by its kind."""
    kind = str(head.get("htype", "")).partition("-")[0]
    if kind == "dheader":
        return _start(head, parts)
    if kind == "dimage":
        return _image(head, parts)
    return end_message(_series(_number(head, "series"))) if kind == "dseries_end" else None


def _json(parts: Sequence[Part], which: int) -> dict[str, Any]:
    """A part that is a JSON object."""
    if which >= len(parts):
        raise MessageError(f"it has {len(parts)} parts only", _WHERE, _ADVICE)
    try:
        content = json.loads(bytes(parts[which]))
    except (ValueError, RecursionError) as error:
        raise MessageError(f"part {which + 1} is no JSON", _WHERE, _ADVICE) from error
    if not isinstance(content, dict):
        raise MessageError(f"part {which + 1} is no JSON object", _WHERE, _ADVICE)
    return content


def _number(content: Mapping[str, Any], name: str) -> int:
    """A number from zero up to 63 bits."""
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise MessageError(f"its {name} is {value!r}, no number from zero up", _WHERE, _ADVICE)
    return value


def _shape(content: Mapping[str, Any]) -> tuple[int, int]:
    """Detector pixels (y, x)."""
    shape = content.get("shape")
    if not isinstance(shape, list) or len(shape) != 2 or not all(type(n) is int and 0 < n < _SIDE for n in shape):
        raise MessageError(f"its shape is {shape!r}, not two lengths", _WHERE, _ADVICE)
    return shape[1], shape[0]


def _series(number: int, shape: tuple[int, int] = (0, 0), dtype: str = "uint8") -> Series:
    """What a message alone says of its series."""
    return Series(number, "", 0, shape, dtype, (CHANNEL,))


def _start(head: Mapping[str, Any], parts: Sequence[Part]) -> bytes:
    """Announce a series; what the detector was not set to tell is missing then."""
    if head.get("header_detail") == "none" or len(parts) < 2:
        raise MessageError("the start of the series does not say its shape", _WHERE, "set header_detail to basic")
    config = _json(parts, 1)
    shape = (_number(config, "y_pixels_in_detector"), _number(config, "x_pixels_in_detector"))
    external = config.get("trigger_mode") in ("exte", "inte")
    images = _number(config, "ntrigger") * (1 if external else _number(config, "nimages"))
    told = {_NAMES.get(name, name): value for name, value in config.items() if name != "threshold_energy"}
    told["threshold_energy"] = {CHANNEL: config.get("threshold_energy")}
    mask, user_data = _extras(parts[2:], shape)
    depth = _number(config, "bit_depth_image")
    if depth not in (8, 16, 32):
        raise MessageError(f"its samples have {depth} bits, not 8, 16 or 32", _WHERE, _ADVICE)
    dtype = f"uint{depth}"
    return start_message(Series(_number(head, "series"), "", images, shape, dtype, (CHANNEL,), mask, told), user_data)


def _extras(parts: Sequence[Part], shape: tuple[int, int]) -> tuple[NDArray[np.bool_] | None, Any]:
    """Mask and data of the user, among what may follow the configuration: pairs of a head and bytes, and the data."""
    mask, at = None, 0
    while at < len(parts):
        kind = _kind(parts[at])
        if not kind:
            return mask, _user(parts[at])
        if kind == "dpixelmask" and at + 1 < len(parts):
            mask = _mask(_shape(_json(parts, at)), parts[at + 1], shape)
        at += 2
    return mask, None


def _kind(part: Part) -> str:
    """What a part says it is; empty for data of the user."""
    try:
        content = json.loads(bytes(part))
    except (ValueError, RecursionError):
        return ""
    return str(content.get("htype", "")).partition("-")[0] if isinstance(content, dict) else ""


def _mask(told: tuple[int, int], data: Part, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels that are unusable."""
    if told != shape or len(data) != 4 * shape[0] * shape[1]:
        raise MessageError(f"the pixel mask is not of the shape of the patterns, {shape}", _WHERE, _ADVICE)
    return np.asarray(np.frombuffer(data, "<u4").reshape(shape) != 0)


def _user(part: Part) -> Any:
    """Data of the user: JSON if it is, text otherwise."""
    try:
        return json.loads(bytes(part))
    except (ValueError, RecursionError):
        return bytes(part).decode("utf-8", "replace")


def _image(head: Mapping[str, Any], parts: Sequence[Part]) -> bytes:
    """One pattern."""
    form, times = _json(parts, 1), _json(parts, 3)
    packed = _packed(form, bytes(parts[2]))
    user_data = _user(parts[4]) if len(parts) > 4 else None
    return image_message(
        _series(_number(head, "series"), packed.shape),
        _number(head, "frame"),
        {CHANNEL: packed},
        (_number(times, "start_time"), _number(times, "stop_time")),
        user_data if isinstance(user_data, dict) or user_data is None else {"appendix": user_data},
    )


def _packed(form: Mapping[str, Any], data: bytes) -> Packed:
    """The samples, in the framing of V2."""
    encoding = _ENCODING.fullmatch(str(form.get("encoding")))
    dtype = {"uint8": "u1", "uint16": "u2", "uint32": "u4"}.get(str(form.get("type")))
    if encoding is None or dtype is None or (encoding[1] and not encoding[2]):
        raise MessageError(f"samples {form.get('type')} {form.get('encoding')} are not known", _WHERE, _ADVICE)
    shape, stored = _shape(form), np.dtype(encoding[3] + dtype).str
    size = shape[0] * shape[1] * int(dtype[1])
    if encoding[1]:
        return Packed(shape, stored, "bslz4", int(encoding[1]) // 8, _filled(data, size))
    if encoding[2]:
        return Packed(shape, stored, "lz4", 0, _framed(data, size))
    return Packed(shape, stored, "none", 0, data)


def _filled(data: bytes, size: int) -> bytes:
    """The framing of bitshuffle, its header filled in if it is empty."""
    return data if any(data[:_FRAMING]) else struct.pack(">QI", size, _BLOCK) + data[_FRAMING:]


def _framed(data: bytes, size: int) -> bytes:
    """One LZ4 block in the framing of HDF5, in which a block of its own size is stored as it is."""
    if size >= 1 << 32:
        raise MessageError(f"a pattern of {size} bytes is too large", _WHERE, _ADVICE)
    if len(data) == size:
        plain = np.zeros(size, np.uint8)
        if lz4.unpack_block(np.frombuffer(data, np.uint8), plain) != size:
            raise MessageError("the samples are corrupt", _WHERE, _ADVICE)
        data = plain.tobytes()
    return struct.pack(">QII", size, size, len(data)) + data


def start_parts(series: Series, config: Mapping[str, Any] | None = None, user_data: Any = None) -> list[bytes]:
    """Announce a series in stream V1.

    Parameters
    ----------
    series : Series
        What is announced. A mask goes along, as with ``header_detail=all``.
    config : mapping, optional
        What else the configuration of the detector says, by its names in the interface of the detector.
    user_data : any, optional
        What a person has set as ``header_appendix``.

    Returns
    -------
    list of bytes
        The parts of one message.
    """
    rows, columns = series.shape
    content = {
        "trigger_mode": "ints",
        **(config or {}),
        "nimages": 1,
        "ntrigger": series.images,
        "x_pixels_in_detector": columns,
        "y_pixels_in_detector": rows,
        "bit_depth_image": 8 * np.dtype(series.dtype).itemsize,
    }
    detail = "basic" if series.mask is None else "all"
    parts = [_dump(htype="dheader-1.0", series=series.number, header_detail=detail), _dump(**content)]
    if series.mask is not None:
        parts.append(_dump(htype="dpixelmask-1.0", shape=[columns, rows], type="uint32"))
        parts.append(series.mask.astype("<u4").tobytes())
    return parts if user_data is None else [*parts, json.dumps(user_data).encode()]


def image_parts(
    series: Series,
    image: int,
    pattern: Packed | NDArray[Any],
    times: tuple[int, int] = (0, 0),
    user_data: Any = None,
    algorithm: str = "bslz4",
) -> list[bytes]:
    """Send one pattern in stream V1.

    Parameters
    ----------
    series : Series
        To which it belongs.
    image : int
        Number of the image in the series.
    pattern : Packed, or ndarray of shape (q_y, q_x)
        Counts; an array is compressed.
    times : tuple of int, default (0, 0)
        Begin and end of the exposure, since the start of the series [ns].
    user_data : any, optional
        What a person has set as ``image_appendix``.
    algorithm : str, default "bslz4"
        How an array is compressed: ``bslz4``, ``lz4`` or ``none``.

    Returns
    -------
    list of bytes
        The parts of one message.

    Raises
    ------
    OptionError
        If stream V1 does not have the compression.
    MissingExtraError
        If bitshuffle is needed and not installed.
    """
    packed = pattern if isinstance(pattern, Packed) else pack(pattern, algorithm)
    rows, columns = packed.shape
    encoding, data = _encoded(packed)
    form = {"shape": [columns, rows], "type": np.dtype(packed.stored).name, "encoding": encoding, "size": len(data)}
    start, stop = times
    parts = [
        _dump(htype="dimage-1.0", series=series.number, frame=image, hash=md5(data, usedforsecurity=False).hexdigest()),
        _dump(htype="dimage_d-1.0", **form),
        data,
        _dump(htype="dconfig-1.0", start_time=start, stop_time=stop, real_time=stop - start),
    ]
    return parts if user_data is None else [*parts, json.dumps(user_data).encode()]


def end_parts(series: Series) -> list[bytes]:
    """End a series in stream V1.

    Parameters
    ----------
    series : Series
        What has come to its end.

    Returns
    -------
    list of bytes
        The part of one message.
    """
    return [_dump(htype="dseries_end-1.0", series=series.number)]


def _dump(**content: Any) -> bytes:
    return json.dumps(content).encode()


def _encoded(packed: Packed) -> tuple[str, bytes]:
    """Name of the compression, and the samples, as V1 has them."""
    order = ">" if packed.stored.startswith(">") else "<"
    if packed.algorithm == "bslz4" and not packed.by_columns:
        return f"bs{8 * packed.element}-lz4{order}", packed.data
    if packed.algorithm == "none" and not packed.by_columns:
        return order, packed.data
    if packed.algorithm == "lz4" and not packed.by_columns:
        return f"lz4{order}", _single(packed.data)
    raise OptionError(f"stream V1 has no {packed.algorithm}", "compression", "take bslz4, lz4 or none")


def _single(data: bytes) -> bytes:
    """The one LZ4 block of a framing of HDF5; what is stored as it is becomes a block of nothing but literals."""
    size, most, held = struct.unpack_from(">QII", data)
    if most < size:
        raise OptionError("stream V1 has one block of LZ4 per pattern", "compression", "compress in one block")
    if held < size:
        return data[16:]
    longer = b"\xf0" + b"\xff" * ((size - 15) // 255) + bytes([(size - 15) % 255])
    return (longer if size >= 15 else bytes([size << 4])) + data[16:]
