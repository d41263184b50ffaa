"""Small fits of simulated band excitation, with every odd shape, for the tests of report and viewer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.spectra import Spectra
from parscope.techniques.band_excitation import BandExcitation

FREQUENCY = np.linspace(280e3, 359e3, 80)
BIAS = 8 * np.sin(np.linspace(0, 2 * np.pi, 8, endpoint=False))
AXES = {
    "y": Axis("y", 6, "nm", 20.0),
    "x": Axis("x", 8, "nm", 20.0),
    "cycle": Axis("cycle", 2, "1"),
    "bias": Axis.from_values("bias", BIAS, "V"),
    "position": Axis("position", 30),
}


def signals(n: int) -> NDArray[np.complex128]:
    """Noisy resonances of opposite domains; one without samples, two that follow no resonance, one of noise alone."""
    rng = np.random.default_rng(0)
    turn = np.where(np.arange(n) % 9 < 4, 1, -1) * 0.5
    theta = np.stack([320e3 + 4e3 * np.sin(np.arange(n) / 9), np.full(n, 100.0), turn, 0.3 * turn], axis=1)
    made = BandExcitation(FREQUENCY).render(theta) + rng.normal(size=(n, 80, 2)).view(complex)[..., 0]
    if n > 8:
        made[3] = np.nan
        made[4:6] += 60 * np.exp(1j * FREQUENCY / 3e3)
        made[7] -= BandExcitation(FREQUENCY).render(theta[7:8])[0]
    return made


def spectra(*names: str) -> Spectra:
    """Spectra on navigation axes of some names."""
    axes = tuple(AXES[name] for name in names)
    shape = tuple(axis.size for axis in axes)
    samples = signals(int(np.prod(shape))).reshape(*shape, 80)
    return Spectra(samples, (*axes, Axis.from_values("frequency", FREQUENCY, "Hz")), "V")
