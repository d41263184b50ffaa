"""Layers under PyTorch do what their description says, and so do they as an ONNX graph in another runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from parscope.core.network import Builder, Network
from parscope.solvers.networks.module import NetworkModule
from parscope.solvers.networks.onnx import write_onnx

RNG = np.random.default_rng(0)


def row() -> Network:
    """Every kind of layer along one axis."""
    build = Builder((26,), seed=1)
    signal, rest = build.add("part", 0, start=0, stop=24), build.add("part", 0, start=24, stop=26)
    energies = build.energies(signal, RNG.normal(size=(2, 16, 12)))
    image = build.add("reshape", energies, shape=(2, 8))
    rows = build.convolution(image, (3, 2, 3), then="selu", padding=1, circular=True)
    rows = build.convolution(rows, (4, 3, 3), then="tanh", stride=1, padding=1)
    pooled = build.add("mean", build.add("maximum", rows, size=2), **{"from": 4, "to": 3})
    flat = build.add("join", build.add("reshape", pooled, shape=(12,)), rest)
    scaled = build.scale(flat, RNG.normal(size=14), RNG.normal(size=14))
    build.dense(build.dense(scaled, 14, 6, then="relu"), 6, 5)
    return build.network()


def image() -> Network:
    """Convolutions over two axes."""
    build = Builder((1, 12, 12), seed=2)
    first = build.add("maximum", build.convolution(0, (4, 1, 3, 3), then="relu", padding=1), size=2, axes=2)
    second = build.convolution(first, (2, 4, 2, 2), then="tanh", stride=2)
    build.dense(build.add("reshape", second, shape=(18,)), 18, 3)
    return build.network()


@pytest.mark.parametrize("make", [row, image])
def test_an_onnx_graph_gives_what_pytorch_gives(make: object, tmp_path: Path) -> None:
    network: Network = make()  # type: ignore[operator]
    signals = RNG.normal(size=(7, *network.input_shape)).astype(np.float32)
    write_onnx(network, tmp_path / "n.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx", providers=["CPUExecutionProvider"])
    (other,) = session.run(None, {"signals": signals})
    with torch.no_grad():
        own = NetworkModule(network)(torch.as_tensor(signals)).numpy()
    assert np.ptp(own, axis=0).min() > 0
    np.testing.assert_allclose(other, own, rtol=1e-4, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["n.onnx"]


def test_energies_are_those_of_complex_products_whatever_the_phase() -> None:
    filters = RNG.normal(size=(5, 9)) + 1j * RNG.normal(size=(5, 9))
    signals = RNG.normal(size=(4, 9)) + 1j * RNG.normal(size=(4, 9))
    build = Builder((18,), seed=0)
    build.energies(0, np.stack([filters.real, filters.imag]))
    module = NetworkModule(build.network())
    expected = np.log1p(np.abs(signals @ filters.conj().T) ** 2)
    for phase in (1.0, 1j, np.exp(0.3j)):
        turned = signals * phase
        entered = torch.as_tensor(np.concatenate([turned.real, turned.imag], axis=1), dtype=torch.float32)
        np.testing.assert_allclose(module(entered).detach().numpy(), expected, rtol=1e-5)


def test_a_module_gives_its_arrays_back_as_training_left_them() -> None:
    module = NetworkModule(image())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
    before, after = image(), module.network()
    assert after.layers == before.layers
    for name, array in before.arrays.items():
        np.testing.assert_allclose(after.arrays[name], array + 1)
