"""TIFF: all tags, and what FEI, Zeiss, OME, ImageJ and others put into theirs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from parscope.core.axes import Axis
from parscope.core.description import Description, Preview, Signal
from parscope.core.errors import FormatError, InputError, MissingExtraError
from parscope.io._scan import first_line
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._common import axis, dig, judge, moment, nested, quantity, real
from parscope.io.describers._preview import look
from parscope.io.describers._text import decoded
from parscope.io.describers._verbatim import gathered, number
from parscope.io.describers._xml import parsed, tree

_PAGES, _LARGEST, _TAIL = 16, 256 << 20, 64 << 10
_FEI_TAGS = (34680, 34682)
_US = "%m/%d/%Y %I:%M:%S %p"


class TiffDescriber(FileDescriber):
    """Tells the tags of the first pages by their names, and the settings that instruments keep in them."""

    name = "tiff"
    extensions = (".tif", ".tiff")
    library = "tifffile"
    magic = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

    def _describe(self, path: Path, within: Path) -> Description:
        try:
            import tifffile
        except ModuleNotFoundError as error:
            raise MissingExtraError("tifffile", "catalog") from error
        notes: list[str] = []
        # other files of a set are not opened
        with _overheard(notes), tifffile.TiffFile(path, _multifile=False) as file:
            first: Any = file.pages.first
            vendor = {"pages": [_tags(page) for page in file.pages[:_PAGES]], **_settings(path, file)}
            signal = _signal(path.stem, first, len(file.pages), vendor)
            previews = _picture(first, signal, notes)
        return self.told(
            judge((signal,)),
            vendor,
            signals=(signal,),
            acquired=_acquired(vendor),
            common=_common(vendor),
            previews=previews,
            warnings=tuple(notes),
        )


class _Ear(logging.Handler):
    """Keeps what a library logs."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first line."""
        said = record.getMessage().splitlines()[:1]
        if said and len(self.notes) < _PAGES and said[0][:200] not in self.notes:
            self.notes.append(said[0][:200])


@contextmanager
def _overheard(notes: list[str]) -> Iterator[None]:
    logger, ear = logging.getLogger("tifffile"), _Ear(notes)
    passed = logger.propagate
    logger.addHandler(ear)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(ear)
        logger.propagate = passed


def _tags(page: Any) -> dict[str, Any]:
    return gathered((str(tag.name), _value(tag)) for tag in page.tags)


def _value(tag: Any) -> Any:
    try:
        value = tag.value
    except Exception as error:  # noqa: BLE001 a damaged tag is not to hide the others
        return f"not readable: {first_line(error)}"
    return value if tag.code not in _FEI_TAGS else _sections(value)


def _sections(settings: Any) -> Any:
    """Settings of FEI: a text with sections, of which tifffile may have made a mapping already."""
    if isinstance(settings, bytes):
        settings = decoded(settings)
    if not isinstance(settings, str):
        return settings
    found: dict[str, list[tuple[str, Any]]] = {}
    section = ""
    for line in settings.replace("\0", "").splitlines():
        if line.startswith("[") and line.rstrip().endswith("]"):
            section = line.strip()[1:-1]
            found.setdefault(section, [])
        elif "=" in line:
            key, _, value = line.partition("=")
            found.setdefault(section, []).append((key, number(value)))
    return {name: gathered(pairs) for name, pairs in found.items()}


def _settings(path: Path, file: Any) -> dict[str, Any]:
    """What the dialects of TIFF tell."""
    found: dict[str, Any] = {}
    for name in ("ome", "sem", "imagej", "sis", "tvips", "micromanager", "scanimage", "metaseries", "stk", "lsm"):
        if not getattr(file, f"is_{name}", False):
            continue
        try:
            value = getattr(file, f"{name}_metadata")
        except Exception as error:  # noqa: BLE001 a damaged tag is not to hide the others
            value = f"not readable: {first_line(error)}"
        if name == "ome" and isinstance(value, str):
            value = tree(parsed(value.encode(), str(path)))
        found[name] = value
    fei = next((tag.value for tag in file.pages.first.tags if tag.code in _FEI_TAGS), None)
    settings = _sections(fei) if fei else _tail(path)
    return {**found, "fei": settings} if settings else found


