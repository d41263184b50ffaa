"""Starts from pieces of a signal that some of the parameters govern, where a grid over all would be too coarse."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from parscope.core.separable import Separable
from parscope.solvers.least_squares.algebra import factorise, substitute
from parscope.solvers.least_squares.bank import as_filters, take
from parscope.solvers.least_squares.engine import Compiled, bank_of, grid_of, level_of
from parscope.solvers.least_squares.grid import stack
from parscope.solvers.least_squares.layout import FAST, Array, Integers, Prior

# Nodes of a piece that are tried with those of the others.
_TRIED = 32
# Share by which the normal equations are damped, where two columns are the same on a piece.
_DAMPED = 1e-9
# Signals at a time, so that the products stay in the cache of a core.
_CHUNK = 64


class _Nodes(NamedTuple):
    """Nodes of a piece: what is searched (t, k), columns by factor and node (rows, f * t), their products (t, f, f)."""

    searched: Array
    rows: Integers
    columns: Array
    gram: Array


def of_pieces(physics: Separable) -> Together | Apart | None:
    """How the pieces of a physics find a start: together where they share its factors; None where there are none.

    Parameters
    ----------
    physics : Separable
        Declares its pieces.

    Returns
    -------
    Together, Apart or None
    """
    if not physics.pieces:
        return None
    shared = all(piece.physics.linear == physics.linear for piece in physics.pieces)
    return Together(physics) if shared else Apart(physics)


class Apart:
    """The best node of every piece of a signal by itself.

    Parameters
    ----------
    physics : Separable
        Declares its pieces.
    """

    def __init__(self, physics: Separable) -> None:
        self._parts, self._banks = 1 + physics.complex, []
        for piece in physics.pieces:
            engine = Compiled(piece.physics)
            self._banks.append((piece.samples, level_of(engine), bank_of(engine)))

    def start(self, rows: Array, prior: Prior | None) -> Array:
        """Where a search starts, as `Together.start` says; a prior is not asked."""
        real, *imaginary = np.split(rows, self._parts, axis=1)
        signals = real + 1j * imaginary[0] if imaginary else real
        starts = []
        for samples, level, bank in self._banks:
            taken = take(np.ascontiguousarray(signals[:, samples]), self._parts, level)
            starts.append(bank.start(taken.unit))
        return np.concatenate(starts, axis=1)


class Together:
    """The best node of every piece of a signal, when all pieces share the factors of the whole.

    Parameters
    ----------
    physics : Separable
        Declares its pieces.
    """

    def __init__(self, physics: Separable) -> None:
        self._bins, self._parts = len(physics.axis), 1 + physics.complex
        self._nodes = [self._lay_out(piece.physics, piece.samples) for piece in physics.pieces]
        self._gram = np.concatenate([nodes.gram for nodes in self._nodes])
        self._offsets = np.cumsum([0, *(len(nodes.searched) for nodes in self._nodes)])

    def _lay_out(self, physics: Separable, samples: Integers) -> _Nodes:
        """Nodes of a piece, as dense as those of a bank."""
        engine = Compiled(physics)
        searched = grid_of(engine, engine.loss).nodes
        columns = as_filters(stack(physics, searched), np.float64)
        by_factor = columns.reshape(len(columns), -1, len(searched))
        gram = np.ascontiguousarray(np.einsum("rft,rgt->tfg", by_factor, by_factor, optimize=True))
        rows = np.concatenate([samples + part * self._bins for part in range(self._parts)])
        return _Nodes(searched, rows, columns, gram)

    def start(self, rows: Array, prior: Prior | None) -> Array:
        """Where a search starts.

        Parameters
        ----------
        rows : ndarray, shape (n, parts * bins)
            Signals, real before imaginary parts.
        prior : Prior, optional
            Of what is searched.

        Returns
        -------
        ndarray, shape (n, k)
            As it is searched.
        """
        favour = self._favour(prior)
        variance = np.zeros(1) if prior is None else prior.variance
        start = np.empty((len(rows), sum(nodes.searched.shape[1] for nodes in self._nodes)))
        for first in range(0, len(rows), _CHUNK):
            some = slice(first, first + _CHUNK)
            target = np.concatenate([self._project(rows[some], nodes) for nodes in self._nodes], axis=1)
            weight = variance[some] if len(variance) > 1 else variance
            chosen = _choose(self._gram, target, favour, self._offsets, 2 * weight)
            found = [nodes.searched[chosen[:, p]] for p, nodes in enumerate(self._nodes)]
            start[some] = np.concatenate(found, axis=1)
        return start

    def _project(self, rows: Array, nodes: _Nodes) -> Array:
        """Products of signals with the columns at the nodes of a piece, shape (n, t, f)."""
        product = rows[:, nodes.rows] @ nodes.columns
        return product.reshape(len(rows), -1, len(nodes.searched)).transpose(0, 2, 1)

    def _favour(self, prior: Prior | None) -> Array:
        """Logarithm of the prior at all nodes of all pieces; where it differs between signals, of its mean.

        The search goes on under that of each signal.
        """
        favour, first = [], 0
        for nodes in self._nodes:
            last = first + nodes.searched.shape[1]
            if prior is None:
                favour.append(np.zeros(len(nodes.searched)))
            else:
                away = nodes.searched - prior.mean[:, first:last].mean(axis=0)
                precision = prior.precision[:, first:last, first:last].mean(axis=0)
                favour.append(-0.5 * np.einsum("tj,jk,tk->t", away, precision, away))
            first = last
        return np.concatenate(favour)


@nb.njit(**FAST)
def _explained(gram: Array, target: Array, room: Array, solved: Array) -> float:
    """Energy that columns explain, from their products with each other and with the signal."""
    size = target.size
    for i in range(size):
        for j in range(size):
            room[i, j] = gram[i, j]
        room[i, i] += _DAMPED * gram[i, i]
        solved[i] = target[i]
    if not factorise(room, size):
        return 0.0
    substitute(room, solved, size)
    total = 0.0
    for i in range(size):
        total += solved[i] * target[i]
    return total


@nb.njit(**FAST)
def _best(gains: Array) -> Integers:
    """The nodes that are worth a trial."""
    found: Integers = np.argsort(-gains)[:_TRIED]
    return found


@nb.njit(**FAST)
def _choose(gram: Array, target: Array, favour: Array, offsets: Integers, weight: Array) -> NDArray[np.int64]:
    """For each signal the node of each piece, shape (n, p): those that are best alone are tried together.

    Of the combinations with the pieces before only the best are kept, so that any number of pieces can be tried.
    """
    n, size, pieces = target.shape[0], target.shape[2], offsets.size - 1
    chosen = np.empty((n, pieces), np.int64)
    room, solved = np.empty((size, size)), np.empty(size)
    for s in range(n):
        scale = weight[min(s, weight.size - 1)]
        kept = np.zeros((1, pieces), np.int64)
        grams, targets, favours = np.zeros((1, size, size)), np.zeros((1, size)), np.zeros(1)
        for p in range(pieces):
            first, count = offsets[p], offsets[p + 1] - offsets[p]
            alone = np.empty(count)
            for t in range(count):
                explained = _explained(gram[first + t], target[s, first + t], room, solved)
                alone[t] = explained + scale * favour[first + t]
            tried = _best(alone)
            gains = np.empty(len(kept) * len(tried))
            for c in range(len(gains)):
                b, t = c // len(tried), first + tried[c % len(tried)]
                explained = _explained(grams[b] + gram[t], targets[b] + target[s, t], room, solved)
                gains[c] = explained + scale * (favours[b] + favour[t])
            best = _best(gains)
            before, at = best // len(tried), tried[best % len(tried)]
            kept = kept[before]
            kept[:, p] = at
            grams, targets = grams[before] + gram[first + at], targets[before] + target[s][first + at]
            favours = favours[before] + favour[first + at]
        chosen[s] = kept[0]
    return chosen
