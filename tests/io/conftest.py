"""A small scan, and a way to write it in every format."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.frames import Frames
from parscope.io import open_frames
from parscope.io.write import Layout, write_frames

AXES = {"y": ("nm", 2.5, 1.0), "x": ("nm", 2.5, -3.0), "q_y": ("1/nm", 0.05, -0.4), "q_x": ("1/nm", 0.05, -0.4)}
# format -> name of the file, sample type, pattern shape, what a person must say to open it
FORMATS: dict[str, tuple[str, str, tuple[int, int], dict[str, Any]]] = {
    "npy": ("scan.npy", "uint16", (16, 12), {}),
    "npz": ("scan.npz", "float32", (16, 12), {}),
    "raw": (
        "scan.bin",
        "int32",
        (16, 12),
        {"scan_shape": (6, 5), "pattern_shape": (16, 12), "dtype": "int32"},
    ),
    "hdf5": ("scan.h5", "uint16", (16, 12), {}),
    "emd": ("scan.emd", "float32", (16, 12), {}),
    "nexus": ("scan.nxs", "int32", (16, 12), {}),
    "dectris": ("scan_master.h5", "uint32", (16, 12), {}),
    "electron-events": ("events.h5", "uint8", (16, 12), {}),
    "zarr": ("scan.zarr", "uint16", (16, 12), {}),
    "merlin": ("scan.mib", "uint16", (256, 256), {}),
    "empad": ("scan.xml", "float32", (128, 128), {}),
    "blo": ("scan.blo", "uint8", (16, 16), {}),
}
SCAN = (6, 5)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `name` in every format, unless it names its own."""
    own = [m for m in metafunc.definition.iter_markers("parametrize") if "name" in m.args[0]]
    if "name" in metafunc.fixturenames and not own:
        metafunc.parametrize("name", FORMATS)


def needs(name: str) -> None:
    """Skip where the optional library of a format is absent; found, not imported, because it is under the GPL."""
    for module in ("rsciio", "skimage") if name == "blo" else ():
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


def counts(name: str) -> NDArray[Any]:
    """Sparse counts with a bright pixel, different at every position."""
    _, dtype, pattern, _ = FORMATS[name]
    rng = np.random.default_rng(7)
    data = rng.poisson(0.3, (*SCAN, *pattern)).astype(dtype)
    data[..., 3, 4] = np.arange(SCAN[0] * SCAN[1]).reshape(SCAN)
    return data


def axes(shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """Calibrated axes."""
    return tuple(Axis(n, s, *AXES[n]) for n, s in zip(AXES, shape, strict=True))


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], tuple[Path, NDArray[Any]]]:
    """Write the small scan in a format; gives the path and the samples."""

    def write(name: str) -> tuple[Path, NDArray[Any]]:
        needs(name)
        data = counts(name)
        layout = Layout(axes(data.shape), data.dtype, {"operator": "Ruska", "kV": 200, "nimages_per_file": 13})
        blocks = (data[y : y + 4] for y in range(0, len(data), 4))
        return write_frames(tmp_path / FORMATS[name][0], blocks, layout, format=name), data

    return write


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of real files of many microscopes."""
    root = os.environ.get("PARSCOPE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data"
    folder = Path(root) / "microscopy"
    if not folder.is_dir():
        pytest.skip(f"no sample files in {folder}; set PARSCOPE_TEST_DATA")
    return folder


@pytest.fixture
def calibration() -> dict[str, tuple[str, float, float]]:
    """Unit, scale and offset of every axis of the small scan."""
    return AXES


@pytest.fixture
def options() -> Callable[[str], dict[str, Any]]:
    """What a person must say to open the small scan in a format."""
    return lambda name: FORMATS[name][3]


@pytest.fixture
def opened(
    written: Callable[[str], tuple[Path, NDArray[Any]]],
) -> Callable[[str], tuple[Frames, NDArray[Any]]]:
    """Write the small scan in a format and open it; gives the frames and the samples."""

    def open_it(name: str) -> tuple[Frames, NDArray[Any]]:
        path, data = written(name)
        return open_frames(path, **FORMATS[name][3]), data

    return open_it
