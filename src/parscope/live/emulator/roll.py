"""The messages of a series, made before it starts and sent again and again with other numbers in them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from parscope.core.stream import Series
from parscope.live.emulator.faults import Variant
from parscope.live.emulator.frames import Views
from parscope.live.emulator.job import Imaging, Job
from parscope.live.wire.encode import end_message, image_message, patch, start_message
from parscope.live.wire.pack import Packed, pack
from parscope.live.wire.v1 import CHANNEL, end_parts, image_parts, start_parts

Message = TypeVar("Message")

_HEADER = 12
_SAME = (
    "beam_center_x",
    "beam_center_y",
    "count_time",
    "frame_time",
    "detector_translation",
    "incident_energy",
    "sensor_material",
    "sensor_thickness",
)
_RENAMED = {
    "countrate_correction_enabled": "countrate_correction_applied",
    "detector_description": "description",
    "detector_serial_number": "detector_number",
    "flatfield_enabled": "flatfield_correction_applied",
    "incident_wavelength": "wavelength",
    "pixel_mask_enabled": "pixel_mask_applied",
    "pixel_size_x": "x_pixel_size",
    "pixel_size_y": "y_pixel_size",
    "virtual_pixel_interpolation_enabled": "virtual_pixel_correction_applied",
}
_UNIQUE, _DATE = b"series_unique_id\x78\x1a", b"series_date\xc0\x78\x1b"


def make_series(job: Job, views: Views) -> Series:
    """What the start of a series says.

    Parameters
    ----------
    job : Job
        The order.
    views : Views
        Patterns.

    Returns
    -------
    Series
        With a pixel mask where ``header_detail`` is ``all``; without metadata where it is ``none``.
    """
    header, imaging = job.header, job.imaging
    metadata: dict[str, Any] = {}
    if header["header_detail"] != "none":
        metadata |= {name: header[name] for name in _SAME} | {new: header[old] for new, old in _RENAMED.items()}
        metadata["threshold_energy"] = {name: _energy(header, name) for name in imaging.channels}
        metadata["goniometer"] = {
            axis: {part: header[f"{axis}_{part}"] for part in ("start", "increment")}
            for axis in ("chi", "kappa", "omega", "phi", "two_theta")
        }
    mask = views.mask(imaging.merge) != 0 if header["header_detail"] == "all" else None
    shape, kind = views.shape(imaging.merge), f"uint{imaging.bits}"
    return Series(job.series, job.unique, job.timing.total, shape, kind, imaging.channels, mask, metadata)


def _energy(header: Mapping[str, Any], channel: str) -> float:
    """Threshold of a channel, [eV]; that of the difference is the lower one."""
    return float(header[f"threshold/{2 if channel == 'threshold_2' else 1}/energy"])


def packed(views: Views, imaging: Imaging, slot: int, variant: int) -> dict[str, Packed]:
    """One pattern compressed, or what a fault left of it.

    Parameters
    ----------
    views : Views
        Patterns.
    imaging : Imaging
        How the detector sees them.
    slot : int
        Which pattern.
    variant : int
        See `Variant`.

    Returns
    -------
    dict of Packed
        By channel.
    """
    seen = views.seen(slot, imaging, missing=variant == Variant.NODATA)
    good = {name: pack(image, imaging.compression) for name, image in zip(imaging.channels, seen, strict=True)}
    if variant in (Variant.TRUNCATED, Variant.CORRUPT):
        return {name: replace(part, data=damaged(part, variant)) for name, part in good.items()}
    return good


def damaged(part: Packed, variant: int) -> bytes:
    """Compressed pixels that no decoder can take for good ones.

    Parameters
    ----------
    part : Packed
        Good ones.
    variant : int
        ``TRUNCATED`` or ``CORRUPT``; pixels that are not compressed can only be truncated.

    Returns
    -------
    bytes
    """
    if variant == Variant.TRUNCATED or part.algorithm == "none":
        # What frames the blocks stays whole, so that something of it can be sent in any stream.
        return part.data[: min(len(part.data) - 1, max(_HEADER + 4, len(part.data) // 2))]
    content = bytearray(part.data)
    length = int.from_bytes(content[_HEADER : _HEADER + 4], "big")
    if part.algorithm == "lz4":
        # A block of LZ4 that did not shrink is stored as it is: only its length can be seen to be wrong.
        content[_HEADER : _HEADER + 4] = b"\xff\xff\xff\xff"
    else:
        # A run of 255 announces literals without end, which no block of this length holds.
        content[_HEADER + 4 : _HEADER + 4 + length] = b"\xff" * length
    return bytes(content)


class Roll(ABC, Generic[Message]):
    """The messages of one series after the other.

    Parameters
    ----------
    views : Views
        Patterns.
    """

    def __init__(self, views: Views) -> None:
        self.views = views
        self._made: tuple[Any, ...] = ()
        self._whole: dict[int, Message] = {}
        self._faulty: dict[tuple[int, int], Message] = {}

    def load(self, job: Job) -> None:
        """Make all messages of a series, or take those of the one before, if the patterns look the same.

        Parameters
        ----------
        job : Job
            The order.

        Raises
        ------
        InputError
            If a pattern cannot be read.
        """
        self.job, self.series = job, make_series(job, self.views)
        self.appendix = job.header["image_appendix"]
        if self._made != (made := (job.imaging, repr(self.appendix))):
            self._made, self._whole = made, {}
        self._faulty = {}
        # What a scan shows of a grid that is wider than it is made when it comes to be needed.
        for slot in range(min(job.timing.total, self.views.count)):
            if slot not in self._whole:
                self._whole[slot] = self._message(slot, Variant.WHOLE)
            self._brand(self._whole[slot], job.series)

    def _find(self, row: Sequence[int]) -> Message:
        """The message for an image with its variant and slot."""
        variant, slot = row[1], row[2]
        found = self._faulty.get((variant, slot)) if variant else self._whole.get(slot)
        if found is None:
            found = self._message(slot, variant)
            self._brand(found, self._number(variant))
            self._faulty[variant, slot] = found
            if not variant:
                self._whole[slot] = found
        return found

    def _number(self, variant: int) -> int:
        """Of the series that a message names."""
        return max(0, self.job.series - 1) if variant == Variant.STALE else self.job.series

    @property
    def _header(self) -> Any:
        """What a client has set for the start."""
        return self.job.header["header_appendix"] or None

    @abstractmethod
    def _message(self, slot: int, variant: int) -> Message:
        """Make a message."""

    @abstractmethod
    def _brand(self, message: Message, series: int) -> None:
        """Make a message one of a series."""


class Roll2(Roll[bytearray]):
    """Messages of stream V2, in which the numbers of an image are replaced.

    Parameters
    ----------
    views : Views
        Patterns.
    """

    def _message(self, slot: int, variant: int) -> bytearray:
        appendix = self.appendix
        extra = {"sent_ns": 0, **(appendix if isinstance(appendix, dict) else {"image_appendix": appendix})}
        channels = packed(self.views, self.job.imaging, slot, variant)
        return bytearray(image_message(self.series, 0, channels, (0, 0), extra))

    def _brand(self, message: bytearray, series: int) -> None:
        patch(message, series=series)
        unique = f"{self.job.unique[:13]}{series:013d}"
        for key, text in ((_UNIQUE, unique), (_DATE, f"{self.job.header['date'][:26]}Z")):
            place = message.index(key) + len(key)
            message[place : place + len(text)] = text.encode()

    def start(self) -> bytes:
        """The message at its start.

        Returns
        -------
        bytes
        """
        return start_message(self.series, self._header)

    def end(self) -> bytes:
        """The message at its end.

        Returns
        -------
        bytes
        """
        return end_message(self.series)

    def image(self, row: Sequence[int], start_ns: int, stop_ns: int, sent_ns: int) -> bytearray:
        """One image.

        Parameters
        ----------
        row : sequence of int
            Its number, `Variant` and slot.
        start_ns, stop_ns : int
            Of its exposure, after the start of the series, [ns].
        sent_ns : int
            Monotonic clock of this machine, [ns].

        Returns
        -------
        bytearray
            The message, valid until the next call.
        """
        message = self._find(row)
        patch(message, image=row[0], times=(start_ns, stop_ns), sent_ns=sent_ns)
        return message


class Roll1(Roll[list[bytes]]):
    """Messages of stream V1, of which the parts with the numbers of an image are replaced.

    It has one channel. The time of sending goes along only where a client has set an ``image_appendix``, because some
    receivers want messages of four parts.

    Parameters
    ----------
    views : Views
        Patterns.
    """

    def _message(self, slot: int, variant: int) -> list[bytes]:
        first = next(iter(packed(self.views, self.job.imaging, slot, variant).values()))
        parts = image_parts(self.series, 0, first)
        return [json.loads(parts[0])["hash"].encode(), *parts[1:3]]

    def _brand(self, message: list[bytes], series: int) -> None:
        """Nothing of a series is in what is kept."""

    def start(self) -> list[bytes]:
        """The parts of the message at its start.

        Returns
        -------
        list of bytes
        """
        if self.job.header["header_detail"] == "none":
            return [
                json.dumps({"htype": "dheader-1.0", "series": self.series.number, "header_detail": "none"}).encode()
            ]
        series = replace(self.series, channels=(CHANNEL,))
        hidden = ("date", "header_appendix", "image_appendix", "header_detail")
        config = {name: value for name, value in self.job.header.items() if name not in hidden}
        return start_parts(series, config, self._header)

    def end(self) -> list[bytes]:
        """The parts of the message at its end.

        Returns
        -------
        list of bytes
        """
        return end_parts(self.series)

    def image(self, row: Sequence[int], start_ns: int, stop_ns: int, sent_ns: int) -> list[bytes]:
        """One image.

        Parameters
        ----------
        row : sequence of int
            Its number, `Variant` and slot.
        start_ns, stop_ns : int
            Of its exposure, after the start of the series, [ns].
        sent_ns : int
            Monotonic clock of this machine, [ns].

        Returns
        -------
        list of bytes
            Its parts.
        """
        digest, form, data = self._find(row)
        head = b'{"htype":"dimage-1.0","series":%d,"frame":%d,"hash":"%s"}' % (self._number(row[1]), row[0], digest)
        times = b'{"htype":"dconfig-1.0","start_time":%d,"stop_time":%d,"real_time":%d}'
        parts = [head, form, data, times % (start_ns, stop_ns, stop_ns - start_ns)]
        if not self.appendix:
            return parts
        told = self.appendix if isinstance(self.appendix, dict) else {"image_appendix": self.appendix}
        return [*parts, json.dumps({"sent_ns": sent_ns, **told}).encode()]
