"""What the command line says beside its results, that is no fault."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def note(line: str) -> None:
    """Say something on standard error.

    Parameters
    ----------
    line : str
        One sentence.
    """
    Console(stderr=True).print(Text(line), soft_wrap=True)
