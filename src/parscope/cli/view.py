"""The verb `view`: maps of a fit in the browser, with the raw spectrum of every pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def view(
    maps: Annotated[Path, typer.Argument(help="Result of parscope fit, .nc or .zarr.")],
    spectra: Annotated[Path | None, typer.Option(help="Where the spectra are now, if they have moved.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Where to listen [5006, or the next free].")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Look at the maps of a fit in the browser: click a pixel, see its spectrum with the fit.

    The page is served to this machine alone, until Ctrl-C.
    """
    from parscope.report.browser.page import Browser
    from parscope.report.browser.serve import run, start
    from parscope.report.fit_view import FitView
    from parscope.workflows.look import open_fit

    look = open_fit(maps, spectra)
    fit = FitView(look.maps)
    server = start(lambda document: Browser(fit, look).open_in(document), port)
    print(f"{maps}: http://127.0.0.1:{server.port} (Ctrl-C stops it)", flush=True)
    run(server, browser)
