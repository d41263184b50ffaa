"""Networks at work on a scan: where the fit of every pattern begins, and which lattice each position shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from parscope.core.errors import FormatError, OptionError
from parscope.core.frames import Frames
from parscope.core.solver import Status
from parscope.techniques.diffraction import Background, DiffractionPattern, strain, turned
from parscope.techniques.diffraction.saved import understood
from parscope.techniques.diffraction.setup import Choice, Setup
from parscope.techniques.diffraction.setup.gain import counts_per_electron
from parscope.techniques.diffraction.setup.moments import moments
from parscope.techniques.diffraction.setup.pixels import bad_pixels, fill
from parscope.workflows.grains.lattice import change
from parscope.workflows.grains.survey import Survey, rotation_errors, rows_together, stride_of

if TYPE_CHECKING:
    from parscope.solvers.networks.constellation.solver import ConstellationNetwork

Array = NDArray[np.float64]

# Radius of a disk that networks forgive, off by so much of it.
_LARGER = 0.15
_ADVICE = "train them on this scan: parscope train strain"


@dataclass(frozen=True)
class NetworkStart:
    """Networks for the patterns of one scan.

    Parameters
    ----------
    network : ConstellationNetwork
        With centre, gain and bad pixels of the scan.
    basis : ndarray, shape (2, 2)
        Rows g1, g2 of the scan's reference, [px].
    others : tuple of ConstellationNetwork, optional
        For the lattices of other phases.
    """

    network: ConstellationNetwork
    basis: Array
    others: tuple[ConstellationNetwork, ...] = ()

    @property
    def farthest(self) -> float:
        """Disk used, [px] from the centre."""
        return max(float(np.hypot(*n.physics.reference.T).max()) for n in (self.network, *self.others)) + 1.0

    def start(self, patterns: NDArray[Any]) -> Array:
        """Where to begin the fits of scan rows; NaN where the networks say nothing.

        Parameters
        ----------
        patterns : ndarray, shape (rows, columns, q_y, q_x)
            Counts.

        Returns
        -------
        ndarray, shape (rows, columns, 6)
        """
        lattice, centre, _ = self.told(patterns.reshape(-1, *patterns.shape[2:]))
        between = change(self.basis, lattice)
        theta = np.concatenate([centre, between.affine.reshape(-1, 4)], 1)
        known = np.isfinite(between.stretch) & np.isfinite(lattice).all((1, 2))
        return np.where(known[:, None], theta, np.nan).reshape(*patterns.shape[:2], 6)

    def survey(self, frames: Frames, progress: Callable[[float], None]) -> Survey:
        """Lattices of a coarse or full grid of scan positions.

        Parameters
        ----------
        frames : Frames
            The scan.
        progress : callable
            Called with the share of the work done, [1].

        Returns
        -------
        Survey
            Of one label, as lattices are told apart by the regions that they form.
        """
        stride = stride_of(frames.scan_shape)
        shape = (-(-frames.scan_shape[0] // stride), -(-frames.scan_shape[1] // stride))
        found = []
        for rows in rows_together(frames, stride):
            patterns = np.concatenate([np.asarray(frames.data[int(y) * stride])[::stride] for y in rows])
            found.append(self.told(patterns))
            progress((rows[-1] + 1) / shape[0])
        lattice, centre, error = (np.concatenate(part) for part in zip(*found, strict=True))
        known = np.isfinite(lattice).all((1, 2))
        return Survey(
            stride,
            np.where(known, 0, -1).reshape(shape),
            lattice.reshape(*shape, 2, 2),
            centre.reshape(*shape, 2),
            error.reshape(shape),
            known.reshape(shape).astype(np.float64),
        )

    def told(self, patterns: NDArray[Any]) -> tuple[Array, Array, Array]:
        """What the networks say of patterns: of several lattices the one with more evidence.

        Parameters
        ----------
        patterns : ndarray, shape (n, q_y, q_x)
            Counts.

        Returns
        -------
        lattice : ndarray, shape (n, 2, 2)
            Rows g1, g2, in the cell of the networks' reference, [px]; NaN where they say nothing, as below.
        centre : ndarray, shape (n, 2)
            Centre of the pattern, [px].
        error : ndarray, shape (n,)
            Standard error of the rotation, [rad].
        """
        found = []
        for network in (self.network, *self.others):
            estimate = network(patterns)
            affine = estimate.theta[:, 2:].reshape(-1, 2, 2)
            lattice = _pattern(network).basis @ np.swapaxes(affine, 1, 2)
            evidence = np.where(estimate.status == Status.OK, estimate.extra["evidence"], -np.inf)
            found.append((evidence, lattice, estimate.theta[:, :2], rotation_errors(estimate)))
        evidence, lattice, centre, error = (np.stack(part) for part in zip(*found, strict=True))
        best = evidence.argmax(0), np.arange(len(patterns))
        return lattice[best], centre[best], error[best]


def load_start(folder: Path, physics: DiffractionPattern) -> NetworkStart:
    """Networks from a folder, for a scan.

    Parameters
    ----------
    folder : Path
        From `train_strain`.
    physics : DiffractionPattern
        Set-up of the scan.

    Returns
    -------
    NetworkStart

    Raises
    ------
    FormatError
        If there are no networks, or damaged ones.
    OptionError
        If none of them was trained for this detector, probe and lattice.
    """
    from parscope.solvers.networks.constellation.solver import ConstellationNetwork
    from parscope.solvers.networks.constellation.store import load_encoders

    networks, failures = [], []
    for orientation, window, notes in load_encoders(folder):
        learned = understood(notes.get("physics", {}), str(folder))
        try:
            _check(learned, physics, _strain_of(notes, folder), folder)
        except OptionError as error:
            failures.append(error)
        own = replace(learned, centre=physics.centre, gain=physics.gain, mask=physics.mask)
        networks.append(ConstellationNetwork(own, orientation, window, **_calibration(notes, folder)))
    if len(failures) == len(networks):
        raise failures[0]
    return NetworkStart(networks[0], physics.basis, tuple(networks[1:]))


def learned_setup(folder: Path, patterns: NDArray[Any], mask: NDArray[np.bool_] | None) -> Setup:
    """Set-up of a scan too dim to show a lattice: that of the networks, in the strengths and the gain of the scan.

    Parameters
    ----------
    folder : Path
        From `train_strain`.
    patterns : ndarray, shape (n, q_y, q_x)
        From all over the scan.
    mask : ndarray of bool, shape (q_y, q_x), optional
        True where the pixel is known to be bad.

    Returns
    -------
    Setup

    Raises
    ------
    FormatError
        If there are no networks, or damaged ones.
    OptionError
        If they were trained for another detector.
    """
    from parscope.solvers.networks.constellation.store import load_encoder

    physics = understood(load_encoder(folder)[2].get("physics", {}), str(folder))
    _check_shape(physics.shape, (patterns.shape[1], patterns.shape[2]), folder)
    sample = moments(patterns)
    bad = bad_pixels(sample, mask)
    gain = counts_per_electron(sample, bad.mask, patterns)[0]
    mean = fill(sample.mean, bad.mask)
    # Disks of all orientations are rings: only what depends on the distance from the centre can be compared.
    theta = physics.theta[None]
    disks = physics.render(theta, background=np.zeros(1))[0]
    diffuse = physics.render(theta, amplitude=np.zeros(len(physics.indices)))[0]
    place = np.moveaxis(np.indices(physics.shape), 0, -1) - np.array(physics.centre)
    ring = np.rint(np.hypot(*np.moveaxis(place, -1, 0))).astype(int).ravel()
    pixels = np.maximum(np.bincount(ring), 1)
    rings = [np.bincount(ring, image.ravel()) / pixels for image in (disks, diffuse, mean)]
    weight = np.sqrt(pixels / np.maximum(rings[2], 1e-9))
    (bright, hazy), _ = nnls(np.stack(rings[:2], -1) * weight[:, None], rings[2] * weight)
    under = physics.background
    own = replace(
        physics,
        amplitude=bright * physics.amplitude,
        background=Background(hazy * under.level, under.width, hazy * under.floor),
        gain=gain,
        mask=bad.mask if bad.mask.any() else None,
    )
    model = (bright * rings[0] + hazy * rings[1])[ring].reshape(mean.shape)
    variance = gain * np.maximum(model, 1e-9) / len(patterns)
    misfit = float(np.mean((np.square(mean - model) / variance)[~bad.mask]))
    how = f"no lattice stands out; probe and lattice of the networks in {folder}"
    return Setup(own, (Choice("set-up", "of the networks", how),), mean, bad, misfit)


def _strain_of(notes: Mapping[str, Any], folder: Path) -> float:
    """Largest strain that networks were trained for, [1]."""
    try:
        return float(notes["ranges"]["strain"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"does not say what it was trained for: {error}", str(folder), "train it again") from error


def _calibration(notes: Mapping[str, Any], folder: Path) -> dict[str, float]:
    """What networks were calibrated to, as far as it is there."""
    try:
        return {name: float(notes[name]) for name in ("unlikely", "excess") if name in notes}
    except (TypeError, ValueError) as error:
        raise FormatError(f"is damaged: {error}", str(folder), "train it again") from error


def _check_shape(learned: tuple[int, int], own: tuple[int, int], folder: Path) -> None:
    """Refuse networks for another detector."""
    if learned != own:
        raise OptionError(f"is for patterns {learned}, these are {own}", f"--solver {folder}", _ADVICE)


def _check(learned: DiffractionPattern, physics: DiffractionPattern, strained: float, folder: Path) -> None:
    """Refuse networks for something else than the scan, or for lattices strained less, [1]."""
    _check_shape(learned.shape, physics.shape, folder)
    one, other = learned.probe.radius, physics.probe.radius
    if abs(one - other) > _LARGER * one:
        raise OptionError(f"is for disks of {one:.1f} px, these have {other:.1f} px", f"--solver {folder}", _ADVICE)
    alike = turned(learned.basis, physics.basis)
    between = strain(physics.basis.T @ np.linalg.inv(alike.T))
    if np.abs(between[:3]).max() > strained:
        lengths = (" and ".join(f"{n:.1f}" for n in np.hypot(*b.T)) for b in (alike, physics.basis))
        raise OptionError(
            "is for a lattice of {} px, this one is of {} px".format(*lengths), f"--solver {folder}", _ADVICE
        )


def _pattern(network: ConstellationNetwork) -> DiffractionPattern:
    """Physics of networks for diffraction patterns."""
    if not isinstance(network.physics, DiffractionPattern):
        raise TypeError(f"{type(network.physics).__name__} is no DiffractionPattern")
    return network.physics
