"""What a person may say about a strain map; everything has a default that is found from the data."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parscope.core.errors import OptionError

Pair = tuple[float, float]
# Sine of the smallest angle between two lattice vectors.
_LEAST_ANGLE = 0.1
_REGION = re.compile(r"(\d+):(\d+),(\d+):(\d+)")


@dataclass(frozen=True)
class StrainSettings:
    """Options of a strain map; None means found from the data.

    Parameters
    ----------
    vacuum : Path, optional
        File with a pattern of the probe in vacuum (2D ``.npy``, or a scan, whose mean is taken).
    mask : Path, optional
        ``.npy`` of bool, shape (q_y, q_x), True where the detector pixel is bad.
    probe_radius, probe_edge : float, optional
        Radius of the disks and standard deviation of their edge, [px].
    centre : tuple of float, optional
        Centre of the pattern (y, x), [px].
    g1, g2 : tuple of float, optional
        Reciprocal lattice vectors (y, x), [px]; both or none.
    ellipse : tuple of float, optional
        Ratio of the axes of the detector's distortion, [1], and angle of the long one from +x towards +y, [degrees].
    max_q : float, optional
        Farthest disk used, [px] from the centre.
    gain : float, optional
        Detector counts per electron.
    pool : int, optional
        Side of the square of scan positions that share their information: 1, 3 or 5.
    reference : str, optional
        Region of zero strain: ``y0:y1,x0:x1`` in scan positions, or ``lattice`` for the given g1 and g2.
    step : float, optional
        Distance of scan positions, [nm].
    solver : Path, optional
        Folder of networks, from `train_strain`, that start the fits and find the crystals.

    Raises
    ------
    OptionError
        If an option cannot be meant.
    """

    vacuum: Path | None = None
    mask: Path | None = None
    probe_radius: float | None = None
    probe_edge: float | None = None
    centre: Pair | None = None
    g1: Pair | None = None
    g2: Pair | None = None
    ellipse: Pair | None = None
    max_q: float | None = None
    gain: float | None = None
    pool: int | None = None
    reference: str | None = None
    step: float | None = None
    solver: Path | None = None

    @classmethod
    def of(cls, **given: Any) -> StrainSettings:
        """Make settings of what a person gives, whose paths may be texts.

        Parameters
        ----------
        **given
            Fields.

        Returns
        -------
        StrainSettings

        Raises
        ------
        OptionError
            If an option cannot be meant.
        """
        paths = {name: Path(given[name]) for name in ("vacuum", "mask", "solver") if given.get(name) is not None}
        return cls(**{**given, **paths})

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, before a file is read."""
        for name in ("probe_radius", "probe_edge", "max_q", "gain", "step"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise OptionError(f"{value} is not a positive number", _flag(name))
        self._check_geometry()
        if self.pool not in (None, 1, 3, 5):
            raise OptionError(f"{self.pool} is not 1, 3 or 5", "--pool")
        if self.reference == "lattice" and self.g1 is None:
            raise OptionError("'lattice' needs a lattice", "--reference", "give --g1 and --g2")
        if self.reference not in (None, "lattice") and not _REGION.fullmatch(str(self.reference)):
            raise OptionError(f"{self.reference!r} is no region", "--reference", "write it as y0:y1,x0:x1")

    def _check_geometry(self) -> None:
        """Refuse pairs that are no place, lattice or ellipse."""
        for name in ("centre", "g1", "g2", "ellipse"):
            pair = getattr(self, name)
            if pair is not None and not all(map(math.isfinite, pair)):
                raise OptionError(f"{pair} are not two numbers", _flag(name))
        if self.ellipse is not None and not 0.5 < self.ellipse[0] < 2:
            raise OptionError(f"the ratio {self.ellipse[0]} is not within 0.5 to 2", "--ellipse")
        if (self.g1 is None) != (self.g2 is None):
            raise OptionError("needs its partner", "--g1 and --g2", "give both or none")
        if self.g1 is not None and self.g2 is not None:
            area = abs(self.g1[0] * self.g2[1] - self.g1[1] * self.g2[0])
            if area < _LEAST_ANGLE * math.hypot(*self.g1) * math.hypot(*self.g2) + 1.0:
                raise OptionError(f"{self.g1} and {self.g2} span no lattice", "--g1 and --g2")

    def region(self, scan_shape: tuple[int, int]) -> tuple[slice, slice] | None:
        """The reference region as slices of the scan, or None.

        Parameters
        ----------
        scan_shape : tuple of int
            Scan positions (y, x).

        Returns
        -------
        tuple of slice, or None

        Raises
        ------
        OptionError
            If the region is not inside the scan.
        """
        found = _REGION.fullmatch(self.reference or "")
        if found is None:
            return None
        y0, y1, x0, x1 = map(int, found.groups())
        if not (y0 < y1 <= scan_shape[0] and x0 < x1 <= scan_shape[1]):
            raise OptionError(f"{self.reference} is not inside the scan of {scan_shape}", "--reference")
        return slice(y0, y1), slice(x0, x1)

    def named(self) -> dict[str, Any]:
        """Every setting as a JSON-able value, None where it is found from the data."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}


def _flag(name: str) -> str:
    """Name of the option on the command line."""
    return "--" + name.replace("_", "-")
