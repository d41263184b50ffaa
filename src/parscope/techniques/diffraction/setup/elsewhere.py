"""The probe from diffracted disks, where the direct one is blocked or saturated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.techniques.diffraction.pattern import Probe
from parscope.techniques.diffraction.setup.align import aligned_mean, unblurred, wander
from parscope.techniques.diffraction.setup.fitting import EDGE, RADIUS, Disks
from parscope.techniques.diffraction.setup.pixels import Mask
from parscope.techniques.diffraction.setup.probe import ProbeFit, lone_fit
from parscope.techniques.diffraction.setup.select import hidden_share

DISKS = 6


def probe_elsewhere(patterns: NDArray[Any], model: Disks, mask: Mask, gain: float) -> ProbeFit:
    """Median radius and edge of the strongest visible disks, each followed through the patterns by itself.

    Following each disk takes out the wander of the pattern and the strain of the specimen alike.

    Parameters
    ----------
    patterns : ndarray, shape (n, q_y, q_x)
        Sample of the scan.
    model : Disks
        Fitted to its mean.
    mask : ndarray of bool, shape (q_y, q_x)
        Pixels not to be used.
    gain : float
        Counts per electron.

    Returns
    -------
    ProbeFit
    """
    probe = Probe(float(model.shared[RADIUS]), float(model.shared[EDGE]))
    reach = int(np.ceil(probe.radius + 3 * probe.edge)) + 10
    inside = (model.positions >= probe.radius).all(axis=1)
    inside &= (model.positions <= np.array(mask.shape) - 1 - probe.radius).all(axis=1)
    seen = inside & (hidden_share(model, mask) < 0.1) & (model.indices != 0).any(axis=1)
    order = np.argsort(-np.where(seen, model.amplitude, -1.0))[: min(DISKS, int(seen.sum()))]
    found = []
    for place in model.positions[order]:
        low = np.maximum(np.rint(place).astype(int) - reach, 0)
        high = np.minimum(np.rint(place).astype(int) + reach + 1, mask.shape)
        box = (slice(low[0], high[0]), slice(low[1], high[1]))
        part = patterns[:, box[0], box[1]]
        moved = wander(part, probe, place - low, mask[box], gain)
        image, share = aligned_mean(part, moved.shift if moved.reliable else 0 * moved.shift, mask[box])
        shared = lone_fit(image, share > 0.5, place - low, probe.radius, gain / len(patterns)).shared
        found.append((shared[RADIUS], unblurred(shared[EDGE], moved)))
    if not found:
        return ProbeFit(probe, float("nan"), float("nan"), "no disk is wholly visible: first guess kept")
    table = np.array(found)
    radius, edge = np.median(table, axis=0)
    std = 1.25 * np.std(table, axis=0) / np.sqrt(len(table))
    how = f"median of {len(table)} diffracted disks, as the direct one is hidden or saturated"
    return ProbeFit(Probe(float(radius), float(edge)), float(std[0]), float(std[1]), how, own_edge=True)
