"""Networks as ONNX graphs, for other runtimes and for tools that make circuits of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parscope.core.errors import MissingExtraError
from parscope.core.network import Layer, Network
from parscope.solvers.networks.module import NetworkModule

# Of the operators that are used here, of which runtimes since 2021 know all.
_OPSET, _IR = 17, 8
_INPUT, _OUTPUT = "signals", "result"
_ACTIVATIONS = {"relu": "Relu", "selu": "Selu", "tanh": "Tanh"}

Array = NDArray[np.float32]
Arrays = list[Array]


def write_onnx(network: Network, path: Path) -> None:
    """Write a network as an ONNX graph, of signals of shape (n, *input_shape) in single precision.

    Parameters
    ----------
    network : Network
        Layers and arrays.
    path : Path
        Where to; a file that is there is replaced.

    Raises
    ------
    MissingExtraError
        If onnx is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnx", "onnx") from error
    graph = _Graph(onnx)
    names = [_INPUT]
    for layer in network.layers:
        arrays = [network.arrays[name] for name in layer.arrays]
        names.append(graph.add(layer, [names[source] for source in layer.inputs], arrays))
    with torch.no_grad():
        result = NetworkModule(network)(torch.zeros(1, *network.input_shape))
    model = graph.model(names[-1], network.input_shape, tuple(result.shape[1:]))
    onnx.checker.check_model(model, full_check=True)
    beside = path.with_name(f"{path.name}.new")
    onnx.save(model, beside)
    beside.replace(path)


class _Graph:
    """Nodes and constants of a graph under way."""

    def __init__(self, onnx: Any) -> None:
        self._onnx, self._nodes, self._constants = onnx, list[Any](), list[Any]()

    def add(self, layer: Layer, given: list[str], arrays: Arrays) -> str:
        """Add the nodes of a layer; the name of its result."""
        if layer.kind in _ACTIVATIONS:
            return self.node(_ACTIVATIONS[layer.kind], given)
        if layer.kind == "join":
            return self.node("Concat", given, axis=1)
        return _LAYERS[layer.kind](self, given[0], arrays, layer.options)

    def node(self, kind: str, given: list[str], **options: Any) -> str:
        """Add an operator; the name of its result."""
        name = f"v{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, given, [name], **options))
        return name

    def constant(self, array: NDArray[Any]) -> str:
        """Add a constant; its name."""
        name = f"c{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def whole(self, numbers: list[int]) -> str:
        """Add whole numbers as a constant."""
        return self.constant(np.array(numbers, np.int64))

    def model(self, result: str, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Any:
        """The graph, with names for what goes in and what comes out."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        self._nodes.append(helper.make_node("Identity", [result], [_OUTPUT]))
        inputs = [helper.make_tensor_value_info(_INPUT, kind, ["n", *input_shape])]
        outputs = [helper.make_tensor_value_info(_OUTPUT, kind, ["n", *output_shape])]
        graph = helper.make_graph(self._nodes, "parscope", inputs, outputs, self._constants)
        opset = [helper.make_opsetid("", _OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=_IR, producer_name="parscope")


Options = Mapping[str, Any]


def _dense(graph: _Graph, x: str, arrays: Arrays, options: Options) -> str:
    weight, bias = arrays
    return graph.node("Add", [graph.node("MatMul", [x, graph.constant(weight.T)]), graph.constant(bias)])


def _energies(graph: _Graph, x: str, arrays: Arrays, options: Options) -> str:
    filters = arrays[0]
    re, im = filters if filters.ndim == 3 else (filters, None)
    whole = re if im is None else np.block([[re, im], [-im, re]])
    products = graph.node("MatMul", [x, graph.constant(whole.T)])
    energy = graph.node("Mul", [products, products])
    if im is not None:
        first, second = (_cut(graph, energy, part * len(re), (part + 1) * len(re)) for part in (0, 1))
        energy = graph.node("Add", [first, second])
    return graph.node("Log", [graph.node("Add", [energy, graph.constant(np.ones(1, np.float32))])])


def _cut(graph: _Graph, x: str, start: int, stop: int) -> str:
    return graph.node("Slice", [x, *(graph.whole([number]) for number in (start, stop, -1))])


def _part(graph: _Graph, x: str, arrays: Arrays, options: Options) -> str:
    return _cut(graph, x, options["start"], options["stop"])


def _convolution(graph: _Graph, x: str, arrays: Arrays, options: Options) -> str:
    weight, bias = arrays
    axes, padding = weight.ndim - 2, options.get("padding", 0)
    if options.get("circular"):
        head, tail = _cut(graph, x, -padding, np.iinfo(np.int64).max), _cut(graph, x, 0, padding)
        x, padding = graph.node("Concat", [head, x, tail], axis=-1), 0
    given = [x, graph.constant(weight), graph.constant(bias)]
    return graph.node("Conv", given, pads=[padding] * 2 * axes, strides=[options.get("stride", 1)] * axes)


def _scale(graph: _Graph, x: str, arrays: Arrays, options: Options) -> str:
    factor, offset = (graph.constant(array) for array in arrays)
    return graph.node("Add", [graph.node("Mul", [x, factor]), offset])


def _maximum(graph: _Graph, x: str, arrays: Arrays, options: Options) -> str:
    size = [options["size"]] * options.get("axes", 1)
    return graph.node("MaxPool", [x], kernel_shape=size, strides=size)


def _mean(graph: _Graph, x: str, arrays: Arrays, options: Options) -> str:
    start, to = options["from"], options["to"]
    means = np.zeros((start, to), np.float32)
    for k in range(to):
        first, last = k * start // to, -(-(k + 1) * start // to)
        means[first:last, k] = 1 / (last - first)
    return graph.node("MatMul", [x, graph.constant(means)])


def _reshape(graph: _Graph, x: str, arrays: Arrays, options: Options) -> str:
    return graph.node("Reshape", [x, graph.whole([0, *options["shape"]])])


_LAYERS: dict[str, Callable[[_Graph, str, Arrays, Options], str]] = {
    "dense": _dense,
    "energies": _energies,
    "part": _part,
    "convolution": _convolution,
    "scale": _scale,
    "maximum": _maximum,
    "mean": _mean,
    "reshape": _reshape,
}
