"""The training loop learns, ends by itself, goes on where it was stopped, and gives up when it runs away."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from parscope.core.network import Builder
from parscope.solvers.networks.checkpoint import Checkpoint
from parscope.solvers.networks.module import NetworkModule
from parscope.solvers.train import Course, Optimiser, Recipe, TrainingError, adamw, soap, train

SHORT = Recipe(most=300, every=50, checked=2)


def module(seed: int = 0) -> NetworkModule:
    build = Builder((3,), seed)
    build.dense(build.dense(0, 3, 16, then="tanh"), 16, 1)
    return NetworkModule(build.network())


class Sine:
    """A function to learn; stops the training after some losses."""

    def __init__(self, stop: int | None = None) -> None:
        self.asked, self.stop = 0, stop

    def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        self.asked += 1
        if self.asked == self.stop:
            raise KeyboardInterrupt
        x = torch.rand(64, 3, generator=generator)
        away = module(x) - torch.sin(3 * x).sum(1, keepdim=True)
        return torch.log(torch.square(away).mean())


def weights(of: NetworkModule) -> Tensor:
    return torch.cat([p.detach().ravel() for p in of.parameters()])


def test_a_loss_falls_and_the_course_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    course = train(module(), {"sine": (Sine(), 1.0)}, SHORT, progress=lambda *a: told.append(a))
    assert course.losses[-1][1] < course.losses[0][1] - 1
    assert course.step == 400  # a third of the steps more, with a falling rate
    assert course.falling == 300
    assert told[0][0].startswith("learn, loss ")
    assert told[-1] == (f"settle, loss {course.loss:.3f}", 400, 400)


def test_a_flat_loss_ends_the_training_long_before_the_last_step() -> None:
    class Flat(Sine):
        def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
            return 0 * super().loss(module, generator)

    course = train(module(), {"flat": (Flat(), 1.0)}, Recipe(most=10_000, every=10, checked=1))
    assert course.step < 200


@pytest.mark.parametrize(("optimiser", "alike"), [(adamw, 0.0), (soap, 0.1)])
def test_stopped_training_goes_on_and_ends_with_the_same_network(
    optimiser: Optimiser, alike: float, tmp_path: Path
) -> None:
    # Products of matrices are rounded by their order in memory, which a file does not keep; SOAP makes many of them.
    whole, stopped = module(), module()
    train(whole, {"sine": (Sine(), 1.0)}, SHORT, optimiser=optimiser)
    with pytest.raises(KeyboardInterrupt):
        train(stopped, {"sine": (Sine(stop=230), 1.0)}, SHORT, optimiser=optimiser, folder=tmp_path)
    assert (tmp_path / "checkpoint.safetensors").exists()
    again, teacher = module(), Sine()
    course = train(again, {"sine": (teacher, 1.0)}, SHORT, optimiser=optimiser, folder=tmp_path)
    torch.testing.assert_close(weights(again), weights(whole), rtol=0, atol=alike)
    assert course.step == 400
    assert teacher.asked < 300  # not from the start
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_of_other_trainings_and_damaged_ones_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(module(), {"sine": (Sine(stop=230), 1.0)}, SHORT, folder=tmp_path)
    teacher = Sine()
    train(module(seed=1), {"sine": (teacher, 1.0)}, SHORT, folder=tmp_path)
    assert teacher.asked > 400
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00nonsense")
    assert Checkpoint(tmp_path, {}).load() is None


def test_training_that_runs_away_is_taken_up_at_half_the_rate_and_given_up_in_the_end() -> None:
    class Away(Sine):
        def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
            return super().loss(module, generator) + (float("nan") if self.asked > 120 else 0.0)

    class Once(Sine):
        def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
            return super().loss(module, generator) + (float("nan") if 120 < self.asked < 180 else 0.0)

    with pytest.raises(TrainingError, match="ran away"):
        train(module(), {"away": (Away(), 1.0)}, SHORT)
    course = train(module(), {"once": (Once(), 1.0)}, SHORT)
    assert course.restarts == 1
    assert course.loss < 0


def test_rates_rise_stay_and_fall_to_nothing() -> None:
    assert Course(step=0).rate(1.0) == pytest.approx(0.01)
    assert Course(step=500).rate(1.0) == 1.0
    assert Course(step=350, falling=300, last=400).rate(1.0) == pytest.approx(0.5)
    assert Course(step=400, falling=300, last=400).rate(1.0) == 0.0
