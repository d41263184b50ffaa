"""Memory and time of the whole command on a scan of 20 GB; run by hand: ``python -m benchmarks.strain.memory``.

The file is HDF5 with compressed chunks. A block of simulated rows is compressed once and stored again and again, which
is cheap to write and small on disk, while a reader has to decompress and stream all 20 GB.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from benchmarks.memory import Large
from parscope.techniques.diffraction.simulate import ScanDesign, simulate

COLUMNS, TILE, RUN = 800, 16, 32
"""Scan columns; simulated rows; patterns in a chunk."""
ELECTRONS = 2_000.0
SPARE = 4e9
"""Disk space that is left alone, [bytes]."""


def write_scan(path: Path, size: float) -> tuple[int, int]:
    """Write a scan of at least `size` bytes of patterns.

    Parameters
    ----------
    path : Path
        HDF5 file to make.
    size : float
        Bytes of uint16 patterns after decompression.

    Returns
    -------
    tuple of int
        Scan positions (y, x).

    Raises
    ------
    OSError
        If the disk has not room for a tenth of it and some to spare.
    """
    if shutil.disk_usage(path.parent).free < 0.3 * size + SPARE:
        raise OSError(f"{path.parent}: not enough room for a scan of {size / 1e9:.0f} GB")
    block = simulate(ScanDesign(scan=(TILE, COLUMNS), electrons=ELECTRONS)).rows(0, TILE)
    tiles = int(np.ceil(size / block.nbytes))
    shape, chunk = (tiles * TILE, *block.shape[1:]), (1, RUN, *block.shape[2:])
    with h5py.File(path.with_suffix(".part"), "w", libver="latest") as part:
        small = part.create_dataset("block", data=block, chunks=chunk, compression=hdf5plugin.Bitshuffle(cname="lz4"))
        chunks = {
            (y, x): small.id.read_direct_chunk((y, x, 0, 0))[1] for y in range(TILE) for x in range(0, COLUMNS, RUN)
        }
    path.with_suffix(".part").unlink()
    with h5py.File(path, "w", libver="latest") as target:
        data = target.create_dataset(
            "data", shape, block.dtype, chunks=chunk, compression=hdf5plugin.Bitshuffle(cname="lz4")
        )
        for tile in range(tiles):
            for (y, x), stored in chunks.items():
                data.id.write_direct_chunk((tile * TILE + y, x, 0, 0), stored)
    return shape[0], shape[1]


def large_scan(path: Path, size: float) -> tuple[str, int]:
    """Write a scan; what it is, and how many patterns."""
    rows, columns = write_scan(path, size)
    return f"scan of {rows} x {columns} patterns, {rows * columns * 32768 / 1e9:.1f} GB", rows * columns


LARGE = Large(
    name="strain_memory",
    module="benchmarks.strain.memory",
    gigabytes=20,
    limit=1.0,
    write=large_scan,
    command=lambda scan, folder: ["strain", str(scan), "--output", str(folder / "result.nc")],
    signals="patterns",
    seeds={"simulation": ScanDesign().seed},
)


if __name__ == "__main__":
    sys.exit(LARGE.main())
