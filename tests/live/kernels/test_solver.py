"""Solvers of the package and networks of ONNX are kernels like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parscope.core.errors import FormatError, OptionError, ShapeError
from parscope.live.kernels import Detector
from parscope.live.kernels.onnx import OnnxKernel
from parscope.live.kernels.solver import SolverKernel
from parscope.live.kernels.tracked import lattice_of
from parscope.solvers.lattice import LatticeFilters
from parscope.testing import check_kernel
from parscope.testing.kernel import example_detector, example_patterns

NOTHING = np.zeros((0, 96, 96), np.uint8)


@pytest.fixture(scope="module")
def solver() -> LatticeFilters:
    return LatticeFilters(lattice_of(example_detector(), example_patterns())[0])


def test_a_solver_is_a_kernel(solver: LatticeFilters) -> None:
    kernel = SolverKernel(solver)
    check_kernel(kernel)
    out = np.empty(7)
    kernel.function(example_patterns()[0], *kernel.setup(example_detector(), NOTHING), out)
    clean = np.where(example_detector().mask, 0, example_patterns()[:1]).astype(np.uint8)
    assert out[:6].tolist() == solver(clean).theta[0].tolist()
    assert [output.name for output in kernel.outputs][-2:] == ["A_xx", "misfit"]


def test_a_solver_of_other_patterns_is_refused(solver: LatticeFilters) -> None:
    with pytest.raises(ShapeError, match="is for patterns"):
        SolverKernel(solver).setup(Detector((4, 4), "uint8", np.zeros((4, 4), np.bool_), 255, (1, 1)), NOTHING)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """Mean of all pixels, and twice that."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = helper.make_tensor("w", kind, (96 * 96, 2), np.tile([1 / 9216, 2 / 9216], (9216, 1)).ravel())
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    given = [helper.make_tensor_value_info("x", kind, ["n", 1, 96, 96])]
    made = [helper.make_tensor_value_info("y", kind, ["n", 2])]
    graph = helper.make_graph(nodes, "mean", given, made, [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "n.onnx")
    return tmp_path / "n.onnx"


def test_a_network_is_a_kernel(network: Path) -> None:
    kernel = OnnxKernel.of(network, names=("mean", "twice"), units=("counts", "counts"))
    check_kernel(kernel)
    out = np.empty(2)
    kernel.function(example_patterns()[0], *kernel.setup(example_detector(), NOTHING), out)
    counts = np.where(example_detector().mask, 0, example_patterns()[0])
    assert out == pytest.approx([counts.mean(), 2 * counts.mean()], rel=1e-5)
    assert [output.name for output in OnnxKernel.parse(str(network)).outputs] == ["out_0", "out_1"]


def test_networks_that_do_not_fit_are_refused(network: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="gives 2 numbers, not 1"):
        OnnxKernel.of(network, names=("mean",))
    with pytest.raises(ShapeError, match=r"does not take patterns \(4, 4\)"):
        OnnxKernel.of(network).setup(Detector((4, 4), "uint8", np.zeros((4, 4), np.bool_), 255, (1, 1)), NOTHING)
    (tmp_path / "text.onnx").write_bytes(b"no network")
    with pytest.raises(FormatError, match="is no network"):
        OnnxKernel.of(tmp_path / "text.onnx")
