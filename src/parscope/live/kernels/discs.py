"""Round virtual detectors: discs and rings, by default the bright and the dark field that the patterns suggest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from parscope.core.errors import InputError, NoLatticeError, OptionError
from parscope.live.kernels.contract import Detector, Output
from parscope.live.kernels.moments import Mask, Shared, Wanted
from parscope.techniques.diffraction.setup.probe import first_probe

Array = NDArray[np.float64]
Pair = tuple[float, float]

# Patterns whose mean shows the direct disk.
_EXAMPLES = 16
# A dark field begins this far outside the edge of the direct disk: in standard deviations of the edge, and in radii.
_EDGES, _GAP = 2.0, 1.1


@dataclass(frozen=True)
class DirectDisk:
    """Where the direct beam falls.

    Parameters
    ----------
    centre : tuple of float
        (y, x), [px].
    radius : float
        That holds the disk with its edge, [px].
    """

    centre: Pair
    radius: float


@dataclass(frozen=True)
class Disc(Shared):
    """Counts in a disc: bright field, or any round virtual detector.

    Parameters
    ----------
    name : str, default "bf"
        Of the kernel; several in one plan need different ones.
    centre : tuple of float, optional
        (y, x), [px]; default that of the direct disk of the examples.
    radius : float, optional
        [px]; default that of the direct disk with its edge.

    Raises
    ------
    OptionError
        For a radius below 0, and in the set-up if no pixel of the detector is in the disc.
    """

    name: str = "bf"
    centre: Pair | None = None
    radius: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no disc."""
        _check_radii(self.name, self.radius)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """One number."""
        return (Output("counts", "counts", "bright field" if self.name == "bf" else f"virtual detector {self.name}"),)

    @property
    def examples(self) -> int:
        """Patterns from which the direct disk is found; none if all is given."""
        return 0 if self.centre is not None and self.radius is not None else _EXAMPLES

    def wanted(self, detector: Detector, examples: NDArray[Any]) -> Wanted:
        """What is wanted from the pass; see `Shared.wanted`."""
        centre, radius = self.centre, self.radius
        if centre is None or radius is None:
            found = direct_disk(detector, examples)
            centre = found.centre if centre is None else centre
            radius = found.radius if radius is None else radius
        mask = ring(detector.shape, centre, -1.0, radius)
        _check_pixels(self.name, mask, f"a disc of {radius:g} px about {centre[0]:g},{centre[1]:g}")
        told = {"centre_px": list(centre), "radius_px": radius}
        return Wanted.counts_in(detector, mask, told)

    @classmethod
    def parse(cls, text: str) -> Disc:
        """Read ``radius`` or ``y,x,radius``, [px].

        Parameters
        ----------
        text : str
            Numbers with commas between them.

        Returns
        -------
        Disc

        Raises
        ------
        OptionError
            If it is something else.
        """
        *centre, radius = numbers(text, (1, 3), "a disc is radius or y,x,radius in pixels")
        return cls(centre=_pair(centre), radius=radius)


