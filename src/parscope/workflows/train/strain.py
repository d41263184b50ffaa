"""From a scan to networks that start its strain map: set-up, training by simulation, model card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import OptionError
from parscope.core.frames import Frames
from parscope.core.record import fingerprint_of
from parscope.core.solver import Status
from parscope.io import open_frames
from parscope.techniques.diffraction import DiffractionPattern
from parscope.techniques.diffraction.saved import told
from parscope.techniques.diffraction.setup.select import lattice_points
from parscope.workflows.blocks import Progress, silent
from parscope.workflows.strain.prepare import found_setup
from parscope.workflows.strain.settings import StrainSettings
from parscope.workflows.train.folder import TrainingFolder, training_folder
from parscope.workflows.train.given import check_given
from parscope.workflows.train.phases import Phase, found_phases
from parscope.workflows.train.ranges import found_ranges

if TYPE_CHECKING:
    from parscope.solvers.networks.checkpoint import Checkpoint
    from parscope.solvers.networks.constellation.geometry import Geometry
    from parscope.solvers.networks.constellation.ranges import Ranges
    from parscope.solvers.networks.constellation.solver import ConstellationNetwork
    from parscope.solvers.train import Course, Recipe, Teacher


StrainTeacher = Literal["simulation", "rendering"]
STRAIN_TEACHERS: tuple[StrainTeacher, ...] = get_args(StrainTeacher)

# Weights of the losses, which the card states. That of rendered patterns is a compromise made by hand: at 1 disks with
# fringes, which the likelihood does not know, come out worse.
_WEIGHTS: dict[str, float] = {"simulation": 1.0, "rendering": 0.1}


def train_strain(  # noqa: PLR0913 - all that a person may want to say, each with a default
    source: Frames | Path | str,
    output: Path | str,
    *,
    teachers: Sequence[StrainTeacher] = ("simulation",),
    overwrite: bool = False,
    seed: int = 0,
    minutes: float = 13.0,
    progress: Progress | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Train networks that find the lattice of a scan at any orientation, from simulated patterns without a label.

    Probe, lattice and detector are those of the scan; dose, background, strain and contrast are drawn from ranges round
    what the scan shows, orientation and intensities from all, so that one training does for every scan of the same
    set-up. Other lattices, powders and amorphous rings are among the patterns, to be refused.

    Parameters
    ----------
    source : Frames, Path or str
        A scan, or the file that holds one.
    output : Path or str
        Folder to write.
    teachers : sequence of str, default simulation
        ``simulation``: patterns made by the physics; ``rendering`` as well: half of a sample of the scan's own patterns
        must render again.
    overwrite : bool, default False
        Whether networks that are there may be replaced.
    seed : int, default 0
        Fixes what is drawn.
    minutes : float, default 13.0
        Time of the training, [min], at most; phases of the scan share it.
    progress : callable, optional
        Called with a line on what is done and the loss, the steps done, and all of them as far as they are known.
    **settings
        Fields of `StrainSettings`, to override what would be found.

    Returns
    -------
    dict
        What is saved beside the arrays: what the networks are for, the course of their training, and their card:
        precision, failures, coverage and refusals by dose, on simulated patterns that they have not seen, and the share
        of a sample of the scan, which they have not seen either, that gets an answer. ``others`` holds as much of the
        networks for further phases of the scan, if there are any.

    Raises
    ------
    InputError
        If the scan cannot be used; with what to do.
    NoLatticeError
        If no lattice of disks is in the patterns.
    OutputError
        If `output` exists, cannot be written, or is being trained by another run.
    OptionError
        If an option cannot be meant, or there is no such teacher.
    TrainingError
        If a training ran away again and again.
    """
    from parscope.solvers.networks.constellation.store import save_encoder
    from parscope.solvers.train import Recipe

    check_given(teachers, STRAIN_TEACHERS, minutes, seed)
    if "simulation" not in teachers:
        raise OptionError("teaches no orientation", "--teacher rendering", "add --teacher simulation")
    place, report = Path(output), progress or silent
    chosen = StrainSettings.of(**settings)
    with training_folder(place, overwrite) as training:
        frames = source if isinstance(source, Frames) else open_frames(source)
        report("set-up", 0, 1)
        phases = found_phases(found_setup(frames, chosen))
        of_scan = {
            "source": frames.source,
            "source_fingerprint": fingerprint_of(frames.source),
            "parscope_version": version("parscope"),
            "seed": seed,
        }
        made = []
        for number, phase in enumerate(phases):
            recipe = Recipe(seconds=60 * minutes / len(phases), seed=seed + number)
            told_of = report if len(phases) == 1 else _named(report, f"phase {number + 1} of {len(phases)}")
            network, own = _made(phase, teachers, _Lesson(recipe, training, f"phase_{number}", told_of))
            made.append((network.orientation, network.window, {**own, **of_scan}))
        first, *others = made
        training.save(lambda: save_encoder(place, *first, others))
    return {**first[2], "others": [own for _, _, own in others]}


