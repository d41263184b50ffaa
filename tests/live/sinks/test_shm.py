"""Shared memory: read from Python and from C, while it is written."""

from __future__ import annotations

import os
import shutil
import signal
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


needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("shm") / "reader"
    subprocess.run(["cc", "-std=c11", "-O2", "-Wall", "-Werror", "-o", program, READER, "-lrt"], check=True)
    return program


def printed(reader: Path) -> bytes:
    """What the program in C finds; it waits for ever while a message is half written."""
    return subprocess.run([reader, f"/{NAME}", "0"], check=True, capture_output=True, timeout=20).stdout


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


DIES = """
import os, signal, sys
from parscope.live.sinks.shm import SharedMemorySink
sink = SharedMemorySink(sys.argv[1])
sink.open()
sink.send(b"one")
sink._words[2] += int(sys.argv[2])  # it may die while it writes the second
os.kill(os.getpid(), signal.SIGKILL)
"""


@needs_compiler
@pytest.mark.parametrize("half", [0, 1])
def test_what_a_run_that_died_has_left_is_taken_over(half: int, reader: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", DIES, f"shm://{NAME}", str(half)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    if half:
        with pytest.raises(OutputError, match="is half written"):
            read_last(NAME)
    else:
        assert read_last(NAME) == (1, b"one")
    heir = SharedMemorySink(f"shm://{NAME}")
    heir.open()
    try:
        assert printed(reader) == b"\n"  # what it finds is whole, and not of the run that died
        assert read_last(NAME) == (2, b"")
        heir.send(b"three")
        assert read_last(NAME) == (3, b"three")
        assert printed(reader) == b"three\n"
    finally:
        heir.close()


@needs_compiler
def test_what_a_run_that_lives_writes_is_not_taken_over(sink: SharedMemorySink, reader: Path) -> None:
    sink.send(b"one")
    with pytest.raises(OutputError, match="is written by another program; choose another name, or end that"):
        SharedMemorySink(f"shm://{NAME}").open()
    assert printed(reader) == b"one\n"
    sink.close()
    sink.open()  # what was closed is free again
    assert read_last(NAME) == (0, b"")


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


@needs_compiler
def test_a_program_in_c_reads_it_by_the_layout(sink: SharedMemorySink, reader: Path) -> None:
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
        subprocess.run([reader, f"/{NAME}", "1000"], check=True, timeout=60)
    finally:
        stop.set()
        writer.join()
    sink.send(b'{"rule":"hot"}')
    assert printed(reader) == b'{"rule":"hot"}\n'
