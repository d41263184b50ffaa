"""A network under PyTorch: computed layer by layer, with arrays that can be trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from parscope.core.network import Network

Options = Mapping[str, Any]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "selu": functional.selu,
    "tanh": torch.tanh,
}


class NetworkModule(nn.Module):
    """A network whose arrays are parameters.

    Parameters
    ----------
    network : Network
        Layers and arrays to start from.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._form = network
        self.arrays = nn.ParameterDict({name: torch.tensor(array) for name, array in network.arrays.items()})

    def forward(self, signals: Tensor) -> Tensor:
        """Result of the last layer, for inputs of shape (n, *input_shape)."""
        results = [signals]
        for layer in self._form.layers:
            given = [results[source] for source in layer.inputs]
            arrays = [self.arrays[name] for name in layer.arrays]
            results.append(_computed(layer.kind, given, arrays, layer.options))
        return results[-1]

    def network(self) -> Network:
        """The network with the arrays as they are now."""
        return self._form.with_arrays({n: a.detach().cpu().numpy().copy() for n, a in self.arrays.items()})


def _computed(kind: str, given: list[Tensor], arrays: list[Tensor], options: Options) -> Tensor:
    """Result of a layer."""
    if kind in _ACTIVATIONS:
        return _ACTIVATIONS[kind](given[0])
    if kind == "join":
        return torch.cat(given, dim=1)
    return _LAYERS[kind](given[0], arrays, options)


def _dense(x: Tensor, arrays: list[Tensor], options: Options) -> Tensor:
    return functional.linear(x, *arrays)


def _energies(x: Tensor, arrays: list[Tensor], options: Options) -> Tensor:
    filters = arrays[0]
    if filters.ndim == 2:
        return torch.log1p(torch.square(x @ filters.T))
    re, im = filters
    whole = torch.cat([torch.cat([re, im], dim=1), torch.cat([-im, re], dim=1)])
    products = torch.square(x @ whole.T)
    return torch.log1p(products[..., : len(re)] + products[..., len(re) :])


def _convolution(x: Tensor, arrays: list[Tensor], options: Options) -> Tensor:
    weight, bias = arrays
    padding = options.get("padding", 0)
    if options.get("circular"):
        x, padding = functional.pad(x, (padding, padding), mode="circular"), 0
    convolve = functional.conv1d if weight.ndim == 3 else functional.conv2d
    return convolve(x, weight, bias, stride=options.get("stride", 1), padding=padding)


def _scale(x: Tensor, arrays: list[Tensor], options: Options) -> Tensor:
    return x * arrays[0] + arrays[1]


def _maximum(x: Tensor, arrays: list[Tensor], options: Options) -> Tensor:
    pool = functional.max_pool1d if options.get("axes", 1) == 1 else functional.max_pool2d
    return pool(x, options["size"])


def _mean(x: Tensor, arrays: list[Tensor], options: Options) -> Tensor:
    return functional.adaptive_avg_pool1d(x, options["to"])


def _part(x: Tensor, arrays: list[Tensor], options: Options) -> Tensor:
    return x[..., options["start"] : options["stop"]]


def _reshape(x: Tensor, arrays: list[Tensor], options: Options) -> Tensor:
    return x.reshape(len(x), *options["shape"])


_LAYERS: dict[str, Callable[[Tensor, list[Tensor], Options], Tensor]] = {
    "dense": _dense,
    "energies": _energies,
    "convolution": _convolution,
    "scale": _scale,
    "maximum": _maximum,
    "mean": _mean,
    "part": _part,
    "reshape": _reshape,
}
