"""Draw the figures of the pages on spectra from benchmarks/results/*.json, and from nothing else.

``python docs/make_figures.py`` writes them; what others have published comes from the table's own record of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PUBLISHED = ROOT / "benchmarks" / "spectroscopy" / "published.json"
IMAGES = ROOT / "docs" / "images"

# Okabe and Ito, https://jfly.uni-koeln.de/color; each method has a mark too.
METHODS = {
    "parscope": ("parscope", "#0072B2", "o"),
    "BGlib 0.0.6": ("BGlib", "#D55E00", "s"),
    "SciPy curve_fit, as sidpy calls it": ("sidpy's call of curve_fit", "#CC79A7", "^"),
    "SciPy least_squares, all residuals": ("least_squares, repaired", "#009E73", "v"),
}
FILM = {
    "parscope": ("parscope, prior off", "#56B4E9", "o"),
    "parscope, prior": ("parscope, prior on", "#0072B2", "o"),
    "network": ("published network", "#D55E00", "s"),
    "MAP": ("published MAP", "#E69F00", "^"),
    "least squares": ("published least squares", "#999999", "v"),
}
PARAMETERS = {
    "amplitude": ("amplitude, 10⁻⁶", 1e6),
    "resonance": ("resonance, Hz", 1.0),
    "quality": ("quality factor", 1.0),
    "phase": ("phase, rad", 1.0),
}
SWEEP = {
    "least squares": ("least squares", "#999999", "v"),
    "published network, clean only": ("published network, trained on clean only", "#E69F00", "^"),
    "published network, over a range": ("over a range of noise", "#CC79A7", "D"),
    "published network, at each noise": ("at each noise", "#D55E00", "s"),
    "parscope network, trained once": ("parscope's network, trained once", "#009E73", "P"),
    "least squares, prior": ("least squares, prior from the scan", "#0072B2", "o"),
}
RESONANCES, TWIN = "resonances, signal to noise ", "twin of the published film, n = "
NOISY = "noise sweep on the twin, n = "
STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}

Scores = dict[str, dict[int, dict[str, float]]]


def scores(made: dict[str, Any], cases: str) -> Scores:
    """Scores by method and by the number that ends the name of a case."""
    found: Scores = {}
    for record in made["methods"]:
        if record["case"].startswith(cases) and record["scores"]:
            number = int(record["case"].removeprefix(cases))
            found.setdefault(record["method"], {})[number] = record["scores"]
    return found


def curve(axes: Axes, points: dict[int, float | None], style: tuple[str, str, str], **more: Any) -> None:
    """One method: a line with marks."""
    label, colour, mark = style
    known = {x: y for x, y in sorted(points.items()) if y is not None}
    axes.plot(list(known), list(known.values()), marker=mark, ms=5, color=colour, label=label, **more)


def signal_axis(axes: Axes) -> None:
    """A logarithmic axis of the ratios that were measured."""
    axes.set_xscale("log")
    ticks = (2, 3, 5, 10, 30, 100)
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel("peak over noise")


def plain_logarithmic(axes: Axes) -> None:
    """A logarithmic axis without powers of ten: 1, 2, 5, 10, ..."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def precision(made: dict[str, Any]) -> Figure:
    """Errors over the bound, and failures, against the signal-to-noise ratio."""
    found = scores(made, RESONANCES)
    figure, (resonance, quality, failures) = plt.subplots(1, 3, figsize=(9.6, 3.0), layout="constrained")
    for name, style in METHODS.items():
        cases = found.get(name, {})
        for axes, key in ((resonance, "efficiency_resonance"), (quality, "efficiency_quality")):
            curve(axes, {n: s[key] for n, s in cases.items()}, style)
        # On a logarithmic axis none at all is drawn at the foot.
        curve(failures, {n: max(100 * s["failures"], 1e-3) for n, s in cases.items()}, style)
    for axes, name in ((resonance, "resonance"), (quality, "quality factor")):
        axes.axhline(1, color="black", lw=0.8)
        plain_logarithmic(axes)
        axes.set_ylim(0.8, 20)
        axes.set_title(f"{name}: error over the bound", loc="left", fontsize=9)
    failures.set_yscale("log")
    failures.set_yticks((1e-3, 0.01, 0.1, 1, 10, 100), ["none", "0.01", "0.1", "1", "10", "100"])
    failures.minorticks_off()
    failures.set_title("failures, %", loc="left", fontsize=9)
    for axes in (resonance, quality, failures):
        signal_axis(axes)
    resonance.legend(fontsize=8)
    return figure


