"""Simulates Lorentz microscopy with a scanning probe: a square of permalloy in which four domains close the flux.

A film of thickness t with the induction B in its plane deflects electrons of wavelength lambda by e lambda t B / h, at
right angles to B: J. N. Chapman, Journal of Physics D 17, 623 (1984), doi:10.1088/0022-3727/17/4/003. The whole disk
moves by that angle, which is lambda / 2 pi times the slope of the phase. The contrast of grains is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import constants
from scipy.special import softmax

from parscope.core.axes import Axis
from parscope.core.frames import Frames
from parscope.techniques.diffraction.simulate import Detector, ScanDesign, Simulation, simulate

Array = NDArray[np.float64]

_KILOVOLTS, _TESLA = 200.0, 1.0
_THICKNESS, _VIEW, _SIDE, _WALL = 20.0, 1280.0, 960.0, 25.0  # nm
# The objective lens is off: small angles in all, a probe of 5 nm, and 7.5 urad a pixel with 192 of them.
_SEMI_ANGLE, _ACROSS = 0.3, 1.44  # mrad
# What a film of this thickness scatters goes by a detector that sees so little.
_TRANSMITTED = 0.8


@dataclass(frozen=True)
class MagneticFilm:
    """A scan over a square magnetic film: four domains, the walls between them, and a vortex in the middle.

    Parameters
    ----------
    scan, pattern : tuple of int
        Scan positions and detector pixels, (y, x). The shorter side of the scan is 1280 nm, that of the pattern
        1.44 mrad.
    electrons : float, default 40e3
        Mean electrons per pattern beside the film.
    kind : {"uint8", "uint16", "float32"}, default "uint8"
        Type of a sample.
    seed : int, default 7
        Fixes every random draw.

    Examples
    --------
    >>> film = MagneticFilm(scan=(32, 32))
    >>> b_y, moved_x = film.induction[16, 26, 0], film.deflection[16, 26, 1]  # up, and so to the left
    >>> round(float(b_y), 2), round(float(moved_x), 2)
    (-1.0, -1.62)
    """

    scan: tuple[int, int] = (64, 64)
    pattern: tuple[int, int] = (192, 192)
    electrons: float = 40e3
    kind: str = "uint8"
    seed: int = 7

    @property
    def step(self) -> float:
        """Distance of scan positions, [nm]."""
        return _VIEW / min(self.scan)

    @property
    def pixel(self) -> float:
        """Angle that a detector pixel sees, [mrad]."""
        return _ACROSS / min(self.pattern)

    @property
    def induction(self) -> Array:
        """Induction in the plane, averaged over the thickness, shape (scan y, scan x, 2), order (y, x), [T].

        It runs along the contours of the distance to the nearest edge, and so has no sources, as every induction. Where
        two edges are about as near the distance is rounded, which makes walls with the profile of Landau and Lifshitz,
        a hyperbolic tangent; where all four are, in the middle, nothing of it is left in the plane.
        """
        y, x = self._places
        nearest = softmax(np.stack([x, -x, y, -y]) / _WALL, axis=0)
        slope = nearest[[3, 1]] - nearest[[2, 0]]  # of the distance, (y, x)
        inside = self._inside
        return _TESLA * np.stack([slope[1] * inside, -slope[0] * inside], -1)

    @property
    def deflection(self) -> Array:
        """How far the disk is moved, shape (scan y, scan x, 2), order (y, x), [px]."""
        b_y, b_x = np.moveaxis(self.induction, -1, 0)
        angle = _wavelength(_KILOVOLTS) * _THICKNESS * 1e-9 * constants.e / constants.h
        return np.stack([-b_x, b_y], -1) * (1e3 * angle / self.pixel)

    @property
    def simulation(self) -> Simulation:
        """The patterns; the centre of each is where the disk went.

        Raises
        ------
        OptionError
            If a size is out of range.
        """
        design = ScanDesign(
            scan=self.scan,
            electrons=self.electrons,
            seed=self.seed,
            radius=_SEMI_ANGLE / _ACROSS * min(ScanDesign.pattern),
            ellipse=(0.0, 0.0),
            max_q=1.0,
            direct=1.0,
            background=0.0,
            contrast=0.0,
            descan=0.0,
            strain_field="none",
            detector=Detector(self.kind),
        )
        made = simulate(design.sized(self.pattern))
        passed = np.where(self._inside, _TRANSMITTED, 1.0)[..., None]
        truth = replace(made.truth, centre=made.truth.centre + self.deflection, electrons=made.truth.electrons * passed)
        return replace(made, truth=truth)

    @property
    def frames(self) -> Frames:
        """The scan for the workflows, drawn when it is read."""
        made = self.simulation.frames
        steps = (Axis(name, n, "nm", self.step) for name, n in zip(("y", "x"), self.scan, strict=True))
        pixels = (
            Axis(name, n, "mrad", self.pixel, -self.pixel * n / 2)
            for name, n in zip(("q_y", "q_x"), self.pattern, strict=True)
        )
        return replace(made, axes=(*steps, *pixels))

    @property
    def _places(self) -> tuple[Array, Array]:
        """Distance of the positions from the middle, y and x, shape (scan y, scan x) each, [nm]."""
        y, x = np.meshgrid(*((np.arange(n) - (n - 1) / 2) * self.step for n in self.scan), indexing="ij")
        return y, x

    @property
    def _inside(self) -> NDArray[np.bool_]:
        """Where the film is."""
        y, x = self._places
        return np.maximum(np.abs(y), np.abs(x)) < _SIDE / 2


def _wavelength(kilovolts: float) -> float:
    """Of electrons, [m]."""
    energy, rest = 1e3 * kilovolts * constants.e, constants.m_e * constants.c**2
    return float(constants.h * constants.c / np.sqrt(energy * (energy + 2 * rest)))
