"""Which disks of the lattice are worth using, and which positions of the lattice the detector holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parscope.techniques.diffraction.pattern import Background
from parscope.techniques.diffraction.setup.fitting import Disks
from parscope.techniques.diffraction.setup.moments import Array
from parscope.techniques.diffraction.setup.pixels import Mask

LEAST_SHARE = 1e-3
MOST_HIDDEN = 0.3


def lattice_points(
    centre: Array, basis: Array, shape: tuple[int, ...], margin: float, max_q: float
) -> NDArray[np.int64]:
    """Miller indices, shape (n, 2), of all lattice points at least `margin` [px] inside and within `max_q` [px]."""
    corners = np.array([[0, 0], [0, shape[1]], [shape[0], 0], [shape[0], shape[1]]]) - centre
    most = int(np.ceil(np.abs(corners @ np.linalg.inv(basis)).max())) + 1
    numbers = np.stack(np.meshgrid(*[np.arange(-most, most + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    q = numbers @ basis
    place = q + centre
    inside = (place >= margin).all(axis=1) & (place <= np.array(shape) - 1 - margin).all(axis=1)
    keep = inside & ((q**2).sum(axis=1) <= max_q**2)
    numbers, q = numbers[keep], q[keep]
    return np.asarray(numbers[np.argsort((q**2).sum(axis=1), kind="stable")], dtype=np.int64)


def useful_disks(
    model: Disks, std: Array, background: Background, mask: Mask, margin: float
) -> tuple[NDArray[np.bool_], str]:
    """Disks that lie on the detector with their whole window, are seen, are significant and tell of the lattice.

    Parameters
    ----------
    model : Disks
        Disks fitted to the mean pattern.
    std : ndarray, shape (n,)
        Standard errors of their amplitudes, [counts].
    background : Background
        Beneath them.
    mask : ndarray of bool, shape (q_y, q_x)
        Pixels not to be used.
    margin : float
        Half of the window, [px].

    Returns
    -------
    use : ndarray of bool, shape (n,)
    how : str
        One sentence for the report.
    """
    place = model.positions
    inside = (place >= margin).all(axis=1) & (place <= np.array(mask.shape) - 1 - margin).all(axis=1)
    hidden = hidden_share(model, mask) > MOST_HIDDEN
    offset = model.indices @ model.basis
    beneath = np.maximum(background.at(offset), 0)
    seen = model.amplitude > 5 * np.where(np.isfinite(std), std, np.inf)
    # a disk of amplitude a on a background b locates itself with information a^2 / (a + 2 b), to a shape factor
    told = model.amplitude**2 / np.maximum(model.amplitude + 2 * beneath, 1e-30)
    lever = (offset**2).sum(axis=1) + model.shared[6] ** 2
    good = inside & ~hidden & seen
    share = told * lever * good
    enough = share > LEAST_SHARE * share.sum()
    use = good & (enough | (model.indices == 0).all(axis=1))
    how = (
        f"of {len(use)} lattice points on the detector {int((~inside).sum())} are too close to its rim, "
        f"{int((inside & hidden).sum())} hidden by bad pixels, "
        f"{int((inside & ~hidden & ~seen).sum())} not significant, "
        f"{int((good & ~use).sum())} too weak to matter"
    )
    return use, how


def hidden_share(model: Disks, mask: Mask) -> Array:
    """Share of the pixels of each disk that are masked or off the detector, shape (n,)."""
    reach = model.shared[6] + model.shared[7]
    half = int(np.ceil(reach))
    offset = np.arange(-half, half + 1)
    grid = np.stack(np.meshgrid(offset, offset, indexing="ij"), axis=-1).reshape(-1, 2)
    grid = grid[(grid**2).sum(axis=1) <= max(reach, 1.0) ** 2]
    pixels = np.rint(model.positions).astype(int)[:, None] + grid
    off = ((pixels < 0) | (pixels >= np.array(mask.shape))).any(axis=2)
    y, x = np.clip(pixels[..., 0], 0, mask.shape[0] - 1), np.clip(pixels[..., 1], 0, mask.shape[1] - 1)
    result: Array = (off | mask[y, x]).mean(axis=1)
    return result
