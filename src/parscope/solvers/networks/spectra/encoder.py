"""Networks that read spectra: ours, which is blind to phase and sign by its first layer, and the published one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from parscope.core.network import Builder, Network
from parscope.solvers.networks.module import NetworkModule
from parscope.solvers.networks.spectra.decoder import Decoder
from parscope.solvers.networks.spectra.draws import Draws, moving_templates, noisy
from parscope.solvers.networks.spectra.head import outputs
from parscope.solvers.networks.spectra.inlet import Inlet

Array = NDArray[np.float32]

_SAMPLE = 4096


def matched(
    inlet: Inlet, decoder: Decoder, draws: Draws, seed: int, *, filters: int = 64, hidden: tuple[int, ...] = (96, 64)
) -> Network:
    """Energies of products with filters that start as templates, then dense layers.

    A factor of the signal, with any phase or sign, changes nothing that the dense layers see.

    Parameters
    ----------
    inlet, decoder : Inlet, Decoder
        Of the physics.
    draws : Draws
        Signals by which what enters the dense layers is brought to mean 0 and variance 1.
    seed : int
        Fixes what is drawn.
    filters : int, default 64
        How many filters.
    hidden : tuple of int, default (96, 64)
        Sizes of the dense layers between.

    Returns
    -------
    Network
    """
    samples = inlet.samples
    build = Builder((samples + 1,), seed)
    signal = build.add("part", 0, start=0, stop=samples)
    strength = build.add("part", 0, start=samples, stop=samples + 1)
    template = moving_templates(decoder, filters, seed)
    first: Array = np.stack([template.real, template.imag]) if inlet.parts == 2 else template.real
    joined = build.add("join", build.energies(signal, first), strength)
    at = build.scale(joined, *_spread(build.network(), inlet, draws, seed))
    size = filters + 1
    for next_size in hidden:
        at, size = build.dense(at, size, next_size, then="relu"), next_size
    build.dense(at, size, outputs(decoder.scale.size))
    return build.network()


def published(bins: int, seed: int, *, parts: int = 2, results: int = 4) -> Network:
    """Convolutions, then two branches: dense layers, and convolutions between means over ever wider stretches.

    The multi-scale network of the m3-learning group (github.com/m3-learning/m3_learning), after its description: 20 914
    parameters with the defaults. For comparison; `matched` is smaller, faster and does not depend on the phase.

    Parameters
    ----------
    bins : int
        Samples of a spectrum, 17 at least.
    seed : int
        Fixes what is drawn.
    parts : int, default 2
        Channels: real and imaginary part.
    results : int, default 4
        How many numbers it gives.

    Returns
    -------
    Network
        For inputs of shape (n, parts, bins).
    """
    build = Builder((parts, bins), seed)
    at = 0
    for shape in ((8, parts, 7), (6, 8, 7), (4, 6, 5)):
        at = build.convolution(at, shape, then="selu")
    at = build.add("mean", at, to=64, **{"from": bins - 16})
    dense = build.add("reshape", at, shape=(256,))
    for before, after in ((256, 64), (64, 32), (32, 20)):
        dense = build.dense(dense, before, after, then="selu")
    joined = build.add("join", _narrowing(build, at), dense)
    joined = build.dense(joined, 28, 16, then="selu")
    build.dense(build.dense(joined, 16, 8, then="selu"), 8, results)
    return build.network()


def _narrowing(build: Builder, at: int) -> int:
    """The branch of convolutions of the published network: 8 numbers from 256."""
    at = build.add("maximum", build.add("reshape", at, shape=(2, 128)), size=2)
    for channels in (2, 4, 4, 4, 4, 4):
        at = build.convolution(at, (4, channels, 5), then="selu")
    for channels, start, to in ((4, 40, 16), (2, 14, 8)):
        at = build.add("mean", at, to=to, **{"from": start})
        at = build.convolution(at, (2, channels, 3), then="selu")
    return build.add("reshape", build.add("mean", at, to=4, **{"from": 6}), shape=(8,))


def _spread(network: Network, inlet: Inlet, draws: Draws, seed: int) -> tuple[Array, Array]:
    """Factor and offset that bring the result of a network to mean 0 and variance 1 over some draws."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        result = NetworkModule(network)(inlet(noisy(draws(_SAMPLE, chance), chance))).numpy()
    factor = 1 / np.maximum(result.std(axis=0), 1e-6)
    return factor, -result.mean(axis=0) * factor
