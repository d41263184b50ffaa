"""Runner of least squares as BGlib could have it: from its guess, on the residuals of all bins, parameters scaled."""

from __future__ import annotations

import time
import warnings
from typing import Any

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
from BGlib.be.analysis.be_sho_fitter import complex_gaussian  # noqa: E402
from job import Job  # noqa: E402
from scipy.optimize import least_squares  # noqa: E402

MOST_CALLS = 200


def response(parameters: Any, frequency: Any) -> tuple[Any, Any]:
    """Simple harmonic oscillator, shape (bins,), and its derivatives by amplitude, resonance, quality, phase."""
    amplitude, resonance, quality, phase = parameters
    below = frequency**2 - 1j * frequency * resonance / quality - resonance**2
    unit = np.exp(1j * phase) * resonance**2 / below
    signal = amplitude * unit
    by_resonance = signal * (2 / resonance + (1j * frequency / quality + 2 * resonance) / below)
    by_quality = -signal * 1j * frequency * resonance / quality**2 / below
    return signal, np.stack([unit, by_resonance, by_quality, 1j * signal], axis=1)


def real(values: Any) -> Any:
    """Real parts before imaginary ones."""
    return np.concatenate([values.real, values.imag])


def fit(frequency: Any, spectrum: Any) -> tuple[Any, Any]:
    """Parameters and standard errors."""
    guess = np.array(complex_gaussian(spectrum, frequency)[:4])
    guess[1] = np.clip(guess[1], frequency[0], frequency[-1])
    guess[2] = max(abs(guess[2]), 1.0)
    scale = np.array([max(abs(guess[0]), 1e-12), guess[1] / guess[2], guess[2], 1.0])
    found = least_squares(
        lambda p: real(response(p, frequency)[0] - spectrum),
        guess,
        jac=lambda p: real(response(p, frequency)[1]),
        x_scale=scale,
        method="lm",
        max_nfev=MOST_CALLS,
    )
    variance = 2 * found.cost / (2 * len(frequency) - 4)
    information = found.jac.T @ found.jac
    return found.x, np.sqrt(np.abs(np.diag(np.linalg.pinv(information))) * variance)


def main() -> None:
    """Fit one spectrum after the other."""
    job = Job.from_command()
    frequency, spectra = job.array("frequency"), job.spectra
    start = time.process_time()
    fits = [fit(frequency, spectrum) for spectrum in spectra]
    seconds = time.process_time() - start
    job.save(seconds, [f[0] for f in fits], std=[f[1] for f in fits])


if __name__ == "__main__":
    main()
