"""Shared memory: read from Python and from C, while it is written."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from parscope.core.errors import OutputError
from parscope.live.sinks.shm import CAPACITY, SIZE, SharedMemorySink, read_last

READER = Path(__file__).with_name("reader.c")
NAME = f"parscope-test-shm-{os.getpid()}"
FILE = Path("/dev/shm") / NAME


@pytest.fixture
def sink() -> Iterator[SharedMemorySink]:
    made = SharedMemorySink(f"shm://{NAME}")
    made.open()
    yield made
    made.close()
    FILE.unlink(missing_ok=True)


def test_the_last_message_is_there_with_its_number(sink: SharedMemorySink) -> None:
    assert read_last(NAME) == (0, b"")
    for number in range(1, 4):
        sink.send(b"x" * (10 - number))
        assert read_last(NAME) == (number, b"x" * (10 - number))


def test_the_layout_is_the_one_written_down(sink: SharedMemorySink) -> None:
    sink.send(b'{"parscope":1}')
    whole = FILE.read_bytes()
    assert len(whole) == SIZE == 1088
    assert struct.unpack_from("=8sIIQ", whole) == (b"PARSCOPE", 1, CAPACITY, 2)
    assert struct.unpack_from("=I", whole, 32) == (14,)
    assert whole[64:78] == b'{"parscope":1}'


def test_a_message_that_is_too_long_is_refused(sink: SharedMemorySink) -> None:
    sink.send(b"a" * CAPACITY)
    with pytest.raises(OutputError, match="has 1025 bytes, of 1024 at most"):
        sink.send(b"b" * (CAPACITY + 1))
    assert (read_last(NAME), sink.dropped) == ((1, b"a" * CAPACITY), 1)


def test_the_name_is_gone_with_the_sink(sink: SharedMemorySink) -> None:
    sink.close()
    with pytest.raises(OutputError, match="cannot be read: No such file"):
        read_last(NAME)


def test_what_a_run_that_died_has_left_is_taken_over(sink: SharedMemorySink) -> None:
    sink.send(b"one")
    whole = bytearray(FILE.read_bytes())
    struct.pack_into("=Q", whole, 16, 3)  # it died while it wrote the second
    FILE.write_bytes(whole)
    with pytest.raises(OutputError, match="is half written"):
        read_last(NAME)
    heir = SharedMemorySink(f"shm://{NAME}")
    heir.open()
    heir.send(b"three")
    assert read_last(NAME) == (3, b"three")
    heir.close()


@pytest.mark.parametrize("content", [b"somebody else's", bytes(SIZE)])
def test_what_is_not_ours_is_left_alone(content: bytes) -> None:
    FILE.write_bytes(content)
    try:
        with pytest.raises(OutputError, match="is used by something else; choose another name"):
            SharedMemorySink(f"shm://{NAME}").open()
        assert FILE.read_bytes() == content
    finally:
        FILE.unlink()


def messages(number: int) -> bytes:
    """All characters the same: a torn message would be seen."""
    return bytes([97 + number % 26]) * (100 + number % 900)


def test_no_reader_sees_half_of_a_message(sink: SharedMemorySink) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            sink.send(messages(number))
            number += 1

    code = f"""
from parscope.live.sinks.shm import read_last
seen = set()
while len(seen) < 100:
    number, message = read_last({NAME!r})
    assert message == (bytes([97 + (number - 1) % 26]) * (100 + (number - 1) % 900) if number else b"")
    seen.add(number)
"""
    writer = threading.Thread(target=write)
    writer.start()
    try:
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    finally:
        stop.set()
        writer.join()


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_program_in_c_reads_it_by_the_layout(sink: SharedMemorySink, tmp_path: Path) -> None:
    program = tmp_path / "reader"
    subprocess.run(["cc", "-std=c11", "-O2", "-Wall", "-Werror", "-o", program, READER, "-lrt"], check=True)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            sink.send(messages(number))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        # It ends with 0 when it has seen 1000 different messages, and with 1 when one of them was torn.
        subprocess.run([program, f"/{NAME}", "1000"], check=True, timeout=60)
    finally:
        stop.set()
        writer.join()
    sink.send(b'{"rule":"hot"}')
    last = subprocess.run([program, f"/{NAME}", "0"], check=True, capture_output=True, timeout=60)
    assert last.stdout == b'{"rule":"hot"}\n'
