"""Writer of Zarr version 3 stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr
from numpy.typing import NDArray

from parscope.io._meta import flatten
from parscope.io._sink import Layout, Sink

_CHUNK = 4 << 20


class ZarrSink(Sink):
    """Writes one compressed array whose chunks hold whole patterns of one scan row."""

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        super().__init__(folder, name, layout)
        _, x, q_y, q_x = layout.shape
        along = max(1, min(x, _CHUNK // (q_y * q_x * layout.dtype.itemsize)))
        axes: list[Any] = [{"name": a.name, "unit": a.unit, "scale": a.scale, "offset": a.offset} for a in layout.axes]
        self.array: Any = zarr.create_array(
            store=zarr.storage.LocalStore(folder / name),
            shape=layout.shape,
            dtype=layout.dtype,
            chunks=(1, along, q_y, q_x),
            dimension_names=[a.name for a in layout.axes],
            attributes={**flatten(layout.metadata), "axes": axes},
        )

    def append(self, block: NDArray[Any], row: int) -> None:
        """Write scan rows from `row` on."""
        self.array[row : row + len(block)] = block

    def finish(self) -> None:
        """Nothing remains to be done: every block is in its files already."""

    def abandon(self) -> None:
        """Nothing is held open."""
