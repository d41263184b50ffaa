"""The labelled result: maps with units, standard errors, status and provenance, and what the report needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import UnreadableError
from parscope.core.frames import Frames
from parscope.core.record import Provenance
from parscope.core.solver import Status
from parscope.techniques.diffraction import STRAIN, DiffractionPattern
from parscope.techniques.diffraction.setup import Setup
from parscope.workflows.grains.phases import phases_of
from parscope.workflows.strain.block import Plan, electrons_per_count
from parscope.workflows.strain.reference import Reference, strains

WORST = 10
_LONG = {
    "e_xx": "normal strain along x",
    "e_yy": "normal strain along y",
    "e_xy": "shear strain",
    "rotation": "lattice rotation, from +x towards +y",
}
_OPTIONS = {
    "probe radius": "--probe-radius",
    "probe edge": "--probe-edge",
    "ellipse": "--ellipse",
    "centre": "--centre",
    "g1": "--g1",
    "g2": "--g2",
    "gain": "--gain",
    "disks": "--max-q",
    "bad pixels": "--mask",
    "reference": "--reference",
    "pooling": "--pool",
}


@dataclass(frozen=True)
class Findings:
    """All that a finished job knows.

    Parameters
    ----------
    plan : Plan
        What was decided before the fit.
    setup : Setup
        The set-up of the scan.
    maps : dict of ndarray
        From `fit_block`, for the whole scan.
    status : ndarray of uint8, shape (scan y, scan x)
        From `judge`.
    reference : Reference
        Zero strain.
    choices : tuple of tuple
        (name, value, how) of every choice.
    """

    plan: Plan
    setup: Setup
    maps: dict[str, NDArray[Any]]
    status: NDArray[np.uint8]
    reference: Reference
    choices: tuple[tuple[str, str, str], ...]


def dataset(found: Findings, provenance: Provenance, timing: dict[str, float]) -> xr.Dataset:
    """Strain maps as a labelled data set.

    Parameters
    ----------
    found : Findings
        What the job found.
    provenance : Provenance
        Source, version and settings.
    timing : dict of float
        ``elapsed_s`` and ``patterns_per_s``.

    Returns
    -------
    xarray.Dataset
        Dimensions ``y``, ``x``, ``disk``, ``q_y``, ``q_x``, ``worst``; units as attributes.
    """
    listed = _longest(found.plan)
    good = found.status == Status.OK
    variables = _strain_maps(found, good) | _plain_maps(found, good)
    variables |= _set_up(found.setup, listed) | _worst(found)
    coordinates = {
        **_axes(found.plan.frames),
        "disk_h": ("disk", listed.indices[:, 0]),
        "disk_k": ("disk", listed.indices[:, 1]),
    }
    attributes = {**provenance.attributes(), **_attributes(found), **timing}
    return xr.Dataset(variables, coordinates, attributes)


def _map(values: NDArray[Any], unit: str, name: str) -> tuple[tuple[str, str], NDArray[Any], dict[str, str]]:
    """A variable on the scan."""
    return ("y", "x"), values, {"units": unit, "long_name": name}


def _strain_maps(found: Findings, good: NDArray[np.bool_]) -> dict[str, Any]:
    """Strain and rotation, and their standard errors."""
    maps, result = found.maps, {}
    values, errors = strains(
        maps["theta"], maps["covariance"], maps["grain"], found.reference, found.setup.physics.probe.distortion
    )
    values[~good] = errors[~good] = np.nan
    for k, name in enumerate(STRAIN):
        unit = "rad" if name == "rotation" else "1"
        result[name] = _map(values[..., k], unit, _LONG[name])
        result[f"{name}_std"] = _map(errors[..., k], unit, f"standard error of {name}")
    return result


def _plain_maps(found: Findings, good: NDArray[np.bool_]) -> dict[str, Any]:
    """Everything on the scan that is no strain."""
    maps = found.maps
    flags = {
        "flag_values": np.array([s.value for s in Status], np.uint8),
        "flag_meanings": " ".join(s.name.lower() for s in Status),
        "long_name": "what became of the fit",
    }
    result: dict[str, Any] = {
        "status": (("y", "x"), found.status, flags),
        "misfit": _map(maps["misfit"], "1", "mean squared residual over the expected variance"),
        "limit_ratio": _map(np.where(good, maps["limit_ratio"], np.nan), "1", "standard error over Cramér-Rao limit"),
        "electrons": _map(maps["electrons"], "1", "electrons in the pattern"),
        "excess": _map(maps["excess"], "1", "counts between the disks, squared, over their expected variance"),
        "grain": _map(maps["grain"], "1", "number of the grain, -1 for none"),
        "phase": _map(_phases(found.plan, maps["grain"]), "1", "number of the phase, -1 for none"),
        "second_share": _map(maps["share"], "1", "share of a second grain in the pattern"),
        "reference": _map(found.reference.region, "1", "region of zero strain"),
    }
    for k, name in enumerate(("centre_y", "centre_x")):
        result[name] = _map(np.where(good, maps["theta"][..., k], np.nan), "px", "position of the direct beam")
    amplitude = np.moveaxis(maps["amplitude"], -1, 0)
    result["amplitude"] = (("disk", "y", "x"), amplitude, {"units": "1", "long_name": "electrons in the disk"})
    return result


def _phases(plan: Plan, grain: NDArray[np.int16]) -> NDArray[np.int16]:
    """Phase of every position: that of its crystal."""
    crystals: list[Any] = [solver.physics for solver in plan.crystals]
    number = np.append(phases_of([physics.basis for physics in crystals]), -1)
    return number[np.where(grain >= 0, grain, -1)].astype(np.int16)


def _longest(plan: Plan) -> Any:
    """The physics with the longest list of disks; several crystals count their disks along the same axis."""
    return max((c.physics for c in plan.crystals), key=lambda physics: len(physics.reference))


def _set_up(setup: Setup, listed: Any) -> dict[str, Any]:
    """The mean pattern, masked pixels as NaN, and where the disks are."""
    mean = np.array(setup.mean, np.float32)
    if setup.physics.mask is not None:
        mean[setup.physics.mask] = np.nan
    return {
        "mean_pattern": (("q_y", "q_x"), mean, {"units": "counts"}),
        "reference_position": (("disk", "axis"), listed.reference, {"units": "px", "long_name": "(y, x)"}),
    }


def _worst(found: Findings) -> dict[str, Any]:
    """The patterns that the model follows least, with their fits."""
    misfit = np.where(np.isin(found.status, (Status.OK, Status.NO_MODEL)), found.maps["misfit"], -1.0)
    order = [np.unravel_index(i, misfit.shape) for i in np.argsort(misfit, axis=None)[::-1][:WORST]]
    at = [(int(y), int(x)) for y, x in order if misfit[y, x] >= 0]
    shape = found.plan.frames.pattern_shape
    patterns = np.full((len(at), *shape), np.nan, np.float32)
    fits = patterns.copy()
    for k, position in enumerate(at):
        try:
            patterns[k] = found.plan.frames.data[position]
        except UnreadableError:
            continue
        fits[k] = _render(found, position, patterns[k])
    ends = np.array(at, np.int64).reshape(-1, 2)
    return {
        "worst_pattern": (("worst", "q_y", "q_x"), patterns, {"units": "counts"}),
        "worst_fit": (("worst", "q_y", "q_x"), fits, {"units": "counts"}),
        "worst_y": ("worst", ends[:, 0]),
        "worst_x": ("worst", ends[:, 1]),
        "worst_status": ("worst", found.status[tuple(ends.T)]),
    }


def _render(found: Findings, position: tuple[int, int], pattern: NDArray[np.float32]) -> NDArray[Any]:
    """The fit of one pattern: its own disks, the background adjusted to the pixels between them."""
    theta = found.maps["theta"][position]
    grain = int(found.maps["grain"][position])
    if grain < 0 or not np.isfinite(theta).all():
        return np.full(pattern.shape, np.nan, np.float32)
    solver = found.plan.crystals[grain]
    physics = solver.physics
    if not isinstance(physics, DiffractionPattern):
        return np.full(pattern.shape, np.nan, np.float32)
    own = found.maps["amplitude"][position][: len(physics.reference)]
    amplitude = np.clip(own, 0, None).astype(np.float64) / electrons_per_count(solver)
    empty = physics.render(theta[None], np.zeros_like(amplitude))[0]
    where = found.plan.cells[grain].pixels
    between = empty.ravel()[where].sum()
    factor = pattern.ravel()[where].sum() / between if between > 0 else 1.0
    return np.asarray(physics.render(theta[None], amplitude, np.array([factor]))[0], np.float32)


def _axes(frames: Frames) -> dict[str, Any]:
    """Scan and pattern coordinates with their units."""
    return {a.name: (a.name, a.values, {"units": a.unit}) for a in frames.axes}


def _attributes(found: Findings) -> dict[str, Any]:
    """Set-up as attributes: numbers as numbers, the rest as JSON."""
    physics = found.setup.physics
    crystals: list[Any] = [solver.physics for solver in found.plan.crystals]
    axis: Axis = found.plan.frames.axes[3]
    choices = [
        {"name": n, "value": v, "unit": "", "how": h, "option": _OPTIONS.get(n, "")} for n, v, h in found.choices
    ]
    return {
        "Conventions": "CF-1.10",
        "choices": json.dumps(choices),
        "probe_radius": physics.probe.radius,
        "probe_edge": physics.probe.edge,
        "centre_y": physics.centre[0],
        "centre_x": physics.centre[1],
        "distortion": json.dumps(physics.probe.distortion.tolist()),
        "reference_basis": json.dumps(physics.basis.tolist()),
        # Each grain is relative to its own lattice: how grains lie to one another is told by these.
        "grain_bases": json.dumps([crystal.basis.tolist() for crystal in crystals]),
        "zero_strain": found.reference.how,
        "reference_affine": json.dumps(found.reference.affine.tolist()),
        "gain": physics.gain,
        "pool": found.plan.pool,
        "grains": len(found.plan.crystals),
        "contrast_depth": crystals[0].contrast.depth,
        "contrast_power": json.dumps(crystals[0].contrast.power),
        "contrast_scatter": crystals[0].contrast.scatter,
        "q_scale": axis.scale,
        "q_unit": axis.unit,
    }
