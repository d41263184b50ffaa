"""The encoder: one network says which way the lattice lies, another what a window says of the copy in it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parscope.core.network import Builder, Network
from parscope.solvers.networks.constellation.geometry import ANGLES, RINGS, TURNS, ZONES, Geometry
from parscope.solvers.networks.module import NetworkModule

_CHANNELS, _HIDDEN = 20, 32
PER_ANGLE = 5
# Information of one electron about the place of a copy, before anything is learned, [1/px^2].
_ELECTRON = 0.05


def orientation_network(seed: int) -> Network:
    """Network that takes rings over half a turn: what it says for every angle, and of the whole.

    For every angle: the logarithm of its odds, and what the lattice is deformed beyond that turn (4). Last come the
    odds of no lattice and of another one, and the logarithm of how sure the deformation is.
    """
    build = Builder((RINGS + 1, ANGLES), seed)
    first = build.convolution(0, (_CHANNELS, RINGS + 1, 5), "relu", padding=2, circular=True)
    second = build.convolution(
        first, (_CHANNELS, _CHANNELS, 5), "relu", padding=2, stride=ANGLES // TURNS, circular=True
    )
    every = build.convolution(second, (PER_ANGLE, _CHANNELS, TURNS + 1), padding=TURNS // 2, circular=True)
    flat = build.add("reshape", every, shape=(PER_ANGLE * TURNS,))
    mean = build.add("reshape", build.add("mean", second, to=1, **{"from": TURNS}), shape=(_CHANNELS,))
    hidden = build.dense(mean, _CHANNELS, _CHANNELS, "relu")
    build.add("join", flat, build.dense(hidden, _CHANNELS, 3))
    return build.network()


def window_network(seed: int) -> Network:
    """Network that takes what the zones of a window hold: weights of their moments, and how sure they are."""
    build = Builder((2 * ZONES + 1,), seed)
    hidden = build.dense(0, 2 * ZONES + 1, _HIDDEN, "relu")
    hidden = build.dense(hidden, _HIDDEN, _HIDDEN, "relu")
    build.dense(hidden, _HIDDEN, ZONES + 1)
    return build.network()


class Encoder(nn.Module):
    """Both networks under PyTorch, and what comes before and after them in closed form.

    Parameters
    ----------
    orientation, window : Network
        The networks.
    geometry : Geometry
        Cells and windows.
    gain : float
        Counts per electron.
    """

    def __init__(self, orientation: Network, window: Network, geometry: Geometry, gain: float) -> None:
        super().__init__()
        self.orientation, self.window = NetworkModule(orientation), NetworkModule(window)
        # Density of a cell relative to the mean, whatever the dose.
        self._pixels = torch.tensor(geometry.pixels, dtype=torch.float32)
        self._gain, self._outer = gain, float(geometry.zones[-1])
        self.positions = torch.tensor(geometry.positions, dtype=torch.float32)

    def turn(self, cells: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the first look says.

        Parameters
        ----------
        cells : Tensor, shape (n, RINGS, ANGLES)
            Counts.

        Returns
        -------
        odds : Tensor, shape (n, TURNS)
            Logarithm of the odds of every angle.
        deformed : Tensor, shape (n, TURNS, 4)
            Map of the reference, less identity, before the turn.
        other : Tensor, shape (n, 2)
            Logarithm of the odds of no lattice, and of another one.
        sure : Tensor, shape (n,)
            Logarithm of the information on every component of the map, over 2.
        """
        electrons = cells / self._gain
        total = electrons.sum((1, 2)) + 1e-6
        share = total / self._pixels.sum()
        density = electrons / self._pixels.clamp(min=1) / share[:, None, None]
        dose = torch.log1p(total)[:, None, None].expand(-1, 1, ANGLES) / 10
        out = self.orientation(torch.cat([density.clamp(min=0).sqrt(), dose], 1))
        every = out[:, : PER_ANGLE * TURNS].reshape(-1, PER_ANGLE, TURNS)
        return every[:, 0], 0.05 * every[:, 1:].transpose(1, 2), out[:, -3:-1], out[:, -1] + 3.5

    def shift(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """What the windows say.

        Parameters
        ----------
        sums : Tensor, shape (n, copies, 3, ZONES)
            Counts and moments.

        Returns
        -------
        shift : Tensor, shape (n, copies, 2)
            Displacement of every copy from the middle of its window, [px].
        weight : Tensor, shape (n, copies)
            Information on each coordinate of it, [1/px^2]; 0 for windows off the detector or without counts.
        """
        electrons = sums / self._gain
        counts, moments = electrons[..., 0, :], electrons[..., 1:, :]
        total = counts.sum(-1, keepdim=True)
        known = total[..., 0] > 0
        total = total.clamp(min=1e-6)
        tips = moments.square().sum(-2).clamp(min=1e-12).sqrt()
        given = torch.cat([counts / total, 4 * tips / total, torch.log1p(total) / 5], -1)
        said = self.window(given)
        shift = (moments * said[..., None, :-1]).sum(-1) / total * self._outer
        weight = torch.exp(said[..., -1].clamp(-12, 8)) * total[..., 0] * _ELECTRON
        return shift, torch.where(known, weight, 0.0)


def solved(shift: Tensor, weight: Tensor, positions: Tensor, prior: Tensor, towards: Tensor) -> tuple[Tensor, Tensor]:
    """Lattice from the displacements of its copies and a prior, in closed form.

    Parameters
    ----------
    shift, weight : Tensor, shapes (n, copies, 2) and (n, copies)
        Displacements, and the information on them.
    positions : Tensor, shape (copies, 3)
        1, and the reference positions in units of their reach.
    prior : Tensor, shape (n, 3)
        Information of the prior on centre and map.
    towards : Tensor, shape (n, 3, 2)
        Step to the middle of the prior.

    Returns
    -------
    step : Tensor of float64, shape (n, 3, 2)
        Of the centre [px], and of the map times reach, transposed.
    information : Tensor of float64, shape (n, 3, 3)
        On each column of it.
    """
    # One bright copy may say ten million times more than the prior, which alone says anything of the map then: single
    # precision would lose it.
    places, known = positions.double(), prior.double()
    weighted = weight.double()[..., None] * places
    information = weighted.transpose(1, 2) @ places + torch.diag_embed(known)
    pull = weighted.transpose(1, 2) @ shift.double() + known[..., None] * towards
    return torch.linalg.solve(information, pull), information
