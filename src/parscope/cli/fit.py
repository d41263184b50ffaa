"""The verb `fit`: spectra in, maps of a technique's parameters with standard errors out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from parscope.cli.progress import progress_bar

app = typer.Typer(add_completion=False)


@app.command()
def fit(  # noqa: PLR0913 - one argument an option, as typer wants it
    technique: Annotated[str, typer.Argument(help="What made the spectra, such as be-sho.")],
    spectra: Annotated[Path, typer.Argument(help="The spectra: any format that parscope reads.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Result, .nc or .zarr [SPECTRA.fit.nc].")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")] = False,
    prior: Annotated[bool, typer.Option("--prior", help="Help weak spectra by the distribution of all.")] = False,
    background: Annotated[bool, typer.Option(help="Fit a constant background too.")] = False,
    dataset: Annotated[str | None, typer.Option(help="Which array of several in the file.")] = None,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to do the fits.")] = None,
) -> None:
    """Fit spectra, and map the parameters of a technique."""
    from parscope.workflows.fit import map_spectra

    where = output or Path(f"{spectra}.fit.nc")
    options: dict[str, Any] = {"prior": prior, "background": background, "dataset": dataset, "dask": dask}
    with progress_bar("set-up", "spectra") as show:
        result = map_spectra(spectra, technique, where, overwrite=overwrite, progress=show, **options)
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
    rest = [f"{int((status == s).sum())} {s.name.lower()}" for s in Status if s != Status.OK and (status == s).any()]
    fitted = int((status == Status.OK).sum())
    return (
        f"{where}: {', '.join([f'{fitted} of {status.size} spectra fitted', *rest])}, {result.attrs['elapsed_s']:.1f} s"
    )
