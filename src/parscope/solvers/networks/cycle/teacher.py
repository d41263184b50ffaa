"""The cycle loss: what is left of a pattern when it is deformed onto its base, and of the base deformed back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parscope.solvers.networks.cycle.autoencoder import Cycle, CycleAutoencoder
from parscope.solvers.networks.cycle.deformation import Deformation
from parscope.solvers.networks.cycle.spots import spots
from parscope.solvers.networks.cycle.view import View
from parscope.solvers.networks.cycle.warp import relocated, unwarped, warped

# Published: weight of the mean base, and of scale and shear beyond a margin, [1].
_L1, _SCALE_HINGE, _SHEAR_HINGE, _MARGIN = 1e-6, 10.0, 1.0, 0.03
# Published: losses of a batch from which the absolute error counts, and from which nothing does, [1].
_ROBUST, _HOPELESS = 1.5, 3.0


class CycleTeacher:
    """Draws patterns of a scan and says what the network leaves of them, in parts of their variance.

    Parameters
    ----------
    frames : Tensor, shape (n, 1, size, size)
        Patterns, as `view` makes them.
    view : View
        Whose ring counts.
    batch : int
        Patterns that a step sees.
    starts : Tensor, shape (n,), optional
        Their rotations, [rad], for the second stage.
    """

    def __init__(self, frames: Tensor, view: View, batch: int, starts: Tensor | None = None) -> None:
        self._frames, self._batch, self._starts = frames, batch, starts
        self._mask, self._spot, self._reach = view.mask.to(frames), view.spot, 3 * view.spot / view.size

    def loss(self, module: nn.Module, generator: torch.Generator) -> Tensor:
        """Mean loss of a batch, [1]."""
        if not isinstance(module, CycleAutoencoder):
            raise TypeError(f"a cycle needs a CycleAutoencoder, not a {type(module).__name__}")
        pick = torch.randint(len(self._frames), (self._batch,), generator=generator, device=generator.device)
        patterns = self._frames[pick]
        cycle = module(patterns, None if self._starts is None else self._starts[pick])
        bases = module.bases()
        there, back = self._residuals(patterns, bases, cycle, module.design.upsampling)
        return robust(there) + robust(back) + _L1 * bases.abs().sum((1, 2, 3)).mean() + hinges(cycle.deformation)

    def _residuals(self, patterns: Tensor, bases: Tensor, cycle: Cycle, upsampling: int) -> tuple[Tensor, Tensor]:
        """Residuals within the ring of patterns deformed onto bases, and of bases deformed onto patterns."""
        own = torch.einsum("nk,kcyx->ncyx", cycle.classes, bases)
        mask = self._mask.expand_as(patterns)
        second = self._starts is not None
        factor = upsampling if second else 1
        there = warped(patterns, cycle.deformation, factor)
        back, ring = torch.split(unwarped(torch.cat([own, mask], 1), cycle.deformation, factor), 1, 1)
        if second:
            centres = spots(bases, self._mask, self._spot)[cycle.classes.argmax(1)]
            there, back = self._undeformed(there, back, centres, cycle.deformation)
        return (there - own)[mask > 0.5], (back - patterns)[ring > 0.5]

    def _undeformed(self, there: Tensor, back: Tensor, centres: Tensor, found: Deformation) -> tuple[Tensor, Tensor]:
        """Both with the spots in the shape that they had, though where they were moved to, and as they were turned."""
        inverse = found.turn.mT @ torch.linalg.inv(found.stretch) @ found.turn
        moved = (centres + found.shift[:, None]) @ found.whole.mT
        return relocated(there, centres, inverse, self._reach), relocated(back, moved, found.stretch, self._reach)


def robust(residual: Tensor) -> Tensor:
    """Mean square; of a bad batch the mean modulus less 1, and of a hopeless one a number without gradient."""
    square = residual.square().mean()
    if square > _HOPELESS:
        return _HOPELESS + 0 * square
    return residual.abs().mean() - 1 if square > _ROBUST else square


def hinges(found: Deformation) -> Tensor:
    """Price of scales and shears beyond the margin."""
    scale = found.stretch.diagonal(dim1=1, dim2=2) - 1
    shear = found.stretch[:, 0, 1]
    beyond = torch.relu(scale.abs() - _MARGIN).sum(1).mean() * _SCALE_HINGE
    return beyond + torch.relu(shear.abs() - _MARGIN).mean() * _SHEAR_HINGE