def trained_physics(physics: DiffractionPattern) -> DiffractionPattern:
    """Physics with all disks that a pattern of any orientation may show, as strong as is usual so far from the centre.

    Parameters
    ----------
    physics : DiffractionPattern
        Of the set-up: the disks that are useful in its mean pattern.

    Returns
    -------
    DiffractionPattern
    """
    at, amplitude = physics.reference, np.maximum(physics.amplitude, 1e-9)
    direct = (physics.indices == 0).all(1)
    far = float(np.hypot(*at.T).max())
    indices = lattice_points(np.array(physics.centre), physics.basis, physics.shape, -math.inf, far + 1.0)
    away2 = np.square(at[~direct]).sum(1)
    design = np.column_stack([np.ones(len(away2)), away2])
    level, fall = np.linalg.lstsq(design, np.log(amplitude[~direct]), rcond=None)[0]
    q2 = np.square(indices @ physics.basis).sum(1)
    usual = np.exp(level + min(float(fall), 0.0) * q2)
    central = float(amplitude[direct][0]) if direct.any() else float(usual.max())
    return replace(physics, indices=indices.astype(np.int64), amplitude=np.where((indices == 0).all(1), central, usual))


@dataclass(frozen=True)
class _Lesson:
    """One of the trainings: what is set, where it is kept and under which name, and who is told."""

    recipe: Recipe
    training: TrainingFolder
    name: str
    report: Progress


def _named(report: Progress, name: str) -> Progress:
    """Progress of one of several trainings."""
    return lambda phase, done, total: report(f"{name}: {phase}", done, total)


def _made(phase: Phase, teachers: Sequence[str], lesson: _Lesson) -> tuple[ConstellationNetwork, dict[str, Any]]:
    """Networks for a phase, and what is known of them."""
    from parscope.solvers.networks.constellation.examine import examine

    ranges, physics = found_ranges(phase)
    taught = _Taught(trained_physics(physics), ranges, phase.patterns[::2] if "rendering" in teachers else None)
    # The set-up says what is simulated, and the sample of the scan what it was found from.
    kept = lesson.training.checkpoint(lesson.name, (taught.physics, ranges, phase.patterns, version("parscope")))
    network, course, floor = _trained(taught, lesson.recipe, kept, lesson.report)
    unseen = phase.patterns[1::2]
    answered = float(np.mean(network(unseen).status == Status.OK)) if len(unseen) else None
    return network, {
        "physics": told(taught.physics),
        "ranges": asdict(ranges),
        "unlikely": network.unlikely,
        "excess": network.excess,
        "training": {
            "teachers": {name: _WEIGHTS[name] for name in teachers},
            "steps": course.step,
            "seconds": course.seconds,
            "losses": course.losses,
            "floor": floor,
            "restarts": course.restarts,
            "anew": course.anew,
        },
        "card": {**examine(network, ranges), "answered_of_scan": answered},
    }


@dataclass(frozen=True)
class _Taught:
    """What networks learn: the physics, over which ranges, and patterns of the scan for those who need them."""

    physics: DiffractionPattern
    ranges: Ranges
    patterns: NDArray[Any] | None

    def teachers(self, geometry: Geometry) -> dict[str, tuple[Teacher, float]]:
        """Teachers and their weights."""
        from parscope.solvers.networks.constellation.rendering import Rendering
        from parscope.solvers.networks.constellation.teacher import Simulated

        made: dict[str, Teacher] = {"simulation": Simulated(self.physics, geometry, self.ranges)}
        if self.patterns is not None:
            made["rendering"] = Rendering(self.physics, geometry, self.patterns)
        return {name: (teacher, _WEIGHTS[name]) for name, teacher in made.items()}

    def floor(self, geometry: Geometry, recipe: Recipe) -> float | None:
        """Least loss on the held-out patterns of a training; None where measured ones teach, whose truth is unknown."""
        from parscope.solvers.networks.constellation.teacher import Simulated
        from parscope.solvers.train import held_out

        if self.patterns is not None:
            return None
        teacher, chance = Simulated(self.physics, geometry, self.ranges), held_out(recipe)
        return float(np.mean([teacher.floor(chance) for _ in range(recipe.checked)]))


def _trained(
    taught: _Taught, recipe: Recipe, kept: Checkpoint, report: Progress
) -> tuple[ConstellationNetwork, Course, float | None]:
    """Networks after training, how it went, and the floor of its loss where there is one."""
    from parscope.solvers.networks.constellation.encoder import Encoder, orientation_network, window_network
    from parscope.solvers.networks.constellation.examine import finished
    from parscope.solvers.networks.constellation.geometry import Geometry
    from parscope.solvers.networks.constellation.solver import ConstellationNetwork
    from parscope.solvers.networks.threads import one_thread
    from parscope.solvers.train import beside, train

    physics = taught.physics
    geometry = Geometry.of(physics)
    encoder = Encoder(orientation_network(recipe.seed), window_network(recipe.seed + 1), geometry, physics.gain)
    with one_thread():
        floor = taught.floor(geometry, recipe)
        told_of = beside(floor, report)
        course = train(encoder, taught.teachers(geometry), recipe, checkpoint=kept, progress=told_of)
    network = ConstellationNetwork(physics, encoder.orientation.network(), encoder.window.network())
    return finished(network, taught.ranges), course, floor
