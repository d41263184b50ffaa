"""What the system grants is told, what it refuses too, and a loop that stands still is noticed once."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

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
        "from parscope.live.pipeline.realtime import calm, release, take\n"
        "calm()\n"
        "had = take()\n"
        "own = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK\n"
        "print(os.sched_getaffinity(0), gc.isenabled(), own == os.SCHED_FIFO)\n"
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


THREADS = """
import os, threading, zmq
from parscope.live.pipeline.realtime import Watchdog, rest_due, take
def standing(thread):
    policy = os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK
    return sorted(os.sched_getaffinity(thread)), policy == os.SCHED_FIFO, os.sched_getparam(thread).sched_priority
def sleep():
    over.wait()
over = threading.Event()
journal = threading.Thread(target=sleep)
journal.start()
dog = Watchdog(lambda: 0, print)
dog.start()
context = zmq.Context(io_threads=1)
socket = context.socket(zmq.PULL)
io = 0
while not io:  # a thread of the library names itself
    named = {open(f"/proc/self/task/{task}/comm").read().strip(): int(task) for task in os.listdir("/proc/self/task")}
    io = next((task for name, task in named.items() if "IO" in name), 0)
had = take()
later = threading.Thread(target=sleep)
later.start()
print(had.real_time, had.core, rest_due() > 0)
for thread in (threading.get_native_id(), io, dog._thread.native_id, journal.native_id):
    print(*standing(thread))
print(*standing(later.native_id)[1:])
over.set()
socket.close()
context.term()
dog.stop()
"""


@LINUX
def test_only_threads_that_bring_messages_or_watch_go_before_the_loop() -> None:
    told = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True)
    first, *threads, later = told.stdout.splitlines()
    real_time, core, rests = first.split(" ")
    others = sorted(os.sched_getaffinity(0) - {int(core)}) or [int(core)]
    raised = real_time == "True"
    priorities = [5, 15, 15] if raised else [0, 0, 0]
    assert threads == [*(f"[{core}] {raised} {priority}" for priority in priorities), f"{others} False 0"]
    assert later == "False 0"
    limit = int(Path("/proc/sys/kernel/sched_rt_runtime_us").read_text())
    assert (rests == "True") == (raised and limit > 0)


@LINUX
def test_kernels_are_set_up_beside_the_loop_not_on_its_core() -> None:
    program = (
        "import os, numpy as np\n"
        "from parscope.live.kernels.contract import Detector, Output\n"
        "from parscope.live.pipeline.realtime import take\n"
        "from parscope.live.pipeline.series import Analyser\n"
        "from parscope.live.pipeline.workshop import Workshop\n"
        "def nothing(frame, out): pass\n"
        "class Kernel:\n"
        "    name, examples, outputs, function = 'odd', 0, (Output('x', '1', 'x'),), staticmethod(nothing)\n"
        "    def setup(self, detector, examples):\n"
        "        print(os.sched_getaffinity(0), os.sched_getscheduler(0) == os.SCHED_OTHER)\n"
        "        return ()\n"
        "take()\n"
        "shop = Workshop(Analyser((Kernel(),)))\n"
        "shop.begin(Detector((2, 2), 'uint8', np.zeros((2, 2), bool), 255, (1, 1)))\n"
        "shop.wait()\n"
        "print(os.sched_getaffinity(0))\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    cores = os.sched_getaffinity(0)
    own = {max(cores)}
    assert told.stdout.splitlines() == [f"{cores - own or cores} True", f"{own}"]


def test_a_core_that_is_not_there_is_told() -> None:
    program = "from parscope.live.pipeline.realtime import take\nprint(take(4000).sentence)\n"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert sys.platform != "linux" or "core 4000 cannot be had" in told.stdout


def test_the_watchdog_calls_once_until_the_loop_lives_again() -> None:
    told: list[str] = []
    now, beaten = [0], [0]
    dog = Watchdog(lambda: beaten[0], told.append, clock=lambda: now[0])
    for now[0], beaten[0] in ((10**9, 0), (10**9, 9 * 10**8), (2 * 10**9, 9 * 10**8), (3 * 10**9, 9 * 10**8)):
        dog.look()
    assert told == ["no pattern was answered for 1.1 s"]
    now[0], beaten[0] = 5 * 10**9, 4 * 10**9
    dog.look()
    assert len(told) == 2


def test_the_watchdog_looks_by_itself() -> None:
    called = threading.Event()
    dog = Watchdog(lambda: 1, lambda _: called.set(), lambda: 0.02)
    dog.start()
    assert called.wait(30)
    dog.stop()
    dog.stop()
