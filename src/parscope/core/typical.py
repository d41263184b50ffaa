"""A signal as it may be before anything is measured: parameters in the middle of their ranges, and its strength."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from parscope.core.separable import Separable

Array = NDArray[np.float64]


def typical(physics: Separable) -> Array:
    """Parameters in the middle of their bounds, and factors as the technique declares them.

    Several of one unit are spread over their ranges, the first one lowest, as two coercive biases are; not those of
    kind ``log``, as widths.

    Parameters
    ----------
    physics : Separable
        Declares the parameters.

    Returns
    -------
    ndarray, shape (k,)
        In the order and units of ``physics.parameters``.
    """
    spread = [parameter.unit for parameter in physics.nonlinear if parameter.kind != "log"]
    alike, seen = Counter(spread), Counter[str]()
    theta = []
    for parameter in physics.nonlinear:
        share = 0.5
        if parameter.kind != "log":
            seen[parameter.unit] += 1
            share = seen[parameter.unit] / (alike[parameter.unit] + 1)
        theta.append(parameter.between(share))
    for factor, moves in zip(physics.linear, searched_columns(physics), strict=True):
        size = float(moves) if factor.typical is None else factor.typical
        theta += [size, 0.0] if physics.complex else [size]
    return np.array(theta)


def searched_columns(physics: Separable) -> NDArray[np.bool_]:
    """Which columns depend on what is searched; all of them where nothing is.

    Parameters
    ----------
    physics : Separable
        Declares the columns.

    Returns
    -------
    ndarray of bool, shape (m,)
    """
    if not physics.nonlinear:
        return np.ones(len(physics.linear), np.bool_)
    places = np.array([[p.between(share) for p in physics.nonlinear] for share in (0.4, 0.5, 0.7)])
    return np.array([bool(np.any(column != column[:1])) for column in physics.basis(places)])


def strength(physics: Separable, theta: Array) -> tuple[Array, Array]:
    """How strong signals are, without their background: the columns that do not depend on what is searched.

    Parameters
    ----------
    physics : Separable
        What makes the signals.
    theta : ndarray, shape (n, k)
        Parameters.

    Returns
    -------
    peak : ndarray, shape (n,)
        Largest modulus, in the unit of the signal.
    energy : ndarray, shape (n,)
        Sum of the squared moduli that no background could explain, squared unit.
    """
    still = np.flatnonzero(~searched_columns(physics))
    first, parts = len(physics.nonlinear), 1 + physics.complex
    alone = theta.copy()
    for m in still:
        alone[:, first + parts * m : first + parts * (m + 1)] = 0.0
    signal = physics.render(alone)
    peak = np.abs(signal).max(axis=1)
    if still.size:
        level = np.linalg.qr(np.stack(physics.basis(theta[:1]), axis=-1)[0][:, still])[0]
        signal = signal - (signal @ level.conj()) @ level.T
    return peak, np.sum(np.abs(signal) ** 2, axis=1)
