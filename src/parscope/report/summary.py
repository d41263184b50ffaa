"""What a strain map says, in plain words: how many were fitted, how well, what was flagged, and what would help."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parscope.core.solver import Status
from parscope.report.legend import percentage
from parscope.report.sheet import TIMES
from parscope.report.view import STRAINS, Array, StrainView

_COARSE = 0.001
_FEW = 0.02
_ENOUGH = 30
_LARGEST_POOL = 5


@dataclass(frozen=True)
class Summary:
    """The words at the head of a report.

    Parameters
    ----------
    paragraph : str
        What was measured and how well.
    advice : tuple of str
        What to do about what was found, most useful first; never empty.
    facts : tuple of (str, str)
        Names and values of the few numbers that matter most.
    """

    paragraph: str
    advice: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def summarise(view: StrainView) -> Summary:
    """Put a strain map into words.

    Parameters
    ----------
    view : StrainView
        A strain map.

    Returns
    -------
    Summary
    """
    sentences = [_fitted(view), _precision(view), _flagged(view), _zero(view)]
    return Summary(" ".join(s for s in sentences if s), _advice(view), _facts(view))


def typical_error(view: StrainView) -> float:
    """Median standard error of the three strains, [1]; NaN where nothing was fitted."""
    return median(np.stack([view.where_fitted(f"{name}_std") for name in STRAINS]))


def median(values: Array) -> float:
    """Median of the finite values, NaN if there are none.

    Examples
    --------
    >>> median(np.array([1.0, np.nan, 3.0]))
    2.0
    """
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def in_percent(strain: float) -> str:
    """A strain in percent with two digits.

    Examples
    --------
    >>> in_percent(0.00123), in_percent(0.0456)
    ('0.12 %', '4.6 %')
    """
    return f"{two_digits(100 * strain)} %"


def two_digits(value: float) -> str:
    """A number with two significant digits, without an exponent.

    Examples
    --------
    >>> two_digits(0.0123), two_digits(1234.5), two_digits(0.2)
    ('0.012', '1,200', '0.20')
    """
    if not np.isfinite(value) or value == 0:
        return "0" if value == 0 else "unknown"
    digits = 1 - int(np.floor(np.log10(abs(value))))
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def _share(view: StrainView, *statuses: Status) -> float:
    """Share of scan positions that have one of these."""
    return sum(view.counts.get(status, 0) for status in statuses) / view.status.size


def _fitted(view: StrainView) -> str:
    """How many positions have a value."""
    number, total = int(view.fitted.sum()), view.status.size
    if not number:
        return f"No strain was obtained at any of the {total:,} scan positions."
    pool = view.number("pool")
    pooled = f", each pooled with its neighbours ({_square(int(pool))} patterns)" if pool > 1 else ""
    return f"Strain was fitted at {number:,} of {total:,} scan positions ({percentage(number, total)}){pooled}."


def _precision(view: StrainView) -> str:
    """How well, and how near the physical limit."""
    if not view.fitted.any():
        return ""
    turn = two_digits(np.degrees(median(view.where_fitted("rotation_std"))))
    words = f"The typical standard error is {in_percent(typical_error(view))} in strain and {turn}° in rotation"
    dose, ratio = median(view.where_fitted("electrons")), median(view.where_fitted("limit_ratio"))
    words += f" at {two_digits(dose)} electrons per pattern" if dose > 0 else ""
    if ratio > 0:
        words += f"; that is {ratio:.2f} times the physical (Cramér-Rao) limit for disks without inner contrast"
    return f"{words}."


def _flagged(view: StrainView) -> str:
    """What has no value, the most frequent reason first."""
    bad = sorted(((n, s) for s, n in view.counts.items() if s != Status.OK), reverse=True)
    if not bad:
        return "No position was flagged." if view.fitted.all() else ""
    total = sum(n for n, _ in bad)
    reasons = "; ".join(f"{s.sentence} at {n:,}" for n, s in bad)
    were = "position has" if total == 1 else "positions have"
    return f"{total:,} {were} no value ({percentage(total, view.status.size)}): {reasons}."


def _zero(view: StrainView) -> str:
    """What strain is relative to."""
    if not view.fitted.any():
        return ""
    if view.text("zero_strain"):
        return f"Zero strain is {view.text('zero_strain')}."
    if view.reference.all():
        return "Zero strain is the median lattice of the whole map."
    if not view.reference.any():
        return "No reference region was set: zero strain is the lattice of the mean pattern."
    number = int(view.reference.sum())
    return f"Zero strain is the median lattice of the outlined reference region ({number:,} positions)."


def _facts(view: StrainView) -> tuple[tuple[str, str], ...]:
    """The few numbers that matter most."""
    number, total = int(view.fitted.sum()), view.status.size
    facts = [("fitted", f"{percentage(number, total)}")]
    if number:
        turn = two_digits(np.degrees(median(view.where_fitted("rotation_std"))))
        facts += [("standard error, strain", in_percent(typical_error(view))), ("standard error, rotation", f"{turn}°")]
        ratio = median(view.where_fitted("limit_ratio"))
        facts += [("times the limit", f"{ratio:.2f}")] if np.isfinite(ratio) else []
    misfit, dose = median(view.raw("misfit")), median(view.raw("electrons"))
    facts += [("misfit (1 is perfect)", f"{misfit:.2f}")] if np.isfinite(misfit) else []
    facts += [("electrons per pattern", two_digits(dose))] if dose > 0 else []
    speed = view.number("patterns_per_s")
    facts += [("patterns per second", two_digits(speed))] if speed > 0 else []
    return tuple(facts)


def _advice(view: StrainView) -> tuple[str, ...]:
    """Everything that applies, in the order of its weight."""
    parts = [*_about_failures(view), *_about_model(view), *_about_dose(view), *_about_scan(view)]
    return tuple(parts) or ("Nothing stands out: the errors follow the dose and the model fits the patterns.",)


def _about_failures(view: StrainView) -> list[str]:
    """Advice from the reasons of failure."""
    rules = (
        (
            0.0,
            (Status.UNREADABLE, Status.BAD_INPUT),
            "Parts of the file are damaged: copy it again from the microscope.",
        ),
        (0.0, (Status.NOT_DONE,), "The work was stopped early: run it again to complete the map."),
        (_FEW, (Status.WEAK,), "Many patterns hold too few electrons: pool more neighbours, or scan more slowly."),
        (
            _FEW,
            (Status.BOUNDARY, Status.SECOND_LATTICE),
            "Several lattices share a pattern: use a smaller step or a thinner region if the strain there matters.",
        ),
        (
            _FEW,
            (Status.NO_MODEL, Status.AT_BOUND),
            "Some patterns are of another kind than the set-up expects: look at the worst patterns below.",
        ),
        (0.5, (Status.VACUUM,), "Most of the scan is vacuum: check the field of view, or crop it."),
    )
    return [words for least, statuses, words in rules if _share(view, *statuses) > least]


def _about_model(view: StrainView) -> list[str]:
    """Advice from misfit and distance from the limit."""
    misfit, ratio = median(view.where_fitted("misfit")), median(view.where_fitted("limit_ratio"))
    advice = []
    if misfit > 1.5:
        advice.append(
            f"The residuals are {misfit:.1f} times the expected noise power: look for structure in the worst patterns; "
            "if they look random, the gain is too low."
        )
    if misfit < 0.7:
        advice.append(f"The residuals are only {misfit:.2f} of the expected noise power: the gain is too high.")
    if ratio > 2:
        advice.append(
            f"The error is {ratio:.1f} times the limit of flat disks: contrast inside the disks costs precision; "
            "a smaller convergence angle, precession or a patterned aperture would help more than dose."
        )
    return advice


def _about_dose(view: StrainView) -> list[str]:
    """Advice from the standard error: more electrons, or more caution."""
    error, ratio = typical_error(view), median(view.where_fitted("limit_ratio"))
    pool = int(view.number("pool")) if view.number("pool") > 0 else 1
    advice = []
    if error > _COARSE and not ratio > 2:
        gain = _patterns(view, pool + 2) / _patterns(view, pool)
        if pool < _LARGEST_POOL and gain > 1:
            words = f"pooling {_square(pool + 2)} patterns would bring it to about {in_percent(error / gain**0.5)}"
        else:
            words = "a longer dwell time or a larger current would help"
        advice.append(f"The dose limits the precision: {words}.")
    scatter = min(_scatter(view.where_fitted(name)) for name in STRAINS[:2])
    if view.fitted.sum() > _ENOUGH and scatter < 1.2 * error:
        advice.append("Some strains vary no more than their standard error: do not read structure into their maps.")
    return advice


def _square(pool: int) -> str:
    """A square of patterns, in one word that no line break tears."""
    return f"{pool}\N{NO-BREAK SPACE}{TIMES}\N{NO-BREAK SPACE}{pool}"


def _patterns(view: StrainView, pool: int) -> int:
    """How many patterns a square of `pool` positions holds; a line scan has neighbours on two sides only."""
    return min(pool, view.shape[0]) * min(pool, view.shape[1])


def _scatter(values: Array) -> float:
    """Standard deviation that outliers do not touch, from the median absolute deviation."""
    return 1.4826 * median(np.abs(values - median(values)))


def _about_scan(view: StrainView) -> list[str]:
    """Advice from calibration and reference."""
    advice = []
    if view.fitted.any() and not (view.reference.any() or view.text("zero_strain")):
        advice.append("Set a reference region known to be unstrained, so that the values are absolute.")
    if view.unit == "px":
        advice.append("The scan has no calibration: give its step in nm to get true lengths.")
    return advice
