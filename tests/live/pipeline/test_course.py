"""Every image is counted once, whatever order they come in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.core.stream import Fate
from parscope.live.pipeline.board import Board
from parscope.live.pipeline.course import Course


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.create(12, (), (1, 1))
    yield made
    made.close()


def counted(board: Board) -> dict[str, int]:
    return {name: board.counters[name] for name in ("lost", "late", "duplicate", "foreign")}


def test_a_gap_is_a_hole_at_once_and_filled_by_what_comes_late(board: Board) -> None:
    course = Course(board.begin({}, (2, 4)), board.cells)
    assert [course.place(image) for image in (0, 3)] == [0, 3]
    assert counted(board) == {"lost": 2, "late": 0, "duplicate": 0, "foreign": 0}
    assert board.bank.fate[:4].tolist() == [Fate.WAITING, Fate.LOST, Fate.LOST, Fate.WAITING]
    assert course.place(2) == 2
    assert counted(board) == {"lost": 1, "late": 1, "duplicate": 0, "foreign": 0}
    assert board.bank.fate[2] == Fate.WAITING
    assert not course.complete
    course.finish()
    assert course.complete
    assert counted(board)["lost"] == 5
    assert (board.bank.fate == Fate.LOST).sum() == 5


@pytest.mark.parametrize("image", [-1, 8, 1 << 40])
def test_an_image_of_no_position_is_foreign(board: Board, image: int) -> None:
    course = Course(board.begin({}, (2, 4)), board.cells)
    assert course.place(image) == -1
    assert counted(board) == {"lost": 0, "late": 0, "duplicate": 0, "foreign": 1}


def test_an_image_after_the_last_one_is_foreign(board: Board) -> None:
    course = Course(board.begin({}, (1, 2)), board.cells)
    assert [course.place(image) for image in (0, 1, 2)] == [0, 1, -1]
    assert counted(board) == {"lost": 0, "late": 0, "duplicate": 0, "foreign": 1}


@given(st.lists(st.integers(-2, 14), max_size=40))
def test_images_and_holes_add_up(images: list[int]) -> None:
    board = Board.create(12, (), (1, 1))
    course = Course(board.begin({}, (3, 4)), board.cells)
    placed = [position for image in images if (position := course.place(image)) >= 0]
    board.bank.fate[placed] = Fate.ANSWERED
    course.finish()
    told = counted(board)
    inside = [image for image in images if 0 <= image < 12]
    assert sorted(placed) == sorted(set(inside))
    assert told["lost"] == 12 - len(placed)
    assert told["duplicate"] == len(inside) - len(placed)
    assert told["foreign"] == len(images) - len(inside)
    assert np.flatnonzero(board.bank.fate == Fate.ANSWERED).tolist() == sorted(placed)
    assert (board.bank.fate == Fate.LOST).sum() == told["lost"]
    board.close()
