"""Draws the small picture by which a person recognises a file: images in grey, patterns in log scale, curves."""

from __future__ import annotations

import importlib.util
import io
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.description import Description, Preview
from parscope.core.errors import MissingExtraError

SIDE = 256
"""Pixels along each side."""
_INSET, _STRIP, _TEXT, _FINE = 96, 84, 11, 4
_PAPER, _INK, _FAILED, _FRAME = (255, 255, 255), (31, 78, 121), (178, 34, 34), (250, 204, 21)
_GREY = (90, 90, 90)


def thumbnail(description: Description) -> bytes | None:
    """Picture of a file as PNG.

    Parameters
    ----------
    description : Description
        What the file says about itself.

    Returns
    -------
    bytes or None
        256 × 256 pixels; None where there is nothing to see. Pixels that are not finite are red. Images of scanning
        probes are levelled by a plane.

    Raises
    ------
    MissingExtraError
        If Pillow is not installed.
    """
    if not description.previews:
        return None
    first, *others = description.previews
    if description.kind == "scanning probe image" and first.data.ndim == 2:
        first = replace(first, data=_levelled(np.asarray(first.data, np.float64)))
    picture = _draw(first, SIDE, SIDE)
    # an image and a curve, or a pattern and an image: the second tells what the first cannot
    if others and first.data.ndim == 2 and others[0].data.ndim == 1:
        picture.paste(_draw(others[0], SIDE, _STRIP), (0, SIDE - _STRIP))
    elif others and "pattern" in first.title:
        framed = _new(_INSET + 2, _INSET + 2, _FRAME)
        framed.paste(_draw(others[0], _INSET, _INSET), (1, 1))
        picture.paste(framed, (SIDE - _INSET - 2, SIDE - _INSET - 2))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _draw(preview: Preview, width: int, height: int) -> Any:
    return _curve(preview, width, height) if preview.data.ndim == 1 else _image(preview, width, height)


def _new(width: int, height: int, colour: tuple[int, int, int]) -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingExtraError("pillow", "catalog") from error
    return Image.new("RGB", (width, height), colour)


