"""Files far larger than what is in memory at a time; they are sparse, so that they take no room on the disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

SIZE = (256, 8, 256, 256)
LIMIT = 32 << 20
READ = """
import sys
from pathlib import Path
from parscope.io import open_frames

def peak():  # of this process alone; getrusage begins with the peak of the process that started it
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

path, options = sys.argv[1], eval(sys.argv[2])
frames = open_frames(path, **options)
block = frames.data[:1]
before = peak()
total = sum(int(frames.data[y : y + 4].sum(dtype="int64")) for y in range(0, frames.scan_shape[0], 4))
after = peak()
print((after - before) * 1024, total, frames.data[-1, -1, -1, -1])
"""


def sparse(path: Path, head: bytes, size: int) -> None:
    """A file of zeros behind a head; the last two bytes are 7."""
    with path.open("wb") as stream:
        stream.write(head)
        stream.seek(size - 2)
        stream.write(b"\x07\x00")


def make(folder: Path, kind: str) -> tuple[Path, dict[str, object]]:
    """A scan of 256 MiB that takes hardly any room."""
    nbytes = int(np.prod(SIZE)) * 2
    path = folder / f"scan.{kind}"
    if kind == "npy":
        head = f"{{'descr': '<u2', 'fortran_order': False, 'shape': {SIZE}, }}".ljust(117) + "\n"
        sparse(path, b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode(), 10 + len(head) + nbytes)
    elif kind == "mib":
        head = b"MQ1,000001,00384,01,0256,0256,U16,   1x1,01,t,0,0,0,0,12".ljust(384, b"\0")
        sparse(path, head, nbytes + 384 * SIZE[0] * SIZE[1])
        return path, {"scan_shape": SIZE[:2]}
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            data = file.create_dataset("data", SIZE, np.uint16, chunks=(8, 8, 64, 64), compression="gzip")
            data[-1, -1, -1, -1] = 7
    else:
        zarr.create_array(str(path), shape=SIZE, dtype="uint16", chunks=(8, 8, 64, 64))[-1, -1, -1, -1] = 7
    return path, {}


@pytest.mark.parametrize("kind", ["npy", "mib", "h5", "zarr"])
def test_memory_stays_bounded_when_a_scan_is_streamed(tmp_path: Path, kind: str) -> None:
    path, options = make(tmp_path, kind)
    assert path.stat().st_blocks * 512 < 16 << 20
    done = subprocess.run([sys.executable, "-c", READ, path, repr(options)], capture_output=True, text=True, check=True)
    growth, total, last = (int(word) for word in done.stdout.split())
    assert growth < LIMIT
    # Merlin keeps the high byte first
    assert (total, last) == ((1792, 1792) if kind == "mib" else (7, 7))
