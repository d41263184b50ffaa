"""Memory and time of the whole command on a scan of 20 GB; run by hand: ``python -m benchmarks.strain.memory``.

The file is HDF5 with compressed chunks. A block of simulated rows is compressed once and stored again and again, which
is cheap to write and small on disk, while a reader has to decompress and stream all 20 GB.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from benchmarks import machine
from benchmarks.environments import CACHE
from benchmarks.report import RESULTS, Row, Target, table, text, write
from benchmarks.watch import watch
from parscope.techniques.diffraction.simulate import ScanDesign, simulate

SIZE = 20e9
COLUMNS, TILE, RUN = 800, 16, 32
"""Scan columns; simulated rows; patterns in a chunk."""
ELECTRONS = 2_000.0
LIMIT = Target(at_most=1.0)
SPARE = 4e9
"""Disk space that is left alone, [bytes]."""


def write_scan(path: Path, size: float = SIZE) -> tuple[int, int]:
    """Write a scan of at least `size` bytes of patterns.

    Parameters
    ----------
    path : Path
        HDF5 file to make.
    size : float, default 20e9
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


def main() -> int:
    """Make the scan, map its strain in a process of its own, write the row, delete the scan."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--size", type=float, default=SIZE / 1e9, help="GB of patterns; below 20 nothing is published")
    size = parser.parse_args().size * 1e9
    name = f"{machine.now().replace(':', '')}-{machine.commit()}"
    head = {"date": machine.now(), "load_start": machine.load()}
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="memory-") as folder:
        file = Path(folder) / "scan.h5"
        rows, columns = write_scan(file, size)
        parscope = Path(sys.executable).with_name("parscope")
        command = [str(parscope), "strain", str(file), "--output", str(Path(folder) / "result.nc")]
        usage = watch(command)
    case = f"scan of {rows} x {columns} patterns, {rows * columns * 32768 / 1e9:.1f} GB"
    head |= {
        "run": name,
        "versions": machine.versions("parscope", "numpy", "numba", "h5py", "hdf5plugin"),
        "machine": machine.machine(),
        "load_end": machine.load(),
        "commit": machine.commit(),
        "seeds": {"simulation": ScanDesign().seed},
        "commands": ["python -m benchmarks.strain.memory", "parscope strain scan.h5 --output result.nc"],
    }
    lines = [
        Row(case, "peak memory, whole command", usage.memory / 1e9, "GB", target=LIMIT),
        Row(case, "patterns per second, whole command", rows * columns / usage.wall, "1/s"),
        Row(case, "patterns per CPU second, whole command", rows * columns / usage.cpu, "1/s"),
    ]
    made = table(head, lines, [])
    write(made, (RESULTS if size >= SIZE else CACHE) / "strain_memory.json")
    print(text(made))
    return int(lines[0].met is False)


if __name__ == "__main__":
    sys.exit(main())
