"""One reader per file format, all lazy, found by content; and a writer for each, so that a simulator fills any of them.

>>> from parscope.io import open_frames, open_spectra, write_frames
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parscope.io.open import open_frames as open_frames
    from parscope.io.open import open_spectra as open_spectra
    from parscope.io.usid_write import write_spectra as write_spectra
    from parscope.io.write import Layout as Layout
    from parscope.io.write import row_blocks as row_blocks
    from parscope.io.write import write_frames as write_frames

_HOMES = {
    "open_frames": "open",
    "open_spectra": "open",
    "write_frames": "write",
    "write_spectra": "usid_write",
    "Layout": "write",
    "row_blocks": "write",
}
__all__ = ["Layout", "open_frames", "open_spectra", "row_blocks", "write_frames", "write_spectra"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
