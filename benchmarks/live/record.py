"""Patterns at a rate for a while, analysed and recorded: ``python -m benchmarks.live.record [SECONDS] [FOLDER]``.

Shown: that nothing is lost, and that the file holds what was sent, byte for byte. The sender does not wait: what finds
its queue full is refused, and so lost.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py

from benchmarks.live.stream import CHANNEL, POOL, Load, Sender, patterns
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.wire.encode import image_message
from parscope.live.wire.scan import scan

RATE = 20_000
_ANALYSE = ("com", "bf:95.5,95.5,40", "adf:95.5,95.5,45,90")


def measure(seconds: float, folder: Path) -> dict[str, Any]:
    """Send, analyse, record, compare."""
    load = Load((round(RATE * seconds) // 1000, 1000), RATE, dose_rate=RATE, burst=10)
    sender = Sender(load)
    orders = Orders(sender.address, _ANALYSE, policy=Policy(load.scan, series=1), folder=folder, record=True)
    began = os.getloadavg()[0]
    with Session(orders, lambda line: print(line, file=sys.stderr)) as session:
        sender.go()
        session.run()
        sent = sender.wait()
    (one,) = session.finished
    return {
        "rate": RATE,
        "sent": sent,
        "patterns": load.series.images,
        "answered": one.report.fates["answered"],
        "lost": one.report.fates["lost"],
        "recorded": one.recorded.written if one.recorded else 0,
        "different": _different(load, one.recorded.masters[0]) if one.recorded else load.series.images,
        "ring_high_water_MB": one.result.counters["ring_high_water"] / 1e6,
        "stalls": one.result.counters["stalls"],
        "answer_us": one.report.answer,
        "load": began,
        "standing": session.standing or "on any core, at normal priority",
    }


def _different(load: Load, master: Path) -> int:
    """Chunks in the files that are not what was sent."""
    told = load.series
    sent = []
    for one in patterns(load):
        message = image_message(told, 0, {CHANNEL: one})
        payload = scan(message).channels[0]
        sent.append(message[payload.offset : payload.offset + payload.length])
    wrong = image = 0
    with h5py.File(master) as file:
        for name in sorted(file["entry/data"]):
            chunks = file["entry/data"][name].id
            for place in range(chunks.shape[0]):
                if chunks.get_chunk_info_by_coord((place, 0, 0)).size:  # what is missing is counted as lost
                    wrong += chunks.read_direct_chunk((place, 0, 0))[1] != sent[image % POOL]
                image += 1
    return wrong


def main() -> None:
    """Measure, and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        began = time.monotonic()
        print(measure(seconds, Path(folder)), f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
