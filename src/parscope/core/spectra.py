"""Spectra: what every reader of spectroscopy returns and every fit takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import ArrayLike

from parscope.core.axes import Axis
from parscope.core.errors import ShapeError
from parscope.core.frames import Sliceable


@dataclass(frozen=True)
class Spectra:
    """Real or complex spectra, one at each point of a navigation grid; reads nothing by itself.

    Parameters
    ----------
    data : Sliceable, shape (*navigation, n)
        Samples, possibly on disk; slices and integers on the navigation dimensions read the part they select.
    axes : tuple of Axis
        One for each dimension, in the same order; the last is that of a spectrum, the others (``y``, ``x``,
        ``cycle``, ``bias``, ...) tell the spectra apart.
    unit : str, default "1"
        Of a sample; ``mixed`` where several channels of different units stand side by side.
    metadata : mapping, optional
        All the file says of itself, as the vendor names it.
    source : str, default "memory"
        Where the data came from: a path, or ``memory``.

    Raises
    ------
    ShapeError
        If `data` has no dimension or no sample, or `axes` do not match it.
    """

    data: Sliceable
    axes: tuple[Axis, ...]
    unit: str = "1"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    source: str = "memory"

    def __post_init__(self) -> None:
        """Check that the parts describe the same array."""
        shape = tuple(self.data.shape)
        if not shape or 0 in shape:
            raise ShapeError(f"has shape {shape}: there are no spectra in it", self.source)
        if tuple(a.size for a in self.axes) != shape:
            raise ShapeError(f"axes {[a.size for a in self.axes]} do not match shape {shape}", self.source)

    @property
    def axis(self) -> Axis:
        """The axis of a spectrum: ``frequency``, ``bias``, ..."""
        return self.axes[-1]

    @property
    def navigation_shape(self) -> tuple[int, ...]:
        """Number of points along each of the dimensions that tell spectra apart; () for a single spectrum."""
        return tuple(int(n) for n in self.data.shape[:-1])

    @classmethod
    def from_array(
        cls, data: Sliceable, axis_values: ArrayLike, name: str = "frequency", unit: str = "Hz", source: str = "memory"
    ) -> Spectra:
        """Wrap an array of spectra; the navigation axes count pixels.

        Parameters
        ----------
        data : Sliceable, shape (*navigation, n)
            Samples, real or complex.
        axis_values : array_like, shape (n,)
            Position of each sample of a spectrum, in `unit`.
        name : str, default "frequency"
            Of the axis of a spectrum.
        unit : str, default "Hz"
            Of the axis of a spectrum.
        source : str, default "memory"
            Where they came from.

        Returns
        -------
        Spectra

        Raises
        ------
        ShapeError
            If `axis_values` are not one finite number for each sample of a spectrum.

        Examples
        --------
        >>> import numpy as np
        >>> noise = np.zeros((2, 3, 80), complex)
        >>> spectra = Spectra.from_array(noise, np.linspace(300e3, 379e3, 80))
        >>> spectra.navigation_shape, spectra.axis.scale
        ((2, 3), 1000.0)
        """
        shape = tuple(int(n) for n in data.shape)
        if not shape or 0 in shape:
            raise ShapeError(f"has shape {shape}: there are no spectra in it", source)
        try:
            axis = Axis.from_values(name, axis_values, unit)
        except ValueError as error:
            raise ShapeError(str(error), source, "give one number for each sample of a spectrum") from error
        axes = tuple(Axis(n, s) for n, s in zip(_navigation_names(len(shape) - 1), shape[:-1], strict=True))
        return cls(data, (*axes, axis), source=source)


def _navigation_names(count: int) -> tuple[str, ...]:
    """Names for axes of which only the number is known: a scan first, anything else after it."""
    if count == 1:
        return ("position",)
    return ("y", "x", *(f"step_{i}" for i in range(1, count - 1)))[:count]
