"""The ring of messages: nothing lost to who must miss nothing, nothing torn for anybody."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.core.errors import InputError, OutputError
from parscope.live.pipeline.memory import Segment, folder, sweep
from parscope.live.pipeline.ring import SMALLEST, Reader, Ring


@pytest.fixture
def ring():
    made = Ring.create(SMALLEST)
    yield made
    made.close()


def message(number: int, length: int) -> bytes:
    return np.random.default_rng(number).bytes(length)


@given(st.lists(st.integers(0, SMALLEST // 2 - 40), max_size=60))
def test_a_reader_that_keeps_up_gets_every_message_in_order(lengths: list[int]) -> None:
    ring = Ring.create(SMALLEST)
    reader = Reader(ring.name, lossless=True)
    for number, length in enumerate(lengths):
        assert ring.put(message(number, length), 10 * number) >= 0
        taken = reader.take()
        assert taken is not None and bytes(taken) == message(number, length)
        assert (reader.received, reader.number, reader.overtaken) == (10 * number, number, 0)
        assert reader.take() is None
    assert ring.stalls == 0
    reader.close()
    ring.close()


@given(st.lists(st.tuples(st.integers(0, 9000), st.booleans()), max_size=200))
def test_a_lossless_reader_makes_the_writer_wait_and_gets_all_in_the_end(steps: list[tuple[int, bool]]) -> None:
    ring = Ring.create(SMALLEST)
    reader = Reader(ring.name, lossless=True)
    sent, got = [], []
    for number, (length, reads) in enumerate(steps):
        if ring.put(message(number, length), 0) >= 0:
            sent.append(message(number, length))
        if reads and (taken := reader.take()) is not None:
            got.append(bytes(taken))
    ring.finish()
    while (taken := reader.take()) is not None:
        got.append(bytes(taken))
    assert got == sent
    assert reader.finished
    assert (ring.stalls > 0) == (len(sent) < len(steps))
    reader.close()
    ring.close()


def test_a_writer_without_room_counts_one_stall_until_there_is_room(ring: Ring) -> None:
    reader = Reader(ring.name, lossless=True)
    half = bytes(SMALLEST // 2 - 32)
    assert ring.put(half, 0) >= 0 and ring.put(half, 0) >= 0
    assert [ring.put(half, 0) for _ in range(3)] == [-1, -1, -1]
    assert ring.stalls == 1
    assert ring.high_water == SMALLEST
    reader.take(), reader.take()
    assert ring.put(half, 0) >= 0
    reader.close()
    assert ring.put(half, 0) >= 0 and ring.put(half, 0) >= 0
    assert ring.stalls == 1


def test_a_reader_that_is_overtaken_is_told_how_many_it_missed(ring: Ring) -> None:
    reader = Reader(ring.name)
    for number in range(100):
        assert ring.put(number.to_bytes(2) * 2048, 0) >= 0
    taken = reader.take()
    assert taken is not None and bytes(taken[:2]) == (99).to_bytes(2)
    assert reader.overtaken == 99
    assert reader.intact()
    for _ in range(20):
        ring.put(bytes(4096), 0)
    assert not reader.intact()
    reader.close()


def test_a_message_can_be_read_again_until_it_is_written_over(ring: Ring) -> None:
    positions = [ring.put(message(n, 3000), n) for n in range(12)]
    reader = Reader(ring.name)
    assert [reader.at(p) for p in positions] == [message(n, 3000) for n in range(12)]
    for n in range(12):
        ring.put(message(n, 3000), n)
    assert reader.at(positions[0]) is None
    assert reader.at(-1) is None
    assert reader.at(1 << 40) is None
    reader.close()


def test_a_message_that_can_never_fit_is_refused(ring: Ring) -> None:
    ring.put(b"x", 0)
    with pytest.raises(OutputError, match="too large"):
        ring.put(bytes(SMALLEST), 0)


def test_too_many_readers_are_refused(ring: Ring) -> None:
    readers = [Reader(ring.name) for _ in range(8)]
    with pytest.raises(OutputError, match="8 readers"):
        Reader(ring.name)
    readers.pop().close()
    Reader(ring.name).close()
    for reader in readers:
        reader.close()


def test_another_process_reads_what_this_one_writes(ring: Ring) -> None:
    program = (
        "import sys\n"
        "from parscope.live.pipeline.ring import Reader\n"
        "reader = Reader(sys.argv[1], lossless=True)\n"
        "print('ready', flush=True)\n"
        "total = count = 0\n"
        "while not reader.finished:\n"
        "    taken = reader.take()\n"
        "    if taken is not None:\n"
        "        count += 1; total += sum(taken)\n"
        "print(count, total)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, ring.name], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        sent = [message(n, 5000) for n in range(60)]
        for one in sent:
            while ring.put(one, 0) < 0:
                os.sched_yield()
        ring.finish()
        told = process.stdout.readline()
    assert told.split() == ["60", str(sum(sum(one) for one in sent))]


def test_memory_of_processes_that_are_gone_is_deleted() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    left = folder() / f"parscope-live-{made.stdout.strip()}-dead"
    left.write_bytes(b"x")
    ours = Segment.create(4096)
    sweep()
    assert not left.exists()
    assert (folder() / ours.name).exists()
    ours.close()
    ours.close()
    assert not (folder() / ours.name).exists()


def test_memory_that_is_not_there_or_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="no shared memory of this name"):
        Segment("parscope-live-1-none")
    with pytest.raises(InputError, match="no name of shared memory"):
        Segment("../etc/passwd")
    with Segment.create(4096) as memory:
        memory.buffer[0] = 1
        with pytest.raises(InputError, match="no ring"):
            Reader(memory.name)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=200), st.integers(1, 40), st.integers(0, 7))
def test_many_at_once_lie_as_one_by_one(lengths: list[int], most: int, behind: int) -> None:
    many, single = Ring.create(SMALLEST), Ring.create(SMALLEST)
    reader, other = Reader(many.name, lossless=True), Reader(single.name, lossless=True)
    messages = [message(number, length) for number, length in enumerate(lengths)]
    data = np.frombuffer(bytearray(b"".join(messages) + b"."), np.uint8)
    spans = np.stack([np.cumsum(lengths) - lengths, lengths], 1)
    run, told = np.zeros((most, 2), np.int64), np.zeros((most, 3), np.int64)
    done = got = 0
    while got < len(messages):
        if done < len(messages):
            took = many.put_run(data, spans[done : done + most], done)
            done += took or (many.put(messages[done], done) >= 0)
        count = max(reader.find_run(run, told) - (behind if done < len(messages) else 0), 0)
        for k in range(count):
            start, length = run[k].tolist()
            assert reader.bytes[start : start + length].tobytes() == messages[got + k]
            assert reader.at(reader.next + int(told[k, 0])) == messages[got + k]
            assert 0 <= told[k, 2] <= got + k
            assert single.put(messages[got + k], 0) == reader.next + int(told[k, 0])
            other.take()
        if count:
            reader.take_run(count, int(told[count - 1, 1]))
        elif (taken := reader.take()) is not None:
            assert bytes(taken) == messages[got]
            assert single.put(messages[got], 0) == reader.position
            other.take()
            count = 1
        got += count
        assert reader.number == got - 1 and reader.behind == done - got
    assert many._cell[2] == single._cell[2]
    for one in (reader, other, many, single):
        one.close()


def test_many_at_once_wait_for_who_must_miss_nothing(ring) -> None:
    recorder = Reader(ring.name, lossless=True)
    data = np.zeros(8000, np.uint8)
    spans = np.array([(0, 8000)] * 20)
    put = 0
    while count := ring.put_run(data, spans, 1):
        put += count
    assert put == SMALLEST // 8032
    assert ring.put(data.data, 1) == -1
    assert recorder.behind == put
    recorder.close()
    assert ring.put(data.data, 1) >= 0
    assert ring.put_run(data, spans, 1) == SMALLEST // 8032 - 1
