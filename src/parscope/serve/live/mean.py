"""Mean of the patterns that were seen, on which detectors are drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class MeanPattern:
    """Adds patterns up, each once; pixels without a value are left out."""

    def __init__(self) -> None:
        self.count = 0
        self._at = -1
        self._sum = np.zeros((0, 0))
        self._seen = np.zeros((0, 0), np.int64)

    def add(self, kept: tuple[int, NDArray[np.float64]] | None) -> None:
        """Add a pattern, unless it is the one that was added last.

        Parameters
        ----------
        kept : tuple, optional
            Its position and the pattern, shape (q_y, q_x), NaN where there is no value.
        """
        if kept is None or kept[0] == self._at:
            return
        self._at, pattern = kept
        if self._sum.shape != pattern.shape:
            self._sum, self._seen, self.count = np.zeros(pattern.shape), np.zeros(pattern.shape, np.int64), 0
        good = np.isfinite(pattern)
        self._sum[good] += pattern[good]
        self._seen += good
        self.count += 1

    def value(self) -> NDArray[np.float64] | None:
        """The mean.

        Returns
        -------
        ndarray, optional
            Shape (q_y, q_x), [counts], NaN where no pattern had a value; None before the first pattern.

        Examples
        --------
        >>> mean = MeanPattern()
        >>> mean.add((0, np.array([[1, np.nan]])))
        >>> mean.add((1, np.array([[3, 4.0]])))
        >>> mean.value()
        array([[2., 4.]])
        """
        if not self.count:
            return None
        return np.where(self._seen > 0, self._sum / np.maximum(self._seen, 1), np.nan)