def _tail(path: Path) -> Any:
    """Settings of FEI at the end of a file whose tags do not name them any more."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL))
        rest = stream.read()
    place = max(rest.find(b"[User]\r"), rest.find(b"[User]\n"))
    return _sections(rest[place:]) if place >= 0 and b"[PrivateFei]" in rest else {}


def _signal(name: str, page: Any, count: int, vendor: Mapping[str, Any]) -> Signal:
    shape, axes = tuple(int(n) for n in page.shape), str(page.axes)
    if not shape or 0 in shape:
        raise FormatError(f"has a page of shape {shape}", name, "copy it again")
    steps = _steps(vendor)
    names = {"Y": "y", "X": "x", "S": "colour", "Z": "z"}
    found = [axis(names.get(a, a.lower()), n, *steps.get(a, (None, ""))) for a, n in zip(axes, shape, strict=True)]
    if count > 1:
        found.insert(0, Axis("page", count))
    return Signal(name, tuple(a.size for a in found), str(page.dtype), "1", tuple(found))


def _steps(vendor: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Size of a pixel and its unit, along X and Y."""
    scan = dig(vendor, "fei", "Scan") or dig(vendor, "fei", "EScan")
    if scan:
        return {"X": (dig(scan, "PixelWidth"), "m"), "Y": (dig(scan, "PixelHeight"), "m")}
    pixels = dig(vendor, "ome", "Image")
    pixels = dig(pixels[0] if isinstance(pixels, list) else pixels, "Pixels")
    if pixels:
        told = ((a, dig(pixels, f"PhysicalSize{a}"), dig(pixels, f"PhysicalSize{a}Unit") or "µm") for a in "XY")
        return {letter: (size, str(unit)) for letter, size, unit in told}
    zeiss = dig(vendor, "sem", "ap_image_pixel_size") or dig(vendor, "sem", "ap_pixel_size")
    if isinstance(zeiss, (tuple, list)) and len(zeiss) == 3:
        return {"X": (zeiss[1], str(zeiss[2])), "Y": (zeiss[1], str(zeiss[2]))}
    return _imagej(vendor)


def _imagej(vendor: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    unit, tags = dig(vendor, "imagej", "unit"), dig(vendor, "pages", 0)
    if not unit:
        return {}
    found = {}
    for letter in "XY":
        over, under = dig(tags, f"{letter}Resolution") or (0, 1)
        found[letter] = (under / over if over else None, "µm" if unit in ("micron", "\\u00B5m") else str(unit))
    return found


def _picture(page: Any, signal: Signal, notes: list[str]) -> tuple[Preview, ...]:
    if page.nbytes > _LARGEST:
        notes.append(f"Its pages have {page.nbytes} bytes and were not drawn.")
        return ()
    try:
        pixels = page.asarray()
    except Exception as error:  # noqa: BLE001 damaged pixels are not to hide the tags
        notes.append(f"Its pixels cannot be read ({first_line(error)}).")
        return ()
    if str(page.axes) == "YXS":
        pixels = pixels[..., :3].mean(-1)
    axes = tuple(a for a in signal.axes if a.name not in ("page", "colour"))
    if pixels.ndim != len(axes):
        return ()
    try:
        return look(np.asarray(pixels), Signal(signal.name, pixels.shape, signal.dtype, "1", axes))
    except InputError:
        return ()


def _acquired(vendor: Mapping[str, Any]) -> str:
    user = dig(vendor, "fei", "User")
    if user:
        return moment(f"{dig(user, 'Date')} {dig(user, 'Time')}", _US, "%d.%m.%Y %H:%M:%S")
    image = dig(vendor, "ome", "Image")
    told = dig(image[0] if isinstance(image, list) else image, "AcquisitionDate")
    return moment(told) or moment(dig(vendor, "pages", 0, "DateTime"), "%Y:%m:%d %H:%M:%S")


def _common(vendor: Mapping[str, Any]) -> dict[str, Any]:
    fei, zeiss = dig(vendor, "fei"), dig(vendor, "sem")
    voltage = quantity(dig(fei, "Beam", "HV") or dig(fei, "EBeam", "HV"), "V")
    return nested(
        {
            "beam.voltage": voltage or _zeiss(zeiss, "ap_actualkv") or _zeiss(zeiss, "ap_manualkv"),
            "magnification": real(dig(fei, "Image", "MagnificationReal")),
            "instrument.name": dig(fei, "System", "SystemType") or dig(vendor, "pages", 0, "Model"),
            "instrument.vendor": "FEI" if fei else "Zeiss" if zeiss else dig(vendor, "pages", 0, "Make"),
            "detector.name": dig(fei, "Detectors", "Name"),
            "exposure": quantity(dig(fei, "Scan", "Dwelltime") or dig(fei, "EScan", "Dwell"), "s"),
            "operator": dig(fei, "User", "User") or dig(vendor, "pages", 0, "Artist"),
            "sample.name": dig(fei, "User", "UserText"),
        }
    )


def _zeiss(told: Any, key: str) -> Any:
    entry = dig(told, key)
    return quantity(entry[1], str(entry[2])) if isinstance(entry, (tuple, list)) and len(entry) == 3 else None
