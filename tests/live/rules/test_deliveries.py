"""Messages that a host does not take, in a session as people run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.rules.file import RuleSet
from parscope.live.rules.journal import read
from parscope.live.sources.address import Wishes


def test_a_host_that_takes_nothing_is_told_and_noted(listener: Any, tmp_path: Path) -> None:
    listener.status = 500
    np.save(tmp_path / "scan.npy", np.ones((2, 3, 16, 16), np.uint16))
    rules = RuleSet.of_texts([f"when sum.counts > 0: send {listener.url}"])
    told: list[str] = []
    orders = Orders(
        f"replay:{tmp_path / 'scan.npy'}", ("sum",), Wishes(rate=100), rules=rules, armed=True, folder=tmp_path / "out"
    )
    with Session(orders, told.append) as session:
        session.run()
    assert orders.journal is not None
    records = list(read(orders.journal))
    assert sum(record["t"] == "decision" and record["emitted"] > 0 for record in records) == 6
    last = [record for record in records if record["t"] == "sink"][-1]
    assert (last["address"], last["given"], last["lost"]) == (listener.url, 6, 6)
    assert last["fault"] == "127.0.0.1: answered 500 Internal Server Error"
    assert told[-1] == f"6 of 6 messages to {listener.url} were lost: {last['fault']}"
    (report,) = (tmp_path / "out").glob("*_report.txt")
    assert report.read_text().splitlines() == [*session.finished[0].report.lines(), told[-1]]
