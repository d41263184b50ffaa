"""Simulated patterns of a strained crystal, sent as a stream: a session without any instrument."""

from __future__ import annotations

from dataclasses import replace

from parscope.core.errors import OptionError
from parscope.live.sources.address import Wishes
from parscope.live.sources.scan import ScanMessages
from parscope.techniques.diffraction.simulate import simulate
from parscope.techniques.diffraction.simulate_design import Detector, ScanDesign

_SCAN, _PATTERN, _ELECTRONS = (64, 64), (128, 128), 2e4


class PhysicsSource:
    """A simulated crystal in place of a detector.

    Parameters
    ----------
    address : str
        ``physics:``, or ``physics:192x192`` with the pixels of the pattern.
    wishes : Wishes
        Its scan shape, 64 x 64 by default; its rate; how often.

    Raises
    ------
    OptionError
        If the pixels cannot be read.
    """

    name = "physics"

    def __init__(self, address: str, wishes: Wishes) -> None:
        text = address.partition(":")[2].removeprefix("//")
        rows, _, columns = text.partition("x")
        if text and not (rows.isdecimal() and columns.isdecimal() and min(int(rows), int(columns)) >= 16):
            raise OptionError("has no pattern shape of at least 16 pixels", address, "write it as physics:128x128")
        self.pattern = (int(rows), int(columns)) if text else _PATTERN
        self.wishes = wishes
        self._messages: ScanMessages | None = None

    def open(self) -> None:
        """Choose the crystal; see `parscope.core.contracts.Source.open`."""
        design = replace(
            ScanDesign().sized(self.pattern),
            scan=self.wishes.scan or _SCAN,
            electrons=_ELECTRONS,
            detector=Detector("uint16"),
        )
        self._messages = ScanMessages(simulate(design).frames, self.wishes.rate, self.wishes.series)

    def receive(self, wait: float) -> memoryview | None:
        """Take the next message; see `parscope.core.contracts.Source.receive`."""
        if self._messages is None:
            raise EOFError
        return self._messages.receive(wait)

    def close(self) -> None:
        """Forget the crystal; see `parscope.core.contracts.Source.close`."""
        self._messages = None
