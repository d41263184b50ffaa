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

from parscope.core.errors import InputError, OutputError, ParscopeError
from parscope.live.kernels.contract import Detector, Output
from parscope.live.kernels.parts import part_of
from parscope.live.kernels.plan import Plan
from parscope.live.pipeline.analysis import analyser_of
from parscope.live.pipeline.apart import Apart, serve
from parscope.live.pipeline.memory import Segment
from parscope.live.pipeline.series import Analyser
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.pipeline.workshop import Workshop
from parscope.live.sources.address import Wishes
from parscope.techniques.diffraction.simulate import ScanDesign, simulate
from parscope.testing.kernel import example_detector, example_patterns


@contextmanager
def apart(kernels: tuple[Any, ...], told: list[Any] | None = None) -> Iterator[tuple[Apart, threading.Thread]]:
    """What asks, while something answers."""
    here, there = Pipe()
    other = threading.Thread(target=serve, args=(kernels, there))
    other.start()
    asking = Apart(here, (told if told is not None else []).append)
    try:
        yield asking, other
    finally:
        asking.close()
        here.close()
        other.join(60)
        assert not other.is_alive()


def asked(apart: Apart, kernel: Any, detector: Detector, patterns: np.ndarray) -> Any:
    """What the other process makes of a kernel."""
    room = apart.room(kernel, detector)
    assert room is not None
    shown = room[: len(patterns)]
    shown[...] = patterns[: len(room)]
    apart.ask(kernel, detector, shown)
    while (answer := apart.answer()) is None:
        apart.wait()
    return pickle.loads(answer)


def test_the_state_is_the_one_that_would_have_been_made_here() -> None:
    kernels = analyser_of(["bf", "adf", "strain"]).kernels
    detector, patterns = example_detector(), example_patterns()
    with apart(kernels) as (there, _):
        for kernel in kernels:
            examples = patterns[: kernel.examples]
            ours, theirs = part_of(kernel, detector, examples), asked(there, kernel, detector, examples)
            assert pickle.dumps(theirs) == pickle.dumps(pickle.loads(pickle.dumps(ours)))


class Odd:
    """A kernel whose set-up is a function."""

    function, outputs = staticmethod(lambda frame, *state: None), (Output("x", "1", "x"),)

    def __init__(self, setup: Any, examples: int = 1, name: str = "odd") -> None:
        self.name, self.examples, self._setup = name, examples, setup

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
        (lambda _: 1 / 0, ParscopeError, "ZeroDivisionError: division by zero"),
        (lambda _: (lambda: None,), ParscopeError, "cannot be sent by the process that sets kernels up"),
    ],
)
def test_what_fails_there_fails_here_and_the_next_kernel_is_set_up(
    setup: Any, kind: type[Exception], text: str
) -> None:
    kernels = Odd(setup), *analyser_of(["bf"]).kernels
    detector, patterns = example_detector(), example_patterns()
    with apart(kernels) as (there, _):
        part = asked(there, kernels[0], DETECTOR, EXAMPLES)
        assert isinstance(part, kind)
        assert text in str(part)
        assert len(asked(there, kernels[1], detector, patterns).spans)


def test_examples_and_mask_come_as_they_are_and_may_be_written_to() -> None:
    odd = Odd(lambda examples: (examples.flags.writeable, examples.tolist()), 3)
    masked = replace(DETECTOR, mask=EXAMPLES[0] == 5)
    odd.setup = lambda detector, examples: (*odd._setup(examples), detector.mask)  # type: ignore[method-assign]
    with apart((odd,)) as (there, _):
        writeable, examples, mask = asked(there, odd, masked, EXAMPLES)
    assert writeable
    assert examples == EXAMPLES.tolist()
    assert np.array_equal(mask, masked.mask)


def test_what_was_asked_before_is_not_answered_any_more() -> None:
    calls: list[int] = []
    odd = Odd(lambda examples: (calls.append(len(examples)), len(calls)))
    with apart((odd,)) as (there, _):
        there.room(odd, DETECTOR)
        there.ask(odd, DETECTOR, EXAMPLES)
        assert asked(there, odd, DETECTOR, EXAMPLES) == (None, 2)
        assert there.answer() is None


