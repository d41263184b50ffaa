"""The same blocks on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

from parscope.core.errors import MissingExtraError, OptionError

try:
    from dask.distributed import Client, as_completed
except ImportError as error:
    raise MissingExtraError("dask.distributed", "dask") from error

Arrays = dict[str, NDArray[Any]]
Block = tuple[int, int]


def on_cluster(
    work: Callable[[Any, int, int], Arrays], plan: Any, blocks: list[Block], address: str
) -> Iterator[tuple[Block, Arrays]]:
    """Fit blocks on the workers of a cluster.

    Parameters
    ----------
    work : callable
        Does a block: called with the plan, the first row, and the one after the last.
    plan : object
        Sent to every worker once; its data are opened there by path.
    blocks : list of tuple of int
        Scan rows (start, stop).
    address : str
        Of the scheduler, as ``tcp://host:8786``.

    Yields
    ------
    block : tuple of int
    result : dict of ndarray

    Raises
    ------
    OptionError
        If no scheduler answers at the address.
    """
    try:
        client: Any = Client(address, timeout="10s")  # type: ignore[no-untyped-call]  # Dask has no types
    except (OSError, ValueError) as error:
        raise OptionError(f"no scheduler answers ({error})", f"--dask {address}", "check that it runs") from error
    with client:
        shared = client.scatter(plan, broadcast=True)
        tasks = {client.submit(work, shared, *block, pure=False): block for block in blocks}
        for future in as_completed(tasks):  # type: ignore[no-untyped-call]
            yield tasks[future], future.result()
            future.release()
