"""The verb `forecast`: how well parameters can be known, before anything is measured."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from parscope.cli.options import assignments, span
from parscope.cli.technique import TechniqueCommand, options_of_technique
from parscope.core.errors import OptionError

app = typer.Typer(add_completion=False)


@app.command(cls=TechniqueCommand)
def forecast(  # noqa: PLR0913 - one argument an option, as typer wants it
    context: typer.Context,
    technique: Annotated[str, typer.Argument(help="What makes the spectra, such as be-sho.")],
    snr: Annotated[float, typer.Option(help="Peak of the signal over the noise of a sample.")] = 10.0,
    bins: Annotated[int | None, typer.Option(help="Samples of a spectrum, if not as usual.")] = None,
    axis: Annotated[str | None, typer.Option(help="START:STOP of the spectrum, in the technique's unit.")] = None,
    at: Annotated[str | None, typer.Option(help="Parameters that are known, as resonance=320e3,quality=150.")] = None,
    want: Annotated[str | None, typer.Option(help="Errors that are wanted, as resonance=50,quality=5%.")] = None,
) -> None:
    """Forecast how well the parameters of a technique can be known.

    No method is better on average: these are the Cramér-Rao bounds. SNR is the peak of the signal's modulus, without
    its background, over the standard deviation of the noise, of real and imaginary part each.
    """
    from parscope.workflows.forecast import forecast as possible

    places = {name: float(value) for name, value in assignments(at, "--at").items()}
    told = possible(technique, snr, bins=bins, span=span(axis, "--axis"), at=places, **options_of_technique(context))
    wishes = [_wish(told, name, value) for name, value in assignments(want, "--want", share=True).items()]
    console = Console(highlight=False)
    peak = f"a peak of {snr * told.noise:.3g} over noise of {told.noise:.3g}"
    print(f"{technique}: {len(told.physics.axis)} samples, SNR {snr:g}: {peak} in the unit of the signal\n")
    console.print(_table(told, plain=not console.is_terminal))
    for wish in wishes:
        print(wish)
    if told.snr < told.gate:
        print(
            f"SNR {snr:g} is below the detection gate, {told.gate:.2g} here: the bound is not reached there, fits are "
            "weak or ambiguous, and their errors are those of the posterior, which is wider."
        )


def _table(told: Any, plain: bool) -> Table:
    """Parameters with their possible errors."""
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("parameter", no_wrap=True)
    for head in ("value", "possible error", "unit", "relative"):
        table.add_column(head, justify="left" if head == "unit" else "right", no_wrap=True)
    for parameter, value, std in zip(told.quantities, told.value, told.std, strict=True):
        relative = "" if value == 0 or parameter.kind == "circular" else _percent(std / abs(value))
        error = f"{std:.3g}" if math.isfinite(std) else "not told"
        table.add_row(parameter.name, f"{value:.6g}", error, parameter.unit, relative)
    return table


def _percent(share: float) -> str:
    """A share to two digits, and in whole numbers what is more than a hundred percent."""
    percent = 100 * share
    return f"{percent:.2g} %" if percent < 100 else f"{percent:.0f} %" if percent < 1e4 else "> 10000 %"


def _wish(told: Any, name: str, wanted: str) -> str:
    """What a wanted error takes, in one line."""
    error = float(wanted.removesuffix("%"))
    if wanted.endswith("%"):
        values = dict(zip((quantity.name for quantity in told.quantities), told.value, strict=True))
        error *= abs(values.get(name, 1.0)) / 100
        if error == 0:
            raise OptionError("a share of nothing is wanted", f"--want {name}", "give the error itself")
    snr = told.needed(name, error)
    if not math.isfinite(snr):
        return f"{name} to {error:.3g}: no dwell is long enough"
    times = (snr / told.snr) ** 2
    return f"{name} to {error:.3g}: SNR {snr:.3g}, {times:.3g} times the dwell or {math.ceil(times)} averages"
