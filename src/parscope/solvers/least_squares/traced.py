"""The search for physics of which only `render` is known: derivatives by PyTorch, all signals at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import MissingExtraError
from parscope.core.physics import Physics
from parscope.solvers.least_squares.layout import CONVERGED, LOST, SINGULAR, Fits, part_of

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]

# As in the compiled search.
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-3, 1e-9, 1e10
_RELAX, _TIGHTEN = 0.15, 8.0
_CLOSE, _RESOLVED = 1e-7, 1e-15
_MOST_STEPS = 50
# Signals at a time: fewer, and PyTorch's own time counts; more, and derivatives leave the cache of a core.
_CHUNK = 1024


class Traced:
    """Levenberg-Marquardt's search over all parameters of a physics, for batches of signals.

    Parameters
    ----------
    physics : Physics
        Whose `render` runs under PyTorch.
    lower, upper : ndarray, shape (k,)
        Bounds of what is searched.
    logarithmic : ndarray of bool, shape (k,)
        Which parameters are searched by their logarithm.

    Raises
    ------
    MissingExtraError
        If PyTorch is not installed.
    """

    def __init__(self, physics: Physics, lower: Array, upper: Array, logarithmic: NDArray[np.bool_]) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("PyTorch", "torch") from error
        self._torch = torch
        self._physics = physics
        self._lower, self._upper = torch.as_tensor(lower), torch.as_tensor(upper)
        self._logarithmic = torch.as_tensor(logarithmic)

    def __call__(self, rows: Array, start: Array) -> Fits:
        """Fit signals.

        Parameters
        ----------
        rows : ndarray, shape (n, parts * samples)
            Signals, real before imaginary parts.
        start : ndarray, shape (n, k)
            All parameters, as they are searched.

        Returns
        -------
        Fits
        """
        n, k = start.shape
        fits = Fits(start.copy(), np.full((n, k, k), np.nan), np.zeros(n), np.zeros(n), np.full(n, LOST))
        for first in range(0, n, _CHUNK):
            part = slice(first, first + _CHUNK)
            self._search(rows[part], part_of(fits, part))
        return fits

    def _signal(self, at: Tensor) -> Tensor:
        """Expected signals as rows of real, then imaginary parts."""
        torch = self._torch
        theta = torch.where(self._logarithmic, torch.exp(torch.where(self._logarithmic, at, 0.0)), at)
        signal: Tensor = self._physics.render(theta).reshape(len(at), -1)
        return torch.cat([signal.real, signal.imag], dim=1) if signal.is_complex() else signal

    def _linearise(self, at: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Residual (n, m) and derivatives of the signal (n, k, m)."""
        torch = self._torch

        def along(direction: Tensor) -> tuple[Tensor, Tensor]:
            made: tuple[Tensor, Tensor] = torch.func.jvp(self._signal, (at,), (direction.expand_as(at),))
            return made

        directions = torch.eye(at.shape[1], dtype=at.dtype)
        signal, slopes = torch.func.vmap(along, out_dims=(None, 1))(directions)
        return rows - signal, slopes

    def _step(self, at: Tensor, normal: Tensor, slope: Tensor, damping: Tensor) -> Tensor:
        """Next step; parameters that lean against a bound stay there."""
        torch = self._torch
        held = ((at <= self._lower) & (slope < 0)) | ((at >= self._upper) & (slope > 0))
        free = (~held).to(at.dtype)
        scale = torch.diagonal(normal, dim1=1, dim2=2).clamp_min(1e-300).rsqrt()
        unit = normal * (scale * free)[:, :, None] * (scale * free)[:, None, :]
        unit = unit + torch.diag_embed(1.0 - free + damping[:, None] + 1e-14)
        step: Tensor = torch.linalg.solve(unit, slope * scale * free) * scale * free
        return step

    def _search(self, rows: Array, fits: Fits) -> None:
        """Search from where `fits` stands, in place."""
        torch = self._torch
        signals, at = torch.as_tensor(rows), torch.as_tensor(fits.found)
        residual, derivative = self._linearise(at, signals)
        cost = (residual**2).sum(dim=1)
        energy = (signals**2).sum(dim=1)
        freedom = max(rows.shape[1] - at.shape[1], 1)
        damping = torch.full_like(cost, _FIRST_DAMPING)
        active = torch.arange(len(at))
        for _ in range(_MOST_STEPS):
            some = derivative[active]
            normal = some @ some.mT
            slope = (some @ residual[active][:, :, None])[:, :, 0]
            step = self._step(at[active], normal, slope, damping[active])
            promised = (step * slope).sum(dim=1)
            close = (promised * freedom <= _CLOSE * cost[active]) | (promised <= _RESOLVED * energy[active])
            there = torch.minimum(torch.maximum(at[active] + step, self._lower), self._upper)
            new_residual, new_derivative = self._linearise(there, signals[active])
            new_cost = (new_residual**2).sum(dim=1)
            better = new_cost <= cost[active]
            moved = active[better]
            at[moved], residual[moved], derivative[moved] = there[better], new_residual[better], new_derivative[better]
            cost[moved] = new_cost[better]
            damping[moved] = (damping[moved] * _RELAX).clamp_min(_LEAST_DAMPING)
            damping[active[~better]] *= _TIGHTEN
            ended = close | (damping[active] > _MOST_DAMPING)
            fits.end[active[ended].numpy()] = CONVERGED
            active = active[~ended]
            if not len(active):
                break
        self._record(at, residual, derivative, fits)

    def _record(self, at: Any, residual: Any, derivative: Any, fits: Fits) -> None:
        """Write down where the search ended; `residual` holds parts of equal length, one after the other."""
        torch = self._torch
        normal = derivative @ derivative.mT
        scale = torch.diagonal(normal, dim1=1, dim2=2).clamp_min(1e-300).rsqrt()
        inverse, failed = torch.linalg.inv_ex(normal * scale[:, :, None] * scale[:, None, :])
        fits.found[:] = at.numpy()
        fits.covariance[:] = (inverse * scale[:, :, None] * scale[:, None, :]).numpy()
        fits.residual[:] = (residual**2).sum(dim=1).numpy()
        fits.change[:] = (torch.diff(residual, dim=1) ** 2).mean(dim=1).numpy() / 2
        fits.end[(failed != 0).numpy() | ~np.isfinite(fits.covariance).all(axis=(1, 2))] = SINGULAR
