"""Kernels as a user-defined function of LiberTEM: on its files, on a Dask cluster, and in LiberTEM-live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import MissingExtraError
from parscope.live.kernels.plan import Plan

try:
    from libertem.udf import UDF  # type: ignore[import-untyped]
except ModuleNotFoundError as missing:
    raise MissingExtraError("libertem", "libertem") from missing

NUMBERS = "numbers"
"""Name of the only result: the numbers of every position, in the order of the plan's outputs."""


class PlanUDF(UDF):  # type: ignore[misc] # LiberTEM ships no types
    """A plan as LiberTEM runs it; the bits are those of the live loop.

    Parameters
    ----------
    plan : Plan
        What is computed of every pattern. Each task works on a copy of its own.

    Examples
    --------
    ``maps(context.run_udf(dataset=dataset, udf=PlanUDF(plan=plan)), plan)``
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan=plan)

    def get_preferred_input_dtype(self) -> Any:
        """Counts as the file has them, without a conversion to floats."""
        return self.USE_NATIVE_DTYPE

    def get_backends(self) -> tuple[str, ...]:
        """NumPy arrays are what compiled kernels take."""
        return (self.BACKEND_NUMPY,)

    def get_result_buffers(self) -> dict[str, Any]:
        """One vector of numbers a position."""
        return {NUMBERS: self.buffer(kind="nav", dtype=np.float64, extra_shape=(len(self.params.plan.outputs),))}

    def get_task_data(self) -> dict[str, Any]:
        """A plan for this task alone: its state holds room to work in."""
        return {"plan": self.params.plan.copy()}

    def process_frame(self, frame: NDArray[Any]) -> None:
        """Compute everything of one pattern."""
        plan: Plan = self.task_data.plan
        values = plan.room()
        plan.run(plan.as_taken(frame), values)
        self.results.numbers[:] = values


def maps(result: Mapping[str, Any], plan: Plan) -> dict[str, NDArray[np.float64]]:
    """Maps of a finished run, as `over` gives them.

    Parameters
    ----------
    result : mapping
        What ``run_udf`` returned.
    plan : Plan
        That was run.

    Returns
    -------
    dict of ndarray of float64, shape (scan y, scan x)
        By the names of the plan's outputs.
    """
    values = np.asarray(result[NUMBERS].data)
    return {output.name: np.ascontiguousarray(values[..., k]) for k, output in enumerate(plan.outputs)}
