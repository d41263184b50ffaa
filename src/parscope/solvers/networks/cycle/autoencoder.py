"""Encoder, class, affine map and decoder in one: a pattern as a deformed base."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from parscope.solvers.networks.cycle.blocks import Decoder, Encoder, TopClass
from parscope.solvers.networks.cycle.deformation import Deformation
from parscope.solvers.networks.cycle.design import CycleDesign

# A rotation of 0 would have no gradient: the first stage starts away from it, [rad].
_FIRST_TURN = 0.5


@dataclass(frozen=True)
class Cycle:
    """What the network says of n patterns.

    Parameters
    ----------
    classes : Tensor, shape (n, classes)
        One-hot.
    deformation : Deformation
        Of the base, in each pattern.
    """

    classes: Tensor
    deformation: Deformation


class CycleAutoencoder(nn.Module):
    """The network.

    Parameters
    ----------
    design : CycleDesign
        Sizes.
    """

    def __init__(self, design: CycleDesign) -> None:
        super().__init__()
        self.design = design
        self.encoder, self.top, self.decoder = Encoder(design), TopClass(design), Decoder(design)
        self.locate = nn.Linear(design.embedding + design.classes, 6 if design.translation else 4)
        nn.init.normal_(self.locate.weight, std=0.01)
        nn.init.zeros_(self.locate.bias)
        self.locate.bias.data[2] = _FIRST_TURN

    def forward(self, patterns: Tensor, start: Tensor | None = None) -> Cycle:
        """Classes and deformations of patterns.

        Parameters
        ----------
        patterns : Tensor, shape (n, 1, size, size)
            As `View` makes them.
        start : Tensor, shape (n,), optional
            Rotations from the first stage, [rad].

        Returns
        -------
        Cycle
        """
        embedded = self.encoder(patterns)
        classes = self.top(embedded)
        raw = self.locate(torch.cat([embedded, classes], 1))
        return Cycle(classes, Deformation.bounded(raw, start))

    def bases(self) -> Tensor:
        """Base of every class, shape (classes, 1, size, size): as classes are one-hot, there are no others."""
        found: Tensor = self.decoder(torch.eye(self.design.classes).to(self.locate.weight))
        return found

    def settle(self) -> None:
        """Make ready for the second stage, in which rotations are relative to those of the first."""
        with torch.no_grad():
            for parameter in self.locate.parameters():
                parameter[:4] *= 0.0
