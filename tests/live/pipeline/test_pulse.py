"""What a watchdog sees: a loop that turns without answering has no pulse, whatever the reason."""

from __future__ import annotations

import numpy as np

from parscope.live.pipeline.realtime import Watchdog
from parscope.live.pipeline.ring import SMALLEST, Reader
from parscope.live.wire.encode import start_message

from .conftest import SHAPE, Bench, Clock, Make, image, series, whole

MS = 1_000_000


def silence(made: Bench, seconds: float) -> list[str]:
    """Let the loop turn and look for some time, and hear the watchdog."""
    heard: list[str] = []
    dog = Watchdog(
        lambda: made.engine.pulse.at, heard.append, lambda: made.engine.pulse.patience, lambda: made.clock.now
    )
    end = made.clock.now + int(1e9 * seconds)
    while made.clock.now < end:
        made.engine.source.messages.insert(0, None)
        made.engine.turn()
        made.engine._look()
        dog.look()
    return heard


def upto(made: Bench, answered: int) -> None:
    """Turn and look until so many patterns were answered."""
    while made.board.counters["answered"] < answered:
        made.engine.turn()
        made.engine._look()


def spaced(made: list[bytes | None], pauses: int = 1) -> list[bytes | None]:
    return [one for message in made for one in (message, *[None] * pauses)]


def test_a_link_that_is_lost_in_the_middle_of_a_series_is_noticed_once(bench: Make) -> None:
    made = bench(spaced(whole(series())), clock=Clock(MS))
    assert silence(made, 2) == []  # no series yet
    upto(made, 6)
    (line,) = silence(made, 5)
    assert line.startswith("no pattern was answered for 0.5")
    upto(made, 12)
    while made.engine.answers.course is not None:
        made.engine.turn()
    assert silence(made, 5) == []  # it has ended


def test_a_slow_scan_is_waited_for(bench: Make) -> None:
    made = bench(spaced(whole(series()), 60), clock=Clock(5 * MS))
    upto(made, 6)
    period = made.engine.pulse.patience / 10
    assert period > 0.2
    assert silence(made, 9 * period) == []
    assert len(silence(made, 5 * period)) == 1


def test_a_ring_that_stays_full_is_noticed(bench: Make) -> None:
    made = bench(spaced(whole(series())), room=SMALLEST, clock=Clock(MS))
    hung = Reader(made.ring.name, lossless=True)
    upto(made, 4)
    made.engine.source.messages[:0] = [bytes(SMALLEST // 3)] * 4
    (line,) = silence(made, 3)
    assert line.startswith("no pattern was answered for 0.5")
    hung.close()


def test_patterns_that_no_kernel_can_answer_are_noticed(bench: Make) -> None:
    of = series(images=600)
    messages = [start_message(of), *(image(of, n) for n in range(600))]
    made = bench(spaced(messages), analyse=("strain",), scan=(20, 30), places=600, newest=True, clock=Clock(MS))
    while not made.engine.answers.settled:
        made.engine.turn()
        made.engine._look()
    for _ in range(20):
        made.engine.turn()
        made.engine._look()
    assert made.told and made.board.counters["answered"] == 0
    assert len(silence(made, 3)) == 1


def test_what_else_there_is_to_do_is_looked_for_by_time_however_slow_a_kernel_is(bench: Make) -> None:
    looks: list[int] = []
    slow = bench(spaced(whole(series())), clock=Clock(20 * MS))
    slow.engine.run(lambda: looks.append(slow.board.counters["received"]))
    assert set(range(1, 15)) <= set(looks)
    assert np.isfinite(slow.board.bank.values).all() and slow.board.pattern.shape == SHAPE
