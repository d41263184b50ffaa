"""Runner of LiberTEM-live: the centre of mass of a stream V1, and when its caller has it; in its own environment."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
import warnings
from typing import Any

import numpy as np
from libertem.executor.pipelined import PipelinedExecutor
from libertem.udf.com import CoMUDF
from libertem_live.api import LiveContext

ROUNDS = 3  # the first one compiles


def acquired(context: Any, connection: Any, settings: dict[str, Any]) -> np.ndarray:
    """Time at which each pattern's centre of mass was there, [s]."""
    acquisition = context.make_acquisition(
        conn=connection,
        nav_shape=tuple(settings["scan"]),
        frames_per_partition=settings["partition"],
        controller=connection.get_active_controller(trigger_mode="exte"),
    )
    udf = CoMUDF.with_params(cy=95.5, cx=95.5, r=200)
    when = np.full(np.prod(settings["scan"]), np.nan)
    for part in context.run_udf_iter(dataset=acquisition, udf=udf):
        now = time.monotonic()
        there = np.asarray(part.damage.data).ravel()
        when[there & np.isnan(when)] = now
    return when


def main() -> None:
    """Initialize the detector, acquire, and keep the last round."""
    result, settings = sys.argv[2], json.loads(sys.argv[3])
    warnings.filterwarnings("ignore")
    order = f"http://127.0.0.1:{settings['api']}/detector/api/1.8.0/command/initialize"
    with urllib.request.urlopen(urllib.request.Request(order, method="PUT", data=b"{}")) as answer:
        answer.read()
    spec = PipelinedExecutor.make_spec(cpus=[settings["core"]], cudas=[])
    context = LiveContext(executor=PipelinedExecutor(spec=spec))
    opened = context.make_connection("dectris").open(
        api_host="127.0.0.1",
        api_port=settings["api"],
        data_host="127.0.0.1",
        data_port=settings["data"],
        buffer_size=512,
        bytes_per_frame=36864,
        frame_stack_size=settings["stack"],
    )
    with opened as connection:
        for _ in range(ROUNDS):
            time.sleep(1)
            when = acquired(context, connection, settings)
    context.close()
    np.savez(result, when=when)


if __name__ == "__main__":
    main()
