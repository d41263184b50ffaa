"""The verb `simulate`: scans whose truth is known, of patterns or of spectra."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from parscope.cli.options import assignments, shape, span
from parscope.cli.progress import progress_bar
from parscope.cli.technique import TechniqueCommand, options_of_technique
from parscope.techniques.diffraction.simulate_design import FIELDS, KINDS, Detector, ScanDesign

DEFAULT = ScanDesign()
_SPECTRA = "TECHNIQUE"


class Scans(TyperGroup):
    """What can be simulated: the technique of spectra that is named stands for the command of all."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command of a technique."""
        from parscope.workflows.technique import techniques

        if args and args[0].replace("_", "-") in techniques():
            return args[0], self.commands[_SPECTRA], args[1:]
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=Scans, no_args_is_help=True, add_completion=False)


@app.callback()
def simulate() -> None:
    """Simulate a scan whose truth is known."""


@app.command("4dstem")
def simulate_4dstem(  # noqa: PLR0913 - every option of a command line is an argument
    out: Annotated[Path, typer.Argument(help="File to write; its suffix chooses the format.")],
    electrons: Annotated[float, typer.Option(help="Mean electrons per pattern.")] = DEFAULT.electrons,
    scan: Annotated[str, typer.Option(help="Scan positions, Y,X.")] = "64,64",
    pattern: Annotated[str, typer.Option(help="Detector pixels, Y,X; disks and lattice scale with them.")] = "128,128",
    field: Annotated[str, typer.Option(help=f"Strain field: {', '.join(FIELDS)}.")] = DEFAULT.strain_field,
    max_strain: Annotated[float, typer.Option(help="Largest strain.")] = DEFAULT.max_strain,
    max_rotation: Annotated[
        float, typer.Option(help="Largest rotation of the lattice (degrees).")
    ] = DEFAULT.max_rotation,
    grains: Annotated[int, typer.Option(help="Grains of a polycrystal in place of the field; 0 for none.")] = 0,
    overlap: Annotated[float, typer.Option(help="Share of a second crystal under the last rows.")] = 0.0,
    vacuum: Annotated[float, typer.Option(help="Share of the columns without specimen.")] = 0.0,
    contrast: Annotated[float, typer.Option(help="Depth of the fringes inside the disks.")] = DEFAULT.contrast,
    background: Annotated[float, typer.Option(help="Share of the electrons between the disks.")] = DEFAULT.background,
    descan: Annotated[float | None, typer.Option(help="Wander of the pattern centre (px).")] = None,
    ellipse: Annotated[float, typer.Option(help="Elliptical distortion.")] = DEFAULT.ellipse[0],
    radius: Annotated[float | None, typer.Option(help="Radius of the disks (px).")] = None,
    dtype: Annotated[str, typer.Option(help=f"Type of a pixel: {', '.join(KINDS)}.")] = DEFAULT.detector.kind,
    gain: Annotated[float, typer.Option(help="Detector counts per electron.")] = 1.0,
    readout: Annotated[float, typer.Option(help="Readout noise (counts).")] = 0.0,
    hot: Annotated[int, typer.Option(help="Hot pixels.")] = 0,
    dead: Annotated[int, typer.Option(help="Dead pixels.")] = 0,
    beam_stop: Annotated[float, typer.Option(help="Radius of a beam stop (px); 0 for none.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Fixes all that is random.")] = DEFAULT.seed,
    format_: Annotated[str | None, typer.Option("--format", help="Format, where the suffix does not tell.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Simulate a nanobeam 4D-STEM scan, and write its truth beside it as NAME.truth.nc."""
    base = DEFAULT.sized(shape(pattern, "--pattern"))
    design = replace(
        base,
        scan=shape(scan, "--scan"),
        electrons=electrons,
        seed=seed,
        strain_field=field,
        max_strain=max_strain,
        max_rotation=max_rotation,
        grains=grains,
        overlap=overlap,
        vacuum=vacuum,
        contrast=contrast,
        background=background,
        descan=base.descan if descan is None else descan,
        ellipse=(ellipse, base.ellipse[1]),
        radius=base.radius if radius is None else radius,
        detector=Detector(dtype, gain, readout, hot, dead, beam_stop),
    )
    _write(out, design, format_, overwrite)


def _write(out: Path, design: ScanDesign, format_: str | None, overwrite: bool) -> None:
    """Write the scan under a progress bar."""
    from parscope.workflows.simulate import simulate_scan, truth_path

    with progress_bar("simulate") as show:
        made = simulate_scan(
            out, design, format=format_, overwrite=overwrite, progress=lambda done, rows: show("simulate", done, rows)
        )
    print(f"{made}: {design.scan[0]} x {design.scan[1]} patterns of {design.pattern[0]} x {design.pattern[1]} pixels")
    print(f"{truth_path(out)}: the truth")


@app.command(_SPECTRA, cls=TechniqueCommand)
def simulate_spectra(  # noqa: PLR0913 - every option of a command line is an argument
    context: typer.Context,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write, .h5 [TECHNIQUE.h5].")] = None,
    snr: Annotated[float, typer.Option(help="Peak of the signal over the noise of a sample.")] = 20.0,
    scan: Annotated[str, typer.Option(help="Scan positions, Y,X.")] = "48,64",
    bins: Annotated[int | None, typer.Option(help="Samples of a spectrum, if not as usual.")] = None,
    axis: Annotated[str | None, typer.Option(help="START:STOP of the spectrum, in the technique's unit.")] = None,
    at: Annotated[str | None, typer.Option(help="Means of parameters, as resonance=320e3,quality=150.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes all that is random.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Simulate spectra of a technique, such as be-sho, and write their truth beside them as NAME.truth.nc.

    The names, units and axes of the truth are those of the result of `parscope fit`.
    """
    from parscope.workflows.simulate import truth_path
    from parscope.workflows.simulate_spectra import simulate_spectra as simulate_into

    technique = str(context.info_name)
    out = output or Path(f"{technique}.h5")
    places = {name: float(value) for name, value in assignments(at, "--at").items()}
    positions = shape(scan, "--scan")
    options: dict[str, Any] = {
        "bins": bins,
        "span": span(axis, "--axis"),
        "at": places,
        **options_of_technique(context),
    }
    with progress_bar("simulate") as show:
        made = simulate_into(
            out, technique, snr, scan=positions, seed=seed, overwrite=overwrite, progress=show, **options
        )
    print(f"{made}: {positions[0]} x {positions[1]} spectra of {technique}, SNR {snr:g}")
    print(f"{truth_path(out)}: the truth")
