"""What the system grants is told, what it refuses too, and a loop that stands still is noticed once."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import pytest

from parscope.live.pipeline.realtime import Standing, Watchdog

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="pinning and priority are known for Linux only")


def test_a_standing_is_one_sentence() -> None:
    assert Standing(3, True, ()).sentence == "pinned to core 3, with real-time priority"
    assert Standing(-1, False, ("no core",)).sentence == "on any core, without real-time priority; no core"


@LINUX
def test_a_process_takes_what_it_may_have_and_gives_it_back() -> None:
    program = (
        "import gc, os\n"
        "from parscope.live.pipeline.realtime import release, take\n"
        "had = take()\n"
        "print(os.sched_getaffinity(0), gc.isenabled(), os.sched_getscheduler(0) == os.SCHED_FIFO)\n"
        "print(had.core, had.real_time, had.lacking)\n"
        "release()\n"
        "print(gc.isenabled(), os.sched_getscheduler(0) == os.SCHED_OTHER, os.sched_getaffinity(0))\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, second, third = told.stdout.splitlines()
    core = max(os.sched_getaffinity(0))
    real_time = second.split(" ")[1] == "True"
    assert first == f"{{{core}}} False {real_time}"
    assert second.startswith(f"{core} ")
    assert real_time or "CAP_SYS_NICE" in second
    assert third == f"True True {os.sched_getaffinity(0)}"
    assert gc.isenabled()


@LINUX
def test_an_analysis_is_made_beside_the_loop_not_on_its_core() -> None:
    program = (
        "import os, numpy as np\n"
        "from parscope.live.kernels.contract import Detector\n"
        "from parscope.live.pipeline.realtime import take\n"
        "from parscope.live.pipeline.series import Analyser\n"
        "from parscope.live.pipeline.workshop import Workshop\n"
        "def make(detector, examples):\n"
        "    print(os.sched_getaffinity(0), os.sched_getscheduler(0) == os.SCHED_OTHER)\n"
        "take()\n"
        "shop = Workshop(Analyser((), 0, make))\n"
        "shop.begin(Detector((2, 2), 'uint8', np.zeros((2, 2), bool), 255, (1, 1)))\n"
        "shop.join()\n"
        "print(os.sched_getaffinity(0))\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    cores = os.sched_getaffinity(0)
    assert told.stdout.splitlines() == [f"{cores} True", f"{ {max(cores)} }"]


def test_a_core_that_is_not_there_is_told() -> None:
    program = "from parscope.live.pipeline.realtime import take\nprint(take(4000).sentence)\n"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert sys.platform != "linux" or "core 4000 cannot be had" in told.stdout


def test_the_watchdog_calls_once_until_the_loop_lives_again() -> None:
    told: list[str] = []
    now, beaten = [0], [0]
    dog = Watchdog(lambda: beaten[0], told.append, 0.5, lambda: now[0])
    for now[0], beaten[0] in ((10**9, 0), (10**9, 9 * 10**8), (2 * 10**9, 9 * 10**8), (3 * 10**9, 9 * 10**8)):
        dog.look()
    assert told == ["the loop has stood still for 1.1 s"]
    now[0], beaten[0] = 5 * 10**9, 4 * 10**9
    dog.look()
    assert len(told) == 2


def test_the_watchdog_looks_by_itself() -> None:
    called = threading.Event()
    dog = Watchdog(lambda: 1, lambda _: called.set(), 0.02)
    dog.start()
    assert called.wait(30)
    dog.stop()
    dog.stop()
