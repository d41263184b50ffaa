"""The labelled result of a fit of spectra: maps with units, standard errors, status and provenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from parscope.core.solver import Status
from parscope.core.units import of_signal
from parscope.solvers.prior import Local
from parscope.workflows.fit.block import Plan
from parscope.workflows.fit.curves import worst_spectra

# Ends of the names of what neighbours tell, mean and variance; and what these are.
_FORESEEN = ("_foreseen", "_foreseen_variance")
_BY_NEIGHBOURS = "as its neighbours foresee it, from the mean of the scan in its standard deviations"


def foreseen(maps: xr.Dataset, plan: Plan) -> Local | None:
    """What neighbours told of all spectra, from the maps of a fit; None where they were not asked.

    Parameters
    ----------
    maps : xarray.Dataset
        From `maps_dataset`.
    plan : Plan
        What was fitted.

    Returns
    -------
    tuple of ndarray, shape (*navigation, k), optional
    """
    if plan.prior != "neighbours":
        return None
    names = [parameter.name for parameter in plan.physics.nonlinear]
    mean, variance = (np.stack([maps[name + ending].values for name in names], axis=-1) for ending in _FORESEEN)
    return mean, variance


def _role(plan: Plan, number: int) -> str:
    """What a parameter or quantity is, for those who choose which maps to show."""
    searched, all_of_them = len(plan.physics.nonlinear), len(plan.physics.parameters)
    return "searched" if number < searched else "factor" if number < all_of_them else "quantity"


def maps_dataset(plan: Plan, found: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any]) -> xr.Dataset:
    """Maps of all parameters and quantities as a labelled data set.

    Parameters
    ----------
    plan : Plan
        What was fitted.
    found : mapping of ndarray
        From `fit_block`, for all spectra.
    attributes : mapping
        Provenance, settings and timing.

    Returns
    -------
    xarray.Dataset
        On the navigation axes; units as attributes; the worst spectra with their fits beside.
    """
    axes = plan.spectra.axes[:-1]
    dimensions, shape = tuple(axis.name for axis in axes), plan.spectra.navigation_shape

    def variable(values: NDArray[Any], unit: str, name: str) -> tuple[tuple[str, ...], NDArray[Any], dict[str, Any]]:
        return dimensions, values.reshape(shape), {"units": unit, "long_name": name}

    variables = {"misfit": variable(found["misfit"], "1", "mean squared residual over the variance of the noise")}
    for k, parameter in enumerate((*plan.physics.parameters, *plan.physics.quantities)):
        name, unit = parameter.name, of_signal(parameter.unit, plan.spectra.unit)
        variables[name] = variable(found["value"][..., k], unit, name.replace("_", " "))
        variables[name][2].update(role=_role(plan, k), kind=parameter.kind)
        variables[f"{name}_std"] = variable(found["std"][..., k], unit, f"standard error of {name}")
        if "prior_share" in found and k < len(plan.physics.parameters):
            variables[f"{name}_prior_share"] = variable(
                found["prior_share"][..., k], "1", f"share of the prior in {name}"
            )
    for k, parameter in enumerate(plan.physics.nonlinear if plan.local else ()):
        for ending, values in zip(_FORESEEN, plan.local or (), strict=True):
            variables[parameter.name + ending] = variable(values[..., k], "1", f"{parameter.name}: {_BY_NEIGHBOURS}")
    variables |= worst_spectra(plan, found)
    flags = {
        "flag_values": np.array([s.value for s in Status], np.uint8),
        "flag_meanings": " ".join(s.name.lower() for s in Status),
        "long_name": "what became of the fit",
    }
    status = (dimensions, found["status"].reshape(shape), flags)
    coordinates = {axis.name: (axis.name, axis.values, {"units": axis.unit}) for axis in plan.spectra.axes}
    return xr.Dataset({"status": status, **variables}, coordinates, {"Conventions": "CF-1.10", **attributes})
