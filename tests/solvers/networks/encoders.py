"""Networks for the constellation of the tests after a few seconds of training, and patterns for them."""

from __future__ import annotations

from functools import cache

import numpy as np

from parscope.solvers.networks.constellation.encoder import Encoder, orientation_network, window_network
from parscope.solvers.networks.constellation.examine import finished
from parscope.solvers.networks.constellation.geometry import Geometry, rotation
from parscope.solvers.networks.constellation.ranges import Ranges
from parscope.solvers.networks.constellation.solver import ConstellationNetwork
from parscope.solvers.networks.constellation.teacher import Simulated
from parscope.solvers.train import Course, Recipe, train
from tests.solvers.crystals import crystal

RANGES = Ranges((1e4 / 30, 30e4), 0.85, 0.05, 0.05)


@cache
def taught() -> tuple[ConstellationNetwork, Course]:
    """Networks after a few seconds of training."""
    physics = crystal()
    geometry = Geometry.of(physics)
    encoder = Encoder(orientation_network(1), window_network(2), geometry, physics.gain)
    recipe = Recipe(rate=5e-3, most=210, every=70, checked=1, average=0.97)
    course = train(encoder, {"simulation": (Simulated(physics, geometry, RANGES, batch=40), 1.0)}, recipe)
    network = ConstellationNetwork(physics, encoder.orientation.network(), encoder.window.network())
    return finished(network, RANGES), course


def at_every_angle(n: int, electrons: float, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and patterns of a crystal turned by anything."""
    physics = crystal()
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    rng = np.random.default_rng(seed)
    maps = rotation(angle) @ (np.eye(2) + rng.normal(0, 0.01, (n, 2, 2)))
    theta = np.concatenate([physics.theta[:2] + rng.normal(0, 1, (n, 2)), maps.reshape(n, 4)], 1)
    mean = physics.render(theta)
    factor = electrons / mean.sum((1, 2), keepdims=True)
    return theta, rng.poisson(mean * factor).astype(np.uint16)
