"""How many spectral lines there are, and where: found from some spectra by Schwarz's criterion.

Lines are added one by one, each where it explains most of what is left, until the criterion, summed over the spectra,
grows (Schwarz, doi:10.1214/aos/1176344136). So a line counts that a single spectrum can tell, or that a few tell well.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from parscope.core.separable import Separable
from parscope.core.typical import searched_columns

Array = NDArray[np.float64]
Ranges = tuple[tuple[float, float], ...]

# Spectra that are looked at: so many spread over the sample, and so many that differ most from the mean; with so many
# bins, to which neighbours are averaged.
_SPREAD, _STRANGE, _BINS = 16, 8, 400
_MOST = 8
# Widths at which a line is looked for, from these many steps to this share of the axis.
_WIDTHS, _NARROWEST, _WIDEST = 8, 2.0, 0.3
# A line may wander by so many widths, or standard deviations of where it is in the spectra, either way.
_AROUND, _WANDER = 1.5, 4.0


def find_ranges(make: Callable[[Array, int], Separable], position: Array, spectra: Array, count: int | None) -> Ranges:
    """Ranges of the lines of some spectra.

    Parameters
    ----------
    make : callable
        Physics of so many lines anywhere among positions; its non-linear parameters are the centre and width of each,
        and what shapes it besides.
    position : ndarray, shape (bins,)
        Where the samples are, rising, in the `unit` of the axis.
    spectra : ndarray, shape (n, bins)
        Measured spectra; those that are not finite are left out.
    count : int, optional
        Number of lines. Default: by the criterion, one at least.

    Returns
    -------
    tuple of tuple of float
        In rising order; empty where no spectrum can be used.
    """
    usable = spectra[np.isfinite(spectra).all(axis=1) & (np.ptp(spectra, axis=1) > 0)]
    if not len(usable):
        return ()
    # In units of the largest value, so that no square overflows.
    x, chosen = _averaged(position, _choose(usable / np.abs(usable).max()))
    one = make(x, 1)
    anywhere = np.array([[p.between() for p in one.nonlinear]])
    flat = np.linalg.qr(np.stack(one.basis(anywhere), -1)[0][:, ~searched_columns(one)])[0]
    each = len(one.nonlinear)
    found, left, score = np.empty((len(chosen), 0)), chosen - chosen @ flat @ flat.T, np.inf
    for number in range(1, (count or _MOST) + 1):
        physics, line = make(x, number), np.tile(_next_line(one, flat, left), (len(chosen), 1))
        starts = [np.concatenate([found, line], axis=1), *([_split(found, each)] if number > 1 else [])]
        trial, rest = _best(physics, each, starts, chosen)
        reached = _schwarz(rest, len(physics.parameters))
        if count is None and number > 1 and reached >= score:
            break
        found, left, score = trial, rest, reached
    return _around(found.reshape(len(chosen), -1, each), x)


def _choose(spectra: Array) -> Array:
    """Spectra of all kinds: some spread over the sample, and those that differ most from the mean."""
    if len(spectra) <= _SPREAD + _STRANGE:
        return spectra
    spread = np.linspace(0, len(spectra) - 1, _SPREAD).astype(int)
    away = np.var(spectra - spectra.mean(axis=0), axis=1)
    away[spread] = -1.0
    chosen: Array = spectra[np.concatenate([spread, np.argsort(away)[-_STRANGE:]])]
    return chosen


def _averaged(position: Array, spectra: Array) -> tuple[Array, Array]:
    """Neighbouring bins as one, where there are many."""
    each = -(-len(position) // _BINS)
    bins = len(position) // each
    rows = np.vstack([position, spectra])[:, : bins * each].reshape(-1, bins, each).mean(axis=2)
    return rows[0], rows[1:]


def _split(found: Array, each: int) -> Array:
    """Lines of which the widest has become two: of two that overlap, a single one makes one broad line at first."""
    lines = found.reshape(len(found), -1, each)
    widest = int(np.argmax(np.median(lines[:, :, 1], axis=0)))
    halves = np.repeat(lines[:, [widest]], 2, axis=1)
    halves[:, :, 0] += np.array([-1, 1]) * halves[:, :, 1] / 3
    halves[:, :, 1] /= 2
    return np.concatenate([np.delete(lines, widest, axis=1), halves], axis=1).reshape(len(found), -1)


def _best(physics: Separable, each: int, starts: list[Array], spectra: Array) -> tuple[Array, Array]:
    """The lines that explain each spectrum best, from any of the starts, in rising order; and what is left of it."""
    found, left = np.empty_like(starts[0]), np.empty_like(spectra)
    for row, spectrum in enumerate(spectra):
        fits = [_fit(physics, start[row].reshape(-1, each), spectrum) for start in starts]
        lines, left[row] = min(fits, key=lambda fit: float(np.sum(fit[1] ** 2)))
        found[row] = lines[np.argsort(lines[:, 0])].ravel()
    return found, left


def _fit(physics: Separable, start: Array, spectrum: Array) -> tuple[Array, Array]:
    """Best lines for one spectrum, and its residual; heights and background in closed form.

    Searched are centres in steps of the axis, logarithms of widths, and shapes by a function that keeps their bounds
    without a corner in which a search would be caught; these start in the middle.
    """
    low, high = np.array([(p.lower, p.upper) for p in physics.nonlinear]).reshape(*start.shape, 2).transpose(2, 0, 1)
    step = float(np.mean(np.diff(physics.axis)))

    def lines(at: Array) -> Array:
        made = at.reshape(start.shape)
        centre, width = made[:, :1] * step, np.exp(np.clip(made[:, 1:2], -50.0, 50.0))
        shape = (low + high)[:, 2:] / 2 + (high - low)[:, 2:] / 2 * np.tanh(made[:, 2:])
        return np.asarray(np.clip(np.concatenate([centre, width, shape], axis=1), low, high))

    def residual(at: Array) -> Array:
        columns = np.stack(physics.basis(lines(at).reshape(1, -1)), axis=-1)[0]
        return np.asarray(spectrum - columns @ np.linalg.lstsq(columns, spectrum, rcond=1e-10)[0])

    begin = np.zeros(start.shape)
    begin[:, 0], begin[:, 1] = start[:, 0] / step, np.log(start[:, 1])
    end = least_squares(residual, begin.ravel(), method="lm", ftol=1e-6, xtol=1e-6, max_nfev=40 * begin.size)
    return lines(end.x), end.fun


def _next_line(one: Separable, flat: Array, left: Array) -> Array:
    """The line that explains most of what is left, over its noise, in all spectra."""
    x = one.axis
    step, span = float(np.mean(np.diff(x))), float(np.ptp(x))
    widths = np.geomspace(_NARROWEST * step, max(_WIDEST * span, 2 * _NARROWEST * step), _WIDTHS)
    rest = [np.array([p.between()]) for p in one.nonlinear[2:]]
    nodes = np.stack([part.ravel() for part in np.meshgrid(x, widths, *rest, indexing="ij")], axis=1)
    lines = np.asarray(one.basis(nodes)[0])
    lines = lines - lines @ flat @ flat.T
    lines /= np.linalg.norm(lines, axis=1, keepdims=True)
    noise = np.maximum(np.mean(np.diff(left, axis=1) ** 2, axis=1) / 2, np.finfo(np.float64).tiny)
    return np.asarray(nodes[np.argmax(np.sum((left @ lines.T) ** 2 / noise[:, None], axis=0))])


def _schwarz(left: Array, size: int) -> float:
    """Bayes' criterion of all spectra together, where the noise of each is told by what is left of it."""
    bins = left.shape[1]
    variance = np.maximum(np.mean(left**2, axis=1), np.finfo(np.float64).tiny)
    return float(np.sum(bins * np.log(variance) + size * np.log(bins)))


def _around(found: Array, x: Array) -> Ranges:
    """Where the centre of each line may lie: about where it was found, half-way to its neighbours at most."""
    centres, widths = np.median(found[:, :, :2], axis=0).T
    wander = 1.4826 * np.median(np.abs(found[:, :, 0] - centres), axis=0)
    reach = np.maximum(_AROUND * widths, _WANDER * wander)
    order = np.argsort(centres)
    centres, reach = centres[order], np.maximum(reach[order], 2 * np.mean(np.diff(x)))
    middle = (centres[1:] + centres[:-1]) / 2
    low = np.maximum(centres - reach, np.concatenate([x[:1], middle]))
    high = np.minimum(centres + reach, np.concatenate([middle, x[-1:]]))
    return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))