def _image(preview: Preview, width: int, height: int) -> Any:
    """The image as large as fits, in the proportions of the specimen, centred on paper."""
    sheet = _new(width, height, _PAPER)
    from PIL import Image

    values = np.asarray(preview.data, np.float64)
    tones = np.repeat(_tones(values, _in_log_scale(preview))[..., np.newaxis], 3, axis=2)
    tones[~np.isfinite(values)] = _FAILED
    tall, wide = _proportions(preview)
    zoom = min(height / tall, width / wide)
    size = (max(_INSET // 4, round(wide * zoom)), max(_INSET // 4, round(tall * zoom)))
    size = (min(size[0], width), min(size[1], height))
    # pixels that are large on the sheet keep their edges
    grown = size[0] > 2 * values.shape[1]
    picture = Image.fromarray(tones).resize(size, Image.Resampling.NEAREST if grown else Image.Resampling.BILINEAR)
    sheet.paste(picture, ((width - size[0]) // 2, (height - size[1]) // 2))
    return sheet


def _proportions(preview: Preview) -> tuple[float, float]:
    tall, wide = preview.data.shape
    if len(preview.axes) == 2 and preview.axes[0].unit == preview.axes[1].unit:
        y, x = (axis.scale * axis.size for axis in preview.axes)
        if 1 / 8 < (y / x) < 8:
            return y, x
    return float(tall), float(wide)


def _in_log_scale(preview: Preview) -> bool:
    reciprocal = len(preview.axes) == 2 and all(a.unit.startswith("1/") or a.unit == "mrad" for a in preview.axes)
    return reciprocal or "diffraction" in preview.title.lower()


def _levelled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Less the plane that fits best: a tilted specimen would hide what is on it."""
    good = np.isfinite(values)
    y, x = np.indices(values.shape)
    plane = np.stack([y, x, np.ones_like(y)], -1).astype(np.float64)
    scale = float(np.abs(values[good]).max(initial=0.0)) or 1.0
    fitted = np.linalg.lstsq(plane[good], values[good] / scale, rcond=None)[0] if good.sum() > 2 else np.zeros(3)
    return np.asarray(values / scale - plane @ fitted)


def _tones(values: NDArray[np.float64], log: bool) -> NDArray[np.uint8]:
    """Grey levels: from the darkest to the brightest hundredth, so that hot pixels do not turn the rest black."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(values.shape, np.uint8)
    low, high = np.quantile(finite, (0.01, 0.9995 if log else 0.995))
    if high <= low:
        low, high = finite.min(), finite.max()
    # halves first: the distance of two numbers may be larger than the largest number
    scaled = np.clip((values / 2 - low / 2) / ((high / 2 - low / 2) or 1.0), 0, 1)
    if log:
        scaled = np.log1p(1000 * scaled) / np.log(1001)
    return np.asarray(np.nan_to_num(255 * scaled), np.uint8)


def _curve(preview: Preview, width: int, height: int) -> Any:
    """The curve within a frame, with the ends of its axis and its highest value written beside it."""
    fine = _new(width * _FINE, height * _FINE, _PAPER)
    from PIL import Image, ImageDraw

    left, top, right, bottom = 6, _TEXT + 6, width - 6, height - _TEXT - 8
    pen = ImageDraw.Draw(fine)
    for run in _runs(preview):
        points = [(_FINE * (left + x * (right - left)), _FINE * (bottom - y * (bottom - top))) for x, y in run]
        pen.line(points if len(points) > 1 else [points[0], (points[0][0] + _FINE, points[0][1])], _INK, 6, "curve")
    sheet = fine.resize((width, height), Image.Resampling.LANCZOS)
    pen, font = ImageDraw.Draw(sheet), _font()
    pen.line([(left, bottom + 1), (right, bottom + 1)], _GREY)
    start, end, unit, name = _ends(preview)
    pen.text((left, height - 3), start, _GREY, font, "lb")
    pen.text((right, height - 3), f"{end} {unit}".strip(), _GREY, font, "rb")
    half = font.getlength(name) / 2 + 6
    if left + font.getlength(start) < width / 2 - half and width / 2 + half < right - font.getlength(f"{end} {unit}"):
        pen.text((width // 2, height - 3), name, _GREY, font, "mb")
    pen.text((left, 3), preview.title[:40], _GREY, font, "lt")
    return sheet


@cache
def _font() -> Any:
    """DejaVu, which comes with matplotlib and knows the signs of units, such as µ and Å."""
    from PIL import ImageFont

    spec = importlib.util.find_spec("matplotlib")
    home = Path(spec.origin).parent if spec is not None and spec.origin is not None else Path()
    file = home / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(file, _TEXT) if file.is_file() else ImageFont.load_default(_TEXT)


def _runs(preview: Preview) -> list[list[tuple[float, float]]]:
    """Stretches without gaps, both coordinates from 0 to 1; a cycle of bias goes back and forth."""
    values = np.asarray(preview.data, np.float64)
    good = np.isfinite(values)
    if not good.any():
        return []
    heights = _unit_interval(values)
    along = preview.axes[0].values if preview.axes else np.arange(len(values), dtype=np.float64)
    places = _unit_interval(along) if len(along) == len(values) > 1 else np.full(len(values), 0.5)
    runs: list[list[tuple[float, float]]] = []
    for place, fine in enumerate(good):
        if fine and (place == 0 or not good[place - 1]):
            runs.append([])
        if fine:
            runs[-1].append((float(places[place]), float(heights[place])))
    return runs


def _unit_interval(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 for the least to 1 for the highest; halves first, as the distance may be beyond the largest number."""
    good = values[np.isfinite(values)]
    low, high = good.min(), good.max()
    return np.asarray((values / 2 - low / 2) / ((high / 2 - low / 2) or 1.0))


def _ends(preview: Preview) -> tuple[str, str, str, str]:
    if not preview.axes:
        return "0", str(len(preview.data) - 1), "", ""
    axis = preview.axes[0]
    first, last = axis.values.min(), axis.values.max()
    name = axis.name if len(axis.name) <= 14 else ""
    return f"{first:.5g}", f"{last:.5g}", "" if axis.unit == "px" else axis.unit, name
