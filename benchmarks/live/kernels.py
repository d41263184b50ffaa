"""What a kernel costs for each pattern, beside LiberTEM's centre of mass on the same patterns in the same run.

``python -m benchmarks.live.kernels [--json FILE]``: one core each; of several rounds the fastest counts, in CPU
seconds, set-up and compilation excluded. The two take turns, so that what else runs on the machine meets both alike.
Patterns that are read from memory cost more than their sums; ``cached`` are a few again and again, as those of a stream
are, which were decompressed just before.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import machine
from parscope.core.frames import Frames
from parscope.live.kernels.over import plan_for
from parscope.live.kernels.plan import Plan
from parscope.techniques.diffraction.simulate import ScanDesign, simulate

_SIDE, _SCAN, _ROUNDS, _CACHED = 192, (32, 32), 7, 4
_MORE, _PARTITIONS = 8, 4
# Electrons a pattern: 100 pA at 5000 patterns a second.
_ELECTRONS = 125_000
_TARGET = 5.0


def disk_scan() -> Frames:
    """Patterns of one large disk that wanders by a few pixels, over a weak halo."""
    rng = np.random.default_rng(0)
    y, x = np.indices((_SIDE, _SIDE), dtype=np.float32)
    middle = (_SIDE - 1) / 2
    halo = np.exp(-((x - middle) ** 2 + (y - middle) ** 2) / (2 * 60.0**2))
    halo *= 0.05 / halo.sum()
    data = np.empty((*_SCAN, _SIDE, _SIDE), np.uint8)
    for k in np.ndindex(_SCAN):
        dy, dx = 3 * np.sin(k[0] / 5), 3 * np.cos(k[1] / 7)
        disk = np.clip(40.5 - np.hypot(y - middle - dy, x - middle - dx), 0, 1)
        data[k] = np.minimum(rng.poisson(_ELECTRONS * (0.95 / disk.sum() * disk + halo)), 254)
    return Frames.from_array(data)


def crystal_scan() -> Frames:
    """Patterns of a strained crystal with about 25 disks."""
    design = ScanDesign(
        scan=(8, 8),
        pattern=(_SIDE, _SIDE),
        electrons=_ELECTRONS,
        radius=7.0,
        lattice=(34.0, 34.0, -90.0, 89.0),
        max_q=97.0,
    )
    return Frames.from_array(np.minimum(np.asarray(simulate(design).frames.data[:]), 65534).astype(np.uint16))


def seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def run_all(plan: Plan, patterns: Sequence[np.ndarray]) -> np.ndarray:
    """As the live loop does: one call a pattern."""
    out = np.empty((len(patterns), len(plan.outputs)))
    for frame, one in zip(patterns, out, strict=True):
        plan.run(frame, one)
    return out


def microseconds(scan: Frames, kernels: list[str], cached: bool) -> dict[str, Any]:
    """Cost of a plan for each pattern."""
    plan = plan_for(scan, kernels)
    patterns = list(np.asarray(scan.data).reshape(-1, *scan.pattern_shape))
    if cached:
        patterns = patterns[:_CACHED] * (len(patterns) // _CACHED)
    plan.warm()
    best = min(seconds(lambda: run_all(plan, patterns)) for _ in range(_ROUNDS))
    return {
        "kernels": "+".join(kernels),
        "type": plan.detector.dtype,
        "cached": cached,
        "us": best / len(patterns) * 1e6,
    }


def beside_libertem(scan: Frames) -> dict[str, Any]:
    """Centre of mass by both, in turns, and how far the two are apart.

    What a call costs whatever its patterns, such as set-up and merging, falls out: each takes a scan and one of eight
    times as many, in as many partitions, and what is more counts.
    """
    import libertem
    from libertem.api import Context
    from libertem.executor.inline import InlineJobExecutor
    from libertem.udf.com import CoMUDF

    middle = (_SIDE - 1) / 2
    context = Context(executor=InlineJobExecutor(inline_threads=1))
    udf = CoMUDF.with_params(cy=middle, cx=middle, r=2.0 * _SIDE)
    plan = plan_for(scan, ["com"])
    plan.warm()
    few = np.asarray(scan.data)
    arrays = few, np.tile(few, (_MORE, 1, 1, 1))
    sets = [context.load("memory", data=array, sig_dims=2, num_partitions=_PARTITIONS) for array in arrays]
    patterns = [array.reshape(-1, _SIDE, _SIDE) for array in arrays]
    theirs = np.asarray(context.run_udf(dataset=sets[0], udf=udf)["raw_com"].data).reshape(-1, 2)
    apart = float(np.abs(run_all(plan, patterns[0]) - theirs).max())
    own, other = [np.inf, np.inf], [np.inf, np.inf]
    for _ in range(_ROUNDS):
        for size in (0, 1):
            own[size] = min(own[size], seconds(lambda size=size: run_all(plan, patterns[size])))
            other[size] = min(other[size], seconds(lambda size=size: context.run_udf(dataset=sets[size], udf=udf)))
    more = len(patterns[1]) - len(patterns[0])
    rate, their_rate = more / (own[1] - own[0]), more / (other[1] - other[0])
    return {
        "libertem": libertem.__version__,
        "patterns_per_s": rate,
        "libertem_patterns_per_s": their_rate,
        "ratio": rate / their_rate,
        "seconds": own,
        "libertem_seconds": other,
        "largest_difference_px": apart,
    }


def report(path: Path | None) -> None:
    """Measure all, print it, and write it to a file."""
    disks, crystal = disk_scan(), crystal_scan()
    wide = Frames.from_array(np.asarray(disks.data).astype(np.uint16))
    head = {"machine": machine.machine(), "commit": machine.commit(), "date": machine.now(), "load": machine.load()}
    table = [
        microseconds(scan, kernels, cached)
        for cached in (True, False)
        for scan, kernels in (
            (disks, ["com"]),
            (disks, ["sum", "com", "bf", "adf"]),
            (wide, ["sum", "com", "bf", "adf"]),
            (disks, ["variance"]),
            (crystal, ["strain"]),
            (crystal, ["pattern-strain"]),
        )
    ]
    for row in table:
        where = "cached" if row["cached"] else "memory"
        rate = f"{row['us']:8.2f} us a pattern {1e6 / row['us']:10.0f} a second"
        print(f"{row['kernels']:20s} {row['type']:7s} {where} {rate}")
    beside = beside_libertem(disks)
    print(
        f"centre of mass: {beside['patterns_per_s']:.0f} patterns a second and core, "
        f"LiberTEM {beside['libertem']} {beside['libertem_patterns_per_s']:.0f}: ratio {beside['ratio']:.1f} "
        f"(to reach: {_TARGET:g}); largest difference {beside['largest_difference_px']:.1e} px"
    )
    if path:
        path.write_text(json.dumps({**head, "kernels": table, "beside": beside}, indent=1), encoding="utf-8")


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    numba.set_num_threads(1)
    with threadpool_limits(1):
        report(options.json)


if __name__ == "__main__":
    main()
