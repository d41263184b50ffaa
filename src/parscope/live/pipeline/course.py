"""Which images of a series have come: their scan positions, and what became of each, counted as they come."""

from __future__ import annotations

from parscope.core.stream import Fate
from parscope.live.pipeline.board import Bank, cell_of

_LOST, _LATE, _DUPLICATE, _FOREIGN = (cell_of(name) for name in ("lost", "late", "duplicate", "foreign"))
_WAITING = int(Fate.WAITING)
_QUIET = 2_000_000_000  # ns without a message after the last image that end a series without an end
_SILENCE, _PERIODS = 30_000_000_000, 100  # the same, after another image: ns, and periods of the detector if more


class Course:
    """Accounting of one series. Image 0 belongs to the first scan position, and so on row by row.

    An image whose number is above the next one makes holes of those between, at once; one that comes after all, out
    of its order, fills its hole again.

    Parameters
    ----------
    bank : Bank
        Of the series; its fates are written.
    cells : memoryview of int64
        Of the board; its counters are written.

    Examples
    --------
    >>> from parscope.live.pipeline.board import Board
    >>> board = Board.create(6, (), (1, 1))
    >>> course = Course(board.begin({}, (2, 3)), board.cells)
    >>> [course.place(image) for image in (0, 1, 4, 4, 2, 9)], board.counters["lost"]
    ([0, 1, 4, -1, 2, -1], 1)
    >>> board.close()
    """

    def __init__(self, bank: Bank, cells: memoryview) -> None:
        self.bank, self.positions = bank, len(bank.fate)
        self.next = 0
        self._cells = cells
        self._seen = bytearray(self.positions)
        self._fate = bank.fates
        told = bank.head.get("metadata", {}).get("frame_time", 0.0)
        self._longest = max(_SILENCE, _PERIODS * 1e9 * told) if isinstance(told, int | float) else _SILENCE

    @property
    def complete(self) -> bool:
        """Whether the last image has come, whatever is missing before."""
        return self.next >= self.positions

    @property
    def patience(self) -> float:
        """How long it may be silent before it is taken to be over, [ns]."""
        return _QUIET if self.complete else self._longest

    def place(self, image: int) -> int:
        """Scan position of an image that comes.

        Parameters
        ----------
        image : int
            Its number in the series.

        Returns
        -------
        int
            -1 for an image that came before, or is none of this scan.
        """
        if image != self.next:
            if not 0 <= image < self.positions:
                self._cells[_FOREIGN] += 1
                return -1
            if self._seen[image]:
                self._cells[_DUPLICATE] += 1
                return -1
            if image < self.next:
                self._cells[_LATE] += 1
                self._cells[_LOST] -= 1
                self._fate[image] = _WAITING
                self._seen[image] = 1
                return image
            self._miss(image)
        elif image >= self.positions:
            self._cells[_FOREIGN] += 1
            return -1
        self._seen[image] = 1
        self.next = image + 1
        return image

    def follow(self, count: int) -> None:
        """Take images that follow the last one without a gap, of positions of this scan.

        Parameters
        ----------
        count : int
            How many.
        """
        self._seen[self.next : self.next + count] = b"\1" * count
        self.next += count

    def finish(self) -> None:
        """Count what has not come as lost: the series has ended."""
        self._miss(self.positions)
        self.next = self.positions

    def _miss(self, image: int) -> None:
        """Make holes up to an image."""
        gap = image - self.next
        if gap > 0:
            self._fate[self.next : image] = bytes([Fate.LOST]) * gap
            self._cells[_LOST] += gap
