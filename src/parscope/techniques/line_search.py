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
    found, left, best = np.empty((len(chosen), 0)), chosen - chosen @ flat @ flat.T, np.inf
    for number in range(1, (count or _MOST) + 1):
        physics, line = make(x, number), _next_line(one, flat, left)
        # Shapes start anew: those of one line that stood for two are at the end of their range.
        found.reshape(len(chosen), -1, len(line))[:, :, 2:] = line[2:]
        fits = [_fit(physics, np.append(start, line), y) for start, y in zip(found, chosen, strict=True)]
        rest = np.stack([residual for _, residual in fits])
        score = _schwarz(rest, len(physics.parameters))
        if count is None and number > 1 and score >= best:
            break
        found, left, best = np.stack([theta for theta, _ in fits]), rest, score
    return _around(found.reshape(len(chosen), -1, len(one.nonlinear)), x)


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


def _fit(physics: Separable, start: Array, spectrum: Array) -> tuple[Array, Array]:
    """Best centres and widths for one spectrum, and its residual; heights and background in closed form."""
    low, high = np.array([(p.lower, p.upper) for p in physics.nonlinear]).T
    logarithmic = np.array([p.kind == "log" for p in physics.nonlinear])
    # What is searched is of about the size of one: steps of the axis, logarithms, shares.
    scale = np.where(
        [p.unit == physics.nonlinear[0].unit for p in physics.nonlinear], np.mean(np.diff(physics.axis)), 1.0
    )

    def theta(at: Array) -> Array:
        return np.clip(np.where(logarithmic, np.exp(np.clip(at, -50.0, 50.0)), at * scale), low, high)

    def residual(at: Array) -> Array:
        columns = np.stack(physics.basis(theta(at)[None]), axis=-1)[0]
        return np.asarray(spectrum - columns @ np.linalg.lstsq(columns, spectrum, rcond=1e-10)[0])

    begin = start / scale
    begin[logarithmic] = np.log(start[logarithmic])
    end = least_squares(residual, begin, method="lm", ftol=1e-6, xtol=1e-6, max_nfev=40 * len(begin))
    return theta(end.x), end.fun


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
