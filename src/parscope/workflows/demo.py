"""Scans as an instrument would write them, whose strain is known, and how far a strain map is from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.frames import Frames
from parscope.io.write import row_blocks, write_frames
from parscope.techniques.diffraction import STRAIN, reciprocal_map, strain
from parscope.techniques.diffraction.simulate import ScanDesign, Simulation, simulate
from parscope.workflows.blocks import Progress
from parscope.workflows.simulate import truth_dataset, truth_path

INCLUSION = ScanDesign(scan=(96, 96), strain_field="inclusion", electrons=1000.0, max_strain=0.02)
"""A strained particle in a crystal that is not, at a dose that beam-sensitive samples stand."""

GRAINS = ScanDesign(scan=(48, 48), grains=6, electrons=3000.0, max_strain=0.02, seed=3)
"""Six grains, each with an orientation and a strain of its own."""

_STEP, _PIXEL = 1.5, 0.29
_BLOCK = 16 << 20


@dataclass(frozen=True)
class Score:
    """How far one map is from the truth.

    Parameters
    ----------
    name : str
        ``e_xx``, ``e_yy``, ``e_xy`` or ``rotation``.
    error : float
        Root mean square of the difference from the truth, [1] or [rad].
    claimed : float
        Root mean square of the standard errors, [1] or [rad].
    spread : float
        Standard deviation of the difference over its standard error, [1]; 1 when the claim is true.
    limit : float
        Root mean square of the Cramér-Rao limit, [1] or [rad].
    """

    name: str
    error: float
    claimed: float
    spread: float
    limit: float


def write_scan(path: Path, design: ScanDesign, progress: Progress) -> xr.Dataset:
    """Simulate a calibrated scan into a file, and its truth beside it.

    Parameters
    ----------
    path : Path
        Where to; replaced if it exists.
    design : ScanDesign
        What to simulate.
    progress : callable
        Called with what is done, the scan rows done, and all of them.

    Returns
    -------
    xarray.Dataset
        The truth.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    simulation = simulate(design)
    frames = _calibrated(simulation)
    write_frames(path, _rows(frames, progress), frames, overwrite=True)
    truth = truth_dataset(simulation)
    truth.to_netcdf(truth_path(path), engine="h5netcdf")
    return truth


def known(truth: xr.Dataset, result: xr.Dataset) -> dict[str, NDArray[np.float64]]:
    """Strain and rotation a perfect analysis would find.

    Parameters
    ----------
    truth : xarray.Dataset
        From `write_scan`.
    result : xarray.Dataset
        The strain map; says for which positions zero is the median of their grain.

    Returns
    -------
    dict of ndarray, shape (y, x) each
        ``e_xx``, ``e_yy``, ``e_xy`` [1] and ``rotation`` [rad].
    """
    values = np.stack([truth[f"crystal_{name}"].values for name in STRAIN], -1).astype(np.float64)
    if int(result.attrs["grains"]) > 1:
        affine = reciprocal_map(*np.moveaxis(values, -1, 0))
        grain, fitted = result["grain"].values, result["status"].values == 0
        for number in np.unique(grain[fitted]):
            zero = np.median(affine[(grain == number) & fitted], axis=0)
            values[grain == number] = strain(affine[grain == number] @ np.linalg.inv(zero))
    return {name: values[..., k] for k, name in enumerate(STRAIN)}


def compare(result: xr.Dataset, truth: xr.Dataset) -> list[Score]:
    """Compare a strain map with the truth.

    Parameters
    ----------
    result : xarray.Dataset
        From `map_strain`.
    truth : xarray.Dataset
        From `write_scan`.

    Returns
    -------
    list of Score
        For e_xx, e_yy, e_xy and rotation, over the fitted positions.
    """
    scores = []
    for name, value in known(truth, result).items():
        difference = result[name].values - value
        claimed = result[f"{name}_std"].values
        limit = claimed / result["limit_ratio"].values
        scores.append(Score(name, _rms(difference), _rms(claimed), float(np.nanstd(difference / claimed)), _rms(limit)))
    return scores


def _rms(values: NDArray[Any]) -> float:
    """Root mean square of what is a number."""
    return float(np.sqrt(np.nanmean(np.square(values))))


def _calibrated(simulation: Simulation) -> Frames:
    """The scan with the calibration that an instrument writes."""
    frames = simulation.frames
    rows, columns, q_y, q_x = frames.axes
    scan = (Axis(a.name, a.size, "nm", _STEP) for a in (rows, columns))
    pattern = (Axis(a.name, a.size, "1/nm", _PIXEL) for a in (q_y, q_x))
    return replace(frames, axes=(*scan, *pattern))


def _rows(frames: Frames, progress: Progress) -> Iterator[NDArray[Any]]:
    """Blocks of scan rows, reporting progress."""
    done = 0
    for block in row_blocks(frames, _BLOCK):
        yield block
        done += len(block)
        progress("simulate", done, frames.scan_shape[0])
