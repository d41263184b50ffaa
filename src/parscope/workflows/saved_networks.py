"""Trained networks in folders: written with what they are for, and read for the data they are to be used on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from parscope.core.errors import FormatError, OptionError
from parscope.core.network import Network
from parscope.core.separable import Separable

if TYPE_CHECKING:
    from parscope.solvers.networks.spectra.solver import SpectraNetwork

_STRETCH = ("size", "stretch")
# Axes of model and data may differ by this share of a sample.
_ALIKE = 1e-3


def save_spectra(folder: Path, solver: SpectraNetwork, notes: Mapping[str, Any]) -> None:
    """Write a network for spectra.

    Parameters
    ----------
    folder : Path
        Where to.
    solver : SpectraNetwork
        Whole.
    notes : mapping
        What else is known of it, its ``technique`` and ``options`` among it; as JSON.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    from parscope.solvers.networks.store import save_network

    prior = solver.prior and {
        "mean": solver.prior.mean.tolist(),
        "covariance": solver.prior.covariance.tolist(),
        "two_signs": solver.prior.two_signs,
    }
    told = {
        "axis": solver.physics.axis.tolist(),
        "calibration": {n: getattr(solver.calibration, n).tolist() for n in _STRETCH},
        "factor_prior": prior,
        "everywhere": solver.everywhere,
    }
    save_network(folder, solver.network, {**notes, **told})


@dataclass(frozen=True)
class SavedSpectra:
    """A network for spectra as it was read, before it is known which spectra it is to be used on.

    Parameters
    ----------
    folder : Path
        Where it is.
    technique : str
        Name of the physics.
    network : Network
        Layers and arrays.
    notes : dict
        What was written with it.
    """

    folder: Path
    technique: str
    network: Network
    notes: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, technique: str) -> SavedSpectra:
        """Read a network, and see that it is for a technique.

        Parameters
        ----------
        folder : Path
            Where it is.
        technique : str
            Name of the physics.

        Returns
        -------
        SavedSpectra

        Raises
        ------
        FormatError
            If there is no network, or a damaged one.
        OptionError
            If it is for another technique.
        """
        from parscope.solvers.networks.store import load_network

        network, notes = load_network(folder)
        made_for = str(notes.get("technique"))
        if made_for != technique.replace("_", "-"):
            option = f"--solver {folder}"
            raise OptionError(f"is for {made_for}, not for {technique}", option, "train one for these data")
        return cls(folder, technique, network, notes)

    @property
    def options(self) -> dict[str, Any]:
        """Options of the technique that it was trained with."""
        return {n: tuple(v) if isinstance(v, list) else v for n, v in self.notes.get("options", {}).items()}

    def on(self, physics: Separable, noise: float | None = None) -> SpectraNetwork:
        """The solver for spectra of this physics.

        Parameters
        ----------
        physics : Separable
            On the axis of the spectra.
        noise : float, optional
            Standard deviation of their noise, in the `unit` of the signal, as `SpectraNetwork.heard` tells it. Default:
            it is not known.

        Returns
        -------
        SpectraNetwork

        Raises
        ------
        FormatError
            If what was written with the network is damaged.
        OptionError
            If it is for another axis or setting.
        """
        from parscope.solvers.networks.spectra.calibration import Calibration
        from parscope.solvers.networks.spectra.decoder import FactorPrior
        from parscope.solvers.networks.spectra.solver import SpectraNetwork

        _check(self.folder, self.notes, physics)
        try:
            calibration = Calibration(*(np.array(self.notes["calibration"][name]) for name in _STRETCH))
            told, f = self.notes["factor_prior"], len(physics.parameters) - len(physics.nonlinear)
            prior = told and FactorPrior(
                np.array(told["mean"]).reshape(f), np.array(told["covariance"]).reshape(f, f), bool(told["two_signs"])
            )
            everywhere = bool(self.notes.get("everywhere", False))
            solver = SpectraNetwork(physics, self.network, calibration, prior, everywhere, noise)
            # Parts of other sizes than the physics are found by one spectrum of noise, before hours of data.
            signal = np.random.default_rng(0).normal(size=(1, *physics.signal_shape))
            solver(signal.astype(np.complex128) if physics.complex else signal)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise FormatError(f"is damaged: {why}", str(self.folder), "train it again") from error
        return solver


def _check(folder: Path, notes: Mapping[str, Any], physics: Separable) -> None:
    """Refuse a network for other settings of its technique, or another axis."""
    option = f"--solver {folder}"
    names = [parameter.name for parameter in physics.parameters]
    if notes.get("names") != names:
        raise OptionError(f"tells {notes.get('names')}, not {names}", option, "give the options it was trained with")
    axis = np.asarray(notes.get("axis"), np.float64)
    step = float(np.ptp(physics.axis)) / max(len(physics.axis) - 1, 1)
    if axis.shape != physics.axis.shape or np.abs(axis - physics.axis).max() > _ALIKE * step:
        ours, theirs = (f"{len(a)} samples from {a[0]:g} to {a[-1]:g}" for a in (physics.axis, np.atleast_1d(axis)))
        raise OptionError(f"is for {theirs}, not {ours}", option, "train one for these spectra")
