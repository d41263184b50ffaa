"""The two stages of the training: rotations and classes first, then strain about these rotations."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from parscope.solvers.networks.cycle.autoencoder import CycleAutoencoder
from parscope.solvers.networks.cycle.design import CycleDesign
from parscope.solvers.networks.cycle.teacher import CycleTeacher
from parscope.solvers.networks.cycle.view import View
from parscope.solvers.train import Course, Progress, Recipe, train

# The loop looks at losses in nats, and stops where they gain less than a hundredth: a part in 10 000 of the variance.
_NATS = 100.0


@dataclass(frozen=True)
class Stage:
    """How one stage is trained; the defaults are those published.

    Parameters
    ----------
    batch : int, default 4
        Patterns that a step sees.
    recipe : Recipe, default of rate 2e-4
        Rate at the top of a cycle, steps, chance.
    """

    batch: int = 4
    recipe: Recipe = field(default_factory=lambda: Recipe(rate=2e-4))


class CyclicAdam(torch.optim.Adam):
    """Adam whose rate rises and falls between 15 % and 100 % of what it is told, with half a cycle of 20 steps."""

    half, lowest = 20, 0.15

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step, at the rate of the place in the cycle."""
        rates = [group["lr"] for group in self.param_groups]
        done = max((int(state["step"]) for state in self.state.values()), default=0)
        place = abs((done / self.half + 1) % 2 - 1)
        for group in self.param_groups:
            group["lr"] *= self.lowest + (1 - self.lowest) * place
        result = super().step(closure)
        for group, rate in zip(self.param_groups, rates, strict=True):
            group["lr"] = rate
        return result


def cyclic_adam(parameters: Sequence[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    """The published optimiser."""
    return CyclicAdam(parameters, lr=rate)


@dataclass(frozen=True)
class Pair:
    """Networks of both stages.

    Parameters
    ----------
    coarse, fine : CycleAutoencoder
        For rotations and classes; for the rest.
    symmetry : float
        Rotation after which the lattice is the same, [rad].
    """

    coarse: CycleAutoencoder
    fine: CycleAutoencoder
    symmetry: float

    def starts(self, frames: Tensor, batch: int = 64) -> Tensor:
        """Rotations (n,) [rad] about which the second stage looks, of patterns (n, 1, size, size)."""
        with torch.no_grad():
            turns = [self.coarse(part).deformation.turn for part in torch.split(frames, batch)]
        turn = torch.cat(turns)
        return torch.atan2(turn[:, 1, 0], turn[:, 0, 0]) % self.symmetry


def learn(
    frames: Tensor,
    view: View,
    design: CycleDesign,
    stages: tuple[Stage, Stage] = (Stage(), Stage()),
    *,
    symmetry: float = math.pi / 3,
    progress: Progress | None = None,
) -> Pair:
    """Train both stages on the patterns that are to be measured, as published.

    Parameters
    ----------
    frames : Tensor, shape (n, 1, size, size)
        Patterns, as `view` makes them.
    view : View
        Whose ring counts.
    design : CycleDesign
        Sizes.
    stages : tuple of Stage, default as published
        How each is trained.
    symmetry : float, default pi / 3
        Rotation after which the lattice is the same, [rad].
    progress : callable, optional
        As of `train`.

    Returns
    -------
    Pair

    Raises
    ------
    TrainingError
        If a stage ran away again and again.
    """
    first, second = stages
    torch.manual_seed(first.recipe.seed)
    coarse = CycleAutoencoder(design)
    _train(coarse, CycleTeacher(frames, view, first.batch), first.recipe, progress)
    fine = copy.deepcopy(coarse)
    fine.settle()
    pair = Pair(coarse.requires_grad_(False).eval(), fine, symmetry)
    _train(fine, CycleTeacher(frames, view, second.batch, pair.starts(frames)), second.recipe, progress)
    fine.requires_grad_(False).eval()
    return pair


def _train(module: CycleAutoencoder, teacher: CycleTeacher, recipe: Recipe, progress: Progress | None) -> Course:
    return train(module, {"cycle": (teacher, _NATS)}, recipe, optimiser=cyclic_adam, progress=progress)
