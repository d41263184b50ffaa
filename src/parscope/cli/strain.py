"""The verb `strain`: a scan in, a strain map with standard errors and a report out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from parscope.cli import scan_options
from parscope.cli.progress import progress_bar
from parscope.core.errors import OutputError

app = typer.Typer(add_completion=False)

_FOUND = scan_options.FOUND
_REPORT = (".png", ".html")


@app.command()
def strain(  # noqa: PLR0913 - one argument an option, as typer wants it
    context: typer.Context,
    scan: Annotated[Path, typer.Argument(help="The scan: any format that parscope reads.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Result, .nc or .zarr [SCAN.strain.nc].")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the maps as comma-separated values too.")] = None,
    report: Annotated[bool, typer.Option(help="Write OUTPUT.html and OUTPUT.png.")] = True,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to do the fits.")] = None,
    format_: scan_options.Format = None,
    scan_shape: scan_options.ScanShape = None,
    pattern_shape: scan_options.PatternShape = None,
    dtype: scan_options.SampleType = None,
    dataset: scan_options.Dataset = None,
    step: Annotated[float | None, typer.Option(rich_help_panel=_FOUND, help="Scan step, nm.")] = None,
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
    pool: Annotated[
        int | None,
        typer.Option(rich_help_panel=_FOUND, help="Square of positions that are pooled: 1, 3, 5."),
    ] = None,
    solver: Annotated[
        Path | None, typer.Option(help="Folder of networks, made by parscope train strain, that start the fits.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(rich_help_panel=_FOUND, help="Zero strain: Y0:Y1,X0:X1, or 'lattice' for --g1 --g2."),
    ] = None,
) -> None:
    """Map strain and rotation from a 4D-STEM scan.

    No option is needed: probe, lattice, disks, reference and all else are found from the data and shown in the report.
    """
    where = output or Path(f"{scan}.strain.nc")
    settings = {
        **scan_options.setup_options(context.params),
        "step": step,
        "pool": pool,
        "reference": reference,
        "solver": solver,
    }
    extras = [*([csv] if csv else []), *(where.with_suffix(s) for s in _REPORT if report)]
    _check_extras(where, extras, overwrite, (scan, vacuum, mask))
    file_options = scan_options.file_options(context.params)
    result = run(scan, where, file_options, {"overwrite": overwrite, "dask": dask, **settings})
    write_extras(result, where, csv, report)
    print(sentence(result, where))


def _check_extras(where: Path, extras: list[Path], overwrite: bool, inputs: tuple[Path | None, ...]) -> None:
    """Refuse places of table and report before the hours of the fit, not after."""
    from parscope.workflows.save import check_place

    for n, extra in enumerate(extras):
        check_place(extra, overwrite, inputs)
        if extra.absolute() in {place.absolute() for place in (where, *extras[:n])}:
            raise OutputError("is asked for twice", str(extra), "choose another name")


def run(scan: Path, output: Path, file_options: dict[str, Any], settings: dict[str, Any]) -> Any:
    """Map the strain of a scan under a progress bar.

    Parameters
    ----------
    scan, output : Path
        The scan and the result.
    file_options : dict
        For `open_frames`.
    settings : dict
        For `map_strain`.

    Returns
    -------
    xarray.Dataset
    """
    from parscope.io import open_frames
    from parscope.workflows.strain import map_strain

    frames = open_frames(scan, **file_options)
    if frames.metadata.get("scan_shape_guessed"):
        typer.echo(f"{scan}: scan shape {frames.scan_shape} is a guess; give --scan-shape if it is wrong", err=True)
    with progress_bar("set-up") as show:
        return map_strain(frames, output, progress=show, **settings)


def sentence(result: Any, where: Path) -> str:
    """What came out, in one line.

    Parameters
    ----------
    result : xarray.Dataset
        From `map_strain`.
    where : Path
        The result's file.

    Returns
    -------
    str
    """
    from parscope.core.solver import Status

    fitted = int((result["status"] == Status.OK).sum())
    if fitted == 0:
        why = Status(int(result["status"].to_series().mode()[0]))
        return f"{where}: none of {result['status'].size} patterns fitted, mostly because: {why.sentence}"
    error = float(result["e_xx_std"].median())
    ratio = float(result["limit_ratio"].median())
    return (
        f"{where}: {fitted} of {result['status'].size} patterns fitted, "
        f"standard error of e_xx {error:.1e}, {ratio:.2f} times the Cramér-Rao limit, "
        f"{result.attrs['elapsed_s']:.1f} s"
    )


def write_extras(result: Any, where: Path, csv: Path | None, report: bool) -> None:
    """Write table, picture and page beside the result.

    Parameters
    ----------
    result : xarray.Dataset
        From `map_strain`.
    where : Path
        The result's file.
    csv : Path or None
        The table's file.
    report : bool
        Whether picture and page are wanted.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    from parscope.report.html import write_report
    from parscope.report.strain_figure import write_png
    from parscope.workflows.strain.table import save_table

    if csv is not None:
        save_table(result, csv)
    if report:
        write_png(result, where.with_suffix(".png"))
        write_report(result, where.with_suffix(".html"))
