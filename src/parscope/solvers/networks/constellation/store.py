"""Both networks of a constellation, or of several, in one folder, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parscope.core.errors import FormatError
from parscope.core.network import Network
from parscope.solvers.networks.constellation.encoder import orientation_network, window_network
from parscope.solvers.networks.store import Model, load_network, save_network

_WINDOW, _PHASE = "window", "phase_{}"

Pair = tuple[Network, Network, Mapping[str, Any]]
"""Networks that tell the orientation and look at windows, and notes."""


def save_encoder(
    folder: Path, orientation: Network, window: Network, notes: Mapping[str, Any], others: Sequence[Pair] = ()
) -> None:
    """Write both networks, and those for other lattices.

    Parameters
    ----------
    folder : Path
        Where to; a network that is there is replaced.
    orientation, window : Network
        The networks.
    notes : mapping
        What else is needed to use them, and what is known of them; as JSON.
    others : sequence of Pair, optional
        For the other phases of a scan; each is a folder within, which can be used by itself.

    Raises
    ------
    OutputError
        If they cannot be written; what was there stays then.
    """
    parts: dict[str, Model] = {_WINDOW: (window, {})}
    for number, (turn, look, own) in enumerate(others, 1):
        name = _PHASE.format(number)
        parts |= {name: (turn, own), f"{name}/{_WINDOW}": (look, {})}
    save_network(folder, orientation, notes, parts)


def load_encoders(folder: Path) -> list[tuple[Network, Network, dict[str, Any]]]:
    """Read the networks for all lattices of a folder.

    Parameters
    ----------
    folder : Path
        Where they are.

    Returns
    -------
    list of tuple
        As of `load_encoder`, of each phase.

    Raises
    ------
    FormatError
        If there are none, or some are damaged, or of something else than patterns.
    """
    inner = [folder / _PHASE.format(number) for number in range(1, sum(1 for _ in folder.glob(_PHASE.format("*"))) + 1)]
    return [load_encoder(place) for place in (folder, *inner)]


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
