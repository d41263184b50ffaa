"""A network is data: what cannot be computed is refused when it is made."""

from __future__ import annotations

import numpy as np
import pytest

from parscope.core.network import Builder, Layer, Network

WEIGHTS = {"w": np.ones((2, 3), np.float32), "b": np.zeros(2, np.float32)}


def test_a_builder_adds_layers_that_take_each_others_results() -> None:
    build = Builder((5,), seed=0)
    first, second = build.add("part", 0, start=0, stop=3), build.add("part", 0, start=3, stop=5)
    joined = build.add("join", build.dense(first, 3, 4, then="relu"), second)
    build.dense(joined, 6, 1)
    network = build.network()
    assert [layer.kind for layer in network.layers] == ["part", "part", "dense", "relu", "join", "dense"]
    assert network.layers[4].inputs == (4, 2)
    assert network.size == 3 * 4 + 4 + 6 + 1


def test_the_same_seed_draws_the_same_arrays() -> None:
    def drawn(seed: int) -> np.ndarray:
        build = Builder((3,), seed)
        build.dense(0, 3, 2)
        return build.network().arrays["0_weight"]

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert (drawn(1) != drawn(2)).all()


@pytest.mark.parametrize(
    ("layer", "fault"),
    [
        (Layer("dense", (1,), ("w", "b")), "not computed before"),
        (Layer("dense", (), ("w", "b")), "not computed before"),
        (Layer("dense", (0,), ("w",)), "not there"),
        (Layer("dense", (0,), ("w", "c")), "not there"),
        (Layer("relu", (0,), ("w",)), "not there"),
        (Layer("import os", (0,)), "no kind of layer"),
    ],
)
def test_layers_that_cannot_be_computed_are_refused(layer: Layer, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Network((3,), (layer,), WEIGHTS)


def test_arrays_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Network((3,), (Layer("relu", (0,)),), {"b": np.full(2, np.nan, np.float32)})


def test_a_network_of_no_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="no layers"):
        Network((3,), (), {})
