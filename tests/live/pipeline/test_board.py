"""The board: what one process writes, all others see, and a series that is over stays readable for one more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from parscope.core.errors import InputError, ShapeError
from parscope.core.stream import Fate
from parscope.live.kernels.contract import Output
from parscope.live.pipeline.board import COUNTERS, Board, cell_of

OUTPUTS = (Output("com.y", "px", "centre of mass, y"), Output("bf.counts", "counts", "bright field"))


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.create(12, OUTPUTS, (8, 8))
    yield made
    made.close()


def test_messages_that_sinks_lost_stand_with_their_series(board: Board) -> None:
    first = board.begin({"series": 1}, (3, 4))
    assert first.lost == []
    first.lose(["3 of 4 messages to here were lost", "x" * 10_000, "no room"])
    first.lose(["4 of 4 messages to here were lost: " + "é", "x" * 10_000])
    board.begin({"series": 2}, (3, 4)).lose(["of the other"])
    assert board.of(1).lost == ["4 of 4 messages to here were lost: é"]
    assert board.begin({"series": 3}, (3, 4)).lost == []


def test_nothing_is_measured_at_the_beginning(board: Board) -> None:
    bank = board.begin({"series": 3, "name": "ARINA"}, (3, 4))
    assert np.isnan(bank.values).all() and bank.values.shape == (12, 2)
    assert not bank.stamps.any() and bank.stamps.shape == (12, 7)
    assert (bank.fate == Fate.WAITING).all()
    assert (bank.places == -1).all()
    assert bank.head == {"series": 3, "name": "ARINA", "scan_shape": [3, 4], "counted": dict.fromkeys(COUNTERS, 0)}
    assert board.place == -1


def test_a_pattern_of_the_last_series_is_none_of_the_next(board: Board) -> None:
    board.begin({}, (2, 3))
    board.show(np.ones((4, 5), np.uint8), 4)
    assert board.place == 4
    board.begin({}, (2, 3))
    assert board.place == -1


def test_what_kernels_found_is_told_as_far_as_there_is_room(board: Board) -> None:
    bank = board.begin({}, (2, 3))
    assert bank.found == {}
    bank.tell({"bf": {"radius_px": 9.5}, "odd": {"all": ["x" * 20_000]}, "dpc": {"centre_px": np.arange(2)}})
    assert Board.attach(board.name).bank.found == {"bf": {"radius_px": 9.5}, "dpc": {"centre_px": [0, 1]}}
    assert bank.head["scan_shape"] == [2, 3]
    assert board.begin({}, (2, 3)).found == {}


def test_another_process_sees_it(board: Board) -> None:
    bank = board.begin({}, (2, 3))
    bank.values[4] = 1.5, 7
    bank.fate[4] = Fate.ANSWERED
    board.cells[cell_of("answered")] += 1
    board.show(np.full((4, 5), 9, np.uint8), 4)
    program = (
        "import sys\n"
        "from parscope.live.pipeline.board import Board\n"
        "board = Board.attach(sys.argv[1])\n"
        "print(board.map('bf.counts')[1, 1], board.bank.fate.tolist(), board.counters['answered'])\n"
        "print(board.pattern.shape, board.pattern[3, 4], board.place)\n"
        "board.stop()\n"
    )
    told = subprocess.run([sys.executable, "-c", program, board.name], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == ["7.0 [0, 0, 0, 0, 1, 0] 1", "(4, 5) 9 4"]
    assert told.stderr == ""
    assert board.stopping


def test_the_series_before_stays_readable(board: Board) -> None:
    board.begin({"series": 1}, (2, 2)).values[:] = 1
    board.begin({"series": 2}, (3, 4)).values[:] = 2
    before, now = board.of(board.generation - 1), board.bank
    assert (before.head["series"], before.values.shape, before.values[0, 0]) == (1, (4, 2), 1)
    assert (now.head["series"], now.values.shape, now.values[0, 0]) == (2, (12, 2), 2)
    other = Board.attach(board.name)
    assert [other.of(g).fate.shape for g in (1, 2)] == [(4,), (12,)]
    other.close()


def test_counters_have_names(board: Board) -> None:
    board.cells[cell_of("lost")] = 5
    assert dict(board.counters) == {name: 5 if name == "lost" else 0 for name in COUNTERS}
    with pytest.raises(KeyError):
        cell_of("forgotten")


def test_a_scan_that_is_too_large_is_refused(board: Board) -> None:
    with pytest.raises(ShapeError, match=r"--scan: a scan of 4 x 4 does not fit 12 positions"):
        board.begin({}, (4, 4))


def test_a_name_that_is_not_computed_is_refused(board: Board) -> None:
    board.begin({}, (1, 1))
    with pytest.raises(InputError, match=r"com\.y, bf\.counts"):
        board.map("strain")


def test_memory_of_something_else_is_refused() -> None:
    from parscope.live.pipeline.ring import Ring

    ring = Ring.create(1)
    with pytest.raises(InputError, match="no board"):
        Board.attach(ring.name)
    ring.close()


def test_a_head_that_is_too_long_is_cut_to_what_is_needed(board: Board) -> None:
    bank = board.begin({"series": 8, "mask": "x" * 70000}, (1, 2))
    assert bank.head == {"series": 8, "scan_shape": [1, 2], "counted": dict.fromkeys(COUNTERS, 0)}


def test_a_pattern_that_is_too_large_is_not_shown(board: Board) -> None:
    board.begin({}, (1, 1))
    board.show(np.zeros((9, 9), np.uint8), 0)
    assert board.place == -1
