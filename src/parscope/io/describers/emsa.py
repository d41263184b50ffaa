"""EMSA/MAS spectra (.msa, .emsa): a header of keywords, then the numbers (ISO 22029)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.description import Description, Signal
from parscope.core.errors import FormatError, TruncatedError
from parscope.io.describers._base import FileDescriber
from parscope.io.describers._common import axis, moment, nested, quantity, real
from parscope.io.describers._preview import look
from parscope.io.describers._text import beginning, decoded
from parscope.io.describers._verbatim import gathered, number

_LARGEST = 64 << 20
_BEGIN = re.compile(rb"#FORMAT\s*:\s*EMSA/MAS", re.IGNORECASE)
_UNIT = re.compile(r"\(?([^()]+)\)?$")


class EmsaDescriber(FileDescriber):
    """Tells every keyword, with its unit where it has one, as it stands in the file."""

    name = "emsa"
    extensions = (".msa", ".emsa")

    def accepts(self, path: Path) -> bool:
        """Whether the first keyword is that of the format."""
        return _BEGIN.match(beginning(path, 64).lstrip(b"\xef\xbb\xbf")) is not None

    def _describe(self, path: Path, within: Path) -> Description:
        if path.stat().st_size > _LARGEST:
            raise FormatError(f"is larger than {_LARGEST >> 20} MiB, no single spectrum", str(path))
        lines = decoded(path.read_bytes()).splitlines()
        start = next((i for i, line in enumerate(lines) if line.upper().startswith("#SPECTRUM")), None)
        if start is None:
            raise TruncatedError("ends before its spectrum", str(path), "copy it again")
        pairs = [_pair(line) for line in lines[:start] if line.startswith("#")]
        vendor = gathered((key, number(value)) for key, value in pairs)
        # the words before the unit, as the standard has them
        words = {key.split("-")[0].strip().upper(): value for key, value in reversed(pairs)}
        values, places = _numbers(path, lines[start + 1 :], words)
        signal = Signal(path.stem, values.shape, "float64", words.get("YUNITS") or "counts", (_axis(words, places),))
        return self.told(
            "spectrum",
            vendor,
            signals=(signal,),
            acquired=moment(f"{words.get('DATE')} {words.get('TIME')}", "%d-%b-%Y %H:%M", "%d-%b-%Y %H:%M:%S"),
            common=nested(
                {
                    "beam.voltage": quantity(words.get("BEAMKV"), "kV"),
                    "beam.convergence_angle": quantity(words.get("CONVANGLE"), "mrad"),
                    "magnification": real(words.get("MAGCAM")),
                    "exposure": quantity(words.get("LIVETIME"), "s"),
                    "operator": words.get("OWNER"),
                    "sample.name": words.get("TITLE"),
                }
            ),
            previews=look(values, signal),
        )


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key.lstrip("#").strip(), value.strip()


def _numbers(path: Path, lines: list[str], words: dict[str, str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights, and positions where the file has them."""
    body = [line for line in lines if line.strip() and not line.startswith("#")]
    text = " ".join(body).replace(",", " ")
    values = np.array(text.split(), np.float64) if text else np.empty(0)
    paired = words.get("DATATYPE", "").upper() == "XY"
    if not values.size or (paired and values.size % 2):
        raise TruncatedError("ends within its spectrum", str(path), "copy it again")
    heights = values[1::2] if paired else values
    promised = real(words.get("NPOINTS"))
    if promised is not None and len(heights) < promised:
        raise TruncatedError(f"has {len(heights)} of {promised:.0f} points", str(path), "copy it again")
    return heights, values[::2] if paired else np.empty(0)


def _axis(words: dict[str, str], places: NDArray[np.float64]) -> Axis:
    told = _UNIT.search(words.get("XUNITS", ""))
    unit = {"EV": "eV", "KEV": "keV"}.get(told[1].strip().upper(), told[1].strip()) if told else ""
    name = (words.get("XLABEL") or "energy").lower()
    if places.size and np.isfinite(places).all():
        return Axis.from_values("energy" if "energy" in name else name, places, unit or "px")
    size = int(real(words.get("NPOINTS")) or 1)
    return axis("energy" if "energy" in name else name, size, words.get("XPERCHAN"), unit, words.get("OFFSET"))
