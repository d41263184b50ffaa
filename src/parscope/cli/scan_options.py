"""Options of every verb that reads a 4D-STEM scan and finds its set-up: how the file is read, and what is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from parscope.cli.options import numbers, shape

FILE, FOUND = "File", "Overrides what is found from the data"
"""Headings of both groups in the help."""

Format = Annotated[str | None, typer.Option("--format", rich_help_panel=FILE, help="Skip the sniffing.")]
ScanShape = Annotated[str | None, typer.Option(rich_help_panel=FILE, help="Scan positions Y,X of files without.")]
PatternShape = Annotated[str | None, typer.Option(rich_help_panel=FILE, help="Pixels Y,X of raw files.")]
SampleType = Annotated[str | None, typer.Option(rich_help_panel=FILE, help="Sample type of raw files.")]
Dataset = Annotated[str | None, typer.Option(rich_help_panel=FILE, help="Which array of several.")]

Vacuum = Annotated[Path | None, typer.Option(rich_help_panel=FOUND, help="Pattern of the probe in vacuum.")]
Mask = Annotated[Path | None, typer.Option(rich_help_panel=FOUND, help=".npy, True at bad pixels.")]
ProbeRadius = Annotated[float | None, typer.Option(rich_help_panel=FOUND, help="Disk radius, px.")]
ProbeEdge = Annotated[float | None, typer.Option(rich_help_panel=FOUND, help="Edge sigma, px.")]
Centre = Annotated[str | None, typer.Option(rich_help_panel=FOUND, help="Pattern centre Y,X, px.")]
LatticeVector = Annotated[str | None, typer.Option(rich_help_panel=FOUND, help="Lattice vector Y,X, px.")]
Ellipse = Annotated[str | None, typer.Option(rich_help_panel=FOUND, help="Distortion RATIO,DEGREES of the long axis.")]
MaxQ = Annotated[float | None, typer.Option(rich_help_panel=FOUND, help="Farthest disk used, px.")]
Gain = Annotated[float | None, typer.Option(rich_help_panel=FOUND, help="Counts per electron.")]

_PATHS, _PAIRS = ("vacuum", "mask"), ("centre", "g1", "g2", "ellipse")
_NUMBERS = ("probe_radius", "probe_edge", "max_q", "gain")
ONLY_SCANS = ("format_", "scan_shape", "pattern_shape", "dtype", *_PATHS, *_PAIRS, *_NUMBERS)
"""Parameters of a verb that say something of a scan and of nothing else."""


def file_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """How the file of a scan is read.

    Parameters
    ----------
    given : mapping
        Parameters of the verb, as of `typer.Context`.

    Returns
    -------
    dict
        For `open_frames`.

    Raises
    ------
    OptionError
        If a shape is none.
    """
    return {
        "format": given["format_"],
        "scan_shape": shape(given["scan_shape"], "--scan-shape"),
        "pattern_shape": shape(given["pattern_shape"], "--pattern-shape"),
        "dtype": given["dtype"],
        "dataset": given["dataset"],
    }


def setup_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the set-up of a scan.

    Parameters
    ----------
    given : mapping
        Parameters of the verb, as of `typer.Context`.

    Returns
    -------
    dict
        Fields of `StrainSettings`.

    Raises
    ------
    OptionError
        If a pair of numbers is none.
    """
    return {
        **{name: given[name] and Path(given[name]) for name in _PATHS},
        **{name: numbers(given[name], f"--{name}") for name in _PAIRS},
        **{name: given[name] for name in _NUMBERS},
    }
