"""Faults on request: which images of a series are lost, doubled, late, damaged, drawn from a seed and written down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError

BLOCK = 1024
"""Images that are planned at a time; an image never changes places with one of another block."""

_FARTHEST = 8
_SHARES = ("drop", "duplicate", "reorder", "stale", "truncate", "corrupt", "nodata")
_SWITCHES = ("no_start", "no_end", "two_clients")


class Variant(IntEnum):
    """What is sent for an image."""

    WHOLE = 0
    STALE = 1
    TRUNCATED = 2
    CORRUPT = 3
    NODATA = 4


@dataclass(frozen=True)
class Faults:
    """How often a stream fails, and how.

    Parameters
    ----------
    drop : float, default 0.0
        Share of the images that are not sent, [1].
    duplicate : float, default 0.0
        Share that is sent twice, [1].
    reorder : float, default 0.0
        Share that is sent after one to eight of the images that follow, [1].
    stale : float, default 0.0
        Share before which an image of the same number comes that belongs to the series before, [1].
    truncate : float, default 0.0
        Share whose compressed pixels end early, inside of a message that is whole, [1].
    corrupt : float, default 0.0
        Share whose compressed pixels are overwritten in a way that a decoder can notice, [1].
    nodata : float, default 0.0
        Share in which some pixels were not read, and have the largest value of their type, [1].
    jitter : float, default 0.0
        Each image is sent up to this much after its time, [s].
    no_start, no_end : float, default 0.0
        Share of the series whose start, or end, is not sent, [1].
    two_clients : float, default 0.0
        1 if a second client takes its turn in receiving messages, so that half of them go to it, [1].

    Raises
    ------
    OptionError
        If a share is not within 0 and 1, or a time negative.

    Examples
    --------
    >>> Faults.parse(["drop=0.01", "no_end=1"])
    Faults(drop=0.01, no_end=1.0)
    """

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    stale: float = 0.0
    truncate: float = 0.0
    corrupt: float = 0.0
    nodata: float = 0.0
    jitter: float = 0.0
    no_start: float = 0.0
    no_end: float = 0.0
    two_clients: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        for name in (*_SHARES, *_SWITCHES):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{getattr(self, name)} is not within 0 and 1", f"fault {name}")
        if not 0 <= self.jitter < 10:
            raise OptionError(f"{self.jitter} is not within 0 and 10 s", "fault jitter")

    def __repr__(self) -> str:
        """Name what is not zero."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return f"Faults({', '.join(f'{name}={value}' for name, value in given.items() if value)})"

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Faults:
        """Read faults from a command line.

        Parameters
        ----------
        texts : iterable of str
            ``NAME=NUMBER`` each.

        Returns
        -------
        Faults

        Raises
        ------
        OptionError
            If there is no such fault, or its number is none.
        """
        known = [field.name for field in fields(cls)]
        found: dict[str, float] = {}
        for text in texts:
            name, _, number = text.partition("=")
            if name not in known:
                raise OptionError(f"there is no fault {name!r}", "--fault", f"choose one of {', '.join(known)}")
            try:
                found[name] = float(number)
            except ValueError:
                raise OptionError(f"{text!r} has no number", "--fault", f"write it as {name}=0.001") from None
        return cls(**found)


