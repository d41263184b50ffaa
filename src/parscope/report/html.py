"""The report as one HTML page that needs nothing but itself: no script, no request, images inside."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from parscope.report.files import write_whole
from parscope.report.quality_figure import quality_figure
from parscope.report.setup_figure import setup_figure, value_text
from parscope.report.sheet import drawn
from parscope.report.strain_figure import strain_figure
from parscope.report.summary import summarise, two_digits
from parscope.report.view import StrainView
from parscope.report.worst_figure import worst_figure

_DPI = 160
_CSS_DPI = 96
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SHOWN_ELSEWHERE = {"title", "source", "source_fingerprint", "parscope_version", "settings", "choices", "command"}

_FIGURES: tuple[tuple[str, str, Callable[[xr.Dataset], Figure], str], ...] = (
    (
        "maps",
        "Strain maps",
        strain_figure,
        "Strain and rotation above their standard errors. White is zero; hatched grey has no value. The three strains "
        "share their colours, whose ends are the 98th percentile. Strain is that of the unrotated crystal in the axes "
        "of the detector; rotation is positive from +x towards +y.",
    ),
    (
        "quality",
        "Quality",
        quality_figure,
        "Misfit is the squared residual over the expected noise: 1 for a perfect model. The ratio to the limit is the "
        "standard error over the Cramér-Rao limit of disks without inner contrast: 1 is the best possible.",
    ),
    (
        "setup",
        "Set-up",
        setup_figure,
        "The mean pattern, drawn as its fourth root, with every choice that was made before fitting.",
    ),
    (
        "worst",
        "Worst patterns",
        worst_figure,
        "Pattern, fit, and residual in units of the expected noise, worst misfit first. Structure in a residual is "
        "something the model does not know.",
    ),
)


def write_report(dataset: xr.Dataset, place: Path | str) -> Path:
    """Write the report of a strain map as one self-contained HTML page.

    Parameters
    ----------
    dataset : xarray.Dataset
        A strain map with its set-up.
    place : Path or str
        An ``.html`` file, or a folder that gets a ``report.html``; what is there is replaced.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    FormatError
        If the data set is no strain map, or an attribute that should be JSON is not.
    OutputError
        If the page cannot be written.
    """
    return write_whole(_page_in(Path(place)), page(dataset).encode("utf-8", errors="replace"))


def page(dataset: xr.Dataset) -> str:
    """Compose the page.

    Parameters
    ----------
    dataset : xarray.Dataset
        A strain map with its set-up.

    Returns
    -------
    str

    Raises
    ------
    FormatError
        If the data set is no strain map, or an attribute that should be JSON is not.
    """
    view = StrainView(dataset)
    title = text(f"Strain map of {view.title}")
    tables = {"setup": _choices(view)}
    sections = [_figure_section(dataset, *figure, tables.get(figure[0], "")) for figure in _FIGURES]
    links = "".join(f'<a href="#{key}">{name}</a>' for key, name in _contents())
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<link rel="icon" href="data:,">\n<title>{title}</title>',
            f"<style>\n{files('parscope.report').joinpath('page.css').read_text('utf-8')}</style>\n</head>\n<body>",
            f'<header>\n<h1>{title}</h1>\n<p class="source">{text(view.source)}</p>\n<nav>{links}</nav>\n</header>',
            f"<main>\n{_summary(view)}",
            *sections,
            f"{_provenance(view)}\n</main>",
            f"<footer>parscope {text(view.text('parscope_version'))}</footer>\n</body>\n</html>\n",
        ]
    )


def command_to_repeat(view: StrainView) -> str:
    """The command line that makes the map again: the one that was recorded, else one made of the settings.

    Parameters
    ----------
    view : StrainView
        A strain map.

    Returns
    -------
    str
        Quoted for a POSIX shell.
    """
    if view.text("command"):
        return view.text("command")
    source = f"./{view.source}" if view.source.startswith("-") else view.source
    words = ["parscope", "strain", source]
    for name, value in view.parsed("settings", {}).items():
        words += _option(name, value)
    return shlex.join(words)


def text(words: object) -> str:
    r"""Escape for HTML, without the control characters that HTML forbids.

    Examples
    --------
    >>> text("<b>\x00&")
    '&lt;b&gt;\ufffd&amp;'
    """
    plain = "".join(c if c >= " " or c in "\n\t" else "\ufffd" for c in str(words))
    return escape(plain)


def _page_in(place: Path) -> Path:
    """The page itself where `place` is one, else the page in that folder.

    Examples
    --------
    >>> [_page_in(Path(place)).as_posix() for place in ("out", "out/map.html")]
    ['out/report.html', 'out/map.html']
    """
    return place if place.suffix.lower() in (".html", ".htm") else place / "report.html"


def _option(name: str, value: Any) -> list[str]:
    """One setting as words of a command line."""
    flag = "--" + name.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, list):
        return [flag, ",".join(str(part) for part in value)]
    return [flag, json.dumps(value) if isinstance(value, dict) else str(value)]


def _contents() -> Iterable[tuple[str, str]]:
    """Anchors and names of the sections."""
    return [("summary", "Summary"), *((key, name) for key, name, _, _ in _FIGURES), ("provenance", "Provenance")]


def _summary(view: StrainView) -> str:
    """Facts, paragraph and advice."""
    summary = summarise(view)
    facts = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in summary.facts)
    advice = "".join(f"<li>{text(words)}</li>" for words in summary.advice)
    return (
        f'<section id="summary">\n<h2>Summary</h2>\n<p class="summary">{text(summary.paragraph)}</p>\n'
        f'<dl class="facts">{facts}</dl>\n<div class="advice"><h3>What would help</h3><ul>{advice}</ul></div>\n'
        "</section>"
    )


def _figure_section(
    dataset: xr.Dataset, key: str, name: str, draw: Callable[[xr.Dataset], Figure], caption: str, table: str
) -> str:
    """A section of one figure and, below it, a table."""
    image, (width, height) = drawn(draw, dataset, _DPI)
    width, height = round(width * _CSS_DPI), round(height * _CSS_DPI)
    data = base64.b64encode(image).decode("ascii")
    tag = f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{text(caption)}">'
    return (
        f'<section id="{key}">\n<h2>{name}</h2>\n<figure><div class="sheet" tabindex="0" role="region" '
        f'aria-label="{name}">{tag}</div>\n<figcaption>{text(caption)}</figcaption></figure>\n{table}</section>'
    )


def _choices(view: StrainView) -> str:
    """Every choice with the option that overrides it."""
    options = view.parsed("settings", {})
    rows = [
        (chosen["name"], value_text(chosen), chosen.get("how", ""), _overriding(chosen, options))
        for chosen in view.parsed("choices", [])
    ]
    return _table(("choice", "value", "how it was chosen", "override with"), rows) if rows else ""


def _overriding(chosen: Mapping[str, Any], options: Iterable[str]) -> str:
    """Name of the option that overrides a choice: the one it names, else the setting of its name, else none."""
    name = str(chosen["name"]).replace(" ", "_")
    return str(chosen.get("option") or (_option(name, "")[0] if name in options else "(found from the data)"))


def _provenance(view: StrainView) -> str:
    """Where the map comes from and how to make it again."""
    seconds = view.number("elapsed_s")
    rows = [
        ("data", view.source),
        ("fingerprint of the data", view.text("source_fingerprint") or "none: data in memory"),
        ("parscope", view.text("parscope_version")),
        *([("time, set-up included", f"{two_digits(seconds)} s")] if seconds > 0 else []),
        *((name, _plain(value)) for name, value in view.dataset.attrs.items() if name not in _SHOWN_ELSEWHERE),
    ]
    settings = [
        (name, "found from the data" if value is None else value_text({"value": value}))
        for name, value in view.parsed("settings", {}).items()
    ]
    return (
        f'<section id="provenance">\n<h2>Provenance</h2>\n{_table(("what", "value"), rows)}\n'
        f"<h3>All settings</h3>\n{_table(('setting', 'value'), settings)}\n"
        f"<h3>Command to repeat</h3>\n<pre>{text(command_to_repeat(view))}</pre>\n</section>"
    )


def _plain(value: Any) -> str:
    """An attribute as a person writes it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    """A table whose first column names the rows; options are set as code."""
    columns = "".join(f'<th scope="col">{text(words)}</th>' for words in head)
    body = "".join(f'<tr><th scope="row">{text(row[0])}</th>{"".join(map(_cell, row[1:]))}</tr>\n' for row in rows)
    wide = ' class="wide"' if len(head) > 2 else ""
    return f'<div class="table"><table{wide}><thead><tr>{columns}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _cell(value: Any) -> str:
    """One cell."""
    words = text(value)
    return f"<td><code>{words}</code></td>" if words.startswith("--") else f"<td>{words}</td>"
