"""A session to watch: a board in memory that a magnetic, strained film is written to, and somebody at the desk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.stream import Fate
from parscope.live.kernels.contract import Output
from parscope.live.pipeline.board import Board, cell_of

SCAN, DETECTOR = (48, 64), (48, 48)
DEADLINE_NS = 200_000
RULE = "when strain.e_xx > 0.012 for 3 frames within 200 us : send udp://10.0.0.5:9000"
OUTPUTS = (
    Output("com.y", "px", "centre of mass, q_y"),
    Output("com.x", "px", "centre of mass, q_x"),
    Output("bf.counts", "counts", "bright field"),
    Output("adf.counts", "counts", "annular dark field"),
    Output("variance.counts2", "counts^2", "variance of the pattern"),
    Output("strain.e_xx", "1", "strain e_xx"),
    Output("strain.e_yy", "1", "strain e_yy"),
    Output("strain.e_xy", "1", "strain e_xy"),
    Output("strain.rotation", "rad", "rotation"),
)


def film(scan: tuple[int, int] = SCAN, seed: int = 3) -> NDArray[np.float32]:
    """Values of every position and output."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: scan[0], : scan[1]] / max(scan)
    around = np.arctan2(y - 0.35, x - 0.5)
    core = 1 - np.exp(-(((y - 0.35) ** 2 + (x - 0.5) ** 2) / 0.01))
    dot = np.exp(-(((y - 0.45) ** 2 + (x - 0.3) ** 2) / 0.02))
    maps = [
        23.1 + 0.42 * np.cos(around) * core,
        24.2 - 0.42 * np.sin(around) * core,
        118_000 - 22_000 * dot,
        7_300 + 9_000 * dot,
        5.1 + 3 * dot,
        0.015 * dot - 0.003,
        0.006 * np.sin(9 * x),
        0.004 * np.cos(7 * y) * dot,
        0.01 * (x - 0.5),
    ]
    scale = [0.03, 0.03, 900, 150, 0.1, 5e-4, 5e-4, 5e-4, 6e-4]
    return np.stack([m + s * random.normal(size=scan) for m, s in zip(maps, scale, strict=True)], -1).astype(np.float32)


def pattern(y: int, x: int) -> NDArray[np.uint8]:
    """A disk with its neighbours, and a dead pixel."""
    random = np.random.default_rng(1000 * y + x)
    v, u = np.mgrid[: DETECTOR[0], : DETECTOR[1]]
    expected = np.full(DETECTOR, 0.3)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            inside = np.hypot(v - 23.5 - 15 * i, u - 23.5 - 15 * j) < 5
            expected += inside * (40 if i == j == 0 else 5)
    counts = random.poisson(expected).astype(np.uint8)
    counts[40, 7] = 255
    return counts


class Scene:
    """Writes a series to a board, line by line, as a frame loop would."""

    def __init__(self, board: Board, scan: tuple[int, int] = SCAN) -> None:
        self.board, self.scan, self.values = board, scan, film(scan)
        self._random = np.random.default_rng(5)

    def begin(self, series: int = 12, **head: Any) -> None:
        """A series begins."""
        told = {
            "series": series,
            "dtype": "uint8",
            "pattern_shape": DETECTOR,
            "metadata": {"user_data": {"step_nm": 2.0}},
            **head,
        }
        self.bank = self.board.begin(told, self.scan)
        self.count("series", 1)

    def lines(self, first: int, last: int, holes: Mapping[tuple[int, int], Fate] = {}) -> None:
        """Lines are answered, with holes at some positions."""
        n = self.scan[1]
        part = slice(first * n, last * n)
        fate = np.full(((last - first), n), Fate.ANSWERED, np.uint8)
        for (y, x), kind in holes.items():
            if first <= y < last:
                fate[y - first, x] = kind
        good = fate.ravel() == Fate.ANSWERED
        values = self.values[first:last].reshape(-1, len(OUTPUTS)).copy()
        values[~good] = np.nan
        received = 10**9 + np.arange(part.start, part.stop) * 200_000
        taken = self._random.lognormal(np.log(34_000), 0.25, good.size).astype(np.int64)
        taken[::211] += 400_000
        self.bank.values[part] = values
        for column, share in enumerate((0, 0.5, 0.9, 1, 1.1)):
            self.bank.stamps[part, column] = np.where(good, received + share * taken, 0)
        self.bank.fate[part] = fate.ravel()
        for name, number in {"received": good.size, "answered": good.sum(), "lost": (fate == Fate.LOST).sum(),
                             "damaged": (fate == Fate.DAMAGED).sum(), "skipped": (fate == Fate.SKIPPED).sum(),
                             "missed": (taken[good] > DEADLINE_NS).sum()}.items():  # fmt: skip
            self.count(name, int(number))
        self.board.show(pattern(last - 1, n - 1), last * n - 1)

    def fill(self, y: int, x: int) -> None:
        """A position that was passed over is analysed afterwards."""
        place = y * self.scan[1] + x
        self.bank.values[place] = self.values[y, x]
        self.bank.fate[place] = Fate.FILLED
        self.count("filled", 1)

    def count(self, name: str, number: int) -> None:
        """A counter goes up."""
        self.board.cells[cell_of(name)] += number


class Desk:
    """Takes commands as a session does, and remembers them."""

    def __init__(self) -> None:
        self.running, self.armed = True, False
        self.entries: list[dict[str, Any]] = []

    def start(self) -> str:
        self.running = True
        return "Analysed again, from the next pattern on."

    def stop(self) -> str:
        self.running = False
        return "Stopped; the recording goes on."

    def arm(self) -> str:
        self.armed = True
        return "Armed."

    def disarm(self) -> str:
        self.armed = False
        return "Disarmed."

    def rules(self) -> Sequence[Mapping[str, Any]]:
        return [{"text": RULE, "fired": len(self.entries), "held": 0}]

    def journal(self, last: int) -> Sequence[Mapping[str, Any]]:
        return self.entries[-last:][::-1]


def kept(position: int, _generation: int | None = None) -> NDArray[np.uint8] | None:
    """Patterns of the first 24 lines are kept."""
    y, x = divmod(position, SCAN[1])
    return pattern(y, x) if y < 24 else None


@contextmanager
def scene(scan: tuple[int, int] = SCAN) -> Iterator[Scene]:
    """A board that nobody writes to yet."""
    board = Board.create(scan[0] * scan[1], OUTPUTS, DETECTOR, deadline=DEADLINE_NS)
    try:
        yield Scene(board, scan)
    finally:
        board.close()
