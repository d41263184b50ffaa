"""Strain maps as a table that any program reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from parscope.core.errors import OutputError
from parscope.techniques.diffraction import STRAIN


def save_table(result: xr.Dataset, path: Path) -> None:
    """Write the maps as comma-separated values, one line a scan position.

    Parameters
    ----------
    result : xarray.Dataset
        From `map_strain`.
    path : Path
        Where to; replaced if it exists.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    names = [*STRAIN, *(f"{n}_std" for n in STRAIN), "status", "misfit", "limit_ratio", "electrons", "grain"]
    y, x = np.meshgrid(result["y"].values, result["x"].values, indexing="ij")
    columns = np.stack([y, x, *(result[n].values for n in names)], -1).reshape(-1, len(names) + 2)
    units = {n: result[n].attrs.get("units", "1") for n in ("y", "x", *names)}
    head = ",".join(f"{n} [{units[n]}]" for n in ("y", "x", *names))
    beside = path.with_name(f".{path.name}.part")
    try:
        np.savetxt(beside, columns, delimiter=",", header=head, comments="", fmt="%.9g")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OutputError(f"cannot be written ({error.strerror})", str(path)) from error
