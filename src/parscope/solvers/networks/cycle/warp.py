"""The spatial transformer: patterns deformed onto their base and back, without deforming their spots."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from parscope.solvers.networks.cycle.deformation import Deformation


def warped(patterns: Tensor, deformation: Deformation, upsampling: int = 1) -> Tensor:
    """Patterns deformed onto their base: stretch, rotation and displacement undone one after the other.

    Parameters
    ----------
    patterns : Tensor, shape (n, channels, side, side)
        Measured.
    deformation : Deformation
        Of each.
    upsampling : int, default 1
        Factor by which they are enlarged before.

    Returns
    -------
    Tensor, shape (n, channels, side, side)
    """
    nothing = torch.zeros_like(deformation.shift)
    steps = [(deformation.stretch, nothing), (deformation.turn, nothing)]
    return _resampled(patterns, [*steps, (None, deformation.shift)], upsampling)


def unwarped(bases: Tensor, deformation: Deformation, upsampling: int = 1) -> Tensor:
    """Bases deformed into the patterns: the inverse of `warped`, step by step.

    Parameters
    ----------
    bases : Tensor, shape (n, channels, side, side)
        Of the class of each pattern.
    deformation : Deformation
        Of each.
    upsampling : int, default 1
        Factor by which they are enlarged before.

    Returns
    -------
    Tensor, shape (n, channels, side, side)
    """
    nothing = torch.zeros_like(deformation.shift)
    stretch = torch.linalg.inv(deformation.stretch)
    steps = [(None, -deformation.shift), (deformation.turn.mT, nothing), (stretch, nothing)]
    return _resampled(bases, steps, upsampling)


def relocated(images: Tensor, centres: Tensor, local: Tensor, radius: float) -> Tensor:
    """Spots given back their shape, each about its own centre: strain moves disks and does not deform them.

    Parameters
    ----------
    images : Tensor, shape (n, 1, side, side)
        Deformed.
    centres : Tensor, shape (n, spots, 2)
        Where the spots are in them, (x, y) from the centre, [half sides].
    local : Tensor, shape (n, 2, 2)
        What undoes the deformation of a spot.
    radius : float
        Distance up to which a pixel belongs to a spot, [half sides].

    Returns
    -------
    Tensor, shape (n, 1, side, side)
    """
    grid = coordinates(images)
    with torch.no_grad():
        distance, nearest = torch.cdist(grid.reshape(1, -1, 2), centres).min(2)
        inside = (distance < radius).unsqueeze(2)
    centre = centres.gather(1, nearest.unsqueeze(2).expand(-1, -1, 2))
    offset = torch.where(inside, grid.reshape(1, -1, 2) - centre, 0.0)
    moved = grid.reshape(1, -1, 2) + offset @ (local - torch.eye(2).to(local)).mT
    return _sampled(images, moved.reshape(len(images), *images.shape[-2:], 2))


def coordinates(images: Tensor) -> Tensor:
    """Positions (side, side, 2) of the pixels, (x, y) from the centre, in half sides."""
    side = images.shape[-1]
    line = (torch.arange(side).to(images) + 0.5) * 2 / side - 1
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)


def _resampled(images: Tensor, steps: list[tuple[Tensor | None, Tensor]], upsampling: int) -> Tensor:
    """Images sampled where each step says, one after the other."""
    if upsampling > 1:
        images = functional.interpolate(images, scale_factor=upsampling, mode="bicubic", align_corners=False)
    for linear, shift in steps:
        if linear is None and not shift.any():
            continue
        matrix = torch.eye(2).to(shift).expand(len(shift), 2, 2) if linear is None else linear
        grid = functional.affine_grid(torch.cat([matrix, shift.unsqueeze(2)], 2), list(images.shape), False)
        images = _sampled(images, grid)
    return functional.avg_pool2d(images, upsampling) if upsampling > 1 else images


def _sampled(images: Tensor, grid: Tensor) -> Tensor:
    """Images at the positions of a grid; nothing outside."""
    return functional.grid_sample(images, grid, mode="bicubic", align_corners=False)
