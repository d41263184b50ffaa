"""Runner of BGlib's fit of the simple harmonic oscillator: its calls for each spectrum, or its class on a file."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import pyUSID  # noqa: E402
from BGlib.be.analysis import BESHOfitter  # noqa: E402
from BGlib.be.analysis.be_sho_fitter import _sho_error, complex_gaussian  # noqa: E402
from job import Job  # noqa: E402
from pyUSID import Dimension  # noqa: E402
from scipy.optimize import least_squares  # noqa: E402

FIELDS = ("Amplitude [V]", "Frequency [Hz]", "Quality Factor", "Phase [rad]")
STEPS = 16


def by_call(job: Job) -> tuple[Any, Any, float]:
    """First guess, fit and CPU seconds of what the class calls for each spectrum."""
    frequency, spectra = job.array("frequency"), job.spectra
    start = time.process_time()
    guesses = [complex_gaussian(spectrum, frequency)[:4] for spectrum in spectra]
    fits = [
        least_squares(_sho_error, guess, args=[spectrum, frequency], jac="cs").x
        for guess, spectrum in zip(guesses, spectra, strict=True)
    ]
    return np.array(guesses), np.array(fits), time.process_time() - start


def by_class(job: Job) -> tuple[Any, Any, float]:
    """The same from the class, on a USID file of as many spectra, on one core."""
    frequency, spectra = job.array("frequency"), job.spectra
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "be.h5"
        with h5py.File(path, "w") as file:
            file.attrs["data_type"] = "BEPSData"
            pyUSID.hdf_utils.write_main_dataset(
                file.create_group("Measurement_000/Channel_000"),
                spectra.reshape(len(spectra) // STEPS, -1).astype(np.complex64),
                "Raw_Data",
                "Response",
                "V",
                [Dimension("X", "um", np.arange(len(spectra) // STEPS)), Dimension("Y", "um", 1)],
                [Dimension("Frequency", "Hz", frequency), Dimension("DC_Offset", "V", np.linspace(-5, 5, STEPS))],
            )
        with h5py.File(path, "r+") as file:
            start = time.process_time()
            fitter = BESHOfitter(pyUSID.hdf_utils.find_dataset(file, "Raw_Data")[0], cores=1, verbose=False)
            fitter.set_up_guess()
            fitter.do_guess(override=True)
            fitter.set_up_fit()
            fitter.do_fit(override=True)
            seconds = time.process_time() - start
            guess, fit = (fitter.h5_results_grp[name][()] for name in ("Guess", "Fit"))
    return _columns(guess), _columns(fit), seconds


def _columns(stored: Any) -> Any:
    """Parameters of a compound data set, one spectrum a row."""
    return np.stack([stored[field] for field in FIELDS], axis=-1).reshape(-1, 4).astype(float)


def main() -> None:
    """Fit, and say how many fits are, bit for bit, the guess they started from."""
    job = Job.from_command()
    guess, fit, seconds = {"call": by_call, "class": by_class}[job.settings["mode"]](job)
    job.save(seconds, fit, unmoved=np.mean((guess == fit).all(axis=1)))


if __name__ == "__main__":
    main()
