"""One training loop for any physics: teachers say what is wrong, a schedule found on the way says when to stop.

The rate stays high until the loss on held-out signals no longer falls, then is lowered to nothing over a third as many
steps: nothing about the length of the training has to be set. What is used afterwards are the mean weights of the last
steps (Polyak, Juditsky, doi:10.1137/0330046).
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from parscope.core.errors import MissingExtraError, ParscopeError
from parscope.solvers.networks.checkpoint import Checkpoint

Progress = Callable[[str, int, int], None]
Optimiser = Callable[[Sequence[nn.Parameter], float], torch.optim.Optimizer]

# Checks in a row that must gain less than this between them, in units of the loss, before the rate is lowered.
_PATIENCE, _GAIN = 4, 0.01
# Steps over which the rate rises at first, and the part of the steps so far over which it falls at last.
_WARM, _FALL = 100, 1 / 3
# Gradients longer than this multiple of their usual length are shortened; how fast the usual length follows them.
_LONG, _FOLLOW = 5.0, 0.02
# How often a training that ran away is taken up again, each time at half the rate.
_AGAIN = 3


class Teacher(Protocol):
    """Says how wrong a network is on signals that it draws."""

    def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        """Mean loss of a batch, [nat] for likelihoods.

        Parameters
        ----------
        module : torch.nn.Module
            The network.
        generator : torch.Generator
            Where chance comes from, which repeats for held-out batches.

        Returns
        -------
        Tensor
            A number that can be differentiated.
        """


class TrainingError(ParscopeError):
    """The training ran away several times, or cannot be taken up again."""


@dataclass(frozen=True)
class Recipe:
    """What may be set of a training; the defaults need no thought.

    Parameters
    ----------
    rate : float, default 1e-2
        Largest learning rate, [1].
    most : int, default 20000
        Steps before the rate is lowered, at most.
    every : int, default 200
        Steps between checks on held-out signals.
    checked : int, default 8
        Held-out batches of a check.
    average : float, default 0.995
        Memory of the mean weights, [1]: a step counts by 1 - average; 0 for the last weights.
    seconds : float, optional
        Time of the whole training, [s]: the rate is lowered when three quarters of it are over, whatever was gained.
    seed : int, default 0
        Fixes what is drawn.
    """

    rate: float = 1e-2
    most: int = 20000
    every: int = 200
    checked: int = 8
    average: float = 0.995
    seconds: float = math.inf
    seed: int = 0


@dataclass
class Course:
    """How a training went, and where it is.

    Parameters
    ----------
    step : int
        Steps done.
    falling : int, optional
        Step at which the rate began to fall.
    last : int, optional
        Step at which all ends.
    losses : list of tuple
        Step and loss on held-out signals.
    restarts : int
        How often it ran away.
    seconds : float
        Time it took, [s].
    length : float
        Usual length of its gradients, [1].
    anew : str
        Why a checkpoint that was there was not taken up; empty if it was, or there was none.
    """

    step: int = 0
    falling: int | None = None
    last: int | None = None
    losses: list[tuple[int, float]] = field(default_factory=list)
    restarts: int = 0
    seconds: float = 0.0
    length: float = math.inf
    anew: str = ""

    @property
    def loss(self) -> float:
        """The last held-out loss."""
        return self.losses[-1][1] if self.losses else math.nan

    def flat(self) -> bool:
        """Whether the last checks gained too little."""
        recent = [loss for _, loss in self.losses[-2 * _PATIENCE :]]
        if len(recent) < 2 * _PATIENCE:
            return False
        return sum(recent[:_PATIENCE]) / _PATIENCE - sum(recent[_PATIENCE:]) / _PATIENCE < _GAIN

    def rate(self, highest: float) -> float:
        """Learning rate of the next step."""
        warm = min(1.0, (self.step + 1) / _WARM)
        if self.falling is None or self.last is None:
            return highest * warm
        left = (self.last - self.step) / max(self.last - self.falling, 1)
        return highest * warm * max(left, 0.0)


def held_out(recipe: Recipe) -> torch.Generator:
    """Chance from which the held-out signals of a training are drawn, batch after batch.

    Parameters
    ----------
    recipe : Recipe
        Of the training.

    Returns
    -------
    torch.Generator
    """
    return torch.Generator().manual_seed(recipe.seed + 1_000_003)


def beside(floor: float | None, progress: Progress | None) -> Progress | None:
    """Progress that shows beside the loss its floor, the least that any network could reach.

    Parameters
    ----------
    floor : float, optional
        [nat]; nothing is shown without.
    progress : callable, optional
        As for `train`.

    Returns
    -------
    callable, optional
    """
    if floor is None or progress is None:
        return progress
    return lambda phase, done, total: progress(
        f"{phase} (floor {floor:.2f})" if "loss" in phase else phase, done, total
    )


def adamw(parameters: Sequence[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    """Adam with decoupled decay of the weights (Loshchilov, Hutter, arXiv:1711.05101), for a rate of 3e-3."""
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-4)


def soap(parameters: Sequence[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    """Adam in the axes in which gradients of a layer are uncorrelated (Vyas et al., arXiv:2409.11321).

    The default, as it is the fastest for small networks: see the page on stochastic averaging.

    Raises
    ------
    MissingExtraError
        If pytorch_optimizer is not installed.
    """
    try:
        from pytorch_optimizer import SOAP
    except ModuleNotFoundError as error:
        raise MissingExtraError("pytorch_optimizer", "torch") from error
    made: torch.optim.Optimizer = SOAP(parameters, lr=rate, weight_decay=1e-4)
    return made


def train(
    module: nn.Module,
    teachers: Mapping[str, tuple[Teacher, float]],
    recipe: Recipe | None = None,
    *,
    optimiser: Optimiser = soap,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Course:
    """Train a network, in place, until it learns no more.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    teachers : mapping of str to tuple
        Teachers and the weights of their losses, by name.
    recipe : Recipe, optional
        What may be set.
    optimiser : callable, default `soap`
        Makes an optimiser of PyTorch from parameters and a rate; one whose steps need only a gradient.
    checkpoint : Checkpoint, optional
        Where to keep what the same training goes on from where it was stopped; of a training that ended, its end, until
        it is removed. Its key says what the training depends on beside the network, the teachers' weights and the
        recipe without its limits. Default: in memory.
    progress : callable, optional
        Called with a line on phase and loss, the steps done, and all of them as far as is known.

    Returns
    -------
    Course

    Raises
    ------
    OutputError
        If the checkpoint cannot be written.
    TrainingError
        If it ran away again and again.
    """
    job = _Job(module, teachers, recipe or Recipe(), optimiser)
    weights = {name: weight for name, (_, weight) in teachers.items()}
    # With more time the same training goes on longer.
    without_limits = {n: v for n, v in asdict(job.recipe).items() if n not in ("most", "seconds")}
    key = {**without_limits, "optimiser": job.optimiser, "teachers": weights, "start": job.mark()}
    checkpoint = (checkpoint or Checkpoint()).also(key)
    if not job.resume(checkpoint):
        job.course.anew = checkpoint.discarded
        if progress is not None and job.course.anew:
            progress(f"anew: {job.course.anew}", 0, job.all_steps)
        job.keep(checkpoint)
    while job.course.last is None or job.course.step < job.course.last:
        job.stretch()
        job.course.losses.append((job.course.step, job.held_out()))
        if not math.isfinite(job.course.loss):
            job.again(checkpoint)
            continue
        job.decide()
        job.keep(checkpoint)
        if progress is not None:
            phase = "learn" if job.course.falling is None else "settle"
            progress(f"{phase}, loss {job.course.loss:.3f}", job.course.step, job.all_steps)
    job.finish()
    return job.course


class _Job:
    """A training under way."""

    def __init__(
        self, module: nn.Module, teachers: Mapping[str, tuple[Teacher, float]], recipe: Recipe, optimiser: Optimiser
    ) -> None:
        self.module, self.teachers, self.recipe, self.course = module, teachers, recipe, Course()
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._optimiser = optimiser(self._parameters, recipe.rate)
        self._mean = [p.detach().clone() for p in self._parameters]
        self._chance = torch.Generator().manual_seed(recipe.seed)
        self._highest = recipe.rate
        self._began = time.perf_counter()

    @property
    def optimiser(self) -> str:
        """Name of the optimiser."""
        return type(self._optimiser).__name__

    def mark(self) -> str:
        """What tells the network before its training from any other, and so a checkpoint from those of others."""
        digest = hashlib.sha256()
        for parameter in self._parameters:
            digest.update(parameter.detach().numpy().tobytes())
        return digest.hexdigest()

    def stretch(self) -> None:
        """Steps up to the next check."""
        stop = self.course.step + self.recipe.every
        for _ in range(self.course.step, min(stop, self.course.last or stop)):
            self._step()
        self.course.seconds += time.perf_counter() - self._began
        self._began = time.perf_counter()

    def _step(self) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = self.course.rate(self._highest)
        self._optimiser.zero_grad(set_to_none=True)
        self._loss(self._chance).backward()  # type: ignore[no-untyped-call]
        usual = self.course.length
        length = float(nn.utils.clip_grad_norm_(self._parameters, _LONG * usual))
        if math.isfinite(length):
            kept = min(length, _LONG * usual)
            self.course.length = length if math.isinf(usual) else usual + _FOLLOW * (kept - usual)
            self._optimiser.step()
        self.course.step += 1
        memory = min(self.recipe.average, self.course.step / (self.course.step + 10))
        with torch.no_grad():
            for mean, own in zip(self._mean, self._parameters, strict=True):
                mean.lerp_(own, 1 - memory)

    def _loss(self, generator: torch.Generator) -> Tensor:
        losses = [weight * teacher.loss(self.module, generator) for teacher, weight in self.teachers.values()]
        return torch.stack(losses).sum()

    def held_out(self) -> float:
        """Loss of the mean weights on the same signals every time."""
        chance = held_out(self.recipe)
        own = [p.detach().clone() for p in self._parameters]
        self._load(self._mean)
        with torch.no_grad():
            losses = [float(self._loss(chance)) for _ in range(self.recipe.checked)]
        self._load(own)
        return sum(losses) / len(losses)

    def decide(self) -> None:
        """Whether the rate is to fall from now on."""
        course, recipe = self.course, self.recipe
        late = course.step >= recipe.most or course.seconds * (1 + _FALL) >= recipe.seconds
        if course.falling is None and (course.flat() or late):
            course.falling, course.last = course.step, course.step + max(int(_FALL * course.step), recipe.every)

    @property
    def all_steps(self) -> int:
        """Steps of the whole training, as far as can be told: those that its limits leave."""
        course, recipe = self.course, self.recipe
        if course.last is not None:
            return course.last
        most = int((1 + _FALL) * recipe.most)
        in_time = course.step * recipe.seconds / max(course.seconds, 1e-9) if course.step else math.inf
        return int(max(min(most, in_time), course.step))

    def again(self, checkpoint: Checkpoint) -> None:
        """Go back to the last checkpoint, at half the rate."""
        restarts = self.course.restarts + 1
        if restarts > _AGAIN or not self.resume(checkpoint):
            raise TrainingError("the training ran away", "", "look at the data, or begin from another --seed")
        self.course.restarts = restarts
        self._highest = self.recipe.rate / 2**restarts

    def resume(self, checkpoint: Checkpoint) -> bool:
        """Take up what was kept, if something was."""
        kept = checkpoint.load()
        if kept is None:
            return False
        tensors, optimiser, course = kept
        self._load([tensors[f"weight.{k}"] for k in range(len(self._parameters))])
        for k, mean in enumerate(self._mean):
            mean.copy_(tensors[f"mean.{k}"])
        self._chance.set_state(tensors["chance"])
        self._optimiser.load_state_dict(optimiser)
        losses = [(int(step), float(loss)) for step, loss in course["losses"]]
        self.course = replace(Course(), **{**course, "losses": losses})
        self._highest = self.recipe.rate / 2**self.course.restarts
        return True

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep all that a training goes on from."""
        weights = {f"weight.{k}": p for k, p in enumerate(self._parameters)}
        means = {f"mean.{k}": m for k, m in enumerate(self._mean)}
        tensors = {**weights, **means, "chance": self._chance.get_state()}
        checkpoint.keep(tensors, self._optimiser.state_dict(), asdict(self.course))

    def finish(self) -> None:
        """Leave the mean weights in the module."""
        self._load(self._mean)

    def _load(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for own, value in zip(self._parameters, values, strict=True):
                own.copy_(value)
