"""What the page asks of an acquisition beside its board of results: somebody who takes commands, and patterns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError
from parscope.live.kernels.discs import Disc, Ring


class Patterns(Protocol):
    """Gives the patterns of scan positions, as long as they are kept."""

    def __call__(self, position: int, generation: int | None = None) -> NDArray[Any] | None:
        """The pattern of a scan position, shape (q_y, q_x), valid until the next call; None if it is not kept.

        ``generation`` is that of the board: the series that is measured, which is the default, or the one before.
        """


@dataclass(frozen=True)
class VirtualDetector:
    """A disc or ring on the detector over which counts are summed.

    Parameters
    ----------
    name : str
        Name of its map: a letter, then letters, digits and ``_``.
    y, x : float
        Centre, [px].
    inner, outer : float
        Radii, [px]; pixels beyond the inner one and up to the outer one count. A disc has an inner radius of 0.

    Raises
    ------
    OptionError
        If it has no area, or a name that no map can have.

    Examples
    --------
    >>> VirtualDetector("hole", 4.0, 4.0, 1.0, 3.0).kernel.outputs[0].label
    'virtual detector hole'
    >>> VirtualDetector("hole", 4.0, 4.0, 1.0, 3.0).spelled
    'hole=ring:4,4,1,3'
    """

    name: str
    y: float
    x: float
    inner: float
    outer: float

    def __post_init__(self) -> None:
        """Refuse what is no ring."""
        if not (self.name.isidentifier() and self.name.isascii() and not self.name.startswith("_")):
            raise OptionError("no name for a map", repr(self.name), "use a letter, then letters, digits and _")
        if not (np.isfinite([self.y, self.x]).all() and 0 <= self.inner < self.outer < np.inf):
            raise OptionError("has no area", self.name, "draw it with an outer radius above the inner one")

    @property
    def kernel(self) -> Disc | Ring:
        """What sums counts over it."""
        if self.inner == 0:
            return Disc(self.name, (self.y, self.x), self.outer)
        return Ring(self.name, (self.y, self.x), self.inner, self.outer)

    @property
    def spelled(self) -> str:
        """As ``--analyse`` takes it."""
        numbers = [self.y, self.x, self.outer] if self.inner == 0 else [self.y, self.x, self.inner, self.outer]
        kind = "disc" if self.inner == 0 else "ring"
        return f"{self.name}={kind}:{','.join(f'{number:.4g}' for number in numbers)}"


@runtime_checkable
class Control(Protocol):
    """Takes commands of the person at the page. Every command answers with a sentence that the page shows.

    Each of them may raise `ParscopeError`, whose line is shown in place of the answer.
    """

    @property
    def running(self) -> bool:
        """Whether patterns are analysed."""

    @property
    def armed(self) -> bool:
        """Whether rules act on the instrument; otherwise they say only what they would do."""

    def start(self) -> str:
        """Analyse again, from the next pattern on."""

    def stop(self) -> str:
        """Analyse no more: patterns are passed over and counted as skipped, and rules are disarmed."""

    def arm(self) -> str:
        """Let rules act."""

    def disarm(self) -> str:
        """Let rules act no more, at once."""

    def rules(self) -> Sequence[Mapping[str, Any]]:
        """Rules in force: ``text``, ``fired`` (how often), ``held`` (how often something held them back)."""

    def journal(self, last: int) -> Sequence[Mapping[str, Any]]:
        """The last decisions, newest first: ``image``, ``position``, ``rule``, ``outcome``, ``latency_us``."""
