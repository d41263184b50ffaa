"""What rules and sinks cost the loop, a pattern; by hand: ``python -m benchmarks.live.sinks [--json FILE]``.

Each figure is of single calls, timed one by one: the median and the 99th percentile. Peers are real: a bound socket, a
subscriber, connected clients. With the right to it, the thread that is measured runs under real-time priority.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import commit, load, machine, now, versions
from parscope.core.errors import OutputError
from parscope.live.kernels import Output
from parscope.live.rules.actuator import Actuator
from parscope.live.rules.decider import Decider
from parscope.live.rules.journal import Journal
from parscope.live.rules.text import parse
from parscope.live.sinks.address import make_sink

CALLS = 5000
NAMES = ("com.y", "com.x", "bf.counts", "adf.counts", "strain.e_xx", "strain.e_yy", "strain.e_xy", "strain.rotation")
OUTPUTS = tuple(Output(name, "1", name) for name in NAMES)
QUIET, LOUD = np.zeros(len(OUTPUTS)), np.full(len(OUTPUTS), 5.0)
RULE = "when strain.e_xx > 2 % for 3 frames within 200 us: send {}"
PAIR = "when abs(com.x) > 0.5 and bf.counts > 3: send com.y, com.x to {}"


@contextmanager
def hurried() -> Iterator[bool]:
    """Real-time priority for this thread, where it is to be had, and no collector of garbage."""
    gc.collect()
    gc.disable()
    had = False
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
        had = True
    try:
        yield had
    finally:
        if had:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        gc.enable()


def timed(call: Callable[[int], Any], calls: int = CALLS, pause: float = 0.0) -> tuple[float, float]:
    """Median and 99th percentile of a call, [us]; the first hundred do not count."""
    took = np.empty(calls)
    for number in range(-100, calls):  # those below 0 are overwritten at the end
        begun = time.perf_counter_ns()
        call(number + 100)
        took[number] = time.perf_counter_ns() - begun
        if pause:
            time.sleep(pause)
    median, high = np.percentile(took / 1e3, [50, 99])
    return float(median), float(high)


def deciding(rules: list[str], row: np.ndarray) -> tuple[float, float]:
    """Of trying rules on a pattern."""
    decider = Decider([parse(rule.format("udp://127.0.0.1:9")) for rule in rules], OUTPUTS)
    decider.begin(1, 256)
    return timed(lambda n: decider.decide(n, row, 1000 * n, 1000 * n + 50))


def writing() -> tuple[float, float]:
    """Of the message of a decision."""
    decider = Decider([parse(RULE.format("udp://127.0.0.1:9"))], OUTPUTS)
    decider.begin(1, 256)
    decisions = [decider.decide(n, LOUD, n, n) for n in range(3)][-1]
    return timed(lambda _: decider.message(decisions[0]))


def stepping(address: str, folder: Path) -> tuple[float, float]:
    """Of a pattern for which a rule fires, its message is sent and its decision is noted."""
    decider = Decider([parse(RULE.format(address))], OUTPUTS)
    actuator = Actuator(decider, {address: make_sink(address)}, Journal(folder / "decisions.jsonl"))
    actuator.open()
    actuator.begin(1, (256, 256))
    actuator.arm()
    try:
        return timed(lambda n: actuator.step(n, LOUD, 1000 * n, 1000 * n + 50), pause=2e-4)
    finally:
        actuator.close()


def sending(address: str) -> tuple[float, float]:
    """Of handing a message over; patterns come at 5 kHz, which leaves a thread behind it its time."""
    sink = make_sink(address)
    sink.open()
    message = bytes(250)
    if address.startswith(("pva", "ws", "http")):
        message = b'{"rule":"hot","action":"act","series":1,"position":1,"values":{"strain.e_xx":0.0212}}'

    def send(_: int) -> None:
        with suppress(OutputError):
            sink.send(message)

    try:
        return timed(send, pause=2e-4)
    finally:
        sink.close()


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def subscribed(address: str, stack: ExitStack) -> str:
    """Connect somebody who listens, so that there is something to do."""
    import zmq

    context = stack.enter_context(zmq.Context())
    subscriber = stack.enter_context(context.socket(zmq.SUB))
    subscriber.setsockopt(zmq.LINGER, 0)
    subscriber.subscribe(b"")
    subscriber.connect(address.replace("zmq", "tcp"))
    return address


def measured() -> Iterator[tuple[str, tuple[float, float]]]:
    """All cases."""
    yield "no rule fires, 1 rule", deciding([RULE], QUIET)
    yield "no rule fires, 4 rules", deciding([RULE, PAIR, RULE, PAIR], QUIET)
    yield "one rule fires", deciding([RULE], LOUD)
    yield "message of a decision", writing()
    with ExitStack() as stack:
        peer = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        peer.bind(("127.0.0.1", 0))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        udp = f"udp://127.0.0.1:{peer.getsockname()[1]}"
        yield "send, UDP", sending(udp)
        yield "send, shared memory", sending("shm://parscope-benchmark")
        yield "send, ZeroMQ PUB", sending(subscribed(f"zmq://127.0.0.1:{free_port()}", stack))
        yield "send, WebSocket (into its queue)", sending(f"ws://127.0.0.1:{free_port()}")
        yield "send, EPICS (into its queue)", sending("pva://PARSCOPE:BENCHMARK")
        yield "send, webhook (into its queue)", sending(f"http://127.0.0.1:{free_port()}/")
        yield "all: one rule fires, UDP, journal", stepping(udp, folder)
        yield "all: one rule fires, shared memory, journal", stepping("shm://parscope-benchmark", folder)


def main() -> int:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("PARSCOPE_WEBHOOKS", "127.0.0.1")
    os.environ.setdefault("EPICS_PVAS_INTF_ADDR_LIST", "127.0.0.1")
    head: dict[str, Any] = {"machine": machine(), "date": now(), "commit": commit(), "load_start": load()}
    head["versions"] = versions("parscope", "numpy", "pyzmq", "websockets", "p4p")
    with hurried() as had:
        rows = [{"case": case, "p50_us": p50, "p99_us": p99} for case, (p50, p99) in measured()]
    head |= {"real_time": had, "load_end": load(), "calls": CALLS}
    print(f"real-time priority: {'yes' if had else 'no'}; load {head['load_start']} to {head['load_end']}")
    for row in rows:
        print(f"{row['case']:<46}{row['p50_us']:8.2f}{row['p99_us']:8.2f} us (p50, p99)")
    if asked.json is not None:
        asked.json.write_text(json.dumps({"head": head, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
