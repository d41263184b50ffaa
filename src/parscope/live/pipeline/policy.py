"""How the patterns of a stream are treated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """How patterns are treated.

    Parameters
    ----------
    scan : tuple of int, optional
        Scan positions (y, x). Default: as the detector tells.
    newest : bool, default False
        Pass over patterns while newer ones wait, for control; otherwise all are answered in their order. What was
        passed over is analysed for the maps when there is time, as far as the ring still has it.
    deadline : int, default 200 us
        Longest time from the arrival of a pattern to its answer, [ns].
    channel : str, optional
        The one that is analysed. Default: the first.
    busy : bool, default False
        Never sleep while waiting.
    series : int, default 0
        End after so many; 0 for never.
    keep : bool, default False
        Whether the reference lattice and the disks that were found in one series serve for the following ones.
    """

    scan: tuple[int, int] | None = None
    newest: bool = False
    deadline: int = 200_000
    channel: str | None = None
    busy: bool = False
    series: int = 0
    keep: bool = False
