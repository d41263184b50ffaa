"""Both networks of a constellation in one folder, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parscope.core.errors import FormatError
from parscope.core.network import Network
from parscope.solvers.networks.constellation.encoder import orientation_network, window_network
from parscope.solvers.networks.store import load_network, save_network

_WINDOW = "window"


def save_encoder(folder: Path, orientation: Network, window: Network, notes: Mapping[str, Any]) -> None:
    """Write both networks.

    Parameters
    ----------
    folder : Path
        Where to; a network that is there is replaced.
    orientation, window : Network
        The networks.
    notes : mapping
        What else is needed to use them, and what is known of them; as JSON.

    Raises
    ------
    OutputError
        If they cannot be written; what was there stays then.
    """
    save_network(folder, orientation, notes, {_WINDOW: window})


def load_encoder(folder: Path) -> tuple[Network, Network, dict[str, Any]]:
    """Read both networks.

    Parameters
    ----------
    folder : Path
        Where they are.

    Returns
    -------
    orientation, window : Network
        The networks.
    notes : dict
        As they were given to `save_encoder`.

    Raises
    ------
    FormatError
        If there are none, or they are damaged, or of something else than patterns.
    """
    orientation, notes = load_network(folder)
    if not (folder / _WINDOW).is_dir():
        raise FormatError("is a network, but none for diffraction patterns", str(folder), "parscope train strain")
    window, _ = load_network(folder / _WINDOW)
    for found, made in ((orientation, orientation_network(0)), (window, window_network(0))):
        if found.layers != made.layers or {n: a.shape for n, a in found.arrays.items()} != {
            n: a.shape for n, a in made.arrays.items()
        }:
            raise FormatError("is a network of another build", str(folder), "train it again")
    return orientation, window, notes
