"""Networks for spectra, measured: below the detection gate beside the explicit posterior, and as a start for loops.

Other than in the strain and spectroscopy tables, nothing here is run in a process of its own: no peer takes part but
parscope's own exact methods, on the same spectra. The aim for weak ones is what the mean of the exact posterior reaches
on these very spectra: no method that knows as much has a smaller error in the mean. The exact posterior is given the
noise; the network estimates it from the spectra of each signal to noise together, as it does from those of a scan.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e

from benchmarks.book import Book
from benchmarks.exchange import Run
from benchmarks.report import Row, Target, rounded
from benchmarks.spectroscopy import loops
from parscope.core.solver import Estimate
from parscope.solvers.least_squares import LeastSquares
from parscope.solvers.networks.spectra.learn import Lessons, learn
from parscope.solvers.networks.spectra.refined import Refined
from parscope.solvers.networks.spectra.solver import SpectraNetwork
from parscope.techniques.band_excitation import BandExcitation
from parscope.techniques.hysteresis import HysteresisLoop

Array = NDArray[np.float64]
Part = tuple[list[Row], list[dict[str, Any]]]

RESONANCE, QUALITY = (304e3, 336e3), (30.0, 300.0)
"""Ranges that spectra are drawn from and networks are trained for: 40 % of the band, and a decade."""
PHYSICS = BandExcitation(np.linspace(280e3, 359e3, 80), resonance_range=RESONANCE, quality_range=QUALITY)
BIN = 1e3
WEAK = (3, 2, 1)
"""Signals to noise with an aim."""

COUNT, QUICK = 4_000, 500
MINUTES, SHORT = 4.0, 0.5
SEEDS = 10
HALF = f"{loops.CASE}, the half not trained on"
# Losses this near to the best of all seeds have converged, [nat].
_NEAR = 0.5
# Strengths of the grid over which the exact posterior is summed, as the networks draw them.
_PEAKS = np.exp(np.linspace(np.log(10**-0.5), np.log(10**2.5), 120))


def measure(run: Run, quick: bool) -> Part:
    """Run everything; see `benchmarks.spectroscopy.table.measure`."""
    parts = [_resonances(quick), _seeds(quick), _loops(quick)]
    records = [
        {"method": "parscope", "key": f"{run.name}:{record['case']}", **record} for _, made in parts for record in made
    ]
    return [row for rows, _ in parts for row in rows], records


def _resonances(quick: bool) -> Part:
    """One network over all strengths, beside least squares and the exact posterior mean.

    The network hears the noise of the spectra that it is measured on.
    """
    network, notes, seconds = _trained(0, 0.2 if quick else MINUTES)
    exact = LeastSquares(PHYSICS)
    rows, records = [], [{"case": "training", "seconds": seconds, **notes}]
    rows.append(Row("resonances, training", "wall time", seconds, "s", target=Target(at_most=300.0)))
    rows.append(Row("resonances, training", "parameters", float(network.network.size), "1"))
    for snr in (10, 5, *WEAK):
        theta, signals = draw(snr, QUICK if quick else COUNT)
        network.noise = network.heard(signals)
        mean = np.sqrt(np.mean(np.square(posterior_mean(signals) - theta[:, 0]))) / BIN
        scores = {
            "network": _scores(network(signals), theta),
            "least squares": _scores(exact(signals), theta),
            "posterior mean": {"rms": float(mean)},
        }
        case = {"case": f"resonances, signal to noise {snr}", "spectra": len(signals), "noise": network.noise}
        records.append({**case, **scores})
        rows += lines(snr, scores)
    rows.append(Row("resonances, training", "spectra per CPU second", _speed(network, draw(3, 8192)[1]), "1/s"))
    return rows, records


def lines(snr: int, scores: dict[str, dict[str, float]]) -> list[Row]:
    """Lines of the table of one signal to noise.

    Parameters
    ----------
    snr : int
        Peak over the noise, [1].
    scores : dict of dict
        Of the network, of least squares and of the posterior mean, all on the same spectra.

    Returns
    -------
    list of Row
    """
    case, network, other = f"resonances, signal to noise {snr}", scores["network"], scores["least squares"]
    posterior, beside = scores["posterior mean"]["rms"], "parscope least squares"
    wanted = Target(at_most=rounded(posterior)) if snr in WEAK else None
    held = Target(93.0, 97.0) if snr in WEAK else None
    rows = [
        Row(
            case, "resonance, RMS error", network["rms"], "bins", "mean of the exact posterior", posterior, None, wanted
        ),
        Row(case, "resonance, RMS error where answered", network["rms"], "bins", beside, other["rms"]),
        Row(case, "answered", 100 * network["answered"], "%", beside, 100 * other["answered"]),
    ]
    for name in ("resonance", "quality"):
        inside = 100 * network[name], "%", beside, 100 * other[name]
        rows.append(Row(case, f"{name} inside its 95 % interval", *inside, target=held))
    return rows


def _scores(found: Estimate, theta: Array) -> dict[str, float]:
    """RMS of the resonance where there is an answer [bins]; shares of answers, and of 95 % intervals with the truth.

    No answer holds nothing; the quality is compared on its logarithm.
    """
    off, std = found.theta - theta, found.std
    away = np.abs(np.log(found.theta[:, 1] / theta[:, 1])) / (std[:, 1] / found.theta[:, 1])
    return {
        "rms": float(np.sqrt(np.nanmean(off[:, 0] ** 2))) / BIN,
        "resonance": float(np.mean(np.abs(off[:, 0]) < 1.96 * std[:, 0])),
        "quality": float(np.mean(away < 1.96)),
        "answered": float(np.isfinite(off[:, 0]).mean()),
    }


def _seeds(quick: bool) -> Part:
    """Whether short trainings of several seeds end at the same loss."""
    losses = []
    for seed in range(2 if quick else SEEDS):
        _, notes, _ = _trained(seed, 0.05 if quick else SHORT)
        losses.append(notes["training"]["losses"][-1][1])
        print(f"seed {seed}: loss {losses[-1]:.3f}", flush=True)
    near = sum(loss < min(losses) + _NEAR for loss in losses)
    wanted = Target(at_least=100.0)
    case = f"resonances, {len(losses)} seeds of {SHORT:g} min"
    row = Row(case, f"end within {_NEAR} nat of the best", 100 * near / len(losses), "%", target=wanted)
    return [row], [{"case": row.case, "losses": losses}]


def _trained(seed: int, minutes: float) -> tuple[SpectraNetwork, dict[str, Any], float]:
    """A network for the whole range, what is known of it, and how long it took, [s]."""
    began = time.perf_counter()
    lessons = Lessons(everywhere=True, seed=seed, seconds=60 * minutes)
    network, notes = learn(PHYSICS, draw(20, 200)[1], lessons)
    return network, notes, time.perf_counter() - began


def draw(snr: float, count: int, seed: int = 5) -> tuple[Array, NDArray[np.complex128]]:
    """Parameters (n, 4) and spectra (n, 80) with noise of standard deviation 1 in each part."""
    rng = np.random.default_rng([seed, int(snr)])
    resonance = rng.uniform(*RESONANCE, count)
    quality = np.exp(rng.uniform(*np.log(QUALITY), count))
    factor = snr / quality * np.exp(1j * rng.uniform(-np.pi, np.pi, count))
    theta = np.stack([resonance, quality, factor.real, factor.imag], axis=1)
    noise = rng.normal(size=(count, 80, 2)).view(np.complex128)[..., 0]
    return theta, PHYSICS.render(theta) + noise


def posterior_mean(signals: NDArray[np.complex128]) -> Array:
    """Mean of the resonance over a fine grid, for one who knows the ranges, how strengths are drawn, and the noise.

    The strength is flat in its logarithm and the phase is anything: their likelihood is a Bessel function.
    """
    resonance = np.linspace(*RESONANCE, 257)
    quality = np.exp(np.linspace(*np.log(QUALITY), 25))
    nodes = np.stack([axis.ravel() for axis in np.meshgrid(resonance, quality, indexing="ij")], axis=1)
    column = PHYSICS.basis(nodes)[0]
    column = column / np.abs(column).max(axis=1, keepdims=True)
    energy = np.square(np.abs(column)).sum(axis=1)
    means = np.empty(len(signals))
    for n, signal in enumerate(signals):
        size = np.abs(column.conj() @ signal)
        explained = size**2 / (2 * energy)
        some = explained > explained.max() - 14
        argument = _PEAKS[:, None] * size[some]
        power = argument + np.log(i0e(argument)) - _PEAKS[:, None] ** 2 * energy[some] / 2
        weight = np.exp(power - power.max()).sum(axis=0)
        means[n] = weight @ nodes[some, 0] / weight.sum()
    return means


def _speed(solver: Any, signals: NDArray[Any]) -> float:
    """Signals a second of one core, the best of three calls after one."""
    solver(signals)
    seconds = []
    for _ in range(3):
        began = time.process_time()
        solver(signals)
        seconds.append(time.process_time() - began)
    return len(signals) / min(seconds)


def _loops(quick: bool) -> Part:
    """Half of the real loops of the spectroscopy table, from a network that was trained on the other half."""
    path = loops.file()
    if path is None:
        print(f"{loops.CASE}: left out, as there is no spectroscopy/{loops.FILE}; set PARSCOPE_TEST_DATA", flush=True)
        return [], []
    bias, every = loops.load(path)
    physics, signals = HysteresisLoop(bias), every[1::2]
    began = time.perf_counter()
    network, notes = learn(physics, every[::2], Lessons(seconds=13.0 if quick else 160.0))
    seconds = time.perf_counter() - began
    exact = LeastSquares(physics)
    refined = Refined(network, exact)
    total = np.square(signals - signals.mean(axis=1, keepdims=True)).sum(axis=1)
    freedom = signals.shape[1] - len(physics.parameters)
    scores = {}
    for name, solver in (("network alone", network), ("refined", refined), ("least squares", exact)):
        determination = 1 - freedom * np.square(solver(signals).extra["noise"]) / total
        scores[name] = {"determination": float(np.median(determination)), "speed": _speed(solver, signals)}
    rows = []
    for key, label, unit, wanted in (
        ("determination", "R² of the search, median of all", "1", 0.949),
        ("speed", "loops per CPU second", "1/s", 600),
    ):
        values = scores["refined"][key], unit, "parscope least squares", scores["least squares"][key]
        rows.append(Row(HALF, f"{label}, network start", *values, target=Target(at_least=wanted)))
    rows.append(Row(HALF, "training, wall time", seconds, "s"))
    return rows, [{"case": HALF, "loops": len(signals), **scores, **notes}]


BOOK = Book(
    name="networks-spectra",
    peers=(),
    libraries=("numpy", "numba", "scipy", "torch", "safetensors"),
    seeds={"spectra": "(5, signal to noise)", "networks": f"0, and 0 to {SEEDS - 1}"},
    measure=measure,
)
