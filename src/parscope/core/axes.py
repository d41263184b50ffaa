"""One axis of a data set: its name, its length, and where its samples lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_UNIFORM = 1e-6


@dataclass(frozen=True)
class Axis:
    """An axis whose samples lie at offset + scale * index, or at `points` if they follow no such rule, in `unit`.

    Parameters
    ----------
    name : str
        ``y``, ``x`` for the scan; ``q_y``, ``q_x`` for a pattern; ``frequency``, ``bias``, ... for a spectrum.
    size : int
        Number of samples, at least 1.
    unit : str, default "px"
        ``nm``, ``1/nm``, ``mrad``, ``Hz``, ``V``, ...; ``px`` means not calibrated, ``1`` without dimension.
    scale : float, default 1.0
        Distance between neighbouring samples, in `unit`; positive.
    offset : float, default 0.0
        Position of sample 0, in `unit`.
    points : tuple of float, optional
        Positions of all samples, in `unit`, where they are not uniform or not rising, as in a cycle of bias;
        `scale` and `offset` mean nothing then.

    Raises
    ------
    ValueError
        If `size` is below 1, `scale` is not a positive number, or `points` are not as many finite numbers.

    Examples
    --------
    >>> Axis("x", 3, "nm", 0.5).values
    array([0. , 0.5, 1. ])
    >>> Axis("bias", 4, "V", points=(0.0, 5.0, 0.0, -5.0)).values
    array([ 0.,  5.,  0., -5.])
    """

    name: str
    size: int
    unit: str = "px"
    scale: float = 1.0
    offset: float = 0.0
    points: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what no instrument produces."""
        if self.size < 1:
            raise ValueError(f"axis {self.name}: size {self.size} is below 1")
        if not (self.scale > 0 and np.isfinite(self.scale)):
            raise ValueError(f"axis {self.name}: scale {self.scale} is not a positive number")
        if self.points is not None and (len(self.points) != self.size or not np.isfinite(self.points).all()):
            raise ValueError(f"axis {self.name}: its points are not {self.size} finite numbers")

    @classmethod
    def from_values(cls, name: str, values: ArrayLike, unit: str = "px") -> Axis:
        """Axis through given positions: uniform if they are, to a millionth of a step, otherwise with `points`.

        Parameters
        ----------
        name : str
            Name of the axis.
        values : array_like, shape (size,)
            Positions, in `unit`.
        unit : str, default "px"
            Their unit.

        Returns
        -------
        Axis

        Raises
        ------
        ValueError
            If `values` are not one or more finite numbers.

        Examples
        --------
        >>> Axis.from_values("frequency", [10.0, 12.0, 14.0], "Hz")
        Axis(name='frequency', size=3, unit='Hz', scale=2.0, offset=10.0, points=None)
        """
        places = np.asarray(values, np.float64)
        if places.ndim != 1 or places.size == 0 or not np.isfinite(places).all():
            raise ValueError(f"axis {name}: its values are not one or more finite numbers")
        step = float(places[-1] - places[0]) / (len(places) - 1) if len(places) > 1 else 1.0
        line = places[0] + step * np.arange(len(places))
        if step > 0 and np.isfinite(step) and np.abs(places - line).max() <= _UNIFORM * step:
            return cls(name, len(places), unit, step, float(places[0]))
        return cls(name, len(places), unit, points=tuple(places.tolist()))

    @property
    def values(self) -> NDArray[np.float64]:
        """Positions of all samples, shape (size,), in `unit`."""
        if self.points is not None:
            return np.array(self.points, np.float64)
        return self.offset + self.scale * np.arange(self.size, dtype=np.float64)

    @property
    def calibrated(self) -> bool:
        """Whether the axis has a physical unit."""
        return self.unit != "px"
