"""TRPX (TERSE/PROLIX), made safe: the library that reads it believes what its heads say, and reads until it is done.

A head is XML in front of bits without an end of their own. See github.com/senikm/trpx2.0.
"""

from __future__ import annotations

import re

_HEAD = re.compile(rb'<Terse((?: [a-z_]{1,32}="[0-9 ]{0,4096}"){1,16})/>')
_TOLD = re.compile(rb'([a-z_]+)="([0-9 ]*)"')
_WIDEST = 9  # bytes that a value and its share of the head of a block have at most, however damaged
_BLOCKS = range(1, 65)  # values


def guarded(samples: bytes, size: int, element: int) -> bytes:
    """Check that heads say what comes out, and put so many zeros behind each frame that its end is never passed.

    Parameters
    ----------
    samples : bytes
        One or more streams of TRPX.
    size : int
        How many bytes must come out.
    element : int
        Bytes of a value: 1, 2 or 4.

    Returns
    -------
    bytes
        The same values, for the library.

    Raises
    ------
    ValueError
        If the heads say something else.
    """
    made, at, left = [], 0, size // element
    while at < len(samples):
        head = _HEAD.match(samples, at)
        if head is None:
            raise ValueError("they have no head where one should be")
        told = {name: [int(number) for number in numbers.split()] for name, numbers in _TOLD.findall(head[1])}
        values, block, sizes = _sizes(told, element, left)
        at = head.end()
        frames = [samples[at + sum(sizes[:k]) : at + sum(sizes[: k + 1])] for k in range(len(sizes))]
        at += sum(sizes)
        left -= values * len(sizes)
        padding = bytes(_WIDEST * values + 1024)
        lengths = " ".join(str(length + len(padding)) for length in sizes)
        total = sum(sizes) + len(sizes) * len(padding)
        made.append(
            f'<Terse prolix_bits="{8 * element}" signed="0" block="{block}" number_of_values="{values}" '
            f'number_of_frames="{len(sizes)}" memory_sizes_of_frames="{lengths}" memory_size="{total}"/>'.encode()
        )
        for frame in frames:
            made += [frame, padding]
    if at != len(samples) or left:
        raise ValueError("they are of another size than their heads say, or than the pattern")
    return b"".join(made)


def _sizes(told: dict[bytes, list[int]], element: int, left: int) -> tuple[int, int, list[int]]:
    """Values of a frame, those of a block, and the bytes of each frame."""
    try:
        (values,), (block,), (frames,) = (told[name] for name in (b"number_of_values", b"block", b"number_of_frames"))
        sizes = told.get(b"memory_sizes_of_frames") or told[b"memory_size"]
        sound = told[b"prolix_bits"] == [8 * element] and told[b"signed"] == [0]
    except (KeyError, ValueError):
        raise ValueError("their head is not complete") from None
    sound &= block in _BLOCKS and 0 < values * frames <= left and len(sizes) == frames
    if not sound or any(told.get(b"metadata_string_sizes", [])):
        raise ValueError("their head does not fit the pattern")
    return values, block, sizes
