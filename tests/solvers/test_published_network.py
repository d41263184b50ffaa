"""The published network for spectra: of the size and the shapes that are published, the same in every runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from parscope.solvers.networks.module import NetworkModule  # noqa: E402
from parscope.solvers.networks.onnx import write_onnx  # noqa: E402
from parscope.solvers.networks.spectra.encoder import published  # noqa: E402


def test_it_has_as_many_parameters_as_is_published() -> None:
    assert published(165, 0).size == 20_914


@pytest.mark.parametrize(("bins", "parts", "results"), [(165, 2, 4), (80, 2, 4), (64, 1, 9)])
def test_it_gives_the_numbers_that_are_asked_for(bins: int, parts: int, results: int) -> None:
    module = NetworkModule(published(bins, 0, parts=parts, results=results))
    told = module(torch.randn(3, parts, bins, generator=torch.Generator().manual_seed(0)))
    assert told.shape == (3, results)
    assert len(torch.unique(told)) == 3 * results


def test_both_branches_reach_the_result() -> None:
    module = NetworkModule(published(165, 0))
    module(torch.randn(3, 2, 165, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    assert all(array.grad is not None and array.grad.abs().sum() > 0 for array in module.arrays.values())


def test_another_runtime_computes_the_same(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    network = published(165, 0)
    write_onnx(network, tmp_path / "n.onnx")
    signals = np.random.default_rng(0).normal(size=(5, 2, 165)).astype(np.float32)
    [told] = runtime.InferenceSession(tmp_path / "n.onnx").run(None, {"signals": signals})
    ours = NetworkModule(network)(torch.tensor(signals)).detach().numpy()
    np.testing.assert_allclose(told, ours, rtol=1e-4, atol=1e-6)
