"""The verb `tee`: give one stream to several programs."""

from __future__ import annotations

import signal
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from parscope.cli.errors import say
from parscope.cli.options import PORTS

app = typer.Typer(add_completion=False)


@app.command()
def tee(
    address: Annotated[str, typer.Argument(help="The detector: tcp://DETECTOR:31001.")],
    to: Annotated[list[int], typer.Option(min=1, max=PORTS, help="Port for a program to connect to; once for each.")],
    host: Annotated[str, typer.Option(help="Network they connect on; * for any.")] = "127.0.0.1",
    duration: Annotated[float, typer.Option(min=0, help="End after so many seconds; 0: at Ctrl-C.")] = 0.0,
) -> None:
    """Pass on all messages of a detector to each of several programs, until Ctrl-C.

    A detector gives each message to one program only: with two connected, both miss half of the patterns.
    """
    from parscope.live.transport.handshake import Address
    from parscope.live.transport.tee import Tee

    over: list[int] = []

    def stop(number: int, frame: Any) -> None:
        over.append(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Tee(Address.parse(address), to, host, say) as made:
            Console(stderr=True).print(Text(f"{address} -> {', '.join(b.address for b in made.branches)}"))
            end = time.monotonic() + duration if duration else float("inf")
            losing: set[str] = set()
            while not over and time.monotonic() < end:
                made.pump(0.1)
                for branch in made.branches:
                    if branch.dropped and branch.address not in losing:
                        losing.add(branch.address)
                        say(f"{branch.address}: nobody takes its messages, or too slowly; they are lost")
            print(f"{made.received} messages")
            for branch in made.branches:
                print(f"  {branch.address}: {branch.sent} passed on, {branch.dropped} dropped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
