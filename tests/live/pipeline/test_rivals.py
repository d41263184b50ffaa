"""Whether another program takes a part of the patterns is told by which of them are missing, not by how many."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.core.stream import Fate
from parscope.live.pipeline.rivals import others, shared, strange

from .conftest import image, series, whole


def fates(came: np.ndarray, images: int = 400) -> np.ndarray:
    made = np.full(images, Fate.LOST, np.uint8)
    made[came] = Fate.ANSWERED
    return made


@pytest.mark.parametrize("turn", [2, 3, 5])
@pytest.mark.parametrize("first", [0, 1])
def test_programs_that_take_turns_are_counted(turn: int, first: int) -> None:
    came = np.arange(first, 400, turn)
    assert others(fates(came)) == turn - 1
    came = np.delete(came, [3, 20, 21, 40])  # some got lost besides
    assert others(fates(came)) == turn - 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.6, 0.9])
def test_patterns_that_are_lost_by_chance_accuse_nobody(share: float) -> None:
    for seed in range(20):
        assert others(fates(np.flatnonzero(np.random.default_rng(seed).random(400) >= share))) == 0


def test_a_few_patterns_accuse_nobody() -> None:
    assert others(fates(np.arange(0, 30, 2))) == 0
    assert others(np.zeros(0, np.uint8)) == 0


def test_what_is_said_of_a_series() -> None:
    advice = "connect to the detector through `parscope tee`"
    assert shared(7, fates(np.arange(0, 400, 2))) == f"another program takes half of the patterns of series 7; {advice}"
    assert shared(7, fates(np.arange(0, 400, 3))).startswith("2 other programs take 2 of 3 parts of the patterns")
    assert shared(7, fates(np.arange(400))) == ""


@pytest.mark.parametrize(
    ("said", "series_image_last"),
    [
        ("series 7 was running already", (7, 2, -1)),
        ("the start of series 7 did not come", (7, 0, -1)),
        ("the start of series 7 did not come", (7, 1, -1)),
        ("the start of series 7 did not come", (7, 40, 6)),
        ("images of series 5, which has ended, are left out", (5, 0, 6)),
    ],
)
def test_what_is_said_of_a_stranger(said: str, series_image_last: tuple[int, int, int]) -> None:
    assert strange(*series_image_last).startswith(said)


def test_a_session_says_it(bench) -> None:
    told = bench(whole(series(images=60), range(0, 60, 2)), scan=(6, 10)).run().told
    assert told == [shared(1, fates(np.arange(0, 60, 2), 60))]
    told = bench([image(series(), 1), image(series(), 3)]).run().told
    assert told == [strange(1, 1, -1)]
