"""Runner of Tiled: its client asks its server, which runs in the same process, on SQLite.

Documents go in as the metadata of containers, through the tables and triggers of its own database.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")
sys.path.append(str(Path(__file__).resolve().parents[3]))

import numpy as np  # noqa: E402
import tiled.queries  # noqa: E402
from sqlalchemy import create_engine, insert  # noqa: E402
from tiled.catalog import from_uri  # noqa: E402
from tiled.catalog.orm import Node  # noqa: E402
from tiled.client import from_context  # noqa: E402
from tiled.client.context import Context  # noqa: E402
from tiled.server.app import build_app  # noqa: E402
from tiled.structures.core import StructureFamily  # noqa: E402

from benchmarks.catalog.corpus import documents  # noqa: E402
from benchmarks.catalog.questions import NEWEST, QUESTIONS, Question  # noqa: E402

REPEATS = 3
AT_ONCE = 1000
ROOT = 0


def best(ask: Callable[[], object]) -> float:
    """CPU time of the fastest of several calls after a first one, client and server together, [ms]."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        ask()
        times.append(time.process_time() - start)
    return 1e3 * min(times[1:])


def filled(file: Path, count: int) -> str:
    """Make a catalog of so many containers; its address."""
    file.unlink(missing_ok=True)
    address = f"sqlite:///{file}"
    subprocess.run([sys.executable, "-m", "tiled", "catalog", "init", address], check=True)
    rest = enumerate(documents(count))
    plain = {"parent": ROOT, "structure_family": StructureFamily.container, "specs": []}
    with create_engine(address).begin() as connection:
        while some := [plain | {"key": f"{n}", "metadata": document} for n, document in islice(rest, AT_ONCE)]:
            connection.execute(insert(Node.__table__), some)
    return address


def asked(client: Any, question: Question) -> Any:
    """Search of a question."""
    for name, *arguments in question.tiled or ():
        client = client.search(_query(name, arguments))
    return client


def _query(name: str, arguments: list[Any]) -> Any:
    return getattr(tiled.queries, name)(*arguments)


def main() -> None:
    """Make the catalog, and ask it."""
    case, result, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    address = filled(case / "tiled.db", settings["records"])
    times, hits = [], []
    with Context.from_app(build_app(from_uri(address))) as context:
        client = from_context(context)
        for question in QUESTIONS:
            can = question.tiled is not None
            times.append(best(lambda question=question: len(asked(client, question))) if can else np.nan)  # type: ignore[misc]
            hits.append(len(asked(client, question)) if can else np.nan)
        newest = best(lambda: [node.metadata for node in asked(client, NEWEST).sort(("", -1)).values().head(50)])
        times.append(newest)
        hits.append(len(asked(client, NEWEST)))
    np.savez(result, ms=times, hits=hits)


if __name__ == "__main__":
    main()
