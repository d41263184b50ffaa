"""Runner of sidpy's fitter with BGlib's functions for it: the class with one worker, or the call it makes of SciPy."""

from __future__ import annotations

import time
import warnings
from typing import Any

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import psutil  # noqa: E402
import sidpy  # noqa: E402
from BGlib.be.analysis.utils.sidpy_sho_fitter import SHO_fit_flattened, my_guess_fn  # noqa: E402
from job import Job  # noqa: E402
from scipy.optimize import curve_fit  # noqa: E402
from sidpy.proc.fitter import SidFitter  # noqa: E402

QUALITY = (5.0, 500.0)
MOST_AMPLITUDE = 1e4
COLUMNS = 10


def bounds(frequency: Any) -> tuple[Any, Any]:
    """Bounds as in the notebook that comes with the fitter."""
    turn = 2 * np.pi
    return (
        [0.0, frequency[0], QUALITY[0], -turn],
        [MOST_AMPLITUDE, frequency[-1], QUALITY[1], turn],
    )


def by_call(job: Job) -> tuple[Any, Any, float]:
    """Parameters, covariances and CPU seconds of the call that the class makes for each spectrum."""
    frequency, limits = job.array("frequency"), bounds(job.array("frequency"))
    theta, covariance = [], []
    start = time.process_time()
    for spectrum in job.spectra:
        guess = np.clip(my_guess_fn(frequency, spectrum), np.add(limits[0], 1e-12), np.subtract(limits[1], 1e-12))
        rows = np.hstack([spectrum.real, spectrum.imag])
        try:
            found = curve_fit(SHO_fit_flattened, frequency, rows, p0=guess, bounds=limits)
        except (RuntimeError, ValueError):  # it did not converge
            found = np.full(4, np.nan), np.full((4, 4), np.nan)
        theta.append(found[0])
        covariance.append(found[1])
    return np.array(theta), np.array(covariance), time.process_time() - start


def by_class(job: Job) -> tuple[Any, Any, float]:
    """The same from the class; its worker is a process of its own, whose seconds count, and its start does not."""
    frequency, spectra = job.array("frequency"), job.spectra
    rows = len(spectra) // COLUMNS
    data = sidpy.Dataset.from_array(spectra.reshape(rows, COLUMNS, -1))
    data.data_type = "spectral_image"
    data.set_dimension(0, sidpy.Dimension(np.arange(rows), "x", dimension_type="spatial"))
    data.set_dimension(1, sidpy.Dimension(np.arange(COLUMNS), "y", dimension_type="spatial"))
    data.set_dimension(2, sidpy.Dimension(frequency, "f", dimension_type="spectral"))
    fitter = SidFitter(
        data,
        SHO_fit_flattened,
        guess_fn=my_guess_fn,
        ind_dims=(0, 1),
        num_workers=1,
        threads=1,
        return_cov=True,
    )
    start = busy()
    found = fitter.do_fit(bounds=bounds(frequency))
    seconds = busy() - start
    return np.array(found[0]).reshape(-1, 4), np.array(found[1]).reshape(-1, 4, 4), seconds


def busy() -> float:
    """CPU seconds of this process and of those it has started, whether they still run or have ended."""
    this = psutil.Process()
    return sum(sum(process.cpu_times()[:4]) for process in (this, *this.children(recursive=True)))


def main() -> None:
    """Fit, and give the standard errors that come with it."""
    job = Job.from_command()
    theta, covariance, seconds = {"call": by_call, "class": by_class}[job.settings["mode"]](job)
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    job.save(seconds, theta, std=np.sqrt(np.abs(variance)))


if __name__ == "__main__":
    main()
