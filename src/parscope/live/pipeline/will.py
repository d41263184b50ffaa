"""Safe actions for a frame loop that has died: whoever started its process sends them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from parscope.core.errors import ParscopeError
from parscope.live.pipeline.board import Board
from parscope.live.rules.decider import Decider
from parscope.live.rules.file import RuleSet, act
from parscope.live.rules.journal import Journal


def execute(rules: RuleSet, board: Board, journal: Path | None, reason: str) -> list[str]:
    """Send the safe actions of all rules once, if they were armed.

    The sinks are opened anew. Whoever has to connect to one first, as subscribers of ZeroMQ and pages do, may come too
    late: UDP, shared memory and webhooks are to be trusted with this.

    Parameters
    ----------
    rules : RuleSet
        Of the frame loop.
    board : Board
        Of the session; it tells whether rules were armed, and of what.
    journal : Path, optional
        Where decisions are noted.
    reason : str
        Why, for the journal.

    Returns
    -------
    list of str
        What a person should know, in sentences.
    """
    if not board.armed:
        return []
    board.say(armed=False, halted=board.halted)
    named = Decider(rules.rules, board.layout.outputs, rules.limits).names
    safe = [replace(rule, name=name) for rule, name in zip(rules.rules, named, strict=True) if rule.otherwise]
    told = []
    for address in dict.fromkeys(rule.otherwise.address for rule in safe if rule.otherwise):
        # one sink after the other: that one cannot be opened must not keep a message from the next
        some = [
            replace(rule, then=rule.otherwise) for rule in safe if rule.otherwise and rule.otherwise.address == address
        ]
        limits = {name: one for name, one in rules.limits.items() if name in ("", address)}
        try:
            told += _send(RuleSet(tuple(some), limits), board, journal, reason)
            told.append(f"the safe action was sent to {address}")
        except ParscopeError as error:
            told.append(f"the safe action was not sent: {error}")
    return told


def _send(rules: RuleSet, board: Board, journal: Path | None, reason: str) -> list[str]:
    """Send those of one sink; tells what did not arrive."""
    told: list[str] = []
    actuator = act(rules, board.layout.outputs, tell=told.append)
    if journal is not None:
        actuator.journal = Journal(journal)  # goes on with that of the loop, without another head
    try:
        head = board.bank.head if board.generation else {}
        actuator.decider.begin(int(head.get("series", -1)))
        actuator.arm()
        actuator.safe(reason)
    finally:
        actuator.close()
    return told
