"""Standard errors that hold what they promise: stretched, as a function of themselves, on simulated signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Groups of signals of similar standard error, and the smallest one whose tail is told well enough.
_GROUPS, _FEWEST = 16, 400
NOMINAL, WIDTH = 0.95, 1.959964
"""Share of true values that an interval is to hold, and its half width in standard errors of a normal distribution."""


@dataclass(frozen=True)
class Calibration:
    """By what to multiply standard errors (k parameters): ``stretch`` (k, g) where they are ``size`` (k, g).

    Between these it is interpolated over the logarithm of the standard error.
    """

    size: Array
    stretch: Array

    @classmethod
    def none(cls, k: int) -> Calibration:
        """Standard errors as they are."""
        return cls(np.ones((k, 1)), np.ones((k, 1)))

    @classmethod
    def of(cls, error: Array, std: Array) -> Calibration:
        """Calibrate on signals whose truth is known.

        Parameters
        ----------
        error : ndarray, shape (n, k)
            What is said less what is true.
        std : ndarray, shape (n, k)
            The standard errors that are said.

        Returns
        -------
        Calibration
            That of 95 % intervals.
        """
        groups = int(np.clip(len(error) // _FEWEST, 1, _GROUPS))
        size, stretch = np.empty((std.shape[1], groups)), np.empty((std.shape[1], groups))
        for k in range(std.shape[1]):
            order = np.argsort(std[:, k], kind="stable")
            for g, some in enumerate(np.array_split(order, groups)):
                size[k, g] = np.median(std[some, k])
                away = np.abs(error[some, k]) / std[some, k]
                stretch[k, g] = np.quantile(away, NOMINAL) / WIDTH
        return cls(size, stretch)

    def __call__(self, std: Array) -> Array:
        """Factors for standard errors, shape (n, k)."""
        factors = [
            np.interp(np.log(np.maximum(own, 1e-30)), np.log(size), stretch)
            for own, size, stretch in zip(std.T, self.size, self.stretch, strict=True)
        ]
        return np.stack(factors, axis=1)
