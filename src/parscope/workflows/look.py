"""One spectrum of a fit with its raw samples: read again from the file it came from, and fitted again as it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from parscope.core.errors import FormatError, InputError, ShapeError
from parscope.core.record import fingerprint
from parscope.io import open_spectra
from parscope.report.fit_view import FitView
from parscope.workflows.fit.block import Plan, Position
from parscope.workflows.fit.curves import Curves, fit_curves, quantity, read_spectra
from parscope.workflows.fit.job import plan_again
from parscope.workflows.fit.result import foreseen


@dataclass(frozen=True)
class Look:
    """Maps of a fit, beside the spectra they were made from.

    Parameters
    ----------
    maps : xarray.Dataset
        From `map_spectra`.
    plan : Plan
        With which they were made.
    """

    maps: xr.Dataset
    plan: Plan

    def __call__(self, position: Position) -> xr.Dataset:
        """One spectrum with its fit, whose error needs the covariance that the maps do not keep: it is fitted again.

        Parameters
        ----------
        position : tuple of int
            Indices on the navigation axes.

        Returns
        -------
        xarray.Dataset
            ``samples``, ``fit`` and its standard error ``fit_std`` on (curve, spectral axis): modulus and phase of
            complex spectra, [degree], and ``residual`` over the noise on (part, spectral axis), [1].
        """
        curves = fit_curves(self.plan, read_spectra(self.plan.spectra, [position]), self.plan.told([position]))
        axis, unit = self.plan.spectra.axis, self.plan.spectra.unit
        what = quantity(self.plan.spectra)
        drawn = _complex(curves, unit) if self.plan.physics.complex else [(what, unit, *_real(curves, 1.0))]
        with np.errstate(divide="ignore", invalid="ignore"):
            left = (curves.samples - curves.fit)[0] / curves.estimate.extra["noise"][0]
        parts = {"real part": left.real, "imaginary part": left.imag} if self.plan.physics.complex else {"": left}
        dimensions = ("curve", axis.name)
        return xr.Dataset(
            {
                name: (dimensions, np.stack([curve[2 + n] for curve in drawn]))
                for n, name in enumerate(("samples", "fit", "fit_std"))
            }
            | {"residual": (("part", axis.name), np.stack(list(parts.values())))},
            {
                axis.name: (axis.name, axis.values, {"units": axis.unit}),
                "curve": [curve[0] for curve in drawn],
                "unit": ("curve", [curve[1] for curve in drawn]),
                "part": list(parts),
            },
        )


def open_fit(maps: Path | str, spectra: Path | str | None = None) -> Look:
    """Open maps of a fit, and the file of the spectra they were made from.

    Parameters
    ----------
    maps : Path or str
        Result of `map_spectra`, ``.nc`` or ``.zarr``.
    spectra : Path or str, optional
        Where the spectra are now. Default: where they were, or beside the maps.

    Returns
    -------
    Look

    Raises
    ------
    FormatError
        If `maps` is no fit of spectra.
    InputError
        If the spectra are not found, or are not those of the maps; with what to do.
    """
    dataset = _read_maps(Path(maps))
    if "status" not in dataset:
        raise FormatError("is no fit of spectra", str(maps), "give a result of parscope fit")
    view = FitView(dataset)
    source = _find(view, Path(maps), spectra)
    mark = str(dataset.attrs.get("source_fingerprint", ""))
    if mark and fingerprint(source) != mark:
        advice = "name the file that was fitted with --spectra, or fit this one anew"
        raise InputError(f"is not the file that {maps} was made from: its content differs", str(source), advice)
    plan = plan_again(open_spectra(source, dataset=view.settings.get("dataset")), view.settings)
    if plan.spectra.navigation_shape != view.status.shape:
        shape = plan.spectra.navigation_shape
        raise ShapeError(f"holds spectra on {shape}, and {maps} has {view.status.shape}", str(source))
    return Look(dataset, plan.settled(local=foreseen(dataset, plan)))


def _read_maps(path: Path) -> xr.Dataset:
    """Maps in memory, so that the file is free."""
    if not path.exists():
        raise InputError("there is no such file", str(path), "give a result of parscope fit")
    try:
        with xr.open_dataset(path, engine="zarr" if path.is_dir() else "h5netcdf", chunks=None) as stored:
            return stored.load()
    except (OSError, ValueError, KeyError) as error:
        raise FormatError("cannot be read as NetCDF or Zarr", str(path), "give a result of parscope fit") from error


def _find(view: FitView, maps: Path, given: Path | str | None) -> Path:
    """The file of the spectra: where a person says, where it was, or beside the maps."""
    if given is not None:
        if not Path(given).exists():
            raise InputError("there is no such file", str(given), "check the path after --spectra")
        return Path(given)
    if view.source == "memory":
        raise InputError("was made from an array in memory", str(maps), "name a file with the spectra with --spectra")
    for place in (Path(view.source), maps.parent / view.source, maps.parent / Path(view.source).name):
        if place.exists():
            return place
    raise InputError("the spectra are not there any more", view.source, "say where they are with --spectra")


def _real(curves: Curves, turn: Any) -> tuple[Any, Any, Any]:
    """Real part of the first spectrum times a factor: samples, fit, standard error."""
    return (turn * curves.samples).real[0], (turn * curves.fit).real[0], curves.std(turn)[0]


def _complex(curves: Curves, unit: str) -> list[tuple[Any, ...]]:
    """Modulus and phase [degree] of the first spectrum, as instruments show them: samples, fit, standard error."""
    size = np.abs(curves.fit)
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.conj(curves.fit) / size
        modulus = curves.std(along)[0]
        phase = np.degrees(curves.std(-1j * along / size)[0])
    # Without jumps, from the end at which the phase of an oscillator is that of its drive.
    fit = np.degrees(np.unwrap(np.angle(curves.fit[0][::-1]))[::-1])
    measured = np.degrees(np.angle(curves.samples[0]))
    near = np.where(np.isfinite(fit), fit, measured)
    # Where a phase is cut open is no news: samples are drawn on the side of the fit.
    measured = near + np.remainder(measured - near + 180, 360) - 180
    return [
        ("modulus", unit, np.abs(curves.samples[0]), size[0], modulus),
        ("phase", "°", measured, fit, phase),
    ]
