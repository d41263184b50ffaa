"""What a fit of spectra says, in a few lines: how many have a value, how well they are known, what a prior added."""

from __future__ import annotations

import math

import numpy as np

from parscope.core.solver import Status
from parscope.report.fit_view import FitView, Quantity
from parscope.report.legend import percentage
from parscope.report.sheet import MINUS
from parscope.report.summary import median, two_digits
from parscope.report.units import DEGREES
from parscope.report.view import Array

# Mean length of unit vectors above which they have a direction in common.
_ALIGNED = 0.5
_VALUED = (Status.OK, Status.WEAK, Status.AMBIGUOUS)


def summary_lines(view: FitView) -> list[str]:
    """Put a fit into words.

    Parameters
    ----------
    view : FitView
        A fit of spectra.

    Returns
    -------
    list of str
        One line each: counts by status, medians with their errors, the share of a prior, what the maps show.
    """
    lines = [_counted(view), _medians(view), _prior(view), _shown(view)]
    return [line for line in lines if line]


def value_and_error(value: float, std: float, quantity: Quantity) -> str:
    """A value with its standard error, both to two digits of the latter.

    Parameters
    ----------
    value : float
        [`unit` of the quantity].
    std : float
        [`std_unit` of the quantity].
    quantity : Quantity
        Says these.

    Returns
    -------
    str

    Examples
    --------
    >>> resonance = Quantity("resonance", np.zeros(1), np.zeros(1), "kHz", "Hz", 1e-3, False)
    >>> value_and_error(321.45678, 23.4, resonance)
    '321.457 ± 0.023 kHz'
    >>> value_and_error(0.5, 0.1, Quantity("work", np.zeros(1), np.zeros(1), "10⁻³ a.u. V", "10⁻³ a.u. V", 1.0, False))
    '(0.50 ± 0.10) 10⁻³ a.u. V'
    """
    error = std * quantity.to_unit
    unit = quantity.unit if quantity.unit in ("", DEGREES) else f" {quantity.unit}"
    if not math.isfinite(value):
        return "no value"
    if not (math.isfinite(error) and error > 0):
        return f"{value:,.6g}{unit}".replace("-", MINUS)
    digits = max(1 - math.floor(math.log10(error)), 0)
    style = f",.{digits}f" if digits <= 6 else ".6g"
    told = f"{value:{style}} ± {error:{style}}".replace("-", MINUS)
    # A power of ten is that of both numbers.
    return f"({told}){unit}" if quantity.unit.startswith("10") else f"{told}{unit}"


def _counted(view: FitView) -> str:
    """How many spectra have each status."""
    total, counts = view.status.size, view.counts
    words = [f"{s.sentence}: {n:,} ({percentage(n, total)})" for s, n in counts.items()]
    kept = sum(counts.get(s, 0) for s in _VALUED[1:])
    note = (
        "; those of too little signal or several answers keep a value with the errors of the posterior" if kept else ""
    )
    return f"{total:,} {'spectrum' if total == 1 else 'spectra'}. {', '.join(words)}{note}."


def _medians(view: FitView) -> str:
    """Typical value and standard error of every quantity."""
    told = []
    for quantity in view.quantities:
        centre = float(direction(quantity.values.ravel())) if quantity.circular else median(quantity.values)
        if math.isfinite(centre):
            told.append(f"{quantity.words} {value_and_error(centre, median(quantity.std), quantity)}")
        elif np.isfinite(quantity.values).any():
            told.append(f"{quantity.words} in several directions, ± {two_digits(median(quantity.std))}{quantity.unit}")
    return f"Median ± median standard error: {', '.join(told)}." if told else "No spectrum has a value."


def _prior(view: FitView) -> str:
    """How much of the numbers is the prior."""
    shares = {n: median(view.raw(n)) for n in map(str, view.dataset.data_vars) if n.endswith("_prior_share")}
    if not shares:
        return ""
    told = [f"{n.removesuffix('_prior_share').replace('_', ' ')} {100 * s:.2g} %" for n, s in shares.items()]
    source = "neighbours of each spectrum" if view.settings.get("prior") == "neighbours" else "scan"
    return f"Under a prior learnt from the {source}; its share in the variance, median: {', '.join(told)}."


def _shown(view: FitView) -> str:
    """Which point of every further axis the maps show."""
    where = [view.place(name, index) for name, index in view.middle.items() if name in view.long]
    if not where:
        return ""
    curves = "medians over all positions, with the middle half of them, and of angles the mean direction"
    return f"Maps are at {', '.join(where)}; curves are {curves}."


def direction(angles: Array) -> Array:
    """Mean direction of angles along the first axis.

    Parameters
    ----------
    angles : ndarray, shape (n, ...)
        [degree]; NaN is left out.

    Returns
    -------
    ndarray, shape (...)
        [degree], from -180 to 180; NaN where they cancel, as those of opposite domains do.

    Examples
    --------
    >>> direction(np.array([[170.0, 0.0], [-170.0, 180.0]])).round()
    array([180.,  nan])
    """
    there = np.isfinite(angles)
    total = np.where(there, np.exp(1j * np.radians(np.where(there, angles, 0.0))), 0.0).sum(axis=0)
    aligned = np.abs(total) > _ALIGNED * there.sum(axis=0)
    return np.where(aligned, np.degrees(np.angle(total)), np.nan)
