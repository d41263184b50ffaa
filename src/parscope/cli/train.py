"""The verb `train`: a scan in, a network that inverts its physics out, with a card that says what it is worth."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from parscope.cli import scan_options
from parscope.cli.progress import progress_bar
from parscope.cli.technique import TechniqueCommand, options_of_technique
from parscope.core.errors import OptionError


class _Teacher(StrEnum):
    """What a network may learn from."""

    SIMULATION = "simulation"
    RENDERING = "rendering"
    CYCLE = "cycle"
    LABELS = "labels"


app = typer.Typer(add_completion=False)

STRAIN = "strain"


@app.command(cls=TechniqueCommand)
def train(  # noqa: PLR0913 - one argument an option, as typer wants it
    context: typer.Context,
    technique: Annotated[str, typer.Argument(help="What made the data, such as be-sho; or strain, for 4D-STEM.")],
    source: Annotated[Path, typer.Argument(help="The scan: any format that parscope reads.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder to make [SOURCE.network].")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a network that exists.")] = False,
    teacher: Annotated[
        list[_Teacher] | None, typer.Option(help="What it learns from \\[simulation]; may be given several times.")
    ] = None,
    again: Annotated[
        Path | None, typer.Option(help="The same positions measured once more, for spectra: a teacher, too.")
    ] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Train for the whole range of the technique, not for this scan.")
    ] = False,
    minutes: Annotated[float | None, typer.Option(help="Time of the training, at most [5; strain: 13].")] = None,
    seed: Annotated[int, typer.Option(help="Fixes all that is random.")] = 0,
    format_: scan_options.Format = None,
    scan_shape: scan_options.ScanShape = None,
    pattern_shape: scan_options.PatternShape = None,
    dtype: scan_options.SampleType = None,
    dataset: scan_options.Dataset = None,
    vacuum: scan_options.Vacuum = None,
    mask: scan_options.Mask = None,
    probe_radius: scan_options.ProbeRadius = None,
    probe_edge: scan_options.ProbeEdge = None,
    centre: scan_options.Centre = None,
    g1: scan_options.LatticeVector = None,
    g2: scan_options.LatticeVector = None,
    ellipse: scan_options.Ellipse = None,
    max_q: scan_options.MaxQ = None,
    gain: scan_options.Gain = None,
) -> None:
    """Train a network on a scan, without labels; use it with --solver."""
    where = output or Path(f"{source}.network")
    teachers = tuple(each.value for each in teacher or (_Teacher.SIMULATION,))
    settings: dict[str, Any] = {"overwrite": overwrite, "seed": seed, "teachers": teachers}
    if minutes is not None:
        settings["minutes"] = minutes
    if technique == STRAIN:
        for option, given in (("--everywhere", everywhere), ("--again", again is not None)):
            if given:
                raise OptionError("is for spectra", option, "leave it out")
        settings |= scan_options.setup_options(context.params)
        print(strain(source, where, scan_options.file_options(context.params), settings))
        return
    for name in scan_options.ONLY_SCANS:
        if context.params[name] is not None:
            raise OptionError("is for strain", f"--{name.strip('_').replace('_', '-')}", "leave it out")
    settings |= {"everywhere": everywhere, "again": again, "dataset": dataset, **options_of_technique(context)}
    print(spectra(source, technique, where, settings))


def spectra(source: Path, technique: str, output: Path, settings: dict[str, Any]) -> str:
    """Train a network on spectra under a progress bar, and say what came out.

    Parameters
    ----------
    source : Path
        The spectra.
    technique : str
        What made them.
    output : Path
        The folder to make.
    settings : dict
        For `train_spectra`.

    Returns
    -------
    str
        As of `sentence`.
    """
    from parscope.workflows.train import train_spectra

    with progress_bar("set-up", "steps", logged=True) as show:
        told = train_spectra(source, technique, output, progress=show, **settings)
    return sentence(told, output)


def strain(scan: Path, output: Path, file_options: dict[str, Any], settings: dict[str, Any]) -> str:
    """Train networks on a 4D-STEM scan under a progress bar, and say what came out.

    Parameters
    ----------
    scan, output : Path
        The scan, and the folder to make.
    file_options : dict
        For `open_frames`.
    settings : dict
        For `train_strain`.

    Returns
    -------
    str
        The size of the networks, and their card as a table.
    """
    from parscope.io import open_frames
    from parscope.workflows.train import train_strain

    with progress_bar("set-up", "steps", logged=True) as show:
        told = train_strain(open_frames(scan, **file_options), output, progress=show, **settings)
    return "\n".join(_card(each, output) for each in (told, *told["others"]))


def _card(told: dict[str, Any], output: Path) -> str:
    """Size of the networks for one phase, and their card as a table."""
    lines = [
        _first_line(told, output, "patterns"),
        "without the exact solver, on simulated patterns at any orientation:",
        f"{'electrons':>10}{'disk position':>18}{'failures':>12}{'in 95 % intervals':>20}",
    ]
    lines += [
        f"{row['electrons']:>10g}{_number(row['position_rms'], 15, 3)} px{100 * row['failures']:>10.2f} %"
        f"{_number(row['coverage'], 18, 1, 100)} %"
        for row in told["card"]["by_electrons"]
    ]
    return "\n".join(lines)


def _number(value: float | None, width: int, digits: int, factor: float = 1.0) -> str:
    """A number, or a dash for what no pattern told."""
    return f"{'-':>{width}}" if value is None else f"{factor * value:>{width}.{digits}f}"


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
    card = told["card"]
    names = list(card["by_snr"][0]["coverage"])
    head = [
        _first_line(told, where, "spectra"),
        f"trained on spectra drawn from {told['distribution']}",
        "error over the Cramér-Rao bound, and share of true values inside 95 % intervals:",
        "".join([f"{'SNR':>6}", *(f"{name:>24}" for name in names), f"{'wrong':>10}"]),
    ]
    for row in card["by_snr"]:
        cells = [f"{row['error_over_bound'][n]:>14.2f}{100 * row['coverage'][n]:>8.1f} %" for n in names]
        head.append("".join([f"{row['snr']:>6g}", *cells, f"{100 * row['wrong']:>8.2f} %"]))
    return "\n".join(head)


def _first_line(told: dict[str, Any], where: Path, signals: str) -> str:
    """Size, training and speed of what is in a folder."""
    card, training = told["card"], told["training"]
    anew = f"; begun anew: {training['anew']}" if training["anew"] else ""
    return (
        f"{where}: {card['parameters']} parameters, {training['steps']} steps in {training['seconds']:.0f} s, "
        f"{card[f'{signals}_per_cpu_s']:.0f} {signals} per CPU second{anew}"
    )
