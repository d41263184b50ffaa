"""A source of messages that a test makes, a clock that it winds, and an engine around both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from parscope.core.errors import ParscopeError
from parscope.core.stream import Series
from parscope.live.pipeline.analysis import analyser_of
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.board import Board
from parscope.live.pipeline.engine import Engine
from parscope.live.pipeline.ring import Ring
from parscope.live.wire.encode import end_message, image_message, start_message

SHAPE = (16, 16)


class Clock:
    """Time that goes on by one step whenever somebody looks."""

    def __init__(self, step: int = 1000) -> None:
        self.now, self.step = 1_000_000, step

    def __call__(self) -> int:
        self.now += self.step
        return self.now


class Script:
    """A source of given messages; None stands for a moment in which none comes, and all before have been answered."""

    name = "script"

    def __init__(self, messages: Sequence[bytes | None]) -> None:
        self.messages = list(messages)
        self.settled: Callable[[], bool] = lambda: True

    def open(self) -> None:
        pass

    def receive(self, wait: float) -> memoryview | None:
        if not self.messages:
            raise EOFError
        if self.messages[0] is None and not self.settled():
            return None
        message = self.messages.pop(0)
        return None if message is None else memoryview(message)

    def close(self) -> None:
        pass


def series(number: int = 1, images: int = 12, **changes: object) -> Series:
    told: dict[str, object] = {"shape": SHAPE, "dtype": "uint8", "channels": ("threshold_1",), **changes}
    return Series(number, f"unique-{number}", images, **told)  # type: ignore[arg-type]


def pattern(image: int) -> np.ndarray:
    """One bright pixel, whose place and height tell the image."""
    made = np.zeros(SHAPE, np.uint8)
    made[image % 16, (3 * image) % 16] = image % 200 + 1
    return made


def image(of: Series, number: int, **options: object) -> bytes:
    return image_message(of, number, dict.fromkeys(of.channels, pattern(number)), (200 * number, 200 * number + 190))


def whole(of: Series, images: Sequence[int] | None = None) -> list[bytes | None]:
    """A series with the images that are named, in this order."""
    numbers = range(of.images) if images is None else images
    return [start_message(of), *(image(of, number) for number in numbers), end_message(of)]


class Bench:
    """An engine over a script."""

    def __init__(self, messages: Sequence[bytes | None], **options: object) -> None:
        self.clock = options.pop("clock", None) or Clock()
        analyse = options.pop("analyse", ("com", "sum"))
        room = options.pop("room", 1 << 20)
        places = options.pop("places", 64)
        actuator = options.pop("actuator", None)
        policy = Policy(**{"scan": (3, 4), "deadline": 10**15, **options})  # type: ignore[arg-type]
        analyser = analyser_of(analyse)  # type: ignore[arg-type]
        self.told: list[str | ParscopeError] = []
        self.ring = Ring.create(room)  # type: ignore[arg-type]
        self.board = Board.create(places, analyser.outputs, (32, 32))  # type: ignore[arg-type]
        source = Script(messages)
        self.engine = Engine.of(source, self.ring, self.board, analyser, policy, actuator, self.clock, self.told.append)
        source.settled = lambda: not self.engine.answers.held_up and not self.engine.reader.waiting

    def run(self) -> Bench:
        self.engine.run()
        return self

    def counted(self) -> dict[str, int]:
        """Counters that are not zero."""
        left = ("ring_high_water", "finished")
        return {name: count for name, count in self.board.counters.items() if count and name not in left}

    def close(self) -> None:
        self.ring.close()
        self.board.close()


Make = Callable[..., Bench]


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(messages: Sequence[bytes | None], **options: object) -> Bench:
        made.append(Bench(messages, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
