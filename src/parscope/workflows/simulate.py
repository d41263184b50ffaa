"""From a design to a file: simulated scans in the formats of detectors, with their truth beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from parscope.core.errors import OutputError
from parscope.io.write import row_blocks, write_frames
from parscope.techniques.diffraction.simulate import ScanDesign, Simulation, simulate

Progress = Callable[[int, int], None]

_BLOCK = 16 << 20
"""Bytes of patterns in memory at a time: few, so that the progress is smooth."""

_UNITS = {
    "e_xx": "1",
    "e_yy": "1",
    "e_xy": "1",
    "rotation": "rad",
    "centre_y": "px",
    "centre_x": "px",
    "A_yy": "1",
    "A_yx": "1",
    "A_xy": "1",
    "A_xx": "1",
    "position": "px",
    "electrons": "electrons per pattern",
    "basis": "px",
}


def simulate_scan(
    path: Path | str,
    design: ScanDesign | None = None,
    *,
    format: str | None = None,  # noqa: A002
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Simulate a 4D-STEM scan into a file, and write its truth beside it as NetCDF.

    Parameters
    ----------
    path : Path or str
        Where to; the truth goes to the same name with the suffix ``.truth.nc``.
    design : ScanDesign, optional
        What to simulate; default a fringed 128 x 128 pixel scan of 64 x 64 positions at 1000 electrons.
    format : str, optional
        A format of `parscope.io.write_frames`; told from the suffix if omitted.
    overwrite : bool, default False
        Whether files that exist may be replaced.
    progress : callable, optional
        Called with the number of scan rows done and of all.

    Returns
    -------
    Path
        Of the file to open.

    Raises
    ------
    OutputError
        If a file exists or cannot be written, or the format has no place for such data.
    OptionError
        If there is no such format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     simulate_scan(f"{folder}/scan.npy", ScanDesign(scan=(2, 3))).name
    'scan.npy'
    """
    target, simulation = Path(path), simulate(ScanDesign() if design is None else design)
    truth = truth_path(target)
    blocks = _blocks(simulation, None if overwrite else truth, progress)
    made = write_frames(target, blocks, simulation.frames, format=format, overwrite=overwrite)
    write_truth(truth_dataset(simulation), truth)
    return made


def truth_path(path: Path) -> Path:
    """File of the truth that belongs to a simulated scan.

    Parameters
    ----------
    path : Path
        Of the scan.

    Returns
    -------
    Path

    Examples
    --------
    >>> truth_path(Path("scan.h5")).name
    'scan.truth.nc'
    """
    return path.with_suffix(".truth.nc")


def truth_dataset(simulation: Simulation) -> xr.Dataset:
    """Truth of a simulated scan, labelled.

    Parameters
    ----------
    simulation : Simulation
        Of `simulate`.

    Returns
    -------
    xarray.Dataset
        Over the scan ``y``, ``x``: ``e_xx``, ``e_yy``, ``e_xy`` [1], ``rotation`` [rad] and the six parameters of the
        pattern as on the detector; the same four as ``crystal_...`` before the elliptical distortion; ``grain``,
        ``other_grain``, ``share`` [1] and ``reference``. Over the disks: ``indices``, ``position`` [px] and
        ``electrons``. Besides ``basis`` [px] and the ``mask`` of bad pixels; the design is an attribute.

    Examples
    --------
    >>> truth = truth_dataset(simulate(ScanDesign(scan=(2, 3))))
    >>> truth.e_xx.dims, truth.rotation.units
    (('y', 'x'), 'rad')
    """
    truth, scan = simulation.truth, ("y", "x")
    maps: dict[str, NDArray[Any]] = {name: getattr(truth, name) for name in ("e_xx", "e_yy", "e_xy", "rotation")}
    maps |= {f"crystal_{name}": truth.crystal[..., k] for k, name in enumerate(("e_xx", "e_yy", "e_xy", "rotation"))}
    maps |= {f"centre_{axis}": truth.centre[..., k] for k, axis in enumerate(scan)}
    maps |= {f"A_{i}{j}": truth.affine[..., k, m] for k, i in enumerate(scan) for m, j in enumerate(scan)}
    maps |= {"grain": truth.grain, "other_grain": truth.other_grain, "share": truth.share}
    variables: dict[str, Any] = {name: (scan, values) for name, values in maps.items()}
    variables["reference"] = (scan, truth.reference.astype(np.int8))
    variables["mask"] = (("q_y", "q_x"), simulation.mask.astype(np.int8))
    variables["position"] = ((*scan, "disk", "axis"), truth.positions)
    variables["electrons"] = ((*scan, "disk"), truth.electrons)
    variables["indices"] = (("disk", "index"), truth.indices)
    variables["basis"] = (("index", "axis"), truth.basis)
    attributes = {
        "title": "truth of a simulated 4D-STEM scan",
        "conventions": "order (y, x); rotation positive from +x towards +y; A maps the basis to the pattern",
        "design": json.dumps(asdict(simulation.design)),
        "created_by": f"parscope {version('parscope')}",
    }
    dataset = xr.Dataset(variables, {"axis": ["y", "x"], "index": [0, 1]}, attributes)
    for name, variable in dataset.data_vars.items():
        variable.attrs["units"] = _UNITS.get(str(name).removeprefix("crystal_"), "1")
    return dataset


def _blocks(simulation: Simulation, new: Path | None, progress: Progress | None) -> Iterator[NDArray[Any]]:
    """Draw the scan and say how many rows are done; `new` is not to exist."""
    # Checked here, so that faults of the scan's own file, which is checked before its first block, are told first.
    if new is not None and new.exists():
        raise OutputError("exists already", str(new), "choose another name or pass --overwrite")
    done = 0
    for block in row_blocks(simulation.frames, _BLOCK):
        yield block
        done += len(block)
        if progress is not None:
            progress(done, simulation.shape[0])


def write_truth(dataset: xr.Dataset, path: Path) -> None:
    """Write the truth beside its place, and put it there when it is complete.

    Parameters
    ----------
    dataset : xarray.Dataset
        The truth.
    path : Path
        Where to; replaced if it exists.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    beside = path.with_name(f".{path.name}.part")
    encoding = {name: {"zlib": True, "complevel": 1} for name in dataset.data_vars}
    try:
        dataset.to_netcdf(beside, engine="h5netcdf", encoding=encoding)
        beside.replace(path)
    except OSError as error:
        raise OutputError("cannot be written", str(path), "free space, or choose another folder") from error
    finally:
        beside.unlink(missing_ok=True)
