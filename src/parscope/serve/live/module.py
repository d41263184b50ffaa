"""The page's own program and looks: parts that are short enough to read, joined into the one module that is run."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_PARTS = (
    "text",
    "wire",
    "colour",
    "surface",
    "paint",
    "map",
    "bar",
    "pattern",
    "detectors",
    "timing",
    "panels",
    "control",
    "live",
)
_IMPORT = re.compile(r'^import [^;]*? from "\./\w+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=function|class|const|async)", re.MULTILINE)


@cache
def module() -> str:
    """Program of the page as one ES module; notebooks take no more than one file.

    Returns
    -------
    str
        Exports ``mount`` for a page and, by default, what anywidget asks for.
    """
    parts = [(files(__package__) / "static" / "parts" / f"{name}.js").read_text("utf-8") for name in _PARTS]
    joined = "\n".join(_EXPORT.sub("", _IMPORT.sub("", part)) for part in parts)
    return f"{joined}\nexport {{ mount }};\n"


@cache
def style() -> str:
    """Looks of the page.

    Returns
    -------
    str
        CSS that touches nothing outside of ``.parscope-live``.
    """
    return (files(__package__) / "static" / "live.css").read_text("utf-8")


@cache
def page() -> str:
    """The page.

    Returns
    -------
    str
        HTML.
    """
    return (files(__package__) / "static" / "index.html").read_text("utf-8")
