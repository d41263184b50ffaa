"""Physics of one nanobeam diffraction pattern: disks of one probe on an affine-deformed lattice.

Source: T. C. Pekin et al., Ultramicroscopy 176 (2017) 170, doi:10.1016/j.ultramic.2016.12.021 (strain from disk
positions); C. Ophus, Microsc. Microanal. 25 (2019) 563, doi:10.1017/S1431927619000497 (4D-STEM).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray
from scipy.special import ndtr

from parscope.core.physics import Constellation, Contrast, Levels, Noise, Parameter

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    """The image of the condenser aperture: a disk with a soft edge, seen through the detector's distortion.

    Parameters
    ----------
    radius : float
        Radius at half height, [px].
    edge : float
        Standard deviation of the edge, [px]: source size, aperture and detector point spread together.
    distortion : ndarray, shape (2, 2), optional
        Symmetric matrix near 1 that maps ideal to detector positions, (y, x) order; default identity (round disk).

    Raises
    ------
    ValueError
        If radius or edge is not positive.
    """

    radius: float
    edge: float
    distortion: Array = field(default_factory=lambda: np.eye(2))

    def __post_init__(self) -> None:
        """Refuse what is no disk."""
        if not (self.radius > 0 and self.edge > 0):
            raise ValueError(f"probe radius {self.radius} and edge {self.edge} must be positive")


@dataclass(frozen=True)
class Background:
    """Diffuse scattering and detector offset: level / (1 + (q / width)^2) + floor.

    Parameters
    ----------
    level : float
        Counts per pixel of the peaked part at the centre.
    width : float
        Its half width at half maximum, [px].
    floor : float, default 0.0
        Constant counts per pixel.
    """

    level: float
    width: float
    floor: float = 0.0

    def at(self, offsets: Array) -> Array:
        """Counts per pixel at `offsets` from the centre, shape (..., 2) -> (...), [px]."""
        q2 = np.sum(np.square(offsets), axis=-1)
        counts: Array = self.level / (1 + q2 / self.width**2) + self.floor
        return counts

    def slope(self, offsets: Array) -> Array:
        """Relative gradient (1/b) db/dq at `offsets`, shape (..., 2) -> (..., 2), [1/px]."""
        q2 = np.sum(np.square(offsets), axis=-1, keepdims=True)
        peak = self.level / (1 + q2 / self.width**2)
        total = np.maximum(peak + self.floor, 1e-30)
        gradient: Array = -2 * offsets / self.width**2 * peak / (1 + q2 / self.width**2) / total
        return gradient


@dataclass(frozen=True)
class DiffractionPattern(Constellation):
    """A pattern as a probe, a lattice and a background; six parameters move the disks, nothing deforms them.

    Parameters
    ----------
    shape : tuple of int
        Detector pixels (q_y, q_x).
    probe : Probe
        The disk.
    centre : tuple of float
        Pattern centre (y, x) of the reference, [px]; the centre of pixel (0, 0) is (0.0, 0.0).
    basis : ndarray, shape (2, 2)
        Rows g1, g2: reference reciprocal lattice vectors on the detector (distortion included), (y, x) order, [px].
    indices : ndarray of int, shape (n, 2)
        Miller indices (h, k) of the disks used, with respect to `basis`.
    amplitude : ndarray, shape (n,)
        Counts per pixel inside each disk of the mean pattern.
    background : Background
        Of the mean pattern.
    contrast : Contrast
        Prior for what happens inside the disks.
    gain : float, default 1.0
        Detector counts per electron; the variance of a pixel is gain times its mean.
    mask : ndarray of bool, shape `shape`, optional
        True where the detector pixel is not to be used.

    Notes
    -----
    Do not use it for patterns without separate disks (amorphous rings, Kikuchi bands, ptychography data with
    overlapping disks that interfere): the disks are added as intensities.
    """

    shape: tuple[int, int]
    probe: Probe
    centre: tuple[float, float]
    basis: Array
    indices: NDArray[np.int64]
    amplitude: Array
    background: Background
    contrast: Contrast = field(default_factory=Contrast)
    gain: float = 1.0
    mask: NDArray[np.bool_] | None = None

    noise: ClassVar[Noise] = "poisson"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("centre_y", "px"),
        Parameter("centre_x", "px"),
        Parameter("A_yy", "1", 0.5, 1.5),
        Parameter("A_yx", "1", -0.5, 0.5),
        Parameter("A_xy", "1", -0.5, 0.5),
        Parameter("A_xx", "1", 0.5, 1.5),
    )

    @property
    def signal_shape(self) -> tuple[int, ...]:
        """Detector pixels (q_y, q_x)."""
        return self.shape

    @property
    def reference(self) -> Array:
        """Disk positions relative to the centre, shape (n, 2), [px], order (y, x)."""
        return np.asarray(self.indices @ self.basis, dtype=np.float64)

    @property
    def theta(self) -> Array:
        """Parameters of the undeformed pattern, shape (6,)."""
        return np.array([*self.centre, 1.0, 0.0, 0.0, 1.0])

    @property
    def extent(self) -> tuple[float, float]:
        """Radius and edge of the probe, [px]."""
        return self.probe.radius, self.probe.edge

    @property
    def levels(self) -> Levels:
        """Mean counts at each disk; the background is kept above a thousandth of the disk."""
        at = self.reference
        floor = np.maximum(1e-3 * self.amplitude, 1e-7)
        return Levels(self.amplitude, np.maximum(self.background.at(at), floor), self.background.slope(at))

    def template(self, offsets: Array, edge: float) -> tuple[Array, Array]:
        """Probe disk and its gradient; see `Constellation.template`."""
        inverse = np.linalg.inv(self.probe.distortion)
        u = offsets @ inverse.T
        r = np.sqrt(np.sum(u * u, axis=-1)) + 1e-9
        s = (r - self.probe.radius) / edge
        value = ndtr(-s)
        slope = np.exp(-0.5 * s * s) / np.sqrt(2 * np.pi) / edge
        gradient = (slope / r)[..., None] * (u @ inverse)
        return value, gradient

    def render(self, theta: Any, /, amplitude: Any = None, background: Any = None) -> Any:
        """Expected patterns.

        Parameters
        ----------
        theta : array, shape (n, 6)
            centre_y, centre_x [px], A_yy, A_yx, A_xy, A_xx [1].
        amplitude : array, shape (n, disks) or (disks,), optional
            Counts per pixel inside each disk; default those of the mean pattern.
        background : array, shape (n,), optional
            Factor on the background, [1]; default 1.

        Returns
        -------
        array, shape (n, q_y, q_x)
            Expected counts, of the library of `theta` (NumPy, PyTorch, ...); differentiable in all arguments.
        """
        xp = array_namespace(theta)
        kind = {"dtype": theta.dtype, "device": device(theta)}
        reference = xp.asarray(self.reference, **kind)
        rows = xp.arange(self.shape[0], **kind)[None, :, None]
        columns = xp.arange(self.shape[1], **kind)[None, None, :]
        level = xp.asarray(self.amplitude, **kind) if amplitude is None else amplitude
        if level.ndim == 1:
            level = level[None, :] + xp.zeros((theta.shape[0], 1), **kind)
        factor = xp.ones(theta.shape[0], **kind) if background is None else background
        dy, dx = rows - theta[:, 0, None, None], columns - theta[:, 1, None, None]
        b = self.background
        image = (b.level / (1 + (dy * dy + dx * dx) / b.width**2) + b.floor) * factor[:, None, None]
        inverse = np.linalg.inv(self.probe.distortion)
        for n in range(reference.shape[0]):
            q_y, q_x = reference[n, 0], reference[n, 1]
            py = dy - (theta[:, 2] * q_y + theta[:, 3] * q_x)[:, None, None]
            px = dx - (theta[:, 4] * q_y + theta[:, 5] * q_x)[:, None, None]
            u = float(inverse[0, 0]) * py + float(inverse[0, 1]) * px
            v = float(inverse[1, 0]) * py + float(inverse[1, 1]) * px
            s = (xp.sqrt(u * u + v * v + 1e-18) - self.probe.radius) / self.probe.edge
            image = image + level[:, n, None, None] * _soft_step(xp, s)
        return image


def _soft_step(xp: Any, s: Any) -> Any:
    """Gaussian tail 1 - Phi(s), in the library at hand: the array API has no error function."""
    if xp is np or xp.__name__.endswith("numpy"):
        return ndtr(-s)
    if hasattr(xp, "special"):
        return xp.special.ndtr(-s)
    return 0.5 - 0.5 * xp.tanh(s * (0.7978845608 + 0.0356774 * s * s))
