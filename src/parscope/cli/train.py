"""The verb `train`: a scan in, a network that inverts its physics out, with a card that says what it is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from parscope.cli.progress import progress_bar
from parscope.cli.technique import TechniqueCommand, options_of_technique

app = typer.Typer(add_completion=False)


@app.command(cls=TechniqueCommand)
def train(  # noqa: PLR0913 - one argument an option, as typer wants it
    context: typer.Context,
    technique: Annotated[str, typer.Argument(help="What made the data, such as be-sho.")],
    source: Annotated[Path, typer.Argument(help="The scan: any format that parscope reads.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder to make [SOURCE.network].")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a network that exists.")] = False,
    teacher: Annotated[
        list[str] | None,
        typer.Option(help="simulation (default), rendering, cycle or labels; may be given several times."),
    ] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Train for the whole range of the technique, not for this scan.")
    ] = False,
    minutes: Annotated[float, typer.Option(help="Time after which the training is brought to its end.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Fixes all that is random.")] = 0,
    dataset: Annotated[str | None, typer.Option(help="Which array of several in the file.")] = None,
) -> None:
    """Train a network on a scan, without labels; use it with --solver."""
    from parscope.workflows.train import train_spectra

    where = output or Path(f"{source}.network")
    options: dict[str, Any] = {
        "teachers": tuple(teacher or ("simulation",)),
        "everywhere": everywhere,
        "minutes": minutes,
        "seed": seed,
        "dataset": dataset,
        **options_of_technique(context),
    }
    with progress_bar("set-up") as show:
        told = train_spectra(source, technique, where, overwrite=overwrite, progress=show, **options)
    print(sentence(told, where))


def sentence(told: dict[str, Any], where: Path) -> str:
    """What came out: the size of the network, and its card as a table.

    Parameters
    ----------
    told : dict
        From `train_spectra`.
    where : Path
        The folder.

    Returns
    -------
    str
    """
    card, training = told["card"], told["training"]
    names = list(card["by_snr"][0]["coverage"])
    head = [
        f"{where}: {card['parameters']} parameters, {training['steps']} steps in {training['seconds']:.0f} s, "
        f"{card['spectra_per_cpu_s']:.0f} spectra per CPU second",
        "error over the Cramér-Rao bound, and share of true values inside 95 % intervals:",
        "".join([f"{'SNR':>6}", *(f"{name:>24}" for name in names), f"{'wrong':>10}"]),
    ]
    for row in card["by_snr"]:
        cells = [f"{row['error_over_bound'][n]:>14.2f}{100 * row['coverage'][n]:>8.1f} %" for n in names]
        head.append("".join([f"{row['snr']:>6g}", *cells, f"{100 * row['wrong']:>8.2f} %"]))
    return "\n".join(head)
