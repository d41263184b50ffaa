"""One axis of a data set: its name, its length, and what one step means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Axis:
    """A uniformly spaced axis: position = offset + scale * index, in `unit`.

    Parameters
    ----------
    name : str
        ``y``, ``x`` for the scan; ``q_y``, ``q_x`` for the pattern.
    size : int
        Number of samples, at least 1.
    unit : str, default "px"
        ``nm``, ``1/nm``, ``mrad`` or ``px``; ``px`` means not calibrated.
    scale : float, default 1.0
        Distance between neighbouring samples, in `unit`; positive.
    offset : float, default 0.0
        Position of sample 0, in `unit`.

    Raises
    ------
    ValueError
        If `size` is below 1 or `scale` is not a positive number.

    Examples
    --------
    >>> Axis("x", 3, "nm", 0.5).values
    array([0. , 0.5, 1. ])
    """

    name: str
    size: int
    unit: str = "px"
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no instrument produces."""
        if self.size < 1:
            raise ValueError(f"axis {self.name}: size {self.size} is below 1")
        if not (self.scale > 0 and np.isfinite(self.scale)):
            raise ValueError(f"axis {self.name}: scale {self.scale} is not a positive number")

    @property
    def values(self) -> NDArray[np.float64]:
        """Positions of all samples, shape (size,), in `unit`."""
        return self.offset + self.scale * np.arange(self.size, dtype=np.float64)

    @property
    def calibrated(self) -> bool:
        """Whether the axis has a physical unit."""
        return self.unit != "px"
