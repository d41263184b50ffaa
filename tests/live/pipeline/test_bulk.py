"""Many patterns at once: the same numbers, fates, counts and places as one by one, whatever comes between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from parscope.core.stream import Fate
from parscope.live.pipeline.board import STAMPS
from parscope.live.pipeline.bulk import LEAST
from parscope.live.pipeline.ring import SMALLEST
from parscope.live.pipeline.stretch import MOST
from parscope.live.wire.encode import end_message, image_message, start_message

from .conftest import SHAPE, Bench, Make, image, series, whole

ALL = ("com", "sum", "variance", "bf:8,8,5", "dpc")
SCAN = (15, 20)
N = 300


class Many:
    """A connection that gives a script's messages by the dozen, out of one piece of memory."""

    def __init__(self, messages: list[bytes | None]) -> None:
        self.messages = messages
        self.data = np.zeros(1, np.uint8)
        self.taken = 0

    def find_run(self, run: np.ndarray, least: int) -> int:
        here = self.messages[: len(run)]
        count = here.index(None) if None in here else len(here)
        told = [bytes(one or b"") for one in here[:count]]
        self.data = np.frombuffer(bytearray(b"".join(told) + b"\0"), np.uint8)
        lengths = np.array([len(one) for one in told], np.int64)
        run[:count, 0], run[:count, 1] = np.cumsum(lengths) - lengths, lengths
        return count

    def take_run(self, run: np.ndarray) -> None:
        del self.messages[: len(run)]
        self.taken += len(run)


def by_the_dozen(make: Make, messages: Sequence[bytes | None], **options: object) -> Bench:
    made = make(messages, **options)
    made.engine.source.many = Many(made.engine.source.messages)
    return made.run()


def one_by_one(make: Make, messages: Sequence[bytes | None], **options: object) -> Bench:
    """With a moment between any two messages in which none comes."""
    apart = [part for message in messages for part in (message, None)]
    return make(apart, **options).run()


def noisy(of, number: int, dtype: str = "uint8") -> bytes:
    """A pattern of noise, with pixels that were not read."""
    rng = np.random.default_rng(number)
    frame = rng.integers(0, 200, SHAPE).astype(dtype)
    frame[rng.integers(0, 16, 3), rng.integers(0, 16, 3)] = np.iinfo(dtype).max
    channels = {name: np.roll(frame, int(name[-1]), 0) for name in of.channels}
    return image_message(of, number, channels, (200 * number, 200 * number + 190))


def damaged(message: bytes) -> bytes:
    """The message with samples that cannot be decompressed; it is as long as before."""
    at = message.index(b"bslz4") + 30
    return message[:at] + bytes(b ^ 0x5A for b in message[at : at + 40]) + message[at + 40 :]


def _plain() -> list[bytes | None]:
    of = series(images=N)
    return [start_message(of), *(noisy(of, n) for n in range(N)), end_message(of)]


def _troubled() -> list[bytes | None]:
    of, old = series(5, N), series(4, N)
    numbers = [n for n in range(N) if n not in (0, 40, 41, 97, 120, 299)]
    numbers[60:60] = [3, 3, 58]
    numbers[150:150] = [120, 40, 1000]
    messages: list[bytes | None] = [noisy(of, n) for n in numbers]
    messages[20] = damaged(messages[20])
    messages[70] = messages[70][:50]
    messages[71] = b"\xff\xff"
    messages[110:110] = [image(old, 7), end_message(old)]
    messages[200:200] = [image(of, 12, algorithm="none"), image(old, 8)]
    return [image(old, 6), start_message(of), *messages, end_message(of)]


def _two_series() -> list[bytes | None]:
    first, second = series(1, N), series(2, N)
    mixed = [noisy(second, n) for n in range(N)]
    for n in range(N - 7, 0, -29):  # of the one that has ended, those that would be due in the other
        mixed[n:n] = [noisy(first, m) for m in range(n, n + 5)]
    return [
        start_message(first),
        *(noisy(first, n) for n in range(200)),
        start_message(second),
        *mixed,
        end_message(second),
    ]


