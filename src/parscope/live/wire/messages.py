"""All that a message of stream V2 says, read with a library: the start of a series, and any message as a reference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.stream import Series
from parscope.live.wire._codec import codec
from parscope.live.wire.decompress import unpack
from parscope.live.wire.errors import MessageError
from parscope.live.wire.scan import SAMPLES, Buffer

_WHERE, _ADVICE = "message", "is this a DECTRIS detector with the stream's format set to cbor?"
_DEPTH = 32
_LONGEST_SIDE = 65535
_ROWS, _COLUMNS, _COMPRESSED = 40, 1040, 56500
_TYPES = ("uint8", "uint16", "uint32")
# Tags that the library gives a meaning of Python's: dates, large and decimal numbers, references, patterns, addresses.
# A detector sends dates only, which stay text; a number of 10^18 digits in six bytes is not worked out.
_PLAIN = (*range(6), 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_TEXTS, _NUMBERS = (
    ("series_unique_id", "image_dtype"),
    ("series_id", "number_of_images", "image_size_x", "image_size_y"),
)


def decode(message: Buffer) -> dict[str, Any]:
    """Read a message whole: arrays decompressed, as NumPy arrays; dates, and what has an unknown tag, as they are.

    Parameters
    ----------
    message : bytes-like
        One message.

    Returns
    -------
    dict
        What it says, by the names of the vendor.

    Raises
    ------
    MessageError
        If it is malformed, or compressed in a way that is not known.
    MissingExtraError
        If cbor2 is not installed.

    Examples
    --------
    >>> from parscope.live.wire.encode import end_message
    >>> decode(end_message(Series(7, "", 16, (4, 4), "uint8", ("threshold_1",))))["series_id"]
    7
    """
    library = codec()
    try:
        content = library.loads(
            bytes(message),
            tag_hook=_tag,
            semantic_decoders=dict.fromkeys(_PLAIN, _content),
            max_depth=_DEPTH,
            strict_hashable_types=True,
        )
    except library.CBORError as error:
        raise MessageError(f"it cannot be read: {error.__cause__ or error}", _WHERE, _ADVICE) from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise MessageError("it is no map of names", _WHERE, _ADVICE)
    return content


def _content(value: Any, _immutable: bool) -> Any:
    """Leave a value as it lies there."""
    return value


def _tag(tag: Any, _immutable: bool) -> Any:
    """What a tag means."""
    if tag.tag in (_ROWS, _COLUMNS):
        shape, samples = tag.value
        return np.reshape(samples, tuple(shape), order="C" if tag.tag == _ROWS else "F")
    if tag.tag in SAMPLES:
        return np.frombuffer(tag.value, SAMPLES[tag.tag])
    if tag.tag == _COMPRESSED:
        algorithm, element, samples = tag.value
        return unpack(samples, algorithm, element)
    return tag.value


def read_start(message: Buffer) -> Series:
    """Read the announcement of a series.

    Parameters
    ----------
    message : bytes-like
        A message of the kind ``start``.

    Returns
    -------
    Series
        Its metadata are all that the message says, without arrays.

    Raises
    ------
    MessageError
        If it is malformed, or does not say what the series consists of.
    MissingExtraError
        If cbor2 is not installed.
    """
    content = decode(message)
    for name, kind in (("type", str), *((name, str) for name in _TEXTS[1:]), *((name, int) for name in _NUMBERS)):
        if type(content.get(name)) is not kind:
            raise MessageError(f"the start of a series does not say its {name}", _WHERE, "set header_detail to basic")
    if content["type"] != "start" or content["image_dtype"] not in _TYPES:
        raise MessageError(
            f"no start of a series of counts: {content['type']} {content['image_dtype']}", _WHERE, _ADVICE
        )
    shape = (content["image_size_y"], content["image_size_x"])
    if not all(0 < side <= _LONGEST_SIDE for side in shape) or content["number_of_images"] < 0:
        raise MessageError(
            f"a series of {content['number_of_images']} patterns of {shape[0]} x {shape[1]} pixels", _WHERE
        )
    return Series(
        content["series_id"],
        str(content.get("series_unique_id", "")),
        content["number_of_images"],
        shape,
        content["image_dtype"],
        _channels(content),
        _mask(content.get("pixel_mask"), shape),
        {
            key: _plain(value)
            for key, value in content.items()
            if _told(value) and key not in ("pixel_mask", "flatfield")
        },
    )


def appendix(series: Series) -> Mapping[str, Any]:
    """What a person has set as ``header_appendix`` of the detector, whether as a mapping or as text in JSON.

    Parameters
    ----------
    series : Series
        As `read_start` reads it.

    Returns
    -------
    mapping
        Empty if nothing was set, or something else.

    Examples
    --------
    >>> series = Series(1, "", 6, (4, 4), "uint8", ("a",), None, {"user_data": '{"scan_shape": [2, 3]}'})
    >>> appendix(series)
    {'scan_shape': [2, 3]}
    """
    told = series.metadata.get("user_data")
    if isinstance(told, str):
        try:
            told = json.loads(told)
        except ValueError:
            return {}
    return told if isinstance(told, Mapping) else {}


def _channels(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the channels."""
    channels = content.get("channels")
    if not isinstance(channels, list) or not channels or not all(isinstance(name, str) for name in channels):
        raise MessageError("the start of a series does not name its channels", _WHERE, _ADVICE)
    return tuple(channels)


def _mask(masks: Any, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Pixels that are unusable in any channel."""
    if not isinstance(masks, Mapping) or not masks:
        return None
    joined = np.zeros(shape, np.bool_)
    for name, mask in masks.items():
        if not isinstance(mask, np.ndarray) or mask.shape != shape:
            raise MessageError(f"the pixel mask of {name} is not of the shape of the patterns, {shape}", _WHERE)
        joined |= mask != 0
    return joined


def _told(value: Any) -> bool:
    """Whether a value belongs into metadata: no arrays, no bytes."""
    return not isinstance(value, np.ndarray | bytes)


def _plain(value: Any) -> Any:
    """Numbers, text, lists and mappings, all the way down; other things as their text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items() if _told(inner)}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value if _told(inner)]
    return value if isinstance(value, bool | int | float | str | None) else str(value)
