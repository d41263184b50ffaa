"""The rules in force and the last decisions, read from the journal while it is written."""

from __future__ import annotations

import json
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from parscope.live.rules.decision import Outcome

_KEPT = 100
_AT_ONCE = 1 << 22

_WORDS = {
    (Outcome.ACT, True): "sent",
    (Outcome.ACT, False): "would have sent",
    (Outcome.SAFE, True): "safe action sent",
    (Outcome.SAFE, False): "would have sent the safe action",
    (Outcome.MISSED, True): "too late, nothing sent",
    (Outcome.MISSED, False): "too late, nothing would have been sent",
    (Outcome.LIMITED, True): "held back: limit reached",
    (Outcome.LIMITED, False): "would have been held back: limit reached",
    (Outcome.INTERLOCKED, True): "held back: interlock",
    (Outcome.INTERLOCKED, False): "would have been held back: interlock",
}
_HELD = {Outcome.MISSED, Outcome.LIMITED, Outcome.INTERLOCKED}


class JournalTail:
    """Follows a journal; lines that are not complete yet are read when they are.

    Parameters
    ----------
    path : Path
        Of the journal; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._rest = path, 0, b""
        self._rules: list[dict[str, str]] = []
        self._fired: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._last: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self.armed = False

    def follow(self) -> None:
        """Read what has been written since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                read = file.read(_AT_ONCE)
        except FileNotFoundError:
            return
        self._at += len(read)
        *lines, self._rest = (self._rest + read).split(b"\n")
        for line in lines:
            self._take(line)

    def rules(self) -> list[dict[str, Any]]:
        """Rules in force, with how often each fired and how often something held it back.

        Returns
        -------
        list of dict
            ``text``, ``fired`` and ``held``.
        """
        return [
            {"text": rule["text"], "fired": self._fired[rule["name"]], "held": self._held[rule["name"]]}
            for rule in self._rules
        ]

    def last(self, number: int) -> list[dict[str, Any]]:
        """The last decisions, newest first.

        Parameters
        ----------
        number : int
            How many at most.

        Returns
        -------
        list of dict
            ``position`` (y, x), ``rule``, ``outcome`` in words and ``latency_us``. Where messages were lost, ``rule``
            is the address of the sink, and there is no position.
        """
        return list(self._last)[-number:][::-1] if number > 0 else []

    def _take(self, line: bytes) -> None:
        """Take a line; one that was cut short when a process died says nothing."""
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            self._record(json.loads(line))

    def _record(self, record: Any) -> None:
        """Take a record."""
        kind = record.get("t")
        if kind == "rules":
            self._rules, self.armed = record["rules"], False
            self._fired, self._held = Counter(), Counter()
        elif kind == "switch":
            self.armed = bool(record["armed"])
        elif kind == "decision":
            self._decision(record)
        elif kind == "sink":
            lost = f"{record['lost']} of {record['given']} messages lost: {record['fault']}"
            self._last.append({"position": None, "rule": record["address"], "outcome": lost, "latency_us": None})

    def _decision(self, record: dict[str, Any]) -> None:
        """Count a decision and keep it."""
        outcome, armed = Outcome(record["outcome"]), bool(record["armed"])
        self._fired[record["name"]] += 1
        self._held[record["name"]] += outcome in _HELD
        ended = record["emitted"] or record["decided"]
        known = record["received"] >= 0
        self._last.append(
            {
                "position": [record["y"], record["x"]],
                "rule": record["name"],
                "outcome": record["fault"] or _WORDS[outcome, armed],
                "latency_us": (ended - record["received"]) / 1e3 if known else None,
            }
        )
