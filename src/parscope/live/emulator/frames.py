"""Where the emulator's patterns come from: a file, an array, or physics; and how the detector changes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError, OptionError
from parscope.core.frames import Frames
from parscope.live.emulator.job import Imaging

# Lines and columns that are drawn: a part of a crystal is like the rest of it, a magnetic film is seen as a whole.
_POOL = {"crystal": 16, "magnetic": 64}
_BITS = {"uint8": 8, "uint16": 16, "uint32": 32}
_MISSING = 24


@dataclass(frozen=True)
class Scene:
    """What the emulated detector looks at.

    Parameters
    ----------
    path : Path, optional
        A file of patterns, of any format that parscope opens.
    array : ndarray of uint, shape (scan y, scan x, q_y, q_x), optional
        Patterns; used where no file is given.
    scan : tuple of int, optional
        Scan positions (y, x) of a series; those of the file if not given. A larger scan repeats the patterns.
    physics : {"crystal", "magnetic"}, default "crystal"
        Which specimen is simulated where neither file nor array is given.
    pattern : tuple of int, default (192, 192)
        Detector pixels (q_y, q_x), for physics.
    electrons : float, default 40e3
        Mean electrons per pattern, for physics: as many as eight bits hold in the brightest disk.
    options : tuple of pairs, default ()
        Further arguments of `parscope.io.open_frames`.
    seed : int, default 7
        Of the physics, and of the pixels that are not read.
    most : int, default 65536
        Patterns that are kept in memory; whole lines of the file, repeated, if it has more.
    """

    path: Path | None = None
    array: NDArray[Any] | None = None
    scan: tuple[int, int] | None = None
    physics: str = "crystal"
    pattern: tuple[int, int] = (192, 192)
    electrons: float = 40e3
    options: tuple[tuple[str, Any], ...] = ()
    seed: int = 7
    most: int = 65536

    def open(self) -> Views:
        """Open the file, or draw the physics.

        Returns
        -------
        Views

        Raises
        ------
        InputError
            If the patterns are no counts, or the file cannot be opened.
        OptionError
            If there is no such specimen.
        """
        frames = self._frames()
        kind = np.dtype(frames.data.dtype).name
        if kind not in _BITS:
            raise InputError(f"its patterns are {kind}, not counts", frames.source, "give uint8, uint16 or uint32")
        rows, columns = frames.scan_shape
        grid = (min(rows, max(1, self.most // columns)), columns)
        return Views(frames, grid, self.scan or frames.scan_shape, self.seed)

    def _frames(self) -> Frames:
        if self.path is not None:
            from parscope.io.open import open_frames

            return open_frames(self.path, **dict(self.options))
        if self.array is not None:
            return Frames.from_array(self.array, "array")
        from parscope.techniques.diffraction.specimens import specimen

        most = _POOL.get(self.physics, 1)
        grid = tuple(min(n, most) for n in self.scan or (most, most))
        drawn = specimen(self.physics, (grid[0], grid[1]), self.pattern, self.electrons, "uint8", self.seed)
        # Drawn at once: every pattern is wanted, and a row costs the same whether one or all of it is read.
        return replace(drawn, data=drawn.data[:])


@dataclass(frozen=True)
class Views:
    """The patterns of a scene, by the number of the image that shows them.

    Parameters
    ----------
    frames : Frames
        What was opened.
    grid : tuple of int
        Lines and columns of it that are used.
    scan : tuple of int
        Scan positions (y, x) of a series.
    seed : int
        Of the pixels that are not read.
    read : dict of int to ndarray, shape (scan x, q_y, q_x)
        The line that was read last, by its number.
    """

    frames: Frames
    grid: tuple[int, int]
    scan: tuple[int, int]
    seed: int
    read: dict[int, NDArray[Any]] = field(default_factory=dict)

    @property
    def bits(self) -> int:
        """Depth of the patterns, [bit]."""
        return _BITS[np.dtype(self.frames.data.dtype).name]

    @property
    def count(self) -> int:
        """Different patterns."""
        return self.grid[0] * self.grid[1]

    def slots(self, image: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which patterns images show; a scan larger than the grid repeats it.

        Parameters
        ----------
        image : ndarray of int, shape (n,)
            Numbers in the series, from 0.

        Returns
        -------
        ndarray of int, shape (n,)
            Numbers of patterns, below `count`.
        """
        y, x = np.divmod(image, self.scan[1])
        slots: NDArray[np.int64] = y % self.grid[0] * self.grid[1] + x % self.grid[1]
        return slots

    def pattern(self, slot: int) -> NDArray[Any]:
        """One pattern, as the file has it.

        Parameters
        ----------
        slot : int
            Number of the pattern.

        Returns
        -------
        ndarray, shape (q_y, q_x)

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        y, x = divmod(slot, self.grid[1])
        if y not in self.read:
            # Of many formats a line costs as much as a pattern, and patterns are asked for one after the other.
            self.read.clear()
            self.read[y] = np.asarray(self.frames.data[y])
        pattern: NDArray[Any] = self.read[y][x]
        return pattern

    def seen(self, slot: int, imaging: Imaging, missing: bool = False) -> tuple[NDArray[Any], ...]:
        """One pattern as the detector gives it, for each channel.

        Parameters
        ----------
        slot : int
            Number of the pattern.
        imaging : Imaging
            Depth, merging, channels, unusable pixels.
        missing : bool, default False
            Whether some pixels were not read.

        Returns
        -------
        tuple of ndarray, each of shape (q_y, q_x)
            Counts above what the depth holds are cut; pixels that were not read have the largest value of the type.

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        pattern = self.pattern(slot)
        if not missing and self._plain(imaging):
            return (pattern,)
        lost = pattern == np.iinfo(pattern.dtype).max
        if imaging.masked != "kept" and self.frames.mask is not None:
            lost = lost | self.frames.mask
        counts = np.where(lost, 0, pattern).astype(np.int64)
        if imaging.merge:
            counts, lost = _merged(counts).sum((1, 3)), _merged(lost).any((1, 3))
        zero = lost if imaging.masked == "zero" else np.zeros_like(lost)
        if missing:
            rng = np.random.default_rng((self.seed, slot))
            lost = lost.copy()
            lost.flat[rng.choice(lost.size, min(_MISSING, lost.size), replace=False)] = True
        return tuple(_digital(_counted(counts, name), lost, zero, imaging.bits) for name in imaging.channels)

    def _plain(self, imaging: Imaging) -> bool:
        """Whether the detector gives the patterns as they are."""
        unmasked = self.frames.mask is None or imaging.masked == "kept"
        same = (imaging.bits, imaging.merge, imaging.channels) == (self.bits, False, ("threshold_1",))
        return unmasked and same and imaging.masked != "zero"

    def mask(self, merge: bool) -> NDArray[np.uint32]:
        """The pixel mask that a start message tells.

        Parameters
        ----------
        merge : bool
            Whether 2 x 2 pixels are one.

        Returns
        -------
        ndarray of uint32, shape (q_y, q_x)
            0 for a good pixel, 2 for a dead one.
        """
        mask = np.zeros(self.frames.pattern_shape, bool) if self.frames.mask is None else self.frames.mask
        return np.where(_merged(mask).any((1, 3)) if merge else mask, 2, 0).astype(np.uint32)

    def shape(self, merge: bool) -> tuple[int, int]:
        """Detector pixels of an image.

        Parameters
        ----------
        merge : bool
            Whether 2 x 2 pixels are one.

        Returns
        -------
        tuple of int
            (q_y, q_x).

        Raises
        ------
        OptionError
            If pixels are to be merged whose number is odd.
        """
        y, x = self.frames.pattern_shape
        if not merge:
            return y, x
        if y % 2 or x % 2:
            raise OptionError(f"{y} x {x} pixels cannot be merged 2 x 2", "roi_mode")
        return y // 2, x // 2


def _merged(pixels: NDArray[Any]) -> NDArray[Any]:
    """The same pixels in blocks of 2 x 2, on axes 1 and 3."""
    y, x = pixels.shape
    return pixels.reshape(y // 2, 2, x // 2, 2)


def _counted(counts: NDArray[np.int64], channel: str) -> NDArray[np.int64]:
    """What a threshold lets through: the second one half, the difference the other half."""
    upper = counts // 2
    return {"threshold_1": counts, "threshold_2": upper, "difference": counts - upper}[channel]


def _digital(counts: NDArray[np.int64], lost: NDArray[np.bool_], zero: NDArray[np.bool_], bits: int) -> NDArray[Any]:
    """Counts in the type of the images."""
    top = (1 << bits) - 1
    cut = np.where(lost & ~zero, top, np.minimum(counts, top - 1))
    return cut.astype(f"uint{bits}")
