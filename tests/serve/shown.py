"""A page of a scene in a real browser."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.image
import numpy as np

from parscope.core.stream import Fate
from parscope.serve.live.hub import Hub
from parscope.serve.live.server import PageServer
from tests.serve.scene import SCAN, Desk, Scene, kept, scene

HOLES = {(10, 20): Fate.LOST, (10, 21): Fate.DAMAGED, (10, 22): Fate.SKIPPED}
FACE, LINE = 97, 64
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 800}

Picture = np.ndarray[Any, Any]


class Shown:
    """A page of a scan of which two thirds are there."""

    def __init__(
        self,
        browser: Any,
        query: str = "",
        token: bool = True,
        holes: Mapping[tuple[int, int], Fate] = HOLES,
        scan: tuple[int, int] = SCAN,
        **options: Any,
    ) -> None:
        self.desk, self.faults = Desk(), []
        self.notes: list[str] = []
        self._scene = scene(scan)
        self.scene: Scene = self._scene.__enter__()
        hub = Hub(self.scene.board, self.desk, kept, notes=lambda: self.notes)
        self.server = PageServer(hub, port=0)
        self.server.__enter__()
        self.scene.begin()
        self.lines = scan[0] * 2 // 3
        self.scene.lines(0, self.lines, holes)
        self.context = browser.new_context(**{"viewport": WIDE} | options)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda told: self.faults.append(told.text) if told.type == "error" else None)
        self.page.on("request", lambda asked: self.faults.extend(re.findall(r"^https?://(?!127)\S+", asked.url)))
        self.page.goto(self.server.url.replace("/#", f"/{query}#") if token else self.server.url.split("#")[0])
        self.wait(f"parscope.latest?.done === {self.lines * scan[1]}")
        self.settle("card.limits && ")

    def wait(self, condition: str) -> None:
        """Until it is so: Playwright's own wait would have to switch the page's security off."""
        end = time.monotonic() + 20
        while not self.page.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < end, condition
            self.page.wait_for_timeout(20)

    def settle(self, also: str = "") -> None:
        """Until everything is painted."""
        self.wait(f"parscope.cards.every((card) => {also}!card.dirty)")

    def picture(self, selector: str) -> Picture:
        """What is drawn on a canvas."""
        url = self.page.locator(selector).evaluate("(canvas) => canvas.toDataURL()")
        return matplotlib.image.imread(io.BytesIO(base64.b64decode(url.split(",")[1])), format="png")[:, :, :3]

    def close(self) -> None:
        self.context.close()
        self.server.__exit__(None, None, None)
        self._scene.__exit__(None, None, None)


def canvas(name: str) -> str:
    """Where a map is drawn."""
    return f"[data-map='{name}'] canvas[tabindex]"


def at(picture: Picture, y: float, x: float) -> Picture:
    """Colours of the dots of a position."""
    rows, columns = picture.shape[:2]
    wide = columns / SCAN[1]
    return picture[int(y * rows / SCAN[0]) + 1 : int((y + 1) * rows / SCAN[0]), int(x * wide) + 1 : int((x + 1) * wide)]


def gathered(values: Picture, dots: tuple[int, int], how: Callable[[Picture], Any]) -> Picture:
    """What `how` makes of the positions that each dot of a picture has a part of."""

    def spans(n: int, positions: int) -> Sequence[slice]:
        return [slice(i * positions // n, -(-(i + 1) * positions // n)) for i in range(n)]

    rows, columns = (spans(n, positions) for n, positions in zip(dots, values.shape, strict=True))
    return np.array([[how(values[y, x]) for x in columns] for y in rows])
