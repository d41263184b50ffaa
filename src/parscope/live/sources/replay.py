"""A recorded scan, of any format that is read, sent again as a stream at a chosen rate."""

from __future__ import annotations

from pathlib import Path

from parscope.core.errors import OptionError
from parscope.io.open import open_frames
from parscope.live.sources.address import Wishes
from parscope.live.sources.scan import ScanMessages


class ReplaySource:
    """A file that plays the detector.

    Parameters
    ----------
    address : str
        ``replay:FILE``.
    wishes : Wishes
        Its scan shape, for files that do not tell it; its rate; how often.

    Raises
    ------
    OptionError
        If no file is named.
    """

    name = "replay"

    def __init__(self, address: str, wishes: Wishes) -> None:
        path = address.partition(":")[2].removeprefix("//")
        if not path:
            raise OptionError("names no file", address, "write it as replay:FILE")
        self.path, self.wishes = Path(path), wishes
        self._messages: ScanMessages | None = None

    def open(self) -> None:
        """Open the file; see `parscope.core.contracts.Source.open`."""
        frames = open_frames(self.path, scan_shape=self.wishes.scan)
        self._messages = ScanMessages(frames, self.wishes.rate, self.wishes.series)

    def receive(self, wait: float) -> memoryview | None:
        """Take the next message; see `parscope.core.contracts.Source.receive`."""
        if self._messages is None:
            raise EOFError
        return self._messages.receive(wait)

    def close(self) -> None:
        """Let go of the file; see `parscope.core.contracts.Source.close`."""
        self._messages = None
