"""Physics of which only `render` is known: which parameters scale the signal is found by trying."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parscope.core.physics import Parameter, Physics

Array = NDArray[np.float64]

# Signals at which the parameters are tried, and how exactly they must then be linear.
_TRIALS = 6
_EXACT = 1e-9


class Probed:
    """What a grid and a bank need to know of any physics, with all samples of a signal in one real row.

    Parameters
    ----------
    physics : Physics
        With finite bounds for every parameter that does not scale the signal.

    Raises
    ------
    ValueError
        If a parameter that does not scale the signal has no finite bounds.
    """

    complex = False

    def __init__(self, physics: Physics) -> None:
        self.physics = physics
        self.scaling = self._find_scaling()
        names = range(len(physics.parameters))
        self.shaping = [j for j in names if j not in self.scaling]
        self.nonlinear: tuple[Parameter, ...] = tuple(physics.parameters[j] for j in self.shaping)
        for parameter in self.nonlinear:
            if not np.isfinite([parameter.lower, parameter.upper]).all():
                raise ValueError(f"{parameter.name}: has no finite bounds, between which a start could be looked for")
        self.axis = np.arange(self.rows(np.array([[p.between() for p in physics.parameters]])).shape[1], dtype=float)

    @property
    def factors(self) -> int:
        """Number of columns: one for each parameter that scales the signal, or one for a scale that is free."""
        return max(len(self.scaling), 1)

    def rows(self, theta: Array) -> Array:
        """Signals as rows, real before imaginary parts.

        Parameters
        ----------
        theta : ndarray, shape (n, k)
            All parameters.

        Returns
        -------
        ndarray, shape (n, parts * samples)
        """
        signal = self.physics.render(theta).reshape(len(theta), -1)
        return np.concatenate([signal.real, signal.imag], axis=1) if np.iscomplexobj(signal) else signal

    def basis(self, theta: Array) -> tuple[Array, ...]:
        """Columns that the scaling parameters multiply.

        Parameters
        ----------
        theta : ndarray, shape (n, k)
            The other parameters.

        Returns
        -------
        tuple of ndarray, shape (n, parts * samples)
        """
        full = np.zeros((len(theta), len(self.physics.parameters)))
        full[:, self.shaping] = theta[:, : len(self.shaping)]
        columns = []
        for m in range(self.factors):
            full[:, self.scaling] = 0.0
            full[:, self.scaling[m : m + 1]] = 1.0
            columns.append(self.rows(full))
        return tuple(columns)

    def _find_scaling(self) -> list[int]:
        """Parameters in which the signal is linear together, and with which it vanishes."""
        rng = np.random.default_rng(0)
        parameters = self.physics.parameters
        theta = np.array(
            [
                [p.between(share) for p, share in zip(parameters, row, strict=True)]
                for row in rng.uniform(0.1, 0.9, (_TRIALS, len(parameters)))
            ]
        )
        found: list[int] = []
        for j, parameter in enumerate(parameters):
            if parameter.kind == "bounded" and self._is_linear(theta, [*found, j]):
                found.append(j)
        rest = theta.copy()
        rest[:, found] = 0.0
        vanishes = np.abs(self.rows(rest)).max() <= _EXACT * np.abs(self.rows(theta)).max()
        return found if vanishes else []

    def _is_linear(self, theta: Array, among: list[int]) -> bool:
        """Whether the signal half-way along a straight line in some parameters is half of both ends."""
        start, end = theta.copy(), theta.copy()
        start[:, among] = 0.0
        end[:, among[-1]] *= 3.0
        with np.errstate(all="ignore"):
            ends = 0.5 * (self.rows(start) + self.rows(end))
            middle = self.rows(0.5 * (start + end))
        return bool(np.abs(middle - ends).max() <= _EXACT * np.abs(ends).max())
