"""Runner of BGlib's fits of hysteresis loops: the search it keeps for means of clusters, and the one for each loop."""

from __future__ import annotations

import time
import warnings
from typing import Any

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
from BGlib.be.analysis.be_loop_fitter import _be_loop_err  # noqa: E402
from BGlib.be.analysis.utils.be_loop import fit_loop, generate_guess, loop_fit_function  # noqa: E402
from job import Job  # noqa: E402
from scipy.optimize import least_squares  # noqa: E402


def search(bias: Any, loop: Any, guess: Any) -> Any:
    """The bounded search from a guess, shape (steps,)."""
    return fit_loop(bias, loop, guess)[2]


def as_shipped(bias: Any, loop: Any, guess: Any) -> Any:
    """The fit that each loop gets, shape (steps,)."""
    return loop_fit_function(bias, least_squares(_be_loop_err, guess, args=[loop, bias], jac="cs").x)


def main() -> None:
    """Fit the loops of the sample, from its own guess; NaN where it raises an error."""
    job = Job.from_command()
    bias, loops = job.array("bias"), job.array("loops")[job.array("sample")]
    fit = {"search": search, "shipped": as_shipped}[job.settings["mode"]]
    fitted, unmoved = np.full(loops.shape, np.nan), 0
    start = time.process_time()
    for k, loop in enumerate(loops):
        try:
            guess = generate_guess(bias, loop)
            fitted[k] = fit(bias, loop, guess)
        except Exception:  # noqa: BLE001  whatever it stumbles over, there is no fit
            continue
        unmoved += np.array_equal(fitted[k], loop_fit_function(bias, guess))
    seconds = time.process_time() - start
    np.savez(job.result, seconds=seconds, fitted=fitted, unmoved=unmoved / len(loops))


if __name__ == "__main__":
    main()