def _channels() -> list[bytes | None]:
    of = series(images=N, channels=("threshold_1", "threshold_2"), dtype="uint16")
    messages: list[bytes | None] = [noisy(of, n, "uint16") for n in range(N)]
    less = series(images=N, channels=("threshold_2",), dtype="uint16")
    messages[100:110] = [noisy(less, n, "uint16") for n in range(100, 110)]
    turned = series(images=N, channels=("threshold_2", "threshold_1"), dtype="uint16")
    messages[200:220] = [noisy(turned, n, "uint16") for n in range(200, 220)]
    messages[150] = noisy(series(images=N, channels=("threshold_1",), dtype="uint16"), 150, "uint16")
    return [start_message(of), *messages, end_message(of)]


def _other_compressions() -> list[bytes | None]:
    of = series(images=N)
    algorithms = ["bslz4"] * 40 + ["none"] * 30 + ["lz4"] * 30
    return [start_message(of), *(image(of, n, algorithm=algorithms[n % 100]) for n in range(N)), end_message(of)]


COURSES = {
    "plain": (_plain, {}),
    "troubled": (_troubled, {}),
    "two-series": (_two_series, {}),
    "second-channel": (_channels, {"channel": "threshold_2"}),
    "compressions": (_other_compressions, {}),
    "small-ring": (_troubled, {"room": SMALLEST}),
}


@pytest.mark.parametrize("which", list(COURSES))
@pytest.mark.parametrize("way", ["connection", "messages"])
def test_the_same_as_one_by_one(bench: Make, which: str, way: str) -> None:
    make, options = COURSES[which]
    messages = make()
    options = {"analyse": ALL, "scan": SCAN, "places": N, **options}
    one = one_by_one(bench, messages, **options)
    many = by_the_dozen(bench, messages, **options) if way == "connection" else bench(messages, **options).run()
    counted = [made.counted() for made in (many, one)]
    for some in counted:
        some.pop("stalls", None)  # a small ring is full before all kernels are ready
    assert counted[0] == counted[1]
    assert many.told == one.told
    for generation in range(1, one.board.generation + 1):
        a, b = one.board.of(generation), many.board.of(generation)
        assert a.values.tobytes() == b.values.tobytes()
        assert np.array_equal(a.fate, b.fate)
        assert np.array_equal(a.stamps[:, 5:], b.stamps[:, 5:])
        assert np.array_equal(a.places, b.places)
    assert _together(many) > MOST // 2 > _together(one) == 0


def _together(made: Bench) -> int:
    """How many answers of the last series share the time at which they were there with others."""
    decided = made.board.bank.stamps[made.board.bank.fate == Fate.ANSWERED, STAMPS.index("decided")]
    return len(decided) - len(np.unique(decided))


def test_times_are_never_before_what_they_tell(bench: Make) -> None:
    made = by_the_dozen(bench, _plain(), scan=SCAN, places=N)
    received, decoded, analysed, decided, emitted, exposed, opened = made.board.bank.stamps.T
    assert (received < decoded).all() and (decoded < analysed).all() and (analysed == decided).all()
    assert (np.diff(received) >= 0).all() and (np.diff(decided) >= 0).all()
    assert not emitted.any() and exposed.tolist() == [200 * n + 190 for n in range(N)]
    assert opened.tolist() == [200 * n for n in range(N)]
    assert _together(made) > N // 2


def test_late_answers_are_counted_as_missed(bench: Make) -> None:
    made = by_the_dozen(bench, whole(series(images=N)), scan=SCAN, places=N, deadline=1)
    assert made.counted()["missed"] == N
    assert "missed" not in by_the_dozen(bench, whole(series(images=N)), scan=SCAN, places=N).counted()


def test_where_the_newest_counts_each_is_dealt_with_by_itself(bench: Make) -> None:
    made = by_the_dozen(bench, whole(series(images=N)), scan=SCAN, places=N, newest=True)
    assert made.counted()["answered"] < LEAST and _together(made) == 0


def test_messages_are_found_where_the_board_says(bench: Make) -> None:
    messages = _plain()
    made = bench(messages, scan=SCAN, places=N, room=4 << 20)
    made.engine.source.many = Many(made.engine.source.messages)
    while made.board.counters["answered"] < N:
        made.engine.turn()
    places = made.board.bank.places.tolist()
    assert [made.engine.reader.at(place) for place in places] == messages[1:-1]
