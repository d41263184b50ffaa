"""Sizes of a cycle-consistent spatial transforming autoencoder: the published ones, and small ones for a CPU."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CycleDesign:
    """Sizes; the defaults are those published.

    Parameters
    ----------
    size : int, default 200
        Side of the square pattern, [px].
    channels : int, default 128
        Channels of every convolution.
    pools : tuple of int, default (5, 4, 2)
        By which each stage of the encoder makes the pattern smaller; the decoder goes back the same way.
    embedding : int, default 20
        Numbers that the encoder makes of a pattern.
    classes : int, default 1
        Bases, of which each pattern is a transformed one.
    binning : int, default 1
        Pixels a side that the encoder sees as one; the transformation is always of all pixels.
    translation : bool, default False
        Whether the pattern may be displaced as well.
    upsampling : int, default 4
        Factor by which patterns are enlarged before they are transformed, in the second stage.

    Raises
    ------
    ValueError
        If the stages leave nothing of the pattern.
    """

    size: int = 200
    channels: int = 128
    pools: tuple[int, ...] = (5, 4, 2)
    embedding: int = 20
    classes: int = 1
    binning: int = 1
    translation: bool = False
    upsampling: int = 4

    def __post_init__(self) -> None:
        """Refuse a pattern that does not divide."""
        if self.size % self.binning or self.sides[-1] < 2:
            raise ValueError(f"{self.size} px cannot be binned by {self.binning} and pooled by {self.pools}")

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides of the pattern in the encoder before each pool and after the last, [px]."""
        found = [self.size // self.binning]
        for pool in self.pools:
            found.append(found[-1] // pool)
        return tuple(found)


SMALL = CycleDesign(size=112, channels=8, pools=(5, 2), binning=2, translation=True, upsampling=1)
"""What a CPU trains in minutes: 0.3 % of the published size."""
