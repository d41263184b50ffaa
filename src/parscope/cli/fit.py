"""The verb `fit`: spectra in, maps of a technique's parameters with standard errors out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from parscope.cli.progress import progress_bar
from parscope.cli.technique import TechniqueCommand, options_of_technique


class _Prior(StrEnum):
    """What may help weak spectra."""

    SCAN = "scan"
    NEIGHBOURS = "neighbours"


app = typer.Typer(add_completion=False)


@app.command(cls=TechniqueCommand)
def fit(  # noqa: PLR0913 - one argument an option, as typer wants it
    context: typer.Context,
    technique: Annotated[str, typer.Argument(help="What made the spectra, such as be-sho.")],
    spectra: Annotated[Path, typer.Argument(help="The spectra: any format that parscope reads.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Result, .nc or .zarr [SPECTRA.fit.nc].")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")] = False,
    prior: Annotated[
        _Prior | None, typer.Option(help="Help weak spectra by the distribution of all (scan), or of their neighbours.")
    ] = None,
    solver: Annotated[
        Path | None, typer.Option(help="Folder of a network, made by parscope train, that starts the fits.")
    ] = None,
    report: Annotated[bool, typer.Option(help="Write OUTPUT.png beside the result.")] = True,
    dataset: Annotated[str | None, typer.Option(help="Which array of several in the file.")] = None,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to do the fits.")] = None,
) -> None:
    """Fit spectra, and map the parameters of a technique."""
    from parscope.workflows.fit import map_spectra
    from parscope.workflows.save import check_place

    where = output or Path(f"{spectra}.fit.nc")
    picture = where.with_suffix(".png")
    if report:
        check_place(picture, overwrite, (spectra,))
    options: dict[str, Any] = {
        "prior": prior and prior.value,
        "solver": solver,
        "dataset": dataset,
        "dask": dask,
        **options_of_technique(context),
    }
    with progress_bar("set-up", "spectra") as show:
        result = map_spectra(spectra, technique, where, overwrite=overwrite, progress=show, **options)
    if report:
        from parscope.report.fit_figure import write_fit_png

        write_fit_png(result, picture)
    print(sentence(result, where))


def sentence(result: Any, where: Path) -> str:
    """What came out, in one line.

    Parameters
    ----------
    result : xarray.Dataset
        From `map_spectra`.
    where : Path
        The result's file.

    Returns
    -------
    str
    """
    from parscope.core.solver import Status

    status = result["status"].values.ravel()
    counts = {s: int((status == s).sum()) for s in Status if (status == s).any()}
    told = [f"{where}: {counts.pop(Status.OK, 0)} of {status.size} spectra fitted"]
    wide = {s: n for s, n in counts.items() if s in (Status.WEAK, Status.AMBIGUOUS)}
    lost = {s: n for s, n in counts.items() if s not in wide}
    for some, words in ((wide, "with wide errors"), (lost, "without a value")):
        if some:
            each = ", ".join(f"{n} {s.name.lower()}" for s, n in some.items())
            told.append(f"{sum(some.values())} {words} ({each})")
    return ", ".join([*told, f"{result.attrs['elapsed_s']:.1f} s"])
