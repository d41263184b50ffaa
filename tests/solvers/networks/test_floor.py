"""The least loss that a training for constellations can reach: what the physics lets a pattern tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from parscope.solvers.networks.constellation.geometry import TURNS, Geometry, rotation
from parscope.solvers.networks.constellation.limit import information, limit
from parscope.solvers.networks.constellation.scenes import Expected, Scenes
from parscope.solvers.networks.constellation.teacher import Simulated
from tests.solvers.crystals import SIDE, crystal
from tests.solvers.networks.encoders import RANGES, taught

GEOMETRY = Geometry.of(crystal())


def floor(dose: float | None = None, batch: int = 40) -> float:
    ranges = RANGES if dose is None else replace(RANGES, electrons=(dose, dose))
    teacher, chance = Simulated(crystal(), GEOMETRY, ranges, batch), torch.Generator().manual_seed(3)
    return float(np.mean([teacher.floor(chance) for _ in range(4)]))


def of_one(angle: float, depth: float, mask: np.ndarray | None = None) -> np.ndarray:
    """Information on a crystal with waves in its disks."""
    physics = replace(crystal(), mask=mask)
    theta = np.concatenate([physics.theta[:2], rotation(np.array(angle)).ravel()])
    copies = len(physics.reference)
    waves = np.tile([depth, 1.0, 0.4, 0.2], (copies, 1))
    mean = limit(crystal(), theta[2:].reshape(2, 2), 1e4).mean.astype(np.float32)
    here = np.ones(1, np.bool_)
    levels = physics.levels.amplitude[None]
    return information(physics, GEOMETRY, Expected(mean[None], theta[None], here, ~here, levels, waves[None]))[0]


@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_what_a_pattern_tells_is_at_the_limit_of_the_card(angle: float) -> None:
    parts = np.linalg.inv(of_one(angle, 0.0)).reshape(2, 3, 2, 3)
    variance = np.einsum("mk,ikil,ml->m", GEOMETRY.positions, parts, GEOMETRY.positions).mean() / 2
    bound = limit(crystal(), rotation(np.array(angle)), 1e4)
    assert np.sqrt(variance) / bound.position == pytest.approx(1.0, abs=0.03)


def test_waves_in_the_disks_and_bad_pixels_tell_less() -> None:
    plain = np.linalg.slogdet(of_one(0.2, 0.0))[1]
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[::3] = True
    assert np.linalg.slogdet(of_one(0.2, 0.5))[1] < plain - 0.1
    assert np.linalg.slogdet(of_one(0.2, 0.0, mask))[1] < plain - 1.0


def test_without_electrons_the_floor_is_the_entropy_of_what_is_drawn() -> None:
    # A square lattice lies at two of the angles, between two neighbours of each; then comes what is left of the map.
    variance = RANGES.strain**2 / 3 + (np.pi / TURNS) ** 2 / 12
    first = np.log(2) + 0.5 + 2 * (1 + np.log(variance))
    near = 2 * np.log(GEOMETRY.zones[-1]) + np.log(0.01 * 0.35) - np.log(2)
    assert floor(1e-9, batch=200) == pytest.approx(0.75 * first + 3 + 3 * near, abs=0.7)


def test_ten_times_the_electrons_lower_it_and_no_network_is_below() -> None:
    assert floor(1e5) < floor(1e4) - 5 < floor(1e3) - 10
    network, course = taught()
    teacher, chance = Simulated(crystal(), GEOMETRY, RANGES, batch=40), torch.Generator().manual_seed(4)
    again = torch.Generator().manual_seed(4)
    with torch.no_grad():
        assert float(teacher.loss(network.reading.encoder, chance)) > teacher.floor(again)
    assert course.loss > floor()


def test_the_floor_is_of_the_patterns_that_the_loss_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def remembered(self: Scenes, rng: np.random.Generator, number: int, dose: float | None = None) -> Expected:
        drawn.append(made(self, rng, number, dose))
        return replace(drawn[-1], mean=drawn[-1].mean.copy())

    made = Scenes.expected
    monkeypatch.setattr(Scenes, "expected", remembered)
    teacher = Simulated(crystal(), GEOMETRY, RANGES, batch=10)
    teacher.floor(torch.Generator().manual_seed(5))
    with torch.no_grad():
        teacher.loss(taught()[0].reading.encoder, torch.Generator().manual_seed(5))
    np.testing.assert_array_equal(drawn[0].mean, drawn[1].mean)
