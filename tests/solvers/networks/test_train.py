"""The training loop learns, ends by itself, goes on where it was stopped, and gives up when it runs away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from parscope.core.errors import OutputError
from parscope.core.network import Builder
from parscope.solvers.networks.checkpoint import Checkpoint
from parscope.solvers.networks.module import NetworkModule
from parscope.solvers.train import Course, Optimiser, Recipe, TrainingError, _Job, adamw, soap, train
from tests.cli.full_disk import files_up_to

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


def weights(of: nn.Module) -> Tensor:
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


@pytest.mark.parametrize("optimiser", [adamw, soap])
def test_stopped_training_goes_on_and_its_end_is_kept(optimiser: Optimiser, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(module(), {"sine": (Sine(stop=230), 1.0)}, SHORT, optimiser=optimiser, checkpoint=Checkpoint(tmp_path))
    again, teacher, checkpoint = module(), Sine(), Checkpoint(tmp_path)
    course = train(again, {"sine": (teacher, 1.0)}, SHORT, optimiser=optimiser, checkpoint=checkpoint)
    assert (course.step, course.anew) == (400, "")
    assert teacher.asked < 300  # not from the start
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    after, unused = module(), Sine()
    course = train(after, {"sine": (unused, 1.0)}, SHORT, optimiser=optimiser, checkpoint=Checkpoint(tmp_path))
    assert (course.step, unused.asked) == (400, 0)
    assert torch.equal(weights(after), weights(again))
    checkpoint.remove()
    assert not tmp_path.exists()


@pytest.mark.parametrize("optimiser", [adamw, soap])
def test_what_a_training_goes_on_from_is_all_there_and_stays_as_it_was_kept(
    optimiser: Optimiser, tmp_path: Path
) -> None:
    teachers = {"sine": (Sine(), 1.0)}
    before, after = (_Job(module(), teachers, SHORT, optimiser) for _ in range(2))
    before.stretch()
    before.keep(Checkpoint(tmp_path))
    checkpoint = Checkpoint(tmp_path)
    assert after.resume(checkpoint)
    assert after.course == before.course
    for name in ("_parameters", "_mean"):
        assert all(torch.equal(a, b) for a, b in zip(getattr(before, name), getattr(after, name), strict=True))
    states = [job._optimiser.state_dict() for job in (before, after)]
    _same(*states)
    assert states[0]["state"]
    kept = checkpoint.load()
    after.stretch()
    assert kept is not None
    _same(kept, checkpoint.load())
    before.stretch()
    # Products of matrices are rounded by their order in memory, which a file does not keep.
    torch.testing.assert_close(weights(after.module), weights(before.module), rtol=0, atol=0.05)


def _same(one: Any, other: Any) -> None:
    """Compare trees of tensors."""
    if isinstance(one, Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            _same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            _same(a, b)
    else:
        assert one == other


def test_with_more_time_the_same_training_goes_on_longer(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(module(), {"sine": (Sine(stop=230), 1.0)}, SHORT, checkpoint=Checkpoint(tmp_path))
    teacher, longer = Sine(), replace(SHORT, most=450, seconds=1e6)
    course = train(module(), {"sine": (teacher, 1.0)}, longer, checkpoint=Checkpoint(tmp_path))
    assert course.step >= 450
    assert teacher.asked < course.step


def test_checkpoints_of_other_trainings_and_damaged_ones_are_discarded_and_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(module(), {"sine": (Sine(stop=230), 1.0)}, SHORT, checkpoint=Checkpoint(tmp_path))
    told: list[tuple[str, int, int]] = []

    def began(seed: int, **key: object) -> str:
        stop = {"sine": (Sine(stop=60), 1.0)}
        with pytest.raises(KeyboardInterrupt):
            train(module(seed), stop, SHORT, checkpoint=Checkpoint(tmp_path, key), progress=lambda *a: told.append(a))
        said, told[:] = told[0][0], []
        return said

    assert began(1) == f"anew: {tmp_path / 'checkpoint.safetensors'} is of another training"
    assert began(1).startswith("learn, loss ")
    assert began(1, scan="another").endswith("is of another training")
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00nonsense")
    course = train(module(), {"sine": (Sine(), 1.0)}, SHORT, checkpoint=Checkpoint(tmp_path))
    assert course.anew.endswith("is damaged")


def test_a_full_disk_is_said_and_what_was_kept_before_stays(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.keep({"w": torch.zeros(3)}, {"state": {}}, {"step": 1})
    with files_up_to(1000), pytest.raises(OutputError, match=r"cannot be written .* run the command again"):
        checkpoint.keep({"w": torch.zeros(3000)}, {"state": {}}, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    kept = Checkpoint(tmp_path).load()
    assert kept is not None and kept[2] == {"step": 1}


def test_the_rate_falls_so_early_that_the_whole_training_keeps_its_time() -> None:
    job = _Job(module(), {"sine": (Sine(), 1.0)}, Recipe(seconds=100.0), adamw)
    job.course = Course(step=3000, seconds=74.0)
    job.decide()
    assert job.course.falling is None
    assert job.all_steps == pytest.approx(3000 * 100 / 74, abs=1)
    job.course.seconds = 76.0
    job.decide()
    assert (job.course.falling, job.course.last) == (3000, 4000)


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
