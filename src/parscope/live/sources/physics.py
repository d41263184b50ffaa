"""Simulated patterns of a specimen, sent as a stream: a session without any instrument."""

from __future__ import annotations

import re

from parscope.core.errors import OptionError
from parscope.live.sources.address import Wishes
from parscope.live.sources.scan import ScanMessages
from parscope.techniques.diffraction.specimens import SPECIMENS, specimen

_SCAN, _PATTERN, _ELECTRONS = (64, 64), (128, 128), 2e4
_ADDRESS = re.compile(r"(?:([a-z]+)(?:,|$))?(?:(\d+)x(\d+))?")


class PhysicsSource:
    """A simulated specimen in place of a detector.

    Parameters
    ----------
    address : str
        ``physics:`` for a strained crystal, ``physics:magnetic`` for a magnetic film; with the pixels of the pattern
        ``physics:192x192``, ``physics:magnetic,192x192``.
    wishes : Wishes
        Its scan shape, 64 x 64 by default; its rate; how often.

    Raises
    ------
    OptionError
        If there is no such specimen, or the pixels cannot be read.
    """

    name = "physics"

    def __init__(self, address: str, wishes: Wishes) -> None:
        read = _ADDRESS.fullmatch(address.partition(":")[2].removeprefix("//"))
        name, rows, columns = read.groups() if read else (None, "0", "0")
        self.specimen = name or SPECIMENS[0]
        if self.specimen not in SPECIMENS:
            raise OptionError(f"there is no {name!r}", address, f"choose one of {', '.join(SPECIMENS)}")
        self.pattern = (int(rows), int(columns)) if rows else _PATTERN
        if min(self.pattern) < 16:
            raise OptionError("has no pattern shape of at least 16 pixels", address, "write it as physics:128x128")
        self.wishes = wishes
        self._messages: ScanMessages | None = None

    def open(self) -> None:
        """Lay out the specimen; see `parscope.core.contracts.Source.open`."""
        scan = self.wishes.scan or _SCAN
        frames = specimen(self.specimen, scan, self.pattern, _ELECTRONS, "uint16")
        self._messages = ScanMessages(frames, self.wishes.rate, self.wishes.series)

    def receive(self, wait: float) -> memoryview | None:
        """Take the next message; see `parscope.core.contracts.Source.receive`."""
        if self._messages is None:
            raise EOFError
        return self._messages.receive(wait)

    def close(self) -> None:
        """Forget the specimen; see `parscope.core.contracts.Source.close`."""
        self._messages = None
