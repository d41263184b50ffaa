"""Plain numbers without a header: a person says their shape and type."""

from __future__ import annotations

import math
from pathlib import Path

from parscope.core.errors import OptionError, TruncatedError
from parscope.core.frames import Frames
from parscope.io._flat import FlatScan, Records
from parscope.io._meta import plain_axes
from parscope.io._scan import sample_type


class RawReader:
    """Reads a file of patterns one after the other; what exceeds them is taken for a header and stated."""

    name = "raw"
    extensions: tuple[str, ...] = (".raw", ".bin")

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a file; plain numbers have no mark of their own."""
        return path.is_file()

    def read(
        self,
        path: Path,
        *,
        scan_shape: tuple[int, int] | None = None,
        pattern_shape: tuple[int, int] | None = None,
        dtype: str | None = None,
        dataset: str | None = None,
    ) -> Frames:
        """Open plain numbers; see `parscope.core.contracts.Reader.read`."""
        if scan_shape is None or pattern_shape is None or dtype is None:
            raise OptionError(
                "plain numbers do not say their shape", str(path), "give --scan-shape, --pattern-shape and --dtype"
            )
        shape = (*scan_shape, *pattern_shape)
        if min(shape) < 1:
            raise OptionError(f"{shape} is no shape of a scan", str(path), "give two lengths of at least 1 each")
        kind = sample_type(dtype, str(path))
        need, size = math.prod(shape) * kind.itemsize, path.stat().st_size
        if size < need:
            raise TruncatedError(
                f"has {size} bytes, but {shape} of {kind} needs {need}", str(path), "correct the shapes or --dtype"
            )
        data = FlatScan(path, shape, Records(size - need, kind))
        return Frames(data, plain_axes(shape), {"header_bytes_skipped": size - need}, str(path))