@dataclass(frozen=True)
class Ring(Shared):
    """Counts in a ring: annular dark field.

    Parameters
    ----------
    name : str, default "adf"
        Of the kernel; several in one plan need different ones.
    centre : tuple of float, optional
        (y, x), [px]; default that of the direct disk of the examples.
    inner, outer : float, optional
        Radii, [px]; default just outside of the direct disk, and as far as the detector sees all round.

    Raises
    ------
    OptionError
        For radii below 0 or in the wrong order, and in the set-up if no pixel of the detector is in the ring.
    """

    name: str = "adf"
    centre: Pair | None = None
    inner: float | None = None
    outer: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no ring."""
        _check_radii(self.name, self.inner, self.outer)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """One number."""
        label = "annular dark field" if self.name == "adf" else f"virtual detector {self.name}"
        return (Output("counts", "counts", label),)

    @property
    def examples(self) -> int:
        """Patterns from which the direct disk is found; none if it need not be."""
        return 0 if self.centre is not None and self.inner is not None else _EXAMPLES

    def wanted(self, detector: Detector, examples: NDArray[Any]) -> Wanted:
        """What is wanted from the pass; see `Shared.wanted`."""
        centre, inner = self.centre, self.inner
        if centre is None or inner is None:
            found = direct_disk(detector, examples)
            centre = found.centre if centre is None else centre
            inner = _GAP * found.radius if inner is None else inner
        outer = _farthest(detector.shape, centre) if self.outer is None else self.outer
        mask = ring(detector.shape, centre, inner, outer)
        _check_pixels(self.name, mask, f"a ring of {inner:.1f} to {outer:.1f} px about {centre[0]:.1f},{centre[1]:.1f}")
        told = {"centre_px": list(centre), "inner_px": inner, "outer_px": outer}
        return Wanted.counts_in(detector, mask, told)

    @classmethod
    def parse(cls, text: str) -> Ring:
        """Read ``inner,outer`` or ``y,x,inner,outer``, [px].

        Parameters
        ----------
        text : str
            Numbers with commas between them.

        Returns
        -------
        Ring

        Raises
        ------
        OptionError
            If it is something else.
        """
        *centre, inner, outer = numbers(text, (2, 4), "a ring is inner,outer or y,x,inner,outer in pixels")
        return cls(centre=_pair(centre), inner=inner, outer=outer)


def ring(shape: tuple[int, int], centre: Pair, inner: float, outer: float) -> Mask:
    """Pixels of a ring, the inner edge excluded and the outer one included.

    Parameters
    ----------
    shape : tuple of int
        Detector pixels (q_y, q_x).
    centre : tuple of float
        (y, x), [px].
    inner, outer : float
        Radii, [px]; a negative inner one makes a disc.

    Returns
    -------
    ndarray of bool, shape `shape`

    Examples
    --------
    >>> int(ring((5, 5), (2.0, 2.0), -1.0, 1.0).sum()), int(ring((5, 5), (2.0, 2.0), 0.0, 1.0).sum())
    (5, 4)
    """
    y, x = np.ogrid[: shape[0], : shape[1]]
    distance = np.hypot(y - centre[0], x - centre[1])
    return np.asarray((distance > inner) & (distance <= outer))


def direct_disk(detector: Detector, examples: NDArray[Any]) -> DirectDisk:
    """Find the direct disk in the mean of some patterns.

    Parameters
    ----------
    detector : Detector
        What is known of the patterns.
    examples : ndarray, shape (n, q_y, q_x)
        Some patterns.

    Returns
    -------
    DirectDisk
        Of the sharpest disk; where there is none, of what is brighter than half of the brightest spot.

    Raises
    ------
    InputError
        If the examples hold no counts.
    """
    mean, valid = mean_pattern(detector, examples)
    return _disk_in(mean.tobytes(), valid.tobytes(), mean.shape, len(examples))


@lru_cache(maxsize=1)
def _disk_in(counts: bytes, told: bytes, shape: tuple[int, int], number: int) -> DirectDisk:
    """The direct disk of a mean pattern; kept for the next kernel, as several look for that of the same examples."""
    mean = np.frombuffer(counts).reshape(shape)
    valid = np.frombuffer(told, np.bool_).reshape(shape)
    try:
        # Where not a single electron came, the fit divides by nothing: what it then finds is refused below.
        with np.errstate(divide="ignore", invalid="ignore"):
            probe, at = first_probe(mean, valid, 1 / number)
    except (NoLatticeError, ValueError, np.linalg.LinAlgError):
        return _spot(mean)
    if not (np.isfinite([*at, probe.radius, probe.edge]).all() and mean[_pixel(mean.shape, at)] > 0):
        return _spot(mean)
    return DirectDisk((float(at[0]), float(at[1])), probe.radius + _EDGES * probe.edge)


def mean_pattern(detector: Detector, examples: NDArray[Any]) -> tuple[Array, Mask]:
    """Mean of the examples where pixels were read, and where any were.

    Parameters
    ----------
    detector : Detector
        What is known of the patterns.
    examples : ndarray, shape (n, q_y, q_x)
        Some patterns.

    Returns
    -------
    mean : ndarray, shape (q_y, q_x)
        [counts]; 0 where no pixel was read.
    valid : ndarray of bool, shape (q_y, q_x)
        Where there is a mean.

    Raises
    ------
    InputError
        If the examples hold no counts.
    """
    read = ~((examples == detector.nodata) | detector.mask)
    mean = np.where(read, examples, 0).sum(0, dtype=np.float64) / np.maximum(read.sum(0), 1)
    if not np.nansum(mean) > 0:
        raise InputError("hold no counts", "examples of the patterns", "open the beam, or give centre and radii")
    return mean, read.any(0)


def numbers(text: str, allowed: tuple[int, ...], meaning: str) -> list[float]:
    """Numbers with commas between them.

    Parameters
    ----------
    text : str
        What a person wrote.
    allowed : tuple of int
        How many there may be.
    meaning : str
        What they are, for the error.

    Returns
    -------
    list of float

    Raises
    ------
    OptionError
        If it is something else.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in allowed or not np.isfinite(values).all():
        raise OptionError(f"cannot read {text!r}", "--analyse", meaning)
    return values


def _pair(values: list[float]) -> Pair | None:
    """A centre, if one was given."""
    return (values[0], values[1]) if values else None


def _check_radii(name: str, *radii: float | None) -> None:
    """Refuse radii below zero, and those that do not rise."""
    given = [radius for radius in radii if radius is not None]
    if any(not radius >= 0 for radius in given) or any(not inner < outer for inner, outer in pairwise(given)):
        told = " to ".join(f"{radius:g}" for radius in given)
        raise OptionError(f"cannot have a radius of {told} px", name, "give radii from 0, the inner one first")


def _check_pixels(name: str, mask: Mask, what: str) -> None:
    """Refuse a detector that sees nothing."""
    if not mask.any():
        raise OptionError(f"{what} holds no pixel", name, "give centre and radii in pixels of the detector")


def _farthest(shape: tuple[int, int], centre: Pair) -> float:
    """Radius of the largest circle about `centre` that is all on the detector, [px]."""
    return float(min(min(c, n - 1 - c) for c, n in zip(centre, shape, strict=True)))


def _pixel(shape: tuple[int, ...], at: Array) -> tuple[int, ...]:
    """The pixel of a position, or the nearest one on the detector."""
    return tuple(int(np.clip(np.rint(a), 0, n - 1)) for a, n in zip(at, shape, strict=True))


def _spot(mean: Array) -> DirectDisk:
    """The brightest connected area."""
    smooth = ndimage.uniform_filter(mean, 3)
    labels, _ = ndimage.label(smooth > 0.5 * smooth.max())
    area = labels == labels.flat[int(np.argmax(smooth))]
    y, x = ndimage.center_of_mass(area)
    return DirectDisk((float(y), float(x)), float(np.sqrt(area.sum() / np.pi)) + 1.0)
