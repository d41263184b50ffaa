"""What encoder and decoder are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from parscope.solvers.networks.cycle.design import CycleDesign


def convolution(before: int, after: int) -> nn.Conv2d:
    """Convolution over 3 x 3 pixels that keeps the size."""
    return nn.Conv2d(before, after, 3, padding=1)


class Block(nn.Module):
    """Three convolutions round which the input is added, then one more; both normalised over the image.

    Parameters
    ----------
    channels : int
        Of input and result.
    side : int
        Side of the square image, [px]: the norm has a factor and an offset for each pixel, which all channels share.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.residual = nn.ModuleList(convolution(channels, channels) for _ in range(3))
        self.last = convolution(channels, channels)
        self.norms = nn.ModuleList(nn.LayerNorm([side, side]) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Image of the same shape (n, channels, side, side)."""
        first, second, third = self.residual
        inner = third(torch.relu(second(torch.relu(first(x)))))
        x = torch.relu(self.norms[0](x + inner))
        return torch.relu(self.norms[1](self.last(x)))


class Encoder(nn.Module):
    """A pattern as a few numbers.

    Parameters
    ----------
    design : CycleDesign
        Sizes.
    """

    def __init__(self, design: CycleDesign) -> None:
        super().__init__()
        self.design = design
        self.first = convolution(1, design.channels)
        self.blocks = nn.ModuleList(Block(design.channels, side) for side in design.sides[:-1])
        self.gather = convolution(design.channels, 1)
        self.embed = nn.Linear(design.sides[-1] ** 2, design.embedding)

    def forward(self, patterns: Tensor) -> Tensor:
        """Embedding (n, embedding) of patterns (n, 1, size, size)."""
        x = self.first(functional.avg_pool2d(patterns, self.design.binning))
        for block, pool in zip(self.blocks, self.design.pools, strict=True):
            x = functional.max_pool2d(block(x), pool)
        embedded: Tensor = self.embed(self.gather(x).flatten(1))
        return embedded


class Decoder(nn.Module):
    """The base pattern of a class.

    Parameters
    ----------
    design : CycleDesign
        Sizes.
    """

    def __init__(self, design: CycleDesign) -> None:
        super().__init__()
        self.sides = (*design.sides[::-1], *((design.size,) if design.binning > 1 else ()))
        self.spread = nn.Linear(design.classes, self.sides[0] ** 2)
        self.first = convolution(1, design.channels)
        self.blocks = nn.ModuleList(Block(design.channels, side) for side in self.sides)
        self.gather = convolution(design.channels, 1)

    def forward(self, classes: Tensor) -> Tensor:
        """Patterns (n, 1, size, size) of classes (n, classes)."""
        x = self.first(self.spread(classes).unflatten(1, (1, self.sides[0], self.sides[0])))
        for side, block in zip(self.sides, self.blocks, strict=True):
            x = block(functional.interpolate(x, size=side))
        pattern: Tensor = self.gather(x)
        return pattern


class TopClass(nn.Module):
    """The most probable class alone: all that the decoder is told, so that geometry has to go through the affine map.

    Parameters
    ----------
    design : CycleDesign
        Sizes.
    """

    def __init__(self, design: CycleDesign) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(design.embedding, design.classes), nn.LayerNorm(design.classes)

    def forward(self, embedded: Tensor) -> Tensor:
        """One-hot classes (n, classes); for the gradient they are the probabilities (straight through)."""
        probability = torch.softmax(self.norm(self.linear(embedded)), dim=1)
        top = functional.one_hot(probability.argmax(1), probability.shape[1]).to(probability)
        return top + probability - probability.detach()
