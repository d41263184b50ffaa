"""The teacher without labels: what its likelihood is, and what it does to networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from parscope.solvers.networks.constellation.encoder import Encoder
from parscope.solvers.networks.constellation.examine import errors
from parscope.solvers.networks.constellation.geometry import Geometry
from parscope.solvers.networks.constellation.rendering import Rendering
from parscope.solvers.networks.constellation.solver import ConstellationNetwork
from parscope.solvers.train import Recipe, train
from tests.solvers.crystals import SIDE, crystal
from tests.solvers.networks.encoders import at_every_angle, taught


def encoder() -> tuple[Encoder, Geometry]:
    """Copy of the networks that the tests train."""
    network, physics = taught()[0], crystal()
    geometry = Geometry.of(physics)
    return Encoder(network.orientation, network.window, geometry, physics.gain), geometry


def test_it_lowers_its_loss_and_does_not_spoil_positions() -> None:
    module, geometry = encoder()
    physics, (_, patterns) = crystal(), at_every_angle(64, 1e4, seed=8)
    theta, others = at_every_angle(120, 1e4, seed=9)

    def miss() -> float:
        network = ConstellationNetwork(physics, module.orientation.network(), module.window.network())
        off = errors(network, theta, network(others).theta)[0]
        return float(np.sqrt(np.mean(np.square(off[off < 2.0]))))

    before = miss()
    teacher = Rendering(physics, geometry, patterns)
    recipe = Recipe(rate=3e-3, most=40, every=20, checked=3, average=0.9)
    course = train(module, {"rendering": (teacher, 1.0)}, recipe)
    assert course.losses[-1][1] < course.losses[0][1]
    assert miss() < 1.02 * before


def test_the_likelihood_is_largest_at_the_truth_and_its_slope_is_right() -> None:
    module, geometry = encoder()
    physics, (theta, patterns) = crystal(), at_every_angle(24, 1e5)
    teacher = Rendering(physics, geometry, patterns)

    def gained(off: torch.Tensor) -> torch.Tensor:
        return teacher._gained(patterns.astype(np.float32), theta, off, module.positions)

    at_truth = gained(torch.zeros(24, 3, 2))
    for k, axis in np.ndindex(3, 2):
        for size in (-0.3, 0.3):
            off = torch.zeros(24, 3, 2)
            off[:, k, axis] = size
            assert (gained(off) < at_truth).all()
    off = torch.full((24, 3, 2), 0.1, requires_grad=True)
    gained(off).sum().backward()  # type: ignore[no-untyped-call]
    step = torch.zeros(24, 3, 2)
    step[:, 1, 0] = 0.01
    with torch.no_grad():
        quotient = (gained(off + step) - gained(off - step)) / 0.02
    assert off.grad is not None
    np.testing.assert_allclose(off.grad[:, 1, 0].numpy(), quotient.numpy(), rtol=0.02, atol=20.0)


def test_counts_in_another_unit_are_as_likely() -> None:
    geometry, patterns = Geometry.of(crystal()), at_every_angle(20, 1e4)[1]
    losses = []
    for gain in (1.0, 7.0):
        module = Encoder(taught()[0].orientation, taught()[0].window, geometry, gain)
        teacher = Rendering(replace(crystal(), gain=gain), geometry, patterns * gain)
        losses.append(float(teacher.loss(module, torch.Generator().manual_seed(1)).detach()))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_patterns_that_the_network_is_not_sure_of_teach_nothing() -> None:
    module, geometry = encoder()
    noise = np.random.default_rng(0).poisson(1.0, (16, SIDE, SIDE))
    loss = Rendering(crystal(), geometry, noise).loss(module, torch.Generator().manual_seed(0))
    assert float(loss.detach()) == 0.0


def test_it_teaches_encoders_only() -> None:
    teacher = Rendering(crystal(), Geometry.of(crystal()), np.zeros((1, SIDE, SIDE)))
    with pytest.raises(TypeError, match="no encoder"):
        teacher.loss(torch.nn.Linear(1, 1), torch.Generator())
