"""A network as data: layers and arrays, which a trainer, a file, an ONNX graph and a circuit are made from alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

LayerKind = Literal[
    "dense",
    "energies",
    "convolution",
    "scale",
    "relu",
    "selu",
    "tanh",
    "maximum",
    "mean",
    "part",
    "reshape",
    "join",
]
_TAKES = {"dense": 2, "energies": 1, "convolution": 2, "scale": 2}


@dataclass(frozen=True)
class Layer:
    """One step from arrays to an array.

    ======================  ========================================================================================
    ``dense``               ``x @ weight.T + bias`` over the last axis; arrays weight (out, in), bias (out,)
    ``energies``            ``log(1 + |x @ filters.T|^2)``: array (out, bins), or (2, out, bins) of real and imaginary
                            parts for signals whose first half is the real part; blind to sign and phase
    ``convolution``         over one or two axes behind the channels; arrays weight (out, in, size, ...), bias (out,);
                            options ``stride``, ``padding``, and ``circular`` for a last axis that is a circle
    ``scale``               ``x * factor + offset`` over the last axis
    ``relu, selu, tanh``    sample by sample
    ``maximum``             the largest of each ``size`` samples of the last axis; of both last ones with ``axes`` 2
    ``mean``                means over ``to`` equal stretches of the ``from`` samples of the last axis
    ``part``                samples ``start`` to ``stop`` of the last axis
    ``reshape``, ``join``   to ``shape`` behind the first axis; several inputs joined at axis 1
    ======================  ========================================================================================

    Parameters
    ----------
    kind : str
        One of the above.
    inputs : tuple of int
        What it takes: 0 is the signal, n the result of layer n - 1.
    arrays : tuple of str, default none
        Names of its arrays.
    options : mapping, default none
        Its options; whole numbers, truths and tuples of numbers.
    """

    kind: str
    inputs: tuple[int, ...]
    arrays: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """Layers, in the order in which they are computed, and their arrays.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one input.
    layers : tuple of Layer
        The last one gives the result.
    arrays : mapping of str to ndarray
        Single precision.

    Raises
    ------
    ValueError
        If a layer is of no known kind, takes what is not there yet, or an array that is missing or not finite.

    Examples
    --------
    >>> weight, bias = np.ones((1, 3), np.float32), np.zeros(1, np.float32)
    >>> Network((3,), (Layer("dense", (0,), ("w", "b")),), {"w": weight, "b": bias}).size
    4
    """

    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    arrays: Mapping[str, NDArray[np.float32]]

    def __post_init__(self) -> None:
        """Refuse what cannot be computed."""
        if not self.layers:
            raise ValueError("a network of no layers")
        for number, layer in enumerate(self.layers):
            where = f"layer {number}"
            if layer.kind not in get_args(LayerKind):
                raise ValueError(f"{where}: {layer.kind!r} is no kind of layer")
            if not layer.inputs or not all(0 <= source <= number for source in layer.inputs):
                raise ValueError(f"{where}: takes {layer.inputs}, of which some is not computed before")
            if len(layer.arrays) != _TAKES.get(layer.kind, 0) or not set(layer.arrays) <= set(self.arrays):
                raise ValueError(f"{where}: its arrays {layer.arrays} are not there")
        for name, array in self.arrays.items():
            if array.dtype != np.float32 or not np.isfinite(array).all():
                raise ValueError(f"array {name}: not of finite numbers in single precision")

    @property
    def size(self) -> int:
        """How many parameters it has."""
        return sum(array.size for array in self.arrays.values())

    def with_arrays(self, arrays: Mapping[str, NDArray[np.float32]]) -> Network:
        """The same layers with other arrays, as training leaves them."""
        return replace(self, arrays=dict(arrays))


class Builder:
    """Adds one layer after the other; arrays are drawn so that variance is kept (He, doi:10.1109/ICCV.2015.123).

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one input.
    seed : int
        Fixes what is drawn.

    Examples
    --------
    >>> build = Builder((8,), seed=0)
    >>> hidden = build.dense(0, 8, 4, then="relu")
    >>> build.dense(hidden, 4, 2)
    3
    >>> build.network().size
    46
    """

    def __init__(self, input_shape: tuple[int, ...], seed: int) -> None:
        self._shape, self._rng = input_shape, np.random.default_rng(seed)
        self._layers: list[Layer] = []
        self._arrays: dict[str, NDArray[np.float32]] = {}

    def add(self, kind: LayerKind, *inputs: int, **options: Any) -> int:
        """Add a layer without arrays; the number by which others take its result."""
        self._layers.append(Layer(kind, inputs, (), options))
        return len(self._layers)

    def dense(self, source: int, before: int, after: int, then: LayerKind | None = None) -> int:
        """Add a dense layer from `before` to `after` numbers, and what follows it."""
        return self._weighted("dense", source, (after, before), then)

    def convolution(self, source: int, shape: tuple[int, ...], then: LayerKind | None = None, **options: Any) -> int:
        """Add a convolution whose weight has `shape` (out, in, size, ...), and what follows it."""
        return self._weighted("convolution", source, shape, then, **options)

    def energies(self, source: int, filters: NDArray[np.floating]) -> int:
        """Add the energies of products with filters to start from."""
        return self._with("energies", (source,), {"filters": filters.astype(np.float32)})

    def scale(self, source: int, factor: NDArray[np.floating], offset: NDArray[np.floating]) -> int:
        """Add a factor and an offset for each number of the last axis."""
        arrays = {"factor": factor.astype(np.float32), "offset": offset.astype(np.float32)}
        return self._with("scale", (source,), arrays)

    def network(self) -> Network:
        """What was built."""
        return Network(self._shape, tuple(self._layers), dict(self._arrays))

    def _weighted(
        self, kind: LayerKind, source: int, shape: tuple[int, ...], then: LayerKind | None, **options: Any
    ) -> int:
        # A layer that nothing follows gives the result, which is to start small.
        gain = {None: 0.01, "relu": 2.0}.get(then, 1.0)
        spread = np.sqrt(gain / np.prod(shape[1:]))
        weight = self._rng.normal(0, spread, shape).astype(np.float32)
        made = self._with(kind, (source,), {"weight": weight, "bias": np.zeros(shape[0], np.float32)}, **options)
        return made if then is None else self.add(then, made)

    def _with(
        self, kind: LayerKind, inputs: tuple[int, ...], arrays: Mapping[str, NDArray[np.float32]], **options: Any
    ) -> int:
        number = len(self._layers)
        named = {f"{number}_{role}": array for role, array in arrays.items()}
        self._arrays |= named
        self._layers.append(Layer(kind, inputs, tuple(named), options))
        return number + 1
