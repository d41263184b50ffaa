"""Cramér-Rao limits of the kinematic phantoms: how well strain can be measured at all with so many electrons.

The counts are Poisson with means ``electrons * expected``, so the Fisher information of parameters a and b is the sum
over pixels of ``(d expected / da) (d expected / db) / expected``, times the electrons. What is unknown besides the
positions of the disks (their intensities, the level of the background and, in the stricter case, a linear ramp inside
every disk) is eliminated by Schur complements; the chain rule leads on from disks to lattice, and to strain.
Method: S. M. Kay, Fundamentals of Statistical Signal Processing (1993), chapter 3.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from benchmarks.strain.phantoms import DESIGNS
from benchmarks.strain.score import FAILURE
from parscope.techniques.diffraction.lattice import strain_jacobian
from parscope.techniques.diffraction.simulate import ScanDesign, Simulation, simulate
from parscope.techniques.diffraction.simulate_render import add_disks, fill_background

Array = NDArray[np.float64]

STEP = 0.02
"""Of the finite differences of the disks, [px]."""


@dataclass(frozen=True)
class Limit:
    """Smallest possible standard errors with one electron a pattern; divide by the root of the electrons.

    Parameters
    ----------
    strain : tuple of float
        Of e_xx, e_yy, e_xy [1] and rotation [rad].
    position : float
        Of a disk position that the lattice predicts, a coordinate, [px].
    disk : float
        Of a disk position by itself, a coordinate, [px].
    """

    strain: tuple[float, float, float, float]
    position: float
    disk: float

    def at(self, electrons: float) -> dict[str, float]:
        """Limits of ``strain_rms`` [1], ``rotation_rms`` [rad], ``position_rms`` and ``disk_rms`` [px]."""
        root = electrons**0.5
        return {
            "strain_rms": _rms(self.strain[:3]) / root,
            "rotation_rms": self.strain[3] / root,
            "position_rms": self.position / root,
            "disk_rms": self.disk / root,
        }

    def failures(self, electrons: float) -> float:
        """Share of patterns with an error above `FAILURE` by chance alone, [1].

        Those of the components are taken as independent, which they are but for a hundredth part of the share.
        """
        tolerated = erf(FAILURE * np.sqrt(electrons / 2) / np.array(self.strain))
        return float(1 - np.prod(tolerated))


@dataclass(frozen=True)
class Limits:
    """Limits of one phantom.

    Parameters
    ----------
    known : Limit
        When what is inside every disk is known, and the intensities and the background level are not.
    ramp : Limit
        When every disk has an unknown linear ramp too, as dynamical diffraction puts there.
    """

    known: Limit
    ramp: Limit


def limits(name: str, patterns: int = 24) -> Limits:
    """Limits of a kinematic phantom.

    Parameters
    ----------
    name : str
        One of `phantoms.DESIGNS`.
    patterns : int, default 24
        Number of patterns, evenly spread over the scan, whose variances are averaged; mixtures of two grains are
        left out.

    Returns
    -------
    Limits

    Raises
    ------
    KeyError
        If there is no such phantom; the multislice one has no closed form.
    """
    scan = simulate(replace(DESIGNS[name], electrons=1.0))
    pure = np.argwhere(scan.truth.share == 0)
    chosen = pure[np.linspace(0, len(pure) - 1, min(patterns, len(pure))).astype(int)]
    found = [pattern_limits(scan, int(y), int(x)) for y, x in chosen]
    return Limits(*(_average([pair[k] for pair in found]) for k in range(2)))


def pattern_limits(scan: Simulation, y: int, x: int) -> tuple[Limit, Limit]:
    """Limits of one pattern without and with ramps."""
    positions, information = _information(scan, y, x)
    n = len(positions)
    known, ramp = (_schur(part, 2 * n) for part in (information[: -2 * n, : -2 * n], information))
    return _limit(scan, y, x, known), _limit(scan, y, x, ramp)


def _information(scan: Simulation, y: int, x: int) -> tuple[Array, Array]:
    """Positions of the disks, and Fisher matrix of positions, levels and, last, ramps."""
    design = scan.design
    positions, electrons, fringe = (a[x] for a in scan.row_disks(y))
    images = [_disk(design, positions[n], fringe[n]) for n in range(len(positions))]
    shifts, ramps = [], []
    for n, image in enumerate(images):
        for step in np.eye(2) * STEP:
            ahead, behind = (_disk(design, positions[n] + s * step, fringe[n]) for s in (1, -1))
            shifts.append(electrons[n] * (ahead - behind) / (2 * STEP))
        ramps += [image * u for u in _disk_coordinates(design, positions[n])]
    levels = list(images)
    expected = sum(e * image for e, image in zip(electrons, images, strict=True))
    if design.background:
        diffuse = np.empty(design.pattern)
        fill_background(diffuse, scan.truth.centre[y, x], design.background, design.background_width)
        expected = expected + diffuse
        levels.append(diffuse)
    seen = expected > 1e-15
    weight = 1 / np.sqrt(expected[seen])
    jacobian = np.stack([c[seen] * weight for c in (*shifts, *levels, *ramps)], -1)
    return positions, jacobian.T @ jacobian


def _disk(design: ScanDesign, position: Array, fringe: Array) -> Array:
    """Image of one disk with one electron in it."""
    image = np.zeros(design.pattern)
    probe = np.array([*np.linalg.inv(design.distortion).ravel(), design.radius, design.edge])
    add_disks(image, position[None], np.ones(1), probe, fringe[None])
    return image


def _disk_coordinates(design: ScanDesign, position: Array) -> Array:
    """Coordinates of every pixel in units of the radius of a disk, shape (2, pattern y, pattern x)."""
    offsets = np.stack(np.meshgrid(*(np.arange(n) for n in design.pattern), indexing="ij"), -1) - position
    return np.moveaxis(offsets @ np.linalg.inv(design.distortion).T / design.radius, -1, 0)


def _schur(information: Array, kept: int) -> Array:
    """Information on the first `kept` parameters when the others are unknown."""
    cross, rest = information[:kept, kept:], information[kept:, kept:]
    return information[:kept, :kept] - cross @ np.linalg.solve(rest, cross.T)


def _limit(scan: Simulation, y: int, x: int, information: Array) -> Limit:
    """From the information on disk positions to standard errors of strain, lattice and disks."""
    truth = scan.truth
    reference = truth.indices @ truth.basis
    chain = np.zeros((len(information), 6))
    chain[0::2, 0] = chain[1::2, 1] = 1.0
    chain[0::2, 2:4], chain[1::2, 4:6] = reference, reference
    covariance = np.linalg.inv(chain.T @ information @ chain)
    slope = strain_jacobian(truth.affine[y, x])
    strain = np.sqrt(np.diag(slope @ covariance[2:, 2:] @ slope.T))
    predicted = np.einsum("ia,ab,ib->i", chain, covariance, chain)
    alone = [np.trace(np.linalg.inv(information[i : i + 2, i : i + 2])) / 2 for i in range(0, len(information), 2)]
    return Limit(tuple(strain.tolist()), float(np.sqrt(predicted.mean())), float(np.sqrt(np.mean(alone))))


def _average(found: list[Limit]) -> Limit:
    """Root of the mean variances."""
    strain = tuple(_rms([f.strain[k] for f in found]) for k in range(4))
    return Limit(strain, _rms([f.position for f in found]), _rms([f.disk for f in found]))


def _rms(values: list[float] | tuple[float, ...]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def main() -> None:
    """Print the limits of phantoms."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("phantoms", nargs="*", default=list(DESIGNS))
    for name in parser.parse_args().phantoms:
        found = limits(name)
        for electrons in (1e3, 1e4, 1e5):
            pair = (limit.at(electrons) for limit in (found.known, found.ramp))
            text = " | ".join(" ".join(f"{k} {v:.3g}" for k, v in one.items()) for one in pair)
            print(f"{name} {electrons:.0f}: {text}", flush=True)


if __name__ == "__main__":
    main()
