"""The plan of faults: every fault is where the marks say, the same seed gives the same, and nothing else happens."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parscope.core.errors import OptionError
from parscope.live.emulator import Faults
from parscope.live.emulator.faults import BLOCK, Planner, Variant

EVERY = ("drop", "duplicate", "reorder", "stale", "truncate", "corrupt", "nodata")


def planned(faults: Faults, images: int = 3000, seed: int = 7, series: int = 1) -> tuple[Planner, list[list[int]]]:
    """The messages of a series of `images`, as one trigger asks for them."""
    planner, rows = Planner(faults, seed, series), []
    for first in range(0, images, BLOCK):
        rows += planner.plan(first, min(images, first + BLOCK)).tolist()
    return planner, rows


def test_without_faults_every_image_is_sent_once_in_order() -> None:
    planner, rows = planned(Faults())
    assert rows == [[image, 0, 0] for image in range(3000)]
    assert planner.marks == {}
    assert planner.start and planner.end
    assert not any(planner.taken(image) for image in range(10))


def test_dropped_images_are_missing() -> None:
    planner, rows = planned(Faults(drop=0.05))
    dropped = planner.marks["drop"]
    assert 100 < len(dropped) < 200
    assert [row[0] for row in rows] == [image for image in range(3000) if image not in set(dropped)]


def test_duplicates_come_twice_in_a_row() -> None:
    planner, rows = planned(Faults(duplicate=0.05))
    images = [row[0] for row in rows]
    twice = [image for image, following in pairwise(images) if image == following]
    assert twice == planner.marks["duplicate"]
    assert len(twice) > 100
    assert sorted(set(images)) == list(range(3000))


def test_reordered_images_come_after_a_later_one() -> None:
    planner, rows = planned(Faults(reorder=0.05))
    images = [row[0] for row in rows]
    assert sorted(images) == list(range(3000))
    late = [image for place, image in enumerate(images) if image < max(images[: place + 1])]
    assert late == planner.marks["reorder"]
    assert len(late) > 100
    assert max(max(images[: place + 1]) - image for place, image in enumerate(images)) <= 16


def test_stale_images_come_before_their_namesakes() -> None:
    planner, rows = planned(Faults(stale=0.05))
    stale = [row[0] for row in rows if row[1] == Variant.STALE]
    assert stale == planner.marks["stale"]
    assert len(stale) > 100
    assert [row[0] for row in rows if row[1] == Variant.WHOLE] == list(range(3000))


@pytest.mark.parametrize(
    ("name", "variant"),
    [("truncate", Variant.TRUNCATED), ("corrupt", Variant.CORRUPT), ("nodata", Variant.NODATA)],
)
def test_damaged_images_come_in_their_place(name: str, variant: Variant) -> None:
    planner, rows = planned(Faults(**{name: 0.05}))
    assert [row[0] for row in rows] == list(range(3000))
    assert [row[0] for row in rows if row[1] == variant] == planner.marks[name]
    assert {row[1] for row in rows} == {Variant.WHOLE, variant}


def test_jitter_delays_each_image_within_its_bound() -> None:
    planner, rows = planned(Faults(jitter=1e-3))
    delays = [row[2] for row in rows]
    assert 0 <= min(delays) < 50_000 and 950_000 < max(delays) < 1_000_000
    assert planner.marks == {}


def test_the_same_seed_gives_the_same_and_another_does_not() -> None:
    faults = Faults(**dict.fromkeys(EVERY, 0.02), jitter=1e-4)
    (one, rows), (other, again) = planned(faults), planned(faults)
    assert (rows, one.marks) == (again, other.marks)
    assert planned(faults, seed=8)[1] != rows
    assert planned(faults, series=2)[1] != rows


def test_a_fault_more_does_not_move_the_others() -> None:
    few, many = planned(Faults(drop=0.02))[0].marks, planned(Faults(drop=0.02, nodata=0.1))[0].marks
    assert few["drop"] == many["drop"]


@given(first=st.integers(0, 500), length=st.integers(1, 500))
def test_pieces_of_a_block_have_the_faults_of_the_whole(first: int, length: int) -> None:
    faults = Faults(drop=0.1, corrupt=0.1)
    whole = Planner(faults, 1, 1).plan(0, BLOCK).tolist()
    part = Planner(faults, 1, 1).plan(first, first + length).tolist()
    assert part == [row for row in whole if first <= row[0] < first + length]


def test_start_and_end_may_be_missing() -> None:
    planner = Planner(Faults(no_start=1, no_end=1), 7, 1)
    assert (planner.start, planner.end) == (False, False)
    assert planner.marks == {"no_start": [-1], "no_end": [-1]}


def test_a_second_client_takes_each_second_message() -> None:
    planner = Planner(Faults(two_clients=1), 7, 1)
    taken = [planner.taken(image) for image in range(100)]
    assert sum(taken) == 50
    assert all(one != other for one, other in pairwise(taken))
    assert planner.marks["two_clients"] == [image for image in range(100) if taken[image]]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["flood=1"], "there is no fault 'flood'"),
        (["drop"], "'drop' has no number"),
        (["drop=much"], "'drop=much' has no number"),
        (["drop=1.5"], "1.5 is not within 0 and 1"),
        (["drop=nan"], "nan is not within 0 and 1"),
        (["jitter=-1"], "-1.0 is not within 0 and 10 s"),
    ],
)
def test_what_is_no_fault_is_refused(texts: list[str], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Faults.parse(texts)
