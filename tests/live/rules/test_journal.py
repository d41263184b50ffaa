"""The journal: whole lines, whatever happens, and never a wait."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from parscope.core.errors import InputError, OutputError, UnreadableError
from parscope.live.rules.journal import Journal, read

DYING = """
import sys, time
from pathlib import Path
from parscope.live.rules.journal import Journal
journal = Journal(Path(sys.argv[1]), pause=0.001)
number = 0
while True:
    journal.add({"t": "decision", "number": number, "text": "x" * 200})
    number += 1
    time.sleep(0.0002)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "decisions.jsonl"


def test_lines_are_added_to_what_is_there_in_a_folder_that_is_made(tmp_path: Path) -> None:
    file = tmp_path / "out" / "decisions.jsonl"
    for number in (1, 2):
        with Journal(file) as journal:
            journal.add({"t": "decision", "number": number, "µ": float("nan")})
            journal.close()
    assert [record["number"] for record in read(file)] == [1, 2]
    assert journal.dropped == 0


def test_a_process_that_is_killed_leaves_whole_lines_from_the_first_on(file: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", DYING, str(file)], env=os.environ)
    while not file.exists() or file.stat().st_size < 20_000:
        assert process.poll() is None
        threading.Event().wait(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    numbers = [record["number"] for record in read(file)]
    assert len(numbers) > 20
    assert numbers == list(range(len(numbers)))


def test_a_line_that_was_cut_short_is_left_out_and_harms_no_other(file: Path) -> None:
    file.write_text('{"t":"decision","number":1}\n{"t":"decision","nu')
    with Journal(file) as journal:
        journal.add({"t": "decision", "number": 2})
    assert [record["number"] for record in read(file)] == [1, 2]


def test_more_than_may_wait_is_dropped_and_told(file: Path) -> None:
    journal = Journal(file, pause=600, longest=2)
    for number in range(5):
        journal.add({"t": "decision", "number": number})
    journal.close()
    assert journal.dropped == 3
    assert list(read(file)) == [{"t": "dropped", "lines": 3}, *({"t": "decision", "number": n} for n in (0, 1))]


def test_much_at_once_is_written_in_parts_and_all_of_it_at_the_end(file: Path) -> None:
    journal = Journal(file, pause=600)
    for number in range(1700):
        journal.add({"t": "decision", "number": number})
    journal._write()
    assert 0 < len(list(read(file))) < 1700
    journal.close()
    assert [record["number"] for record in read(file)] == list(range(1700))


def test_a_full_disk_is_told_once_there_is_room(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, full = os.write, True

    def cut_short(descriptor: int, data: Any) -> int:
        if not full:
            return write(descriptor, data)
        if len(data) > 10:
            return write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    journal, other = Journal(file, pause=600), Journal(file.with_name("other.jsonl"), pause=600)
    journal.add({"t": "decision", "number": 0})
    monkeypatch.setattr(os, "write", cut_short)
    journal._write()
    assert (journal.dropped, journal.fault) == (1, "No space left on device")
    for number in range(2000):  # nor does it wait for room when it is closed
        other.add({"t": "decision", "number": number})
    other.close()
    assert other.dropped == 2000
    full = False
    journal.add({"t": "decision", "number": 1})
    journal._write()
    assert journal.fault == ""
    journal.close()
    assert list(read(file)) == [{"t": "dropped", "lines": 1}, {"t": "decision", "number": 1}]


def test_what_cannot_be_written_or_read_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: Is a directory"):
        Journal(tmp_path)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        list(read(tmp_path / "none.jsonl"))
    (tmp_path / "notes.txt").write_text("notes\n")
    with pytest.raises(UnreadableError, match="is no journal of decisions"):
        list(read(tmp_path / "notes.txt"))
    (tmp_path / "list.txt").write_text(json.dumps([1]) + "\n")
    with pytest.raises(UnreadableError, match="is no journal of decisions"):
        list(read(tmp_path / "list.txt"))
