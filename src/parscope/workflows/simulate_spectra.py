"""Scans of spectra whose truth is known, of any technique, for those who have no data yet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import OptionError, OutputError
from parscope.core.separable import Separable
from parscope.core.typical import searched_columns, strength
from parscope.core.units import of_signal
from parscope.io.usid_write import write_spectra
from parscope.workflows.blocks import Progress, silent
from parscope.workflows.forecast import placed
from parscope.workflows.simulate import truth_path, write_truth
from parscope.workflows.technique import find, usual, usual_axis

Array = NDArray[np.float64]

# Positions are this far apart, [nm].
_STEP = 20.0
_SUFFIXES = (".h5", ".hdf5")
# How far parameters vary: by a share of the range, by a power of e if they are logarithmic; and factors by a share.
_RANGE, _RATIO, _FACTOR = 0.08, 0.25, 0.1
# Real factors are this much weaker behind the wall; complex ones turn round there, from a phase that does not wrap.
_WEAKER, _PHASE = 0.7, -0.8


def simulate_spectra(  # noqa: PLR0913 - all that a person may want to say, each with a default
    path: Path | str,
    technique: str,
    snr: float = 20.0,
    *,
    scan: tuple[int, int] = (48, 64),
    bins: int | None = None,
    span: tuple[float, float] | None = None,
    at: Mapping[str, float] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Path:
    """Simulate a scan of spectra into a USID file, and write its truth beside it as NetCDF.

    Parameters vary slowly over the scan, and factors of the signal change at a domain wall: complex ones turn round,
    real ones are weaker behind it.

    Parameters
    ----------
    path : Path or str
        Where to, with the suffix ``.h5``; the truth goes to the same name with the suffix ``.truth.nc``, under the
        names and axes of the result of a fit.
    technique : str
        Name of the physics, as ``be-sho``.
    snr : float, default 20.0
        Median over the scan of the peak of the signal over the noise, as for `Forecast`, [1].
    scan : tuple of int, default (48, 64)
        Positions along y and x.
    bins : int, optional
        Samples of a spectrum. Default: as usual for the technique.
    span : tuple of float, optional
        Where the axis starts and stops, in the unit of the technique. Default: as usual.
    at : mapping, optional
        Values about which parameters vary, in their units. Default: the middle of their bounds.
    seed : int, default 0
        Fixes all that is random.
    overwrite : bool, default False
        Whether files that exist may be replaced.
    progress : callable, optional
        Called with the name of the phase, the rows done, and all of them.
    **options
        What the technique lets a person set.

    Returns
    -------
    Path
        Of the file to open.

    Raises
    ------
    OptionError
        If there is no such technique, parameter or option, or a value cannot be meant.
    OutputError
        If a file exists or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     simulate_spectra(f"{folder}/scan.h5", "be-sho", scan=(2, 3)).name
    'scan.h5'
    """
    if not 0 < snr < math.inf:
        raise OptionError(f"{snr:g} is no signal to noise ratio", "--snr", "give a positive number")
    target, physics = Path(path), usual(technique, bins, span, options)
    if target.suffix.lower() not in _SUFFIXES:
        raise OutputError(f"has suffix {target.suffix!r}", str(target), f"end it in {' or '.join(_SUFFIXES)}")
    truth = truth_path(target)
    if truth.exists() and not overwrite:
        raise OutputError("exists already", str(truth), "choose another name or pass --overwrite")
    theta = _vary(physics, placed(physics, at or {}), scan, np.random.default_rng([seed, 0]))
    noise = float(np.median(strength(physics, theta)[0])) / snr
    axes = (*_positions(scan), usual_axis(find(technique), bins, span))
    notes = {
        "technique": technique,
        "noise": noise,
        "snr": snr,
        "seed": seed,
        "created_by": f"parscope {version('parscope')}",
    }
    unit = of_signal(physics.linear[0].unit, "1")
    blocks = _blocks(physics, theta.reshape(*scan, -1), (noise, seed), progress or silent)
    made = write_spectra(target, blocks, axes, unit=unit, metadata=notes, overwrite=overwrite)
    write_truth(_dataset(physics, theta, scan, notes), truth)
    return made


def _positions(scan: tuple[int, int]) -> tuple[Axis, Axis]:
    return Axis("y", scan[0], "nm", _STEP), Axis("x", scan[1], "nm", _STEP)


def _vary(physics: Separable, middle: Array, scan: tuple[int, int], rng: np.random.Generator) -> Array:
    """Parameters of all positions, shape (n, k), about those in the middle."""
    y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in scan), indexing="ij")

    def smooth() -> Array:
        """A map between -1 and 1, of a wave or two across the scan."""
        waves = rng.uniform(-1.5, 1.5, (3, 2))
        made = sum(np.cos(2 * np.pi * (a * y + b * x + rng.uniform())) for a, b in waves) / 3
        return np.asarray(made).ravel()

    behind = (x + 0.08 * np.sin(2 * np.pi * y) > 0.55).ravel()
    theta = np.tile(middle, (y.size, 1))
    for j, parameter in enumerate(physics.nonlinear):
        if parameter.kind == "log":
            made = middle[j] * np.exp(_RATIO * smooth())
        else:
            made = middle[j] + _RANGE * (parameter.upper - parameter.lower) * smooth()
        theta[:, j] = np.clip(made, parameter.between(0.02), parameter.between(0.98))
    first, parts = len(physics.nonlinear), 1 + physics.complex
    beyond = -1.0 if physics.complex else _WEAKER
    for m, moves in enumerate(searched_columns(physics)):
        scale = (1 + _FACTOR * smooth()) * np.where(behind & moves, beyond, 1.0)
        at = slice(first + parts * m, first + parts * (m + 1))
        if physics.complex:
            turned = theta[:, at].copy().view(np.complex128)[:, 0] * scale * np.exp(1j * _PHASE)
            theta[:, at] = np.stack([turned.real, turned.imag], axis=1)
        else:
            theta[:, at] *= scale[:, None]
    return theta


def _blocks(
    physics: Separable, theta: Array, noise: tuple[float, int], progress: Progress
) -> Iterator[NDArray[np.generic]]:
    """The scan row by row, in single precision."""
    size, seed = noise
    for row, some in enumerate(theta):
        rng = np.random.default_rng([seed, 1, row])
        clean = physics.render(some)
        added = rng.normal(0, size, (2, *clean.shape))
        signal = clean + (added[0] + 1j * added[1] if physics.complex else added[0])
        yield signal[None].astype(np.complex64 if physics.complex else np.float32)
        progress("simulate", row + 1, len(theta))


def _dataset(physics: Separable, theta: Array, scan: tuple[int, int], notes: Mapping[str, Any]) -> xr.Dataset:
    """What a perfect fit would give."""
    values = np.concatenate([theta, physics.derive(theta)], axis=1).reshape(*scan, -1)
    told = (*physics.parameters, *physics.quantities)
    variables = {q.name: (("y", "x"), values[..., k], {"units": of_signal(q.unit, "1")}) for k, q in enumerate(told)}
    places = {axis.name: (axis.name, axis.values, {"units": axis.unit}) for axis in _positions(scan)}
    return xr.Dataset(variables, places, {"title": "truth of simulated spectra", **notes})
