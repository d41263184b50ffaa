"""The physics of a diffraction pattern as plain numbers, for the notes of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from parscope.core.errors import FormatError
from parscope.techniques.diffraction import Background, DiffractionPattern, Probe


def told(physics: DiffractionPattern) -> dict[str, Any]:
    """Physics as JSON takes it; bad pixels are those of one scan and left out.

    Parameters
    ----------
    physics : DiffractionPattern
        To tell.

    Returns
    -------
    dict
    """
    probe = physics.probe
    return {
        "shape": list(physics.shape),
        "probe": {"radius": probe.radius, "edge": probe.edge, "distortion": probe.distortion.tolist()},
        "centre": list(physics.centre),
        "basis": physics.basis.tolist(),
        "indices": physics.indices.tolist(),
        "amplitude": physics.amplitude.tolist(),
        "background": asdict(physics.background),
        "gain": physics.gain,
    }


def understood(notes: Mapping[str, Any], where: str) -> DiffractionPattern:
    """Physics from what was told.

    Parameters
    ----------
    notes : mapping
        As of `told`.
    where : str
        Where they are from.

    Returns
    -------
    DiffractionPattern

    Raises
    ------
    FormatError
        If something is missing or cannot be meant.
    """
    try:
        probe, (rows, columns), (y, x) = notes["probe"], notes["shape"], notes["centre"]
        return DiffractionPattern(
            shape=(int(rows), int(columns)),
            probe=Probe(float(probe["radius"]), float(probe["edge"]), np.array(probe["distortion"], np.float64)),
            centre=(float(y), float(x)),
            basis=np.array(notes["basis"], np.float64).reshape(2, 2),
            indices=np.array(notes["indices"], np.int64).reshape(-1, 2),
            amplitude=np.array(notes["amplitude"], np.float64),
            background=Background(**notes["background"]),
            gain=float(notes["gain"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"has no physics of a pattern: {error}", where, "parscope train strain") from error
