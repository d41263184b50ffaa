"""Networks that are asked by several threads at once leave PyTorch with as many threads as it had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import torch

from parscope.solvers.networks.threads import one_thread


@pytest.fixture
def _three() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def number() -> int:
    """What a thread that begins now works with."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


@pytest.mark.usefixtures("_three")
def test_threads_that_overlap_leave_the_number_as_it_was() -> None:
    first_in, second_in, first_out = Event(), Event(), Event()

    def inside(entered: Event, until: Callable[[], bool], left: Event) -> tuple[int, int]:
        with one_thread():
            entered.set()
            assert until()
            during = torch.get_num_threads()
        left.set()
        return during, torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(inside, first_in, lambda: second_in.wait(10), first_out)
        assert first_in.wait(10)
        second = pool.submit(inside, second_in, lambda: first_out.wait(10), Event())
        assert first.result() == second.result() == (1, 3)
    assert number() == 3


@pytest.mark.usefixtures("_three")
def test_blocks_within_blocks_keep_to_one_thread_until_the_last_ends() -> None:
    with one_thread():
        with one_thread():
            pass
        assert torch.get_num_threads() == 1
    assert (torch.get_num_threads(), number()) == (3, 3)
