"""Set-up of a scan of so many crystals that the mean of its patterns is rings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import NoLatticeError
from parscope.techniques.diffraction.pattern import Background, DiffractionPattern
from parscope.techniques.diffraction.setup import Choice, Given, Setup, find_setup
from parscope.techniques.diffraction.setup.gain import counts_per_electron
from parscope.techniques.diffraction.setup.moments import moments
from parscope.techniques.diffraction.setup.pixels import bad_pixels, fill
from parscope.techniques.diffraction.setup.probe import first_probe
from parscope.workflows.grains.seeds import Finder, Seed, number_of

MOST = 400


def find_setup_polycrystal(
    patterns: NDArray[Any],
    *,
    vacuum: NDArray[Any] | None = None,
    mask: NDArray[np.bool_] | None = None,
    given: Given | None = None,
) -> Setup:
    """Find the set-up of a scan in which no lattice stands out of the mean pattern.

    Bad pixels and gain are those of all patterns; probe, background and lattice those of the patterns of the crystal
    that is met most often.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        64 to 1024 patterns from all over the scan, of any real type, in counts.
    vacuum : ndarray, shape (q_y, q_x), optional
        Pattern of the probe in vacuum, from which the probe is then taken.
    mask : ndarray of bool, shape (q_y, q_x), optional
        True where the pixel is known to be bad.
    given : Given, optional
        What is known beforehand; default nothing.

    Returns
    -------
    Setup
        For `find_crystals`; its lattice is that of one crystal, its mean pattern that of this crystal.

    Raises
    ------
    NoLatticeError
        If no single pattern shows a lattice either.
    InputError, ShapeError
        As `find_setup`.
    """
    known = Given() if given is None else given
    sample = moments(patterns)
    bad = bad_pixels(sample, mask)
    gain = counts_per_electron(sample, bad.mask, patterns)[0] if known.gain is None else known.gain
    probe, centre = first_probe(fill(sample.mean, bad.mask), ~bad.mask, gain / len(patterns))
    place = (float(centre[0]), float(centre[1])) if known.centre is None else known.centre
    shape = (patterns.shape[1], patterns.shape[2])
    nothing = np.zeros((0, 2), np.int64)
    physics = DiffractionPattern(
        shape, probe, place, np.eye(2), nothing, np.zeros(0), Background(1.0, 1.0), gain=gain, mask=bad.mask
    )
    chosen, crystals = _largest_crystal(patterns, Finder(physics, 1.0))
    setup = find_setup(patterns[chosen], vacuum=vacuum, mask=bad.mask, given=replace(known, gain=gain))
    how = f"the mean pattern shows none; {len(chosen)} patterns of the most frequent of {crystals} laid over each other"
    return replace(setup, choices=(*setup.choices, Choice("lattice", "of one crystal", how)))


def _largest_crystal(patterns: NDArray[Any], finder: Finder) -> tuple[NDArray[np.int64], int]:
    """Numbers of the patterns that show the most frequent lattice, and how many lattices there are."""
    looked = np.unique(np.linspace(0, len(patterns) - 1, min(MOST, len(patterns))).astype(np.int64))
    seeds = [finder.seed(np.array([n, 0]), patterns[n]) for n in looked]
    seeds = [s for s in seeds if s.lattices]
    if not seeds:
        raise NoLatticeError(
            "show no lattice, neither alone nor together", "patterns", "add patterns, or give --g1 and --g2"
        )
    kinds = [seeds[0].lattices[0]]
    member: list[list[Seed]] = [[]]
    for seed in seeds:
        kind = number_of(seed.lattices[0], kinds)
        if kind < 0:
            kind = len(kinds)
            kinds.append(seed.lattices[0])
            member.append([])
        member[kind].append(seed)
    # a pattern of one lattice only is worth more than a mixture
    best = max(member, key=lambda group: sum(1.0 / len(s.lattices) for s in group))
    return np.array([s.place[0] for s in best], dtype=np.int64), len(kinds)
