"""A recorder over a ring of given messages, for the tests of what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from parscope.io.open import open_frames
from parscope.live.pipeline.recorder import Recorder
from parscope.live.pipeline.ring import Reader, Ring

from .conftest import SHAPE, pattern

Record = Callable[..., Recorder]


@contextmanager
def recording(folder: Path) -> Iterator[Record]:
    """Record messages, each call into a ring of its own."""
    rings = []

    def run(messages: Sequence[bytes | None], **options: object) -> Recorder:
        ring = Ring.create(4 << 20)
        rings.append(ring)
        reader = Reader(ring.name, lossless=True)
        made = Recorder(
            reader, lambda generation, number: folder / f"g{generation}s{number}", **{"scan": (3, 4), **options}
        )
        for message in messages:
            ring.put(message or b"", 0)
        ring.finish()
        made.run()
        return made

    try:
        yield run
    finally:
        for ring in rings:
            ring.close()


def truth(images: int = 12) -> np.ndarray:
    """Patterns as they were sent."""
    return np.array([pattern(number) for number in range(images)])


def stored(master: Path) -> np.ndarray:
    """Patterns as they are read."""
    return np.asarray(open_frames(master).data[:]).reshape(-1, *SHAPE)