class Planner:
    """Draws the faults of a series; the same for the same seed and number, however long it runs.

    Parameters
    ----------
    faults : Faults
        How often each.
    seed : int
        Of all draws.
    series : int
        Number of the series.
    """

    def __init__(self, faults: Faults, seed: int, series: int) -> None:
        self.faults, self.seed, self.series = faults, seed, series
        self.marks: dict[str, list[int]] = defaultdict(list)
        missing = np.random.default_rng((seed, series)).random(3)
        self.start, self.end = bool(missing[0] >= faults.no_start), bool(missing[1] >= faults.no_end)
        # Which of two clients has the first turn.
        self._turn = int(missing[2] < 0.5) if faults.two_clients else -1
        for name, whole in (("no_start", self.start), ("no_end", self.end)):
            if not whole:
                self.marks[name].append(-1)
        self._block = -1
        self._drawn: tuple[dict[str, NDArray[np.bool_]], NDArray[np.int64], NDArray[np.int64]]

    def taken(self, image: int) -> bool:
        """Whether it is the turn of the second client, to whom the next message goes; notes it.

        Parameters
        ----------
        image : int
            Number of the image that is sent next, -1 for the start or end.

        Returns
        -------
        bool
            False throughout if there is no second client.
        """
        if self._turn < 0:
            return False
        self._turn = 1 - self._turn
        if self._turn:
            self.marks["two_clients"].append(image)
        return bool(self._turn)

    def plan(self, first: int, stop: int) -> NDArray[np.int64]:
        """Plan the messages of some images, and note the faults in `marks`.

        Parameters
        ----------
        first, stop : int
            Half-open range of image numbers, all of one block.

        Returns
        -------
        ndarray of int, shape (n, 3)
            Image, variant and delay [ns] of each message, in the order of sending.
        """
        hit, farther, delays = self._draws(first // BLOCK)
        part = slice(first % BLOCK, first % BLOCK + stop - first)
        if not any(drawn[part].any() for drawn in hit.values()):
            return np.stack([np.arange(first, stop), np.zeros(stop - first, np.int64), delays[part]], 1)
        steps: list[tuple[float, int, int, int]] = []
        for image in range(first, stop):
            place = image % BLOCK
            if hit["drop"][place]:
                self.marks["drop"].append(image)
                continue
            moves = hit["reorder"][place] and image < stop - 1
            turn = min(image + int(farther[place]), stop - 1) + 0.5 if moves else float(image)
            steps.extend((turn, image, sent, int(delays[place])) for sent in self._messages(image, hit))
        # Sorting is stable: copies of an image stay together, and what was not moved stays in order.
        planned = [step[1:] for step in sorted(steps, key=lambda step: step[0])]
        self._note_order(planned)
        return np.array(planned, np.int64).reshape(-1, 3)

    def _draws(self, block: int) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.int64], NDArray[np.int64]]:
        """All draws of a block, used or not: one fault more does not move the others."""
        if block != self._block:
            rng = np.random.default_rng((self.seed, self.series, block))
            hit = {name: rng.random(BLOCK) < getattr(self.faults, name) for name in _SHARES}
            farther = rng.integers(1, _FARTHEST + 1, BLOCK)
            delays = (rng.random(BLOCK) * self.faults.jitter * 1e9).astype(np.int64)
            self._block, self._drawn = block, (hit, farther, delays)
        return self._drawn

    def _note_order(self, steps: list[tuple[int, int, int]]) -> None:
        """Note the images that come after one of a higher number; a move among dropped ones is none."""
        highest, noted = -1, set[int]()
        for image, variant, _ in steps:
            if variant == Variant.STALE:
                continue
            if image < highest and image not in noted:
                noted.add(image)
                self.marks["reorder"].append(image)
            highest = max(highest, image)

    def _messages(self, image: int, hit: dict[str, NDArray[np.bool_]]) -> list[int]:
        """What is sent of an image: one damage at most, the first of those that were drawn."""
        place, own = image % BLOCK, Variant.WHOLE
        damages = (("truncate", Variant.TRUNCATED), ("corrupt", Variant.CORRUPT), ("nodata", Variant.NODATA))
        for name, variant in damages:
            if hit[name][place]:
                self.marks[name].append(image)
                own = variant
                break
        messages = [int(own)]
        if hit["stale"][place]:
            self.marks["stale"].append(image)
            messages.insert(0, int(Variant.STALE))
        if hit["duplicate"][place]:
            self.marks["duplicate"].append(image)
            messages.append(int(own))
        return messages