def test_without_memory_to_share_a_thread_has_to_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(size: int) -> Segment:
        raise OutputError("there is no room", "memory")

    monkeypatch.setattr(Segment, "create", full)
    odd = Odd(lambda examples: (int(examples.sum()),))
    with apart((odd,)) as (there, _):
        assert there.room(odd, DETECTOR) is None
        assert not there.can(odd)
        assert made_in(Workshop(Analyser((odd,), there)), EXAMPLES).parts == {"odd": (120,)}


def made_in(shop: Workshop, patterns: np.ndarray) -> Plan:
    """The plan when each pattern was shown, and all was set up that could be."""
    shop.begin(DETECTOR)
    for pattern in patterns:
        shop.show(pattern)
    while shop.busy:
        shop.wait()
        shop.look()
    assert shop.plan is not None
    return shop.plan


def test_when_the_other_end_is_gone_a_thread_does_it_and_it_is_said_once() -> None:
    told: list[Any] = []
    here, there = Pipe()
    there.close()
    odd = Odd(lambda examples: (int(examples.sum()),))
    asking = Apart(here, told.append)
    shop = Workshop(Analyser((odd,), asking))
    for _ in range(2):
        assert made_in(shop, EXAMPLES).parts == {"odd": (120,)}
    asking.close()
    here.close()
    assert told == ["the process that sets kernels up has died; the analysis does it itself, and is late meanwhile"]


class TwoError(Exception):
    """Cannot be made again of what it says."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one + two)


class Deaf(tuple[Any, ...]):
    """Cannot be read by another process."""

    def __reduce__(self) -> Any:
        return TwoError, (1,)


def raising(_: np.ndarray) -> Any:
    raise TwoError(1, 2)


@pytest.mark.parametrize("setup", [raising, lambda _: Deaf()])
def test_what_cannot_be_read_costs_its_own_kernel_alone(setup: Any) -> None:
    odd, fine = Odd(setup), Odd(lambda examples: (int(examples.sum()),), 1, "fine")
    with apart((odd, fine)) as (there, _):
        shop = Workshop(Analyser((odd, fine), there))
        assert made_in(shop, EXAMPLES).parts == {"fine": (120,)}
        assert "odd" in shop.faults


def test_a_series_that_begins_while_a_kernel_is_set_up_has_its_own_examples() -> None:
    odd = Odd(lambda examples: (int(examples.sum()),))
    with apart((odd,)) as (there, _):
        shop = Workshop(Analyser((odd,), there))
        shop.begin(DETECTOR)
        shop.show(EXAMPLES[0])
        assert shop.busy
        assert made_in(shop, EXAMPLES + 1).parts == {"odd": (136,)}


def test_a_kernel_that_was_not_compiled_before_runs_first_in_a_thread() -> None:
    ran: list[int] = []
    odd = Odd(lambda examples: (int(examples.sum()),))
    odd.function = lambda frame, *state: ran.append(threading.get_ident())  # type: ignore[method-assign]
    for uncompiled in (True, False):
        ran.clear()
        with apart((odd,)) as (there, other):
            there.uncompiled = frozenset({"odd"} if uncompiled else ())
            assert made_in(Workshop(Analyser((odd,), there)), EXAMPLES).parts == {"odd": (120,)}
            assert (ran[0] == threading.get_ident()) != uncompiled
            assert other.ident not in ran


def test_kernels_are_put_in_place_one_by_one_and_those_without_examples_stay_here() -> None:
    own = Odd(lambda _: (threading.get_ident(),), 0, "own")
    odd = Odd(lambda examples: (int(examples.sum()), threading.get_ident()))
    failing = Odd(refusing, 1, "failing")
    with apart((odd, failing)) as (there, other):
        shop = Workshop(Analyser((own, odd, failing), there))
        plan = made_in(shop, EXAMPLES)
        assert plan.parts["odd"] == (120, other.ident)
        assert plan.parts["own"] != (other.ident,)
        assert plan.missing == ("failing",)
        assert "are dark" in str(shop.faults["failing"])


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
