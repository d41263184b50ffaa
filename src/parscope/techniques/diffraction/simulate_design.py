"""What a simulated scan is made of: specimen, probe, detector and dose, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError

Array = NDArray[np.float64]
FIELDS = ("layers", "inclusion", "none")
KINDS = ("uint8", "uint16", "float32")


@dataclass(frozen=True)
class Detector:
    """How electrons become numbers; the default is an ideal counting detector.

    Parameters
    ----------
    kind : {"uint8", "uint16", "float32"}, default "uint16"
        Type of a sample. Integers saturate at their largest value, as counters do.
    gain : float, default 1.0
        Detector counts per electron.
    readout : float, default 0.0
        Standard deviation of the readout noise, [counts].
    hot, dead : int, default 0
        Number of pixels that always see an extra 2 % of all electrons, or none.
    beam_stop : float, default 0.0
        Radius of a round beam stop on a bar from the upper edge, [px]; 0 for none.

    Raises
    ------
    OptionError
        If a number is out of range or the type is none of the three.
    """

    kind: str = "uint16"
    gain: float = 1.0
    readout: float = 0.0
    hot: int = 0
    dead: int = 0
    beam_stop: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no detector does."""
        if self.kind not in KINDS:
            raise OptionError(f"there is no {self.kind!r}", "detector type", f"choose one of {', '.join(KINDS)}")
        if not 0 < self.gain < np.inf:
            raise OptionError(f"{self.gain} is not a positive number", "detector gain")
        for name in ("readout", "hot", "dead", "beam_stop"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"{getattr(self, name)} is negative", f"detector {name}")


