"""The verb `emulate`: a detector without a detector, for whoever builds or tests what listens to one."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parscope.cli.options import PORTS, shape
from parscope.core.errors import OptionError

if TYPE_CHECKING:
    from parscope.live.emulator import Emulator, Report

app = typer.Typer(add_completion=False)

DETECTORS = {"arina": (192, 192)}
_LOOK = 0.05
_FASTEST = 1e6  # pulses per second
_MOST = 1_000_000  # messages that wait


@dataclass(frozen=True)
class _Told:
    """What of a series is said on a line."""

    report: Report

    def __str__(self) -> str:
        """One line."""
        report = self.report
        faults = ", ".join(f"{name} {len(images)}" for name, images in report.faults.items())
        line = f"series {report.series}: {report.images} images, {report.sent} sent, {report.rate:.0f} per second"
        late = f" ({report.late} late)" if report.late else ""
        return f"{line}{late}; {faults}" if faults else line + late


@app.command()
def emulate(  # noqa: PLR0913 - every option of a command line is an argument
    detector: Annotated[str, typer.Argument(help=f"Which detector: {', '.join(DETECTORS)}.")] = "arina",
    file: Annotated[
        Path | None, typer.Option(help="Scan whose patterns are shown; simulated ones if not given.")
    ] = None,
    physics: Annotated[
        str | None, typer.Option(help="What is simulated without --file: crystal or magnetic \\[crystal].")
    ] = None,
    rate: Annotated[float, typer.Option(help="Images per second; 0 for as fast as possible.")] = 5000.0,
    scan: Annotated[str | None, typer.Option(help="Scan positions, YxX; those of the file if not given.")] = None,
    scan_shape: Annotated[str | None, typer.Option(help="Scan positions of the file, where it does not say.")] = None,
    trigger: Annotated[
        str | None, typer.Option(help="External pulses per second, or hand; as the images if not given.")
    ] = None,
    rest_port: Annotated[int, typer.Option(min=0, max=PORTS, help="Port of the interface SIMPLON; 0 for any.")] = 8080,
    stream_port: Annotated[int, typer.Option(min=0, max=PORTS, help="Port of stream V2; 0 for any.")] = 31001,
    v1_port: Annotated[int, typer.Option(min=0, max=PORTS, help="Port of stream V1; 0 for any.")] = 9999,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="Fault, as drop=0.001; may be repeated: drop, duplicate, reorder, stale, truncate, corrupt, nodata, "
            "jitter, no_start, no_end, two_clients."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Fixes all that is random.")] = 7,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Parameter, as detector/roi_mode=merge2x2.")] = None,
    files: Annotated[Path | None, typer.Option(help="Folder in which the filewriter may write.")] = None,
    log: Annotated[Path | None, typer.Option(help="File for a line of JSON per series and kind of fault.")] = None,
    start: Annotated[
        int, typer.Option(min=0, help="Series to start without a command, as soon as a client is there.")
    ] = 0,
    queue: Annotated[
        int, typer.Option(min=1, max=_MOST, help="Messages that wait for a client; more are lost.")
    ] = 10_000,
    wait: Annotated[bool, typer.Option("--wait", help="Lose none: wait for a client whose queue is full.")] = False,
) -> None:
    """Behave as a DECTRIS detector, with faults on request, until Ctrl-C.

    Its interface SIMPLON is served over HTTP, its streams V1 and V2 over ZeroMQ.
    """
    from parscope.live.emulator import Emulator, Faults, Scene

    if detector not in DETECTORS:
        raise OptionError(f"there is no {detector!r}", "DETECTOR", f"choose one of {', '.join(DETECTORS)}")
    if file is not None and physics is not None:
        raise OptionError("the patterns are those of the file", "--physics", "leave it out, or --file")
    opened = {"scan_shape": shape(scan_shape, "--scan-shape")} if scan_shape else {}
    scene = Scene(
        path=file,
        scan=shape(scan, "--scan"),
        physics=physics or "crystal",
        pattern=DETECTORS[detector],
        options=tuple(opened.items()),
        seed=seed,
    )
    emulator = Emulator(
        scene,
        rate=rate,
        trigger=_trigger(trigger),
        faults=Faults.parse(fault or ()),
        seed=seed,
        host=host,
        ports=(rest_port, stream_port, v1_port),
        files=files,
        log=log,
        preset=dict(_parameter(text) for text in set_ or ()),
        most=queue,
        patient=wait,
    )
    with emulator:
        _greet(emulator)
        _serve(emulator, start)


def _trigger(text: str | None) -> float | None:
    """Pulses per second; -1 for pulses by hand."""
    if text is None or text == "hand":
        return None if text is None else -1.0
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= _FASTEST:
        raise OptionError(f"{text!r} is no rate", "--trigger", "write it as 5000, or hand")
    return rate


def _parameter(text: str) -> tuple[str, Any]:
    """Name and value of a parameter."""
    name, _, value = text.partition("=")
    if "/" not in name or not value:
        raise OptionError(f"{text!r} is no parameter", "--set", "write it as detector/roi_mode=merge2x2")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _greet(emulator: Emulator) -> None:
    """Say where everything is."""
    facts = emulator.facts
    y, x = facts.pattern
    print(f"{facts.source}: {facts.count} patterns of {y} x {x} pixels for {facts.scan[0]} x {facts.scan[1]} positions")
    print(f"SIMPLON 1.8.0: {emulator.address}/detector/api/1.8.0/")
    print(f"stream V2: {emulator.stream}")
    print(f"stream V1: {emulator.stream_v1}", flush=True)


def _serve(emulator: Emulator, start: int) -> None:
    """Do what clients say, or take some series without them; say what became of each."""
    reports, told = emulator.machine.reports, 0
    for _ in range(start):
        emulator.wait_for_clients(seconds=float("inf"))
        print(_Told(emulator.run(seconds=float("1e9"))), flush=True)
    if start:
        return
    try:
        while True:
            time.sleep(_LOOK)
            for report in reports[told:]:
                print(_Told(report), flush=True)
                told += 1
    except KeyboardInterrupt:
        return
