"""A network for the spectra of a scan, trained without a label, and saved with its card."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import InputError, OptionError
from parscope.core.record import fingerprint_of
from parscope.core.spectra import Spectra
from parscope.io import open_spectra
from parscope.workflows.blocks import Progress, silent
from parscope.workflows.fit.source import as_scan, physics_for, samples
from parscope.workflows.saved_networks import save_spectra
from parscope.workflows.technique import decided, find
from parscope.workflows.train.folder import training_folder
from parscope.workflows.train.given import check_given

TeacherName = Literal["simulation", "rendering", "cycle", "labels"]
_AGAIN = "name a second measurement of the same positions"
TEACHERS: tuple[TeacherName, ...] = get_args(TeacherName)


def train_spectra(  # noqa: PLR0913 - all that a person may want to say, each with a default
    source: Spectra | Path | str,
    technique: str,
    output: Path | str,
    *,
    teachers: Sequence[TeacherName] = ("simulation",),
    again: Spectra | Path | str | None = None,
    everywhere: bool = False,
    seed: int = 0,
    minutes: float = 5.0,
    overwrite: bool = False,
    dataset: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train a network to invert a technique on the spectra of a scan, and save it in a folder with its card.

    The network sees simulated spectra that are distributed as those of the scan, with a quarter to four times their
    noise, and a tenth from anywhere in the range. Its answers are posteriors under that distribution. Training that is
    stopped goes on where it was with the next call.

    Parameters
    ----------
    source : Spectra, Path or str
        Spectra, or the file that holds them.
    technique : str
        Name of the physics, as ``be-sho``; dashes and underscores are the same.
    output : Path or str
        Folder to make.
    teachers : sequence of str, default simulation
        ``simulation``: spectra made by the physics; ``rendering``: measured spectra must render again; ``cycle``: what
        is said of a rendered spectrum must be said again; ``labels``: fits of least squares with their covariance.
    again : Spectra, Path or str, optional
        The same positions measured once more, which is a teacher too: what is said of a spectrum must render its
        repeat, whose noise is another.
    everywhere : bool, default False
        Whether spectra are drawn from the whole range of the technique only, for a network that knows no scan.
    seed : int, default 0
        Fixes all that is random.
    minutes : float, default 5.0
        Time of the training, [min], at most.
    overwrite : bool, default False
        Whether a network that is there may be replaced.
    dataset : str, optional
        Which data set of a file of several.
    progress : callable, optional
        Called with what is done and the loss, the steps done, and all of them as far as they are known.
    **options
        What the technique lets a person set.

    Returns
    -------
    dict
        What is saved beside the arrays: what the network is for, the course of its training, and its card.

    Raises
    ------
    InputError
        If the spectra are not of the technique, none of them says anything, or `again` has other positions or another
        axis.
    MissingExtraError
        If PyTorch or safetensors is not installed.
    OptionError
        If there is no such technique, teacher, time or option, a teacher has nothing to teach from, or a network cannot
        learn it.
    OutputError
        If `output` exists, cannot be written, or is being trained by another run.
    TrainingError
        If the training ran away again and again.
    """
    from parscope.solvers.networks.spectra.learn import Lessons, learn
    from parscope.solvers.networks.spectra.scale import Scale

    find(technique)
    check_given(teachers, TEACHERS, minutes, seed)
    if set(teachers) == {"cycle"}:
        raise OptionError("is content with a constant answer", "--teacher cycle", "add --teacher simulation")
    folder, report = Path(output), progress or silent
    with training_folder(folder, overwrite) as training:
        spectra = as_scan(source if isinstance(source, Spectra) else open_spectra(source, dataset=dataset))
        physics = physics_for(spectra, technique, options)
        repeat = None if again is None else _repeat(again, spectra, dataset)
        try:
            Scale(physics)
        except ValueError as error:
            raise OptionError(str(error), technique, "fit it with: parscope fit") from error
        report("look at the scan", 0, 1)
        signals, *more = samples(spectra) if repeat is None else samples(spectra, repeat)
        _check(signals, spectra, everywhere)
        taught = (*teachers, "repeats") if more else tuple(teachers)
        lessons = Lessons(taught, everywhere, seed, 60 * minutes)
        known = {
            "technique": technique.replace("_", "-"),
            "options": decided(physics),
            "names": [parameter.name for parameter in physics.parameters],
            "source": spectra.source,
            "source_fingerprint": fingerprint_of(spectra.source),
            "parscope_version": version("parscope"),
        }
        if repeat is not None:
            known |= {"again": repeat.source, "again_fingerprint": fingerprint_of(repeat.source)}
        kept = training.checkpoint("network", (known, everywhere, physics.axis, signals, *more))
        solver, notes = learn(
            physics, signals, lessons, again=more[0] if more else None, checkpoint=kept, progress=report
        )
        told = {**known, **notes}
        training.save(lambda: save_spectra(folder, solver, told))
    return told


def _repeat(again: Spectra | Path | str, spectra: Spectra, dataset: str | None) -> Spectra:
    """The second measurement, which must be one of the same positions and along the same axis."""
    repeat = as_scan(again if isinstance(again, Spectra) else open_spectra(again, dataset=dataset))
    if repeat.data.shape != spectra.data.shape:
        raise InputError(f"has shape {repeat.data.shape}, not {spectra.data.shape}", repeat.source, _AGAIN)
    if np.dtype(repeat.data.dtype).kind != np.dtype(spectra.data.dtype).kind:
        raise InputError(f"holds {repeat.data.dtype}, not {spectra.data.dtype}", repeat.source, _AGAIN)
    if not np.allclose(repeat.axis.values, spectra.axis.values):
        raise InputError("is along another axis", repeat.source, _AGAIN)
    return repeat


def _check(signals: NDArray[Any], spectra: Spectra, everywhere: bool) -> None:
    """Some spectra must say something where a network is to know the scan."""
    from parscope.solvers.networks.spectra.scan import usable

    if not (everywhere or usable(signals).any()):
        advice = "check the file, or train for the whole range of the technique with --everywhere"
        raise InputError("has no spectrum of finite numbers other than zero", spectra.source, advice)
