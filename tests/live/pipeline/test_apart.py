"""Kernels that learn from patterns are set up in another process: same state, same errors, and no end with it."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parscope.core.errors import InputError, ParscopeError
from parscope.live.kernels.contract import Detector, Output
from parscope.live.kernels.parts import part_of
from parscope.live.pipeline.analysis import analyser_of
from parscope.live.pipeline.apart import Apart, serve
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.sources.address import Wishes
from parscope.techniques.diffraction.simulate import ScanDesign, simulate
from parscope.testing.kernel import example_detector, example_patterns


@contextmanager
def apart(kernels: tuple[Any, ...], told: list[Any] | None = None) -> Iterator[tuple[Apart, threading.Thread]]:
    """What asks, while something answers."""
    here, there = Pipe()
    other = threading.Thread(target=serve, args=(kernels, there))
    other.start()
    try:
        yield Apart(here, (told if told is not None else []).append), other
    finally:
        here.close()
        other.join(60)
        assert not other.is_alive()


def test_the_state_is_the_one_that_would_have_been_made_here() -> None:
    kernels = analyser_of(["bf", "adf", "strain"]).kernels
    detector, patterns = example_detector(), example_patterns()
    with apart(kernels) as (setup, _):
        for kernel in kernels:
            ours, theirs = part_of(kernel, detector, patterns), setup(kernel, detector, patterns)
            assert pickle.dumps(theirs) == pickle.dumps(pickle.loads(pickle.dumps(ours)))


class Odd:
    """A kernel whose set-up is a function."""

    function, outputs = staticmethod(lambda frame, out: None), (Output("x", "1", "x"),)

    def __init__(self, setup: Any, examples: int = 1) -> None:
        self.name, self.examples, self._setup = "odd", examples, setup

    def setup(self, detector: Detector, examples: np.ndarray) -> tuple[Any, ...]:
        result: tuple[Any, ...] = self._setup(examples)
        return result


DETECTOR = Detector((4, 4), "uint8", np.zeros((4, 4), np.bool_), 255, (10, 10))
EXAMPLES = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)


def refusing(examples: np.ndarray) -> tuple[Any, ...]:
    raise InputError("are dark", "examples", "take the cover off")


@pytest.mark.parametrize(
    ("setup", "kind", "text"),
    [
        (refusing, InputError, "examples: are dark; take the cover off"),
        (lambda _: 1 / 0, ZeroDivisionError, "division by zero"),
        (lambda _: (lambda: None,), ParscopeError, "cannot be sent by the process that sets kernels up"),
    ],
)
def test_what_fails_there_fails_here_and_the_next_kernel_is_set_up(
    setup: Any, kind: type[Exception], text: str
) -> None:
    kernels = Odd(setup), *analyser_of(["bf"]).kernels
    detector, patterns = example_detector(), example_patterns()
    with apart(kernels) as (ask, _):
        with pytest.raises(kind, match=text):
            ask(kernels[0], DETECTOR, EXAMPLES)
        assert ask(kernels[1], detector, patterns).region.any()


def test_examples_may_be_written_to_and_a_kernel_without_any_stays_here() -> None:
    own = threading.get_ident()
    writing = Odd(lambda examples: (examples.flags.writeable, int(examples.sum()), threading.get_ident()))
    with apart((writing,)) as (ask, other):
        assert ask(writing, DETECTOR, EXAMPLES) == (True, 120, other.ident)
        assert ask(Odd(lambda _: (threading.get_ident(),), 0), DETECTOR, EXAMPLES[:0]) == (own,)


def test_when_the_other_end_is_gone_it_is_done_here_and_said_once() -> None:
    told: list[Any] = []
    here, there = Pipe()
    there.close()
    ask = Apart(here, told.append)
    for _ in range(2):
        assert ask(Odd(lambda examples: (int(examples.sum()),)), DETECTOR, EXAMPLES) == (120,)
    here.close()
    assert told == ["the process that sets kernels up has died; the analysis does it itself, and is late meanwhile"]


def test_a_session_maps_strain_also_when_that_process_is_killed(tmp_path: Path) -> None:
    scan = simulate(replace(ScanDesign().sized((96, 96)), scan=(8, 10))).frames
    np.save(tmp_path / "scan.npy", np.asarray(scan.data[:]))
    maps = []
    for kill in (False, True):
        told: list[str] = []
        with Session(
            Orders(f"replay:{tmp_path}/scan.npy", ("com", "strain"), Wishes(rate=400)), told.append
        ) as session:
            assert session._setter is not None
            if kill:
                os.kill(session._setter.process, signal.SIGKILL)
            session.run()
        assert any("has died" in line for line in told) == kill
        maps.append(session.finished[0].result.values)
    assert np.isfinite(maps[0]).all()
    assert np.array_equal(*maps)


def test_no_process_is_started_where_no_kernel_learns(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", np.ones((2, 3, 8, 8), np.uint8))
    with Session(Orders(f"replay:{tmp_path}/scan.npy", ("com", "sum"))) as session:
        assert session._setter is None
        session.run()
    assert np.isfinite(session.finished[0].result.values).all()