@dataclass(frozen=True)
class ScanDesign:
    """A nanobeam 4D-STEM scan to simulate: kinematic disks on a strained lattice, with everything known.

    Parameters
    ----------
    scan, pattern : tuple of int
        Scan positions and detector pixels, (y, x).
    electrons : float, default 1000
        Mean electrons per pattern that reach the detector plane.
    seed : int, default 7
        Fixes every random draw.
    radius, edge : float
        Probe disk: radius at half height and standard deviation of its edge, [px].
    ellipse : tuple of float, default (0.012, 55.0)
        Elliptical distortion: difference of the half axes over their mean [1], and angle of the long one, [deg].
    lattice : tuple of float, default (21.0, 21.0, -90.0, 79.0)
        |g1|, |g2| [px], angle from g1 to g2 and angle of g1 [deg]; angles are positive from +x towards +y.
    max_q : float, default 57.0
        Disks with |g| below this, [px].
    envelope, tilt : float
        Width of the Gaussian envelope of the intensities, and how far it wanders over the scan, [px].
    direct : float, default 0.45
        Share of the electrons outside the background that is in the direct disk, [1].
    background, background_width : float
        Share of all electrons in a Lorentzian background [1], and its half width at half maximum, [px].
    contrast : float, default 0.5
        Depth of the fringes inside the disks, [1]; the direct disk has 0.4 of it; 0 for flat disks.
    descan : float, default 0.8
        Wander of the pattern centre over the scan, [px].
    strain_field : {"layers", "inclusion", "none"}, default "layers"
        Strain field: a stepped layer among smooth waves, a round inclusion, or no strain. The first quarter of
        the columns is the unstrained reference.
    max_strain, max_rotation : float
        Scale of the strain [1] and of the rotation [deg].
    grains : int, default 0
        Number of grains of a polycrystal, each with an in-plane rotation and a strain of its own, in place of
        `strain_field`; 0 for one crystal. The grain of the reference is unrotated and unstrained.
    probe_size : float, default 0.8
        Standard deviation of the probe in real space, [scan steps]: patterns closer to a boundary are mixtures.
    overlap : float, default 0.0
        Share of the electrons scattered by a second crystal under the last quarter of the rows, [1].
    vacuum : float, default 0.0
        Share of the columns, from the last one, without specimen, [1].
    detector : Detector
        Type, gain, noise and faults.

    Raises
    ------
    OptionError
        If a size, share or length is out of range.

    Examples
    --------
    >>> ScanDesign(scan=(8, 8)).sized((256, 256)).radius
    10.0
    """

    scan: tuple[int, int] = (64, 64)
    pattern: tuple[int, int] = (128, 128)
    electrons: float = 1000.0
    seed: int = 7
    radius: float = 5.0
    edge: float = 0.6
    ellipse: tuple[float, float] = (0.012, 55.0)
    lattice: tuple[float, float, float, float] = (21.0, 21.0, -90.0, 79.0)
    max_q: float = 57.0
    envelope: float = 40.0
    tilt: float = 12.0
    direct: float = 0.45
    background: float = 0.2
    background_width: float = 14.0
    contrast: float = 0.5
    descan: float = 0.8
    strain_field: str = "layers"
    max_strain: float = 0.02
    max_rotation: float = 1.0
    grains: int = 0
    probe_size: float = 0.8
    overlap: float = 0.0
    vacuum: float = 0.0
    detector: Detector = field(default_factory=Detector)

    def __post_init__(self) -> None:
        """Refuse what cannot be rendered."""
        if min(self.scan) < 1:
            raise OptionError(f"{self.scan} has no positions", "scan", "give two positive sizes (y, x)")
        if not 16 <= min(self.pattern) <= max(self.pattern) <= 8192:
            raise OptionError(f"{self.pattern} is not within 16 to 8192 px", "pattern")
        for name in ("electrons", "radius", "edge", "max_q", "envelope", "background_width", "probe_size"):
            if not 0 < getattr(self, name) < np.inf:
                raise OptionError(f"{getattr(self, name)} is not a positive number", name)
        for name in ("direct", "background", "contrast", "overlap", "vacuum"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{getattr(self, name)} is not within 0 to 1", name)
        if self.strain_field not in FIELDS:
            raise OptionError(
                f"there is no {self.strain_field!r}", "strain field", f"choose one of {', '.join(FIELDS)}"
            )
        self._check_geometry()

    def _check_geometry(self) -> None:
        """Refuse lattices and deformations that are none."""
        length1, length2, angle, _ = self.lattice
        if not min(length1, length2) > 0 or abs(np.sin(np.deg2rad(angle))) < 0.1:
            raise OptionError(f"{self.lattice} spans no plane", "lattice")
        if not abs(self.ellipse[0]) < 0.5:
            raise OptionError(f"{self.ellipse[0]} is not within -0.5 to 0.5", "ellipse")
        if not 0 <= self.max_strain < 0.2:
            raise OptionError(f"{self.max_strain} is not within 0 to 0.2", "max_strain")
        for name in ("max_rotation", "descan", "tilt"):
            if not 0 <= getattr(self, name) < np.inf:
                raise OptionError(f"{getattr(self, name)} is not a number from 0 on", name)
        if self.grains < 0 or self.seed < 0:
            raise OptionError("a negative number", "grains" if self.grains < 0 else "seed")

    def sized(self, pattern: tuple[int, int]) -> ScanDesign:
        """Design of the same diffraction seen by a detector with other pixels.

        Parameters
        ----------
        pattern : tuple of int
            Detector pixels (y, x). Lengths scale with the smaller side, the edge with its square root, because
            part of it is the detector's own.

        Returns
        -------
        ScanDesign

        Raises
        ------
        OptionError
            If the size is out of range.
        """
        f = min(pattern) / min(self.pattern)
        lengths = ("radius", "max_q", "envelope", "tilt", "background_width", "descan")
        scaled = {name: getattr(self, name) * f for name in lengths}
        lattice = (self.lattice[0] * f, self.lattice[1] * f, *self.lattice[2:])
        return replace(self, pattern=pattern, edge=self.edge * f**0.5, lattice=lattice, **scaled)

    @property
    def distortion(self) -> Array:
        """Map of ideal to detector positions, shape (2, 2), order (y, x); that of `Probe.distortion`."""
        amount, angle = self.ellipse[0], np.deg2rad(self.ellipse[1])
        long = np.array([np.sin(angle), np.cos(angle)])
        short = np.array([np.cos(angle), -np.sin(angle)])
        result: Array = (1 + amount / 2) * np.outer(long, long) + (1 - amount / 2) * np.outer(short, short)
        return result

    @property
    def crystal_basis(self) -> Array:
        """Reciprocal lattice vectors before the distortion, rows g1, g2, order (y, x), [px]."""
        first = np.deg2rad(self.lattice[3])
        second = first + np.deg2rad(self.lattice[2])
        rows = np.array([[np.sin(first), np.cos(first)], [np.sin(second), np.cos(second)]])
        result: Array = rows * np.array(self.lattice[:2])[:, None]
        return result

    @property
    def indices(self) -> NDArray[np.int64]:
        """Miller indices (h, k) of the disks, shape (n, 2)."""
        basis = self.crystal_basis
        # Reciprocal of the reciprocal: |h| cannot exceed max_q times the length of its dual vector.
        reach = np.floor(self.max_q * np.linalg.norm(np.linalg.inv(basis), axis=0)).astype(int)
        h, k = np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij")
        every = np.stack([h.ravel(), k.ravel()], -1).astype(np.int64)
        inside: NDArray[np.int64] = every[np.linalg.norm(every @ basis, axis=1) < self.max_q]
        return inside
