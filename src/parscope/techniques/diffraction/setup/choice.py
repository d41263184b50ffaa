"""What the set-up takes from a person and what it says to one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parscope.techniques.diffraction.pattern import DiffractionPattern
from parscope.techniques.diffraction.setup.moments import Array
from parscope.techniques.diffraction.setup.pixels import BadPixels

Pair = tuple[float, float]


@dataclass(frozen=True)
class Given:
    """What a person knows beforehand; everything left at None is found from the data.

    Parameters
    ----------
    probe_radius, probe_edge : float, optional
        Radius of the disk and standard deviation of its edge, [px].
    centre : tuple of float, optional
        Centre of the direct disk (y, x), [px].
    g1, g2 : tuple of float, optional
        Lattice vectors (y, x), [px]; both or none.
    ellipse : tuple of float, optional
        Ratio of the long to the short axis of the detector's distortion, [1], and the angle of the long axis from
        +x towards +y, [rad].
    max_q : float, optional
        Farthest disk used, [px] from the centre.
    gain : float, optional
        Detector counts per electron.

    Raises
    ------
    ValueError
        If a number is not positive that must be, or only one of g1 and g2 is given.
    """

    probe_radius: float | None = None
    probe_edge: float | None = None
    centre: Pair | None = None
    g1: Pair | None = None
    g2: Pair | None = None
    ellipse: Pair | None = None
    max_q: float | None = None
    gain: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("probe_radius", "probe_edge", "max_q", "gain"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} {value} must be positive")
        if (self.g1 is None) != (self.g2 is None):
            raise ValueError("g1 and g2 must be given together")


@dataclass(frozen=True)
class Choice:
    """One thing the set-up settled, for the report.

    Parameters
    ----------
    name : str
        What was settled.
    value : str
        Its value with unit.
    how : str
        One sentence on how.
    std : float, optional
        Standard error, [unit of `value`]; NaN where there is none.
    """

    name: str
    value: str
    how: str
    std: float = float("nan")


@dataclass(frozen=True)
class Setup:
    """All that the fit of a scan needs, and why it is so.

    Parameters
    ----------
    physics : DiffractionPattern
        Ready to render and to invert.
    choices : tuple of Choice
        What was settled, in the order it was.
    mean : ndarray, shape (q_y, q_x)
        Mean pattern with the wander of the pattern taken out, [counts].
    bad : BadPixels
        Pixels not used, by cause.
    misfit : float
        Mean squared difference of the mean pattern and the rendered one within the disks, relative to its
        square, rooted, [1].
    """

    physics: DiffractionPattern
    choices: tuple[Choice, ...]
    mean: Array
    bad: BadPixels
    misfit: float


def ellipse_matrix(ratio: float, angle: float) -> Array:
    """Symmetric matrix of determinant 1 that stretches along `angle` (from +x towards +y, [rad]) by `ratio`."""
    axis = np.array([np.sin(angle), np.cos(angle)])
    along = np.outer(axis, axis)
    return np.asarray(np.sqrt(ratio) * along + (np.eye(2) - along) / np.sqrt(ratio))


def stretches(ratio: float, angle: float) -> Pair:
    """The two logarithmic stretches, along y and along the diagonal, of `ellipse_matrix`."""
    size = 0.5 * np.log(ratio)
    return -float(size * np.cos(2 * angle)), float(size * np.sin(2 * angle))
