"""A network for the spectra of a scan, trained without a label, and saved with its card."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from parscope.core.errors import OptionError
from parscope.core.record import fingerprint_of
from parscope.core.spectra import Spectra
from parscope.io import open_spectra
from parscope.workflows.blocks import Progress, silent
from parscope.workflows.fit.source import as_scan, physics_for, sample
from parscope.workflows.saved_networks import save_spectra
from parscope.workflows.technique import decided, find

TeacherName = Literal["simulation", "rendering", "cycle", "labels"]
TEACHERS: tuple[TeacherName, ...] = get_args(TeacherName)


def train_spectra(  # noqa: PLR0913 - all that a person may want to say, each with a default
    source: Spectra | Path | str,
    technique: str,
    output: Path | str,
    *,
    teachers: Sequence[TeacherName] = ("simulation",),
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
    everywhere : bool, default False
        Whether spectra are drawn from the whole range of the technique only, for a network that knows no scan.
    seed : int, default 0
        Fixes all that is random.
    minutes : float, default 5.0
        Time after which the training is brought to its end, [min].
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
        If the spectra are not of the technique.
    MissingExtraError
        If PyTorch or safetensors is not installed.
    OptionError
        If there is no such technique, teacher or option, or a network cannot learn it.
    OutputError
        If `output` exists or cannot be written.
    TrainingError
        If the training ran away again and again.
    """
    from parscope.solvers.networks.spectra.learn import Lessons, learn
    from parscope.solvers.networks.spectra.scale import Scale
    from parscope.solvers.networks.store import check_folder

    find(technique)
    wrong = [name for name in teachers if name not in TEACHERS]
    if wrong or not teachers:
        raise OptionError(
            f"{', '.join(wrong) or 'nobody'} cannot teach", "--teacher", f"choose of {', '.join(TEACHERS)}"
        )
    folder, report = Path(output), progress or silent
    check_folder(folder, overwrite)
    spectra = as_scan(source if isinstance(source, Spectra) else open_spectra(source, dataset=dataset))
    physics = physics_for(spectra, technique, options)
    try:
        Scale(physics)
    except ValueError as error:
        raise OptionError(str(error), technique, "fit it with: parscope fit") from error
    report("look at the scan", 0, 1)
    lessons = Lessons(tuple(teachers), everywhere, seed, 60 * minutes)
    beside = folder.with_name(f"{folder.name}.training")
    solver, notes = learn(physics, sample(spectra), lessons, folder=beside, progress=report)
    told = {
        "technique": technique.replace("_", "-"),
        "options": decided(physics),
        "names": [parameter.name for parameter in physics.parameters],
        "source": spectra.source,
        "source_fingerprint": fingerprint_of(spectra.source),
        "parscope_version": version("parscope"),
        **notes,
    }
    save_spectra(folder, solver, told)
    beside.rmdir()
    return told
