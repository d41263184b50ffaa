"""Writers of detector formats that are plain records: Merlin .mib, EMPAD .raw, and .blo through RosettaSciIO."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from parscope.io._sink import Layout
from parscope.io._write_flat import RawSink
from parscope.io.em import Helper

_PIXELS = {"uint8": "U08", "uint16": "U16", "uint32": "U32"}
_TAIL = "1970-01-01 00:00:00.000000,0.001000,0,0,0"
_EMPAD = (128, 128)


class MerlinSink(RawSink):
    """Writes counted Merlin frames, each behind its header, and the .hdr file with the scan shape."""

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        super().__init__(folder, Path(name).with_suffix(".mib").name, layout)
        height, width = layout.shape[2:]
        # four chips have a longer header than one
        self.chips, self.length = (4, 768) if (height, width) == (512, 512) else (1, 384)

    def check(self) -> None:
        """Refuse what is no count."""
        self.demand(_PIXELS)

    @classmethod
    def names(cls, name: str) -> tuple[str, ...]:
        """The .hdr and the .mib file."""
        return Path(name).with_suffix(".hdr").name, Path(name).with_suffix(".mib").name

    def append(self, block: NDArray[Any], row: int) -> None:
        """Write scan rows from `row` on."""
        frames = block.reshape(-1, *block.shape[2:])
        first = row * self.layout.shape[1] + 1
        for number, frame in enumerate(frames, first):
            self.stream.write(self._header(number))
            self.stream.write(frame.astype(frame.dtype.newbyteorder(">")).tobytes())

    def _header(self, number: int) -> bytes:
        height, width = self.layout.shape[2:]
        kind, layout = _PIXELS[self.layout.dtype.name], "2x2" if self.chips == 4 else "1x1"
        fields = f"MQ1,{number:06d},{self.length:05d},{self.chips:02d},{width:04d},{height:04d},{kind},{layout:>6},"
        mask = "0F" if self.chips == 4 else "01"
        depth = min(24, 8 * self.layout.dtype.itemsize)
        return f"{fields}{mask},{_TAIL},{depth}".encode().ljust(self.length, b"\x00")

    def finish(self) -> None:
        """Complete both files."""
        super().finish()
        y, x = self.layout.shape[:2]
        lines = (
            "HDR,\t",
            f"Frames in Acquisition (Number):\t{y * x}",
            f"Frames per Trigger (Number):\t{x}",
            f"ScanX:\t{x}",
            f"ScanY:\t{y}",
            "End\t",
        )
        (self.folder / self.names(self.name)[0]).write_text("\n".join(lines) + "\n")


class EmpadSink(RawSink):
    """Writes EMPAD patterns with their two rows of metadata (zeros), and the .xml file with the scan shape."""

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        super().__init__(folder, Path(name).with_suffix(".raw").name, layout)

    def check(self) -> None:
        """Refuse what is not of this detector."""
        self.demand(("float32",), _EMPAD)

    @classmethod
    def names(cls, name: str) -> tuple[str, ...]:
        """The .raw and the .xml file, of which the one that was named is opened."""
        raw, xml = Path(name).with_suffix(".raw").name, Path(name).with_suffix(".xml").name
        return (raw, xml) if name.lower().endswith(".xml") else (xml, raw)

    def append(self, block: NDArray[Any], row: int) -> None:
        """Write scan rows from `row` on."""
        frames = block.reshape(-1, *_EMPAD)
        for frame in frames:
            record = np.zeros((_EMPAD[0] + 2, _EMPAD[1]), "<f4")
            record[: _EMPAD[0]] = frame
            self.stream.write(record.tobytes())

    def finish(self) -> None:
        """Complete both files."""
        super().finish()
        y, x = self.layout.axes[:2]
        root = ElementTree.Element("root")
        ElementTree.SubElement(root, "raw_file", filename=self.name)
        scan = ElementTree.SubElement(root, "scan_parameters", mode="acquire")
        ElementTree.SubElement(scan, "scan_resolution_x").text = str(x.size)
        ElementTree.SubElement(scan, "scan_resolution_y").text = str(y.size)
        if x.unit == y.unit == "nm":
            iom = ElementTree.SubElement(root, "iom_measurements")
            view = f"[{x.size * x.scale * 1e-9!r}, {y.size * y.scale * 1e-9!r}]"
            ElementTree.SubElement(iom, "optics.get_full_scan_field_of_view").text = view
        ElementTree.ElementTree(root).write(self.folder / Path(self.name).with_suffix(".xml").name, "utf-8")


class BloSink(RawSink):
    """Writes NanoMEGAS .blo through RosettaSciIO, from a raw file that is deleted afterwards."""

    def check(self) -> None:
        """Refuse what is not of 8 bit, or not square."""
        self.demand(("uint8",), (self.layout.shape[2], self.layout.shape[2]))

    def _path(self) -> Path:
        return self.folder / self.name

    def finish(self) -> None:
        """Let the helper process turn the raw file into a .blo."""
        super().finish()
        raw = self.folder / "raw"
        self._path().rename(raw)
        helper = Helper(self._path())
        request = {
            "do": "write",
            "plugin": "blockfile",
            "path": str(self._path()),
            "raw": str(raw),
            "shape": self.layout.shape,
            "dtype": "uint8",
            "axes": [self._axis(i) for i in range(4)],
        }
        try:
            helper.ask(request)
        finally:
            helper.close()
        raw.unlink()

    def _axis(self, place: int) -> dict[str, Any]:
        axis = self.layout.axes[place]
        # the format counts detector lengths, not scattering vectors: patterns stay uncalibrated
        scale, unit = (axis.scale, axis.unit) if place < 2 and axis.calibrated else (1.0, "nm" if place < 2 else "cm")
        return {
            "name": axis.name,
            "size": axis.size,
            "scale": scale,
            "offset": 0.0,
            "units": unit,
            "navigate": place < 2,
            "index_in_array": place,
        }
