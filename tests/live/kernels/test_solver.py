"""Solvers of the package and networks of ONNX are kernels like any other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.core.errors import FormatError, OptionError, ShapeError
from parscope.core.solver import Estimate
from parscope.live.kernels import Detector
from parscope.live.kernels.onnx import OnnxKernel
from parscope.live.kernels.plan import kernel_of
from parscope.live.kernels.solver import SolverKernel
from parscope.live.kernels.tracked import lattice_of
from parscope.solvers.lattice import LatticeFilters
from parscope.techniques.diffraction import DiffractionPattern
from parscope.techniques.diffraction.saved import told
from parscope.techniques.diffraction.setup import find_setup
from parscope.techniques.diffraction.simulate import ScanDesign, simulate
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


@dataclass(frozen=True)
class Weighed:
    """Least squares that also say how much speaks for their lattice."""

    solver: LatticeFilters

    @property
    def physics(self) -> DiffractionPattern:
        return self.solver.physics

    def __call__(self, signals: np.ndarray, /) -> Estimate:
        found = self.solver(signals)
        return replace(found, extra={"evidence": -found.misfit})


def test_of_several_phases_the_one_that_is_there_is_told_with_its_parameters(solver: LatticeFilters) -> None:
    turn = np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]])
    other = LatticeFilters(replace(solver.physics, basis=solver.physics.basis @ turn))
    pattern = example_patterns()[:1]
    clean = np.where(example_detector().mask, 0, pattern).astype(np.uint8)
    for first, second, phase in ((solver, other, 0), (other, solver, 1)):
        kernel = SolverKernel(Weighed(first), others=(Weighed(second),))
        check_kernel(kernel)
        assert [(o.name, o.unit) for o in kernel.outputs[-3:]] == [("A_xx", "1"), ("misfit", "1"), ("phase", "1")]
        out = np.empty(8)
        kernel.function(pattern[0], *kernel.setup(example_detector(), NOTHING), out)
        assert out[:6].tolist() == solver(clean).theta[0].tolist()
        assert out[6:].tolist() == [solver(clean).misfit[0], phase]
    small = Weighed(LatticeFilters(replace(solver.physics, shape=(48, 48), mask=None)))
    with pytest.raises(ShapeError, match="is for patterns"):
        SolverKernel(Weighed(solver), others=(small,)).setup(example_detector(), NOTHING)


def test_networks_for_several_phases_are_read_in_their_order(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from parscope.solvers.networks.constellation.encoder import orientation_network, window_network
    from parscope.solvers.networks.constellation.store import save_encoder

    simulated = simulate(replace(ScanDesign().sized((64, 64)), scan=(6, 6), electrons=2e4))
    physics = find_setup(np.asarray(simulated.frames.data[:]).reshape(-1, 64, 64)).physics
    lattices = [physics, replace(physics, basis=1.2 * physics.basis)]
    first, second = (
        (orientation_network(n), window_network(n), {"physics": told(one)}) for n, one in enumerate(lattices)
    )
    save_encoder(tmp_path / "net", *first, [second])
    kernel = kernel_of(f"solver:{tmp_path / 'net'}")
    assert isinstance(kernel, SolverKernel)
    for one, lattice in zip((kernel.solver, *kernel.others), lattices, strict=True):
        assert np.allclose(one.physics.basis, lattice.basis)
    assert [output.name for output in kernel.outputs][-2:] == ["misfit", "phase"]


def test_networks_that_were_trained_are_reached_from_a_stream(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from parscope.solvers.networks.constellation.encoder import orientation_network, window_network
    from parscope.solvers.networks.constellation.store import save_encoder

    simulated = simulate(replace(ScanDesign().sized((64, 64)), scan=(6, 6), electrons=2e4))
    physics = find_setup(np.asarray(simulated.frames.data[:]).reshape(-1, 64, 64)).physics
    notes = {"physics": told(physics), "unlikely": 1e9, "excess": 2.0}
    save_encoder(tmp_path / "net", orientation_network(0), window_network(0), notes)
    kernel = kernel_of(f"solver:{tmp_path / 'net'}")
    assert isinstance(kernel, SolverKernel)
    np.save(tmp_path / "scan.npy", np.asarray(simulated.frames.data[:]))
    command = ["live", f"replay:{tmp_path / 'scan.npy'}", "--analyse", f"sum,solver:{tmp_path / 'net'}", "--no-page"]
    answer = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out")])
    assert (answer.exit_code, answer.stderr) == (0, "")
    with xr.open_zarr(next((tmp_path / "out").glob("*_live.zarr"))) as maps:
        expected = np.stack([kernel.solver(simulated.frames.data[y]).misfit for y in range(6)])
        np.testing.assert_allclose(maps["solver.misfit"].values, expected, rtol=1e-3)
        assert maps["solver.A_xx"].attrs["units"] == "1"
    with pytest.raises(FormatError, match="parscope train"):
        kernel_of(f"solver:{tmp_path}")


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