def coverage(made: dict[str, Any]) -> Figure:
    """How often the 95 % interval holds the truth, against the signal-to-noise ratio."""
    found = scores(made, RESONANCES)
    figure, panels = plt.subplots(1, 2, figsize=(6.6, 2.8), sharey=True, layout="constrained")
    for axes, name in zip(panels, ("resonance", "quality"), strict=True):
        axes.axhspan(93, 97, color="#dddddd", lw=0)
        axes.axhline(95, color="black", lw=0.8)
        for method, style in METHODS.items():
            known = {n: s[f"coverage_{name}"] for n, s in found.get(method, {}).items() if f"coverage_{name}" in s}
            if known:
                curve(axes, {n: 100 * share for n, share in known.items()}, style)
        signal_axis(axes)
        axes.set_title(f"{name} inside its 95 % interval, %", loc="left", fontsize=9)
    panels[1].legend(fontsize=8, loc="lower right")
    return figure


def limits(made: dict[str, Any], metric: str, cases: str = TWIN) -> dict[int, float | None]:
    """The limits that the table states for one quantity of the twin, by the noise."""
    rows = [row for row in made["rows"] if row["case"].startswith(cases) and row["metric"] == metric]
    return {int(row["case"].removeprefix(cases)): row["bound"] for row in rows}


def film(made: dict[str, Any]) -> Figure:
    """Median errors on the twin of the published film, against the noise."""
    found = scores(made, TWIN)
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    figure, panels = plt.subplots(1, 4, figsize=(11.0, 3.2), layout="constrained")
    for axes, (name, (title, factor)) in zip(panels, PARAMETERS.items(), strict=True):
        curve(axes, limits(made, f"{name}, median error"), ("limit with the prior", "black", ""), lw=0.8)
        for method, style in FILM.items():
            if method in found:
                points = {n: s[f"median_{name}"] for n, s in found[method].items()}
            else:
                points = {int(n): errors[name] for n, errors in published[method].items()}
            dashes = "-" if method in found else "--"
            curve(axes, {n: None if y is None else factor * y for n, y in points.items()}, style, ls=dashes)
        plain_logarithmic(axes)
        axes.set_xticks((2, 4, 6, 8))
        axes.set_xlabel("noise n")
        axes.set_title(f"{title}: median error", loc="left", fontsize=9)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8)
    return figure


def sweep(made: dict[str, Any]) -> Figure:
    """Errors in the published noise sweep, by what was trained on what."""
    found = scores(made, NOISY)
    figure, panels = plt.subplots(1, 5, figsize=(13.0, 3.4), layout="constrained")
    titles = {f"median_{name}": f"{title}: median error" for name, (title, _) in PARAMETERS.items()}
    factors = {f"median_{name}": factor for name, (_, factor) in PARAMETERS.items()}
    for axes, key in zip(panels, ("mse", *titles), strict=True):
        bounds = limits(made, f"{key.removeprefix('median_')}, median error", NOISY)
        curve(axes, bounds, ("limit with the prior", "black", ""), lw=0.8)
        for method, style in SWEEP.items():
            # Without noise least squares has no error that a logarithmic axis could show.
            points = {n: s[key] for n, s in found[method].items() if n or "network" in method}
            curve(axes, {n: None if y is None else factors.get(key, 1.0) * y for n, y in points.items()}, style)
        plain_logarithmic(axes)
        axes.set_xlabel("noise n")
        axes.set_title(titles.get(key, "distance from the clean spectra"), loc="left", fontsize=9)
    figure.legend(*panels[1].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


FIGURES: dict[str, tuple[str, Callable[[dict[str, Any]], Figure]]] = {
    "spectroscopy_precision.png": ("spectroscopy", precision),
    "spectroscopy_coverage.png": ("spectroscopy", coverage),
    "spectroscopy_film.png": ("spectroscopy", film),
    "averaging.png": ("averaging", sweep),
}


def main() -> None:
    """Write all figures."""
    with plt.rc_context(STYLE):
        for name, (results, draw) in FIGURES.items():
            figure = draw(json.loads((RESULTS / f"{results}.json").read_text(encoding="utf-8")))
            # No date and no version in the file: the same results make the same bytes.
            figure.savefig(IMAGES / name, dpi=150, metadata={"Software": None})
            plt.close(figure)


if __name__ == "__main__":
    main()
