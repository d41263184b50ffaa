"""Spectral lines on a smooth background, as of Raman scattering or luminescence (``lines``, ``raman``).

A sum of Lorentz lines, or of pseudo-Voigt ones: Thompson, Cox, Hastings, Journal of Applied Crystallography 20, 79
(1987), doi:10.1107/S0021889887087090.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.physics import Parameter
from parscope.core.separable import Linear, Piece, Separable
from parscope.techniques.line_search import Ranges, find_ranges

_LN_2 = math.log(2)
# Areas of lines of unit height and width.
_LORENTZ, _GAUSS = math.pi / 2, math.sqrt(math.pi / _LN_2) / 2
# Shares of the Lorentz line of which a pseudo-Voigt one is made; beyond 0 and 1 by what noise makes of them.
_SHARES = (-0.5, 1.5)
# A search for one of several lines looks at its range and this many times its length on each side, at so many samples;
# lines whose ranges touch are looked for together, but not more, as each has two parameters.
_BESIDE, _FEWEST, _TOGETHER = 1.0, 16, 2
# A higher polynomial would explain the lines; more lines take minutes to find.
_HIGHEST, _SEARCHED = 10, 12


@dataclass(frozen=True)
class Lines(Separable):
    """A line in each of some ranges, on a polynomial.

    A range for each line keeps lines from changing places between spectra; for measured spectra, ranges that are not
    given are found. Do not use it for counts so few that their noise is not Gaussian, nor for lines that are missing in
    many spectra: where a line has no centre inside its range, the status is AT_BOUND.

    A pseudo-Voigt line is the sum of a Lorentz and a Gauss line of the same centre and width. The share of the first
    may be below 0 or above 1, by what noise makes of it: a bound there would make most fits of either kind fail.

    Parameters
    ----------
    position : ndarray, shape (bins,)
        Energy, wavelength or shift of the samples, rising, in `unit`.
    ranges : tuple of tuple of float, optional
        Where the centre of each line may lie, in `unit`; lines are numbered in rising order. Default: one, anywhere.
    degree : int, default 1
        Of the polynomial, in the position scaled to -1 to 1.
    unit : str, default "1/cm"
        Unit of the position.
    shape : {"lorentz", "voigt"}, default "lorentz"
        Of the lines.

    Raises
    ------
    ValueError
        If the positions do not rise, or a range does not or is outside.

    Examples
    --------
    >>> physics = Lines(np.linspace(480, 560, 200), ((515, 526),))
    >>> [parameter.name for parameter in physics.parameters]
    ['centre_1', 'width_1', 'height_1', 'background_0', 'background_1']
    """

    position: NDArray[np.float64]
    ranges: Ranges = ()
    degree: int = 1
    unit: str = "1/cm"
    shape: Literal["lorentz", "voigt"] = "lorentz"

    noise = "gaussian"
    usual_axis = Axis("shift", 200, "1/cm", 1.0, 400.0)
    any_unit = True

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted."""
        position = np.array(self.position, np.float64)
        if position.ndim != 1 or len(position) < 2 or not np.all(np.diff(position) > 0):
            raise ValueError("position: not one-dimensional and rising")
        position.setflags(write=False)
        object.__setattr__(self, "position", position)
        first, last = float(position[0]), float(position[-1])
        if not self.ranges:
            object.__setattr__(self, "ranges", ((first, last),))
        object.__setattr__(self, "ranges", tuple(sorted(self.ranges)))
        if not all(first <= low < high <= last for low, high in self.ranges):
            raise ValueError(f"ranges: not rising, or not between {first:g} and {last:g} {self.unit}")
        if not 0 <= self.degree <= _HIGHEST:
            raise ValueError(f"degree: not between 0 and {_HIGHEST}")

    @classmethod
    def for_spectra(
        cls, axis: Axis, sample: Callable[[], NDArray[Any]], /, *, lines: int | None = None, **options: Any
    ) -> Self:
        """Lines in ranges that are found from spectra, unless they are given.

        Parameters
        ----------
        axis : Axis
            Of the spectra.
        sample : callable
            Reads some of them.
        lines : int, optional
            How many there are. Default: as many as Schwarz's criterion asks for.
        **options
            Fields of the class.

        Returns
        -------
        Lines

        Raises
        ------
        ValueError
            If there are no lines, or `ranges` of another number.
        """
        options = {"unit": axis.unit, **options}
        if lines is not None and (lines < 1 or len(options.get("ranges", ())) not in (0, lines)):
            raise ValueError(f"lines: {lines}, which is not the number of ranges, or below 1")
        if options.get("ranges"):
            return cls(axis.values, **options)
        spectra = sample()
        if len(spectra) and not np.iscomplexobj(spectra):
            if (lines or 1) > _SEARCHED:
                raise ValueError(f"lines: {lines} are more than are looked for, {_SEARCHED}; give their ranges")

            def anywhere(position: NDArray[np.float64], count: int) -> Lines:
                return cls(position, **options, ranges=((float(position[0]), float(position[-1])),) * count)

            ranges = find_ranges(anywhere, axis.values, spectra.astype(np.float64), lines)
        else:
            edges = np.linspace(axis.values[0], axis.values[-1], (lines or 1) + 1).tolist()
            ranges = tuple(pairwise(edges))
        return cls(axis.values, **options, ranges=ranges)

    @property
    def axis(self) -> NDArray[np.float64]:
        """Positions of the samples, shape (bins,)."""
        return self.position

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The surroundings of each line, or of two whose ranges touch, where there are several lines."""
        if len(self.ranges) == 1:
            return ()
        groups: list[Ranges] = []
        for place in self.ranges:
            if groups and len(groups[-1]) < _TOGETHER and place[0] <= groups[-1][-1][1]:
                groups[-1] += (place,)
            else:
                groups.append((place,))
        ends = [-np.inf, *(group[-1][1] for group in groups)]
        starts = [*(group[0][0] for group in groups[1:]), np.inf]
        return tuple(self._piece(*each) for each in zip(groups, ends, starts, strict=False))

    def _piece(self, group: Ranges, before: float, after: float) -> Piece:
        """The lines of some ranges alone, with some of what is beside them, but not into the ranges of others."""
        x, (low, high) = self.position, (group[0][0], group[-1][1])
        margin = _BESIDE * (high - low) / len(group)
        edges = [max(low - margin, min(before, low)), min(high + margin, max(after, high))]
        first, last = np.searchsorted(x, edges).tolist()
        lacking = max(_FEWEST - (last - first), 0)
        some = np.arange(max(first - lacking, 0), min(last + lacking, len(x)))
        return Piece(Lines(x[some], group, min(self.degree, 1), self.unit, self.shape), some)

    @property
    def nonlinear(self) -> tuple[Parameter, ...]:
        """Centre and full width at half maximum of each line, and the Lorentz share of pseudo-Voigt ones."""
        span = float(np.ptp(self.position))
        narrow = span / (len(self.position) - 1) / 2
        told: list[Parameter] = []
        for n, centre in enumerate(self.ranges, 1):
            told.append(Parameter(f"centre_{n}", self.unit, *centre))
            told.append(Parameter(f"width_{n}", self.unit, narrow, span, "log"))
            if self.shape == "voigt":
                told.append(Parameter(f"lorentz_share_{n}", "1", *_SHARES))
        return tuple(told)

    @property
    def linear(self) -> tuple[Linear, ...]:
        """Height of each line, and the coefficients of the background."""
        heights = tuple(Linear(f"height_{n}", "signal") for n in range(1, len(self.ranges) + 1))
        return heights + tuple(Linear(f"background_{n}", "signal") for n in range(self.degree + 1))

    def columns(self, xp: Any, x: Any, /, *theta: Any) -> tuple[Any, ...]:
        """Lines of unit height, then powers of the scaled position."""
        first, last, each = float(self.position[0]), float(self.position[-1]), self._each
        scaled = (2 * x - first - last) / (last - first)
        lines = []
        for centre, width, *share in (theta[at : at + each] for at in range(0, len(theta), each)):
            square = (2 * (x - centre) / width) ** 2
            line = 1 / (1 + square)
            lines.append(share[0] * line + (1 - share[0]) * xp.exp(-_LN_2 * square) if share else line)
        return (*lines, *(scaled**n for n in range(self.degree + 1)))

    @property
    def _each(self) -> int:
        """Non-linear parameters of a line."""
        return 3 if self.shape == "voigt" else 2

    @property
    def quantities(self) -> tuple[Parameter, ...]:
        """Area of each line."""
        return tuple(Parameter(f"area_{n}", f"signal {self.unit}") for n in range(1, len(self.ranges) + 1))

    def derive(self, theta: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Area of each line, in the unit of the signal times that of the position."""
        count, each = len(self.ranges), self._each
        width, height = theta[:, 1 : each * count : each], theta[:, each * count : each * count + count]
        share = theta[:, 2 : each * count : each] if each > 2 else 1.0
        return np.asarray(height * width * (share * _LORENTZ + (1 - share) * _GAUSS))
