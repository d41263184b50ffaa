"""Physics under PyTorch, on any of its devices: normal equations of many signals at once, derivatives traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import MissingExtraError, OptionError
from parscope.core.physics import Physics
from parscope.core.separable import Separable

if TYPE_CHECKING:
    from torch import Tensor


class Device:
    """A device of PyTorch, and arrays that go to it and come back.

    Parameters
    ----------
    name : str
        As PyTorch knows it: ``cpu``, ``cuda``, ``cuda:1``.

    Raises
    ------
    MissingExtraError
        If PyTorch is not installed.
    OptionError
        If it finds no such device, or one without double precision.
    """

    def __init__(self, name: str) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("PyTorch", "torch") from error
        self.torch = torch
        try:
            self.place = torch.device(name)
            torch.zeros(1, dtype=torch.float64, device=self.place)
        # PyTorch without a device raises what the part of it for that device raises.
        except (RuntimeError, AssertionError, TypeError, ValueError, NotImplementedError) as error:
            fault = str(error).partition("\n")[0].rstrip(".")
            raise OptionError(f"cannot be used ({fault})", f"device {name!r}", "leave it out, or give 'cpu'") from error

    def send(self, array: NDArray[Any]) -> Tensor:
        """An array as a tensor there."""
        tensor: Tensor = self.torch.as_tensor(np.ascontiguousarray(array), device=self.place)
        return tensor

    @staticmethod
    def fetch(tensor: Tensor) -> NDArray[Any]:
        """A tensor as an array here."""
        array: NDArray[Any] = tensor.cpu().numpy()
        return array


class Pull(NamedTuple):
    """A Gaussian prior of each signal, as `Prior` has it: ``mean`` (n, p), ``precision`` (n, p, p).

    ``variance`` (n, 1, 1) is 0 for none.
    """

    mean: Tensor
    precision: Tensor
    variance: Tensor

    def of(self, some: Tensor) -> Pull:
        """That of some signals."""
        return Pull(*(part[some] for part in self))


class Equations(NamedTuple):
    """Normal equations of n signals.

    ``cost`` (n) is the squared residual, ``normal`` (n, k, k) the matrix of what is searched and ``slope`` (n, k) half
    the descent along it; ``information`` (n, p, p) is that on all parameters for unit noise.
    """

    cost: Tensor
    normal: Tensor
    slope: Tensor
    information: Tensor


class Problem(Protocol):
    """What a search minimises."""

    device: Device
    size: int
    """Number of all parameters."""
    parts: int

    def equations(self, at: Tensor, rows: Tensor, pull: Pull) -> Equations:
        """Normal equations of signals, real before imaginary parts, shape (n, m), at what is searched, (n, k)."""

    def found(self, at: Tensor, rows: Tensor, pull: Pull) -> tuple[Tensor, Tensor]:
        """All parameters (n, p), and the residual (n, m), where a search ended."""


class Rendered:
    """A search over all parameters of a physics of which only `render` is known.

    Parameters
    ----------
    physics : Physics
        Whose `render` runs under PyTorch; constants that it makes from NumPy arrays go to the device.
    logarithmic : ndarray of bool, shape (k,)
        Which parameters are searched by their logarithm.
    device : Device
        Where.
    """

    def __init__(self, physics: Physics, logarithmic: NDArray[np.bool_], device: Device) -> None:
        self.device, self.size = device, len(logarithmic)
        self.parts = 2 if physics.noise == "complex gaussian" else 1
        self._physics, self._logarithmic = physics, device.send(logarithmic)

    def _signal(self, at: Tensor) -> Tensor:
        """Expected signals as rows."""
        signal: Tensor = self._physics.render(_parameters(self.device, at, self._logarithmic)).reshape(len(at), -1)
        return _flat(self.device, signal)

    def equations(self, at: Tensor, rows: Tensor, pull: Pull) -> Equations:
        """Normal equations; there is no prior for such a physics."""
        signal, slopes = _linearised(self.device, self._signal, at)
        residual, normal = rows - signal, slopes @ slopes.mT
        return Equations(residual.square().sum(1), normal, (slopes @ residual[:, :, None])[:, :, 0], normal)

    def found(self, at: Tensor, rows: Tensor, pull: Pull) -> tuple[Tensor, Tensor]:
        """All parameters, which are what is searched, and the residual."""
        return at, rows - self._signal(at)


class Projected:
    """A search over the non-linear parameters of a separable physics, for which the best factors follow.

    The equations are those of the compiled search (`kernel.py`, `products.py`), for many signals at once.

    Parameters
    ----------
    physics : Separable
        Whose columns run under PyTorch.
    logarithmic : ndarray of bool, shape (k,)
        Which non-linear parameters are searched by their logarithm.
    device : Device
        Where.
    """

    def __init__(self, physics: Separable, logarithmic: NDArray[np.bool_], device: Device) -> None:
        self.device, self.size, self.parts = device, len(physics.parameters), 1 + physics.complex
        self._physics, self._logarithmic = physics, device.send(logarithmic)

    def _columns(self, at: Tensor) -> Tensor:
        """Rows that the real factors multiply, shape (n, factors, m)."""
        torch, theta = self.device.torch, _parameters(self.device, at, self._logarithmic)
        columns = torch.stack(self._physics.basis(theta), dim=1)
        if self.parts == 1:
            return _flat(self.device, columns)
        columns = columns + 0j
        turned = torch.stack([columns, 1j * columns], dim=2).flatten(1, 2)
        return _flat(self.device, turned)

    def _solved(self, columns: Tensor, rows: Tensor, pull: Pull) -> tuple[Tensor, Tensor, Tensor]:
        """Normal matrix of the factors, their best values, and the residual."""
        k = len(self._logarithmic)
        weight = pull.variance * pull.precision[:, k:, k:]
        gram = columns @ columns.mT + weight
        target = columns @ rows[:, :, None] + weight @ pull.mean[:, k:, None]
        factors = _solve(self.device, gram, target)
        return gram, factors[:, :, 0], rows - (factors.mT @ columns)[:, 0]

    def equations(self, at: Tensor, rows: Tensor, pull: Pull) -> Equations:
        """Normal equations; under a prior the factors are integrated over, as in the compiled search."""
        torch, k = self.device.torch, at.shape[1]
        columns, change = _linearised(self.device, self._columns, at)
        gram, factors, residual = self._solved(columns, rows, pull)
        slopes = torch.einsum("nkam,na->nkm", change, factors)
        cross, whole = slopes @ columns.mT, slopes @ slopes.mT
        normal = whole - cross @ _solve(self.device, gram, cross.mT)
        slope = (slopes @ residual[:, :, None])[:, :, 0]
        cost = residual.square().sum(1)
        if not pull.variance.any():
            return Equations(cost, normal, slope, _blocks(self.device, whole, cross, gram))
        weight, away = pull.variance * pull.precision, pull.mean - torch.cat([at, factors], dim=1)
        follow = torch.einsum("nkam,nbm,nba->nk", change, columns, torch.linalg.inv(gram))
        cost = cost + (away[:, None] @ weight @ away[:, :, None])[:, 0, 0]
        cost = cost + pull.variance[:, 0, 0] * torch.linalg.slogdet(gram)[1]
        drawn = (weight[:, :k, :k] @ away[:, :k, None])[:, :, 0]
        information = _blocks(self.device, whole + weight[:, :k, :k], cross, gram)
        slope = slope + drawn - pull.variance[:, 0] * follow
        return Equations(cost, normal + weight[:, :k, :k], slope, information)

    def found(self, at: Tensor, rows: Tensor, pull: Pull) -> tuple[Tensor, Tensor]:
        """All parameters, and the residual."""
        _, factors, residual = self._solved(self._columns(at), rows, pull)
        return self.device.torch.cat([at, factors], dim=1), residual


def _blocks(device: Device, whole: Tensor, cross: Tensor, gram: Tensor) -> Tensor:
    """Information on what is searched and on the factors together."""
    torch = device.torch
    matrix: Tensor = torch.cat([torch.cat([whole, cross], dim=2), torch.cat([cross.mT, gram], dim=2)], dim=1)
    return matrix


def _parameters(device: Device, at: Tensor, logarithmic: Tensor) -> Tensor:
    """Parameters from what is searched."""
    torch = device.torch
    theta: Tensor = torch.where(logarithmic, torch.exp(torch.where(logarithmic, at, 0.0)), at)
    return theta


def _flat(device: Device, signal: Tensor) -> Tensor:
    """Real before imaginary parts."""
    flat: Tensor = device.torch.cat([signal.real, signal.imag], dim=-1) if signal.is_complex() else signal
    return flat


def _linearised(device: Device, function: Any, at: Tensor) -> tuple[Tensor, Tensor]:
    """Value (n, ...) of a function of what is searched, and its derivatives (n, k, ...)."""
    torch = device.torch

    def along(direction: Tensor) -> tuple[Tensor, Tensor]:
        made: tuple[Tensor, Tensor] = torch.func.jvp(function, (at,), (direction.expand_as(at),))
        return made

    directions = torch.eye(at.shape[1], dtype=at.dtype, device=at.device)
    value, slopes = torch.func.vmap(along, out_dims=(None, 1))(directions)
    return value, slopes


def _solve(device: Device, matrix: Tensor, target: Tensor) -> Tensor:
    """Solution of symmetric equations, scaled to a unit diagonal; a singular matrix has some solution."""
    torch = device.torch
    scale = torch.diagonal(matrix, dim1=1, dim2=2).clamp_min(1e-300).rsqrt()[:, :, None]
    solution, _ = torch.linalg.solve_ex(
        matrix * scale * scale.mT + 1e-14 * torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device),
        target * scale,
    )
    scaled: Tensor = solution * scale
    return scaled
