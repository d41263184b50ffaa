"""What is fitted: spectra as a scan, some of them from all over it, and the physics on their axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.errors import InputError
from parscope.core.separable import Separable
from parscope.core.spectra import Spectra
from parscope.workflows.fit.block import blocks, read_block
from parscope.workflows.technique import adapt

# Spectra from which anything is learnt, and the blocks of the scan they are read from.
_SAMPLE = 1000
_SAMPLED_BLOCKS = 32


def as_scan(spectra: Spectra) -> Spectra:
    """Spectra with a navigation axis: one spectrum is a scan of one position.

    Parameters
    ----------
    spectra : Spectra
        Of any number of navigation axes.

    Returns
    -------
    Spectra
    """
    if spectra.navigation_shape:
        return spectra
    return replace(spectra, data=np.asarray(spectra.data[:])[None], axes=(Axis("position", 1), spectra.axis))


def physics_for(spectra: Spectra, technique: str, options: Mapping[str, Any]) -> Separable:
    """The declared physics on the axis of the spectra.

    Parameters
    ----------
    spectra : Spectra
        With one navigation axis at least.
    technique : str
        Name of the physics.
    options : mapping
        What is set of the technique.

    Returns
    -------
    Separable

    Raises
    ------
    InputError
        If the spectra are not of the technique.
    OptionError
        If there is no such technique or option.
    """
    if spectra.axis.name == "channel":
        raise InputError("holds channels, not spectra", spectra.source, "name spectra with --dataset")
    try:
        physics = adapt(technique, spectra.axis, lambda: sample(spectra), options)
    except ValueError as error:
        advice = "name others with --dataset, or check the options of the technique"
        raise InputError(f"not spectra of {technique}: {error}", spectra.source, advice) from error
    is_complex = np.dtype(spectra.data.dtype).kind == "c"
    if is_complex != physics.complex:
        one, other = ("complex", "real") if is_complex else ("real", "complex")
        advice = f"name {other} spectra with --dataset"
        raise InputError(f"holds {one} spectra, and {technique} needs {other} ones", spectra.source, advice)
    return physics


def sample(spectra: Spectra) -> NDArray[Any]:
    """Spectra spread over the scan, read block by block.

    Parameters
    ----------
    spectra : Spectra
        With one navigation axis at least.

    Returns
    -------
    ndarray, shape (n, bins)
        About a thousand; some may be NaN.
    """
    return samples(spectra)[0]


def samples(*scans: Spectra) -> list[NDArray[Any]]:
    """Spectra of the same positions of several scans, spread over them, read block by block.

    Parameters
    ----------
    *scans : Spectra
        Of one shape, with one navigation axis at least.

    Returns
    -------
    list of ndarray, shape (n, bins)
        About a thousand of each; some may be NaN.
    """
    whole = blocks(scans[0])
    some = np.unique(np.linspace(0, len(whole) - 1, min(len(whole), _SAMPLED_BLOCKS)).astype(int))
    each = -(-_SAMPLE // len(some))
    picked: list[list[NDArray[Any]]] = [[] for _ in scans]
    for start, stop in (whole[k] for k in some.tolist()):
        read = [read_block(spectra, start, stop) for spectra in scans]
        readable = ~np.any([unreadable for _, unreadable in read], axis=0)
        for (signals, _), kept in zip(read, picked, strict=True):
            kept.append(signals[readable][:: max(int(readable.sum()) // each, 1)].copy())
    return [np.concatenate(kept) for kept in picked]
