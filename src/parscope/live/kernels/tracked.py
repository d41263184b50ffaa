"""Strain from tracked disks: microseconds a pattern, for a crystal whose disks do not wander far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError, NoLatticeError
from parscope.live.kernels.contract import Detector, Output, State
from parscope.live.kernels.moments import native, void
from parscope.live.kernels.windows import (
    AFFINE,
    BEHIND,
    CENTRE,
    COLUMNS,
    FEWEST,
    GUIDE,
    LEFT,
    LENGTH,
    REACH,
    RIGHT,
    RUN,
    locate,
    track,
)
from parscope.techniques.diffraction import DiffractionPattern
from parscope.techniques.diffraction.setup import find_setup

Array = NDArray[np.float64]

STRAINS = (
    Output("e_xx", "1", "strain e_xx"),
    Output("e_yy", "1", "strain e_yy"),
    Output("e_xy", "1", "strain e_xy"),
    Output("rotation", "rad", "rotation"),
)
EXAMPLES = 64

# Share of the examples without a pixel above which it is of no use at all.
_OFTEN = 0.25
_WHERE, _ADVICE = "examples of the patterns", "show the crystal, its disks apart, from the first pattern on"
# Windows keep away from the edge of the detector and from masked pixels by what the pattern may wander, [px].
_WANDER = 2


@dataclass(frozen=True)
class TrackedStrain:
    """Strain from the centres of mass of the disks, relative to the median of the examples.

    Notes
    -----
    Do not use it where disks touch each other or have strong contrast inside: the kernel ``pattern-strain`` takes both
    into account, at some hundred microseconds a pattern.
    """

    name: str = "strain"
    examples: int = EXAMPLES
    outputs: tuple[Output, ...] = STRAINS

    @property
    def function(self) -> Callable[..., None]:
        """What is run; see `track`."""
        compiled: Callable[..., None] = track
        return compiled

    def setup(self, detector: Detector, examples: NDArray[Any]) -> tuple[Any, ...]:
        """Prepare the state; see `Kernel.setup`.

        Parameters
        ----------
        detector : Detector
            What is known of the patterns.
        examples : ndarray, shape (n, q_y, q_x)
            Patterns of this sample.

        Returns
        -------
        tuple of ndarray

        Raises
        ------
        NoLatticeError
            If no lattice of enough disks is in the examples.
        """
        physics, mask, _ = lattice_of(detector, examples)
        state = _state(detector, physics, mask)
        place = np.empty((len(examples), 6))
        for frame, answer in zip(examples, place, strict=True):
            locate(np.ascontiguousarray(frame, native(detector)), *state, answer)
        seen = np.isfinite(place).all(1)
        if not seen.any():
            raise NoLatticeError(
                f"have fewer than {FEWEST} disks that can be followed", "examples of the patterns", "use pattern-strain"
            )
        zero = np.median(place[seen], axis=0)
        _set_reference(state[1], zero, physics.probe.distortion)
        return State(state, {**zero_of(physics, zero), "disks": len(state[0]), "examples": int(seen.sum())})


def lattice_of(
    detector: Detector, examples: NDArray[Any]
) -> tuple[DiffractionPattern, NDArray[np.bool_], NDArray[Any]]:
    """Set-up of the disks in some patterns.

    Parameters
    ----------
    detector : Detector
        What is known of the patterns.
    examples : ndarray, shape (n, q_y, q_x)
        Patterns of this sample.

    Returns
    -------
    physics : DiffractionPattern
        Probe, lattice, disks, background.
    mask : ndarray of bool, shape (q_y, q_x)
        Pixels that cannot be used: those of the detector, those found to be bad, those often not read.
    counts : ndarray, shape (n, q_y, q_x)
        The patterns, with 0 in these pixels, and the mean of the others in a pixel that was not read once.

    Raises
    ------
    NoLatticeError
        If no lattice is in them, or they hold no counts.
    """
    absent = (examples == detector.nodata) & ~detector.mask
    mask = detector.mask | (absent.mean(0) > _OFTEN)
    mean = np.where(absent, 0, examples).sum(0, dtype=np.float64) / np.maximum((~absent).sum(0), 1)
    counts = np.where(mask, 0, np.where(absent, np.rint(mean).astype(examples.dtype), examples)).astype(examples.dtype)
    try:
        # Where hardly an electron came, fits divide by nothing: what they then find is refused.
        with np.errstate(divide="ignore", invalid="ignore"):
            physics = find_setup(counts, mask=mask if mask.any() else None).physics
    except (NoLatticeError, InputError) as error:
        raise NoLatticeError(error.what, _WHERE, _ADVICE) from error
    except (ValueError, np.linalg.LinAlgError) as error:
        raise NoLatticeError("show no disk that can be fitted", _WHERE, _ADVICE) from error
    return physics, mask if physics.mask is None else mask | physics.mask, counts


def zero_of(physics: DiffractionPattern, theta: Array) -> dict[str, Any]:
    """What zero strain is, as a person should know it.

    Parameters
    ----------
    physics : DiffractionPattern
        Set-up of the disks.
    theta : ndarray, shape (6,)
        Centre [px] and affine map [1] of the reference, relative to the set-up.

    Returns
    -------
    dict
        Lattice vectors g1 and g2 of the reference, rows (y, x), its centre (y, x), and the radius of a disk, all in px.
    """
    vectors = physics.basis @ theta[2:].reshape(2, 2).T
    return {
        "vectors_px": vectors.tolist(),
        "centre_px": theta[:2].tolist(),
        "radius_px": float(physics.probe.radius),
        "zero": "median of the examples",
    }


def reference_of(affine: Array, distortion: Array) -> Array:
    """What a measured affine map is multiplied with before it is the strain relative to a reference.

    Parameters
    ----------
    affine : ndarray, shape (2, 2)
        Map of the reference.
    distortion : ndarray, shape (2, 2)
        Of the detector.

    Returns
    -------
    ndarray, shape (2, 2, 2)
        From the left, from the right.
    """
    return np.stack([np.linalg.inv(distortion), np.linalg.inv(affine) @ distortion])


def _state(detector: Detector, physics: DiffractionPattern, mask: NDArray[np.bool_]) -> tuple[Any, ...]:
    """Arguments of `track` between pattern and answer, with the set-up as reference."""
    radius, edge = physics.extent
    at = physics.reference
    gaps = np.linalg.norm(at[:, None] - at[None], axis=-1)
    gap = float(gaps[gaps > 1e-6].min()) if len(at) > 1 else np.inf
    # Wide enough for the edge and some strain, and not so wide that the neighbour comes in.
    size = max(min(radius + 2 * edge + 1.5, gap - radius - edge - 0.5), radius + 0.5)
    half = floor(size)
    stencil = _stencil(detector, size, half)
    kept = _kept(np.rint(at + np.array(physics.centre)).astype(np.int64), half + _WANDER, mask)
    if kept.sum() < FEWEST:
        raise NoLatticeError(
            f"have {int(kept.sum())} disks away from edges and masked pixels, not {FEWEST}",
            "examples of the patterns",
            "use pattern-strain",
        )
    area = float((stencil != 0).sum())
    disk = physics.amplitude[kept] * np.pi * radius**2
    behind = physics.levels.background[kept] * area
    disks = np.zeros((int(kept.sum()), COLUMNS))
    disks[:, : BEHIND + 1] = np.column_stack([at[kept], disk + behind, behind])
    lattice = np.zeros(LENGTH)
    lattice[REACH], lattice[GUIDE] = max(2.0, size - 0.5 * radius), int(np.argmax(disk))
    _set_reference(lattice, physics.theta, np.eye(2))
    sample = void(detector), _kind(detector, max(stencil.shape[0], stencil.shape[1] // 2))
    return disks, lattice, stencil, sample


def _kind(detector: Detector, side: int) -> NDArray[Any]:
    """The type that sums over a window are in."""
    sample = native(detector)
    if sample.kind == "f":
        return np.zeros(0, np.float64)
    # The faster type where counts times column or row, over the whole window, fit into it.
    fits = int(np.iinfo(sample).max) * side**3 // 2 < 2**32 and sample.kind == "u"
    return np.zeros(0, np.uint32 if fits else np.int64)


def _set_reference(lattice: Array, theta: Array, distortion: Array) -> None:
    """Enter where the pattern is expected, and what is zero strain."""
    lattice[CENTRE : CENTRE + 2] = theta[:2]
    lattice[AFFINE : AFFINE + 4] = theta[2:]
    left, right = reference_of(theta[2:].reshape(2, 2), distortion)
    lattice[LEFT : LEFT + 4], lattice[RIGHT : RIGHT + 4] = left.ravel(), right.ravel()


def _stencil(detector: Detector, size: float, half: int) -> NDArray[Any]:
    """A disc of radius `size` in the right half of the columns."""
    length = ceil((2 * half + 1) / RUN) * RUN
    if length > detector.shape[1]:
        raise NoLatticeError(f"are too narrow for windows of {length} pixels", "patterns", "use pattern-strain")
    y, x = np.ogrid[-half : half + 1, -half : half + 1]
    stencil = np.zeros((2 * half + 1, 2 * length), native(detector))
    stencil[:, length : length + 2 * half + 1] = y * y + x * x <= size * size
    return stencil


def _kept(at: NDArray[np.int64], around: int, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Disks whose windows stay on good pixels of the detector."""
    kept: NDArray[np.bool_] = np.all((at >= around) & (at < np.array(mask.shape) - around), axis=1)
    for n in np.flatnonzero(kept):
        y, x = at[n]
        kept[n] = not mask[y - around : y + around + 1, x - around : x + around + 1].any()
    return kept
