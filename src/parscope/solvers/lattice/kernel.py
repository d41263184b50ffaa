"""The compiled loop: one pattern after the other through the filter banks, to six numbers and their covariance.

Everything here is plain loops over small arrays: numba turns them into machine code. A pass predicts where every
copy lies, measures the displacement of each from that prediction with the filters of the nearest sub-pixel position,
and solves one 6x6 system for the step.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np

# Columns of the workspace of one copy: amplitude, level, y and x displacement, inverse variance (3), bin (2).
AMP, LVL, DY, DX = 0, 1, 2, 3
# Slots of the diagnostics of one pattern.
MISFIT, LIMIT, STEP, TOTAL, SCALE, SPREAD = 0, 1, 2, 3, 4, 5
DIAGNOSTICS = 6
# Empty columns right of a pattern, where the last run of eight of a window may end.
PADDING = 8
# NumPy's rules for division (no exception on zero) are what lets the compiler use vector instructions.
_FAST: dict[str, Any] = {"fastmath": True, "cache": True, "error_model": "numpy"}


@nb.njit(cache=True)  # type: ignore[untyped-decorator]
def pitch(half: int) -> int:
    """Length of a row of a window: a multiple of eight, so that vector instructions leave no remainder."""
    return (2 * half + 8) // 8 * 8


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _measure(buf: Any, filters: Any, out: Any) -> None:
    """Five dot products of one window: amplitude of the edge, two displacements, level, mean amplitude."""
    s0 = np.float32(0)
    s1 = np.float32(0)
    s2 = np.float32(0)
    s3 = np.float32(0)
    s4 = np.float32(0)
    f0, f1, f2, f3, f4 = filters[0], filters[1], filters[2], filters[3], filters[4]
    for i in range(buf.shape[0]):
        v = buf[i]
        s0 += f0[i] * v
        s1 += f1[i] * v
        s2 += f2[i] * v
        s3 += f3[i] * v
        s4 += f4[i] * v
    out[0] = s0
    out[1] = s1
    out[2] = s2
    out[3] = s3
    out[4] = s4


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _gather(frame: Any, iy: int, ix: int, half: int, pitch: int, buf: Any) -> None:
    """Copy the window round (iy, ix), in runs of eight that the compiler turns into vector moves."""
    for r in range(2 * half + 1):
        row = frame[iy - half + r]
        base = r * pitch
        first = ix - half
        for c in range(0, pitch, 8):
            for k in range(8):
                buf[base + c + k] = row[first + c + k]


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _fill_masked(mask: Any, iy: int, ix: int, half: int, buf: Any, template: Any, amplitude: float, level: float) -> float:
    """Replace unusable pixels of a window by what the model expects there; return the share of edge that is left."""
    row = pitch(half)
    lost = 0.0
    whole = 1e-12
    for r in range(2 * half + 1):
        for c in range(2 * half + 1):
            k = r * row + c
            edge = template[k] * (1 - template[k])
            whole += edge
            if mask[iy - half + r, ix - half + c]:
                buf[k] = amplitude * template[k] + level
                lost += edge
    return 1.0 - lost / whole


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _accumulate(H: Any, g: Any, qy: float, qx: float, w: Any, ey: float, ex: float) -> None:
    """Add one copy's information (w: yy, yx, xx) and displacement to the normal equations."""
    h0 = w[0] * ey + w[1] * ex
    h1 = w[1] * ey + w[2] * ex
    g[0] += h0
    g[1] += h1
    g[2] += h0 * qy
    g[3] += h0 * qx
    g[4] += h1 * qy
    g[5] += h1 * qx
    H[0, 0] += w[0]
    H[1, 0] += w[1]
    H[1, 1] += w[2]
    H[2, 0] += w[0] * qy
    H[3, 0] += w[0] * qx
    H[4, 0] += w[1] * qy
    H[5, 0] += w[1] * qx
    H[2, 1] += w[1] * qy
    H[3, 1] += w[1] * qx
    H[4, 1] += w[2] * qy
    H[5, 1] += w[2] * qx
    H[2, 2] += w[0] * qy * qy
    H[3, 2] += w[0] * qy * qx
    H[3, 3] += w[0] * qx * qx
    H[4, 2] += w[1] * qy * qy
    H[4, 3] += w[1] * qy * qx
    H[5, 2] += w[1] * qy * qx
    H[5, 3] += w[1] * qx * qx
    H[4, 4] += w[2] * qy * qy
    H[5, 4] += w[2] * qy * qx
    H[5, 5] += w[2] * qx * qx


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _pass(frame: Any, p: Any, lattice: Any, bank: Any, mask: Any, work: Any, H: Any, g: Any) -> float:
    """One pass over all copies: displacements from the prediction `p`, normal equations of the step.

    Returns the measured over the expected amplitude of all copies together.
    """
    q, member, flagged, prior, gain = lattice
    half, bins, filters, shot, texture, template, _, _, tilt = bank
    cells, buf, five = work
    H[:] = 0
    g[:] = 0
    w = np.empty(3)
    seen = 0.0
    expected = 1e-12
    for n in range(q.shape[0]):
        cells[n, 4] = 0.0
        qy = q[n, 0]
        qx = q[n, 1]
        cy = p[0] + p[2] * qy + p[3] * qx
        cx = p[1] + p[4] * qy + p[5] * qx
        iy = int(math.floor(cy + 0.5))
        ix = int(math.floor(cx + 0.5))
        if iy < half or ix < half or iy >= frame.shape[0] - half or ix >= frame.shape[1] - PADDING - half:
            continue
        iu = min(int((cy - iy + 0.5) * bins), bins - 1)
        iv = min(int((cx - ix + 0.5) * bins), bins - 1)
        k = member[n]
        window = buf[n, : template.shape[2]]
        _gather(frame, iy, ix, half, pitch(half), window)
        left = 1.0
        if flagged[n]:
            left = _fill_masked(mask, iy, ix, half, window, template[iu, iv], cells[n, 9], cells[n, LVL])
            if left < 0.5:
                continue
        _measure(window, filters[k, iu, iv], five)
        seen += max(five[4], 0.0)
        expected += prior[n]
        # The measured amplitude, drawn towards the expected one where few electrons make it uncertain.
        spread = gain * max(five[0], 0.2 * prior[n]) / (3.0 * half * half) + 1e-12
        wide = 0.5 * prior[n] * prior[n]
        a = max((max(five[0], 0.0) * wide + prior[n] * spread) / (spread + wide), 0.05 * prior[n])
        cells[n, AMP] = a
        cells[n, LVL] = max(five[3], 0.0)
        ey = iy + (iu + 0.5) / bins - 0.5 - cy + (five[1] - five[3] * tilt[n, iu, iv, 0]) / a
        ex = ix + (iv + 0.5) / bins - 0.5 - cx + (five[2] - five[3] * tilt[n, iu, iv, 1]) / a
        vyy = (shot[k, iu, iv, 0] / a + texture[k, iu, iv, 0]) / left
        vyx = (shot[k, iu, iv, 1] / a + texture[k, iu, iv, 1]) / left
        vxx = (shot[k, iu, iv, 2] / a + texture[k, iu, iv, 2]) / left
        determinant = 1.0 / (vyy * vxx - vyx * vyx)
        w[0] = vxx * determinant
        w[1] = -vyx * determinant
        w[2] = vyy * determinant
        # A copy displaced by more than noise and contrast allow counts for less (Huber's weight at 3 standard errors).
        far = w[0] * ey * ey + 2 * w[1] * ey * ex + w[2] * ex * ex
        if far > 12.0:
            shrink = math.sqrt(12.0 / far)
            w[0] *= shrink
            w[1] *= shrink
            w[2] *= shrink
        cells[n, DY] = ey
        cells[n, DX] = ex
        cells[n, 4] = w[0]
        cells[n, 5] = w[1]
        cells[n, 6] = w[2]
        cells[n, 7] = iu
        cells[n, 8] = iv
        cells[n, 9] = five[4]
        cells[n, 10] = iy
        cells[n, 11] = ix
        _accumulate(H, g, qy, qx, w, ey, ex)
    return seen / expected


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _factor(H: Any, L: Any) -> None:
    """Cholesky factor of a 6x6 matrix given by its lower triangle."""
    for i in range(6):
        for j in range(i + 1):
            s = H[i, j]
            for k in range(j):
                s -= L[i, k] * L[j, k]
            if i == j:
                L[i, i] = math.sqrt(max(s, 1e-30))
            else:
                L[i, j] = s / L[j, j]


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _solve(L: Any, g: Any, d: Any) -> None:
    """Solve L L^T d = g."""
    for i in range(6):
        s = g[i]
        for k in range(i):
            s -= L[i, k] * d[k]
        d[i] = s / L[i, i]
    for r in range(6):
        i = 5 - r
        s = d[i]
        for k in range(i + 1, 6):
            s -= L[k, i] * d[k]
        d[i] = s / L[i, i]


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _invert(H: Any, L: Any, inverse: Any) -> None:
    """Inverse of a 6x6 matrix given by its lower triangle."""
    _factor(H, L)
    unit = np.zeros(6)
    column = np.zeros(6)
    for i in range(6):
        unit[:] = 0
        unit[i] = 1
        _solve(L, unit, column)
        for j in range(6):
            inverse[j, i] = column[j]


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _step(p: Any, q: Any, prior: Any, longest: float, scratch: Any) -> float:
    """Solve for the step, shorten it to the filters' reach, move `p`; return the largest displacement of a copy."""
    H, g, d, L, _ = scratch
    centre, weight = prior
    for i in range(6):
        H[i, i] += weight[i]
        g[i] += weight[i] * (centre[i] - p[i])
    _factor(H, L)
    _solve(L, g, d)
    far = 0.0
    for n in range(q.shape[0]):
        ay = d[0] + d[2] * q[n, 0] + d[3] * q[n, 1]
        ax = d[1] + d[4] * q[n, 0] + d[5] * q[n, 1]
        far = max(far, ay * ay + ax * ax)
    far = math.sqrt(far)
    factor = 1.0 if far < longest else longest / far
    for i in range(6):
        p[i] += factor * d[i]
    return far


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _residual(window: Any, shape: Any, a: Any, level: Any, noise: Any, texture: Any) -> Any:
    """Sum over one window of squared residuals over the variance from counting noise and contrast."""
    ground = noise * np.float32(0.02) * a + np.float32(1e-6)
    chi = np.float32(0)
    for i in range(shape.shape[0]):
        t = shape[i]
        mean = a * t + level
        rest = window[i] - mean
        chi += rest * rest / (noise * mean + texture * t * t + ground)
    return chi


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _misfit(lattice: Any, bank: Any, depth: float, work: Any) -> float:
    """Mean squared residual over the variance that counting noise and contrast explain, inside the windows."""
    template = bank[5]
    cells, buf = work[0], work[1]
    chi = 0.0
    count = 1e-9
    pixels = template.shape[2]
    for n in range(cells.shape[0]):
        if cells[n, 4] == 0.0:
            continue
        a = np.float32(max(cells[n, 9], 0.05 * lattice[3][n]))
        shape = template[int(cells[n, 7]), int(cells[n, 8])]
        texture = np.float32((depth * a) ** 2)
        chi += _residual(buf[n], shape, a, np.float32(cells[n, LVL]), np.float32(lattice[4]), texture)
        count += pixels
    return chi / count


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _limit(q: Any, member: Any, fisher: Any, cells: Any, scratch: Any) -> float:
    """Sum of the Cramér-Rao variances of the three strains for a uniform template."""
    H, g, _, L, inverse = scratch
    H[:] = 0
    g[:] = 0
    w = np.empty(3)
    for n in range(q.shape[0]):
        if cells[n, 4] == 0.0:
            continue
        f = fisher[member[n], int(cells[n, 7]), int(cells[n, 8])]
        for i in range(3):
            w[i] = f[i] * cells[n, AMP]
        _accumulate(H, g, q[n, 0], q[n, 1], w, 0.0, 0.0)
    for i in range(6):
        H[i, i] += 1e-9
    _invert(H, L, inverse)
    return _strain_variance(inverse)


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _strain_variance(c: Any) -> float:
    """Sum of the variances of e_yy, e_xx, e_xy for small strain, from the covariance of the affine map."""
    return float(c[2, 2] + c[5, 5] + 0.25 * (c[3, 3] + c[4, 4] + 2 * c[3, 4]))


@nb.njit(fastmath={"reassoc", "nsz", "contract"}, cache=True)  # type: ignore[untyped-decorator]
def _load(frame: Any, copy: Any) -> float:
    """Convert a pattern to 32-bit floats; return its sum.

    The sum may be taken in any order but is NaN when any pixel is: the full fastmath set would assume there is none.
    """
    s = 0.0
    for r in range(frame.shape[0]):
        row = frame[r]
        target = copy[r]
        part = np.float32(0)
        for c in range(frame.shape[1]):
            v = np.float32(row[c])
            target[c] = v
            part += v
        s += part
    return s


@nb.njit(**_FAST)  # type: ignore[untyped-decorator]
def _settle(frame: Any, p: Any, bank: Any, rule: Any, lattice: Any, prior: Any, mask: Any, work: Any, scratch: Any) -> Any:
    """Repeat passes of one bank until the step is below the rule's or the passes are used up."""
    least, most, enough = rule
    longest = 1.5 * bank[6] + 0.3
    far = 1e9
    scale = 0.0
    for t in range(most):
        scale = _pass(frame, p, lattice, bank, mask, work, scratch[0], scratch[1])
        far = _step(p, lattice[0], prior, longest, scratch)
        if t + 1 >= least and far < enough:
            break
    return far, scale


@nb.njit(**_FAST, nogil=True)  # type: ignore[untyped-decorator]
def fit(frames: Any, start: Any, run: int, lattice: Any, banks: Any, prior: Any, depth: float, mask: Any, out: Any) -> None:
    """Fit patterns one after the other.

    Parameters
    ----------
    frames : array, shape (n, q_y, q_x)
    start : array, shape (n, 6): where to begin
    run : length of a run of neighbours, the first begins at its start, the others at their neighbour's result
    lattice, banks, prior : tuples as `_pass` and `_step` take them
    depth : contrast inside the template, relative
    mask : array of bool, shape (q_y, q_x)
    out : tuple of result arrays: theta, covariance, amplitude, diagnostics, normal matrix
    """
    theta, covariance, amplitude, diagnostics, normal = out
    wide, middle, fine = banks
    q = lattice[0]
    cells = np.zeros((q.shape[0], 12))
    buf = np.zeros((q.shape[0], (2 * wide[0] + 1) * pitch(wide[0])), np.float32)
    work = (cells, buf, np.zeros(5))
    scratch = (np.zeros((6, 6)), np.zeros(6), np.zeros(6), np.zeros((6, 6)), np.zeros((6, 6)))
    p = start[0].copy()
    origin = np.zeros(6)
    cold = True
    reach = fine[6] + 0.5
    frame = np.zeros((frames.shape[1], frames.shape[2] + PADDING), np.float32)
    for s in range(frames.shape[0]):
        total = _load(frames[s], frame)
        diagnostics[s, TOTAL] = total
        cold = cold or s % run == 0
        if not total > 0.0:
            cold = True
            continue
        if cold:
            p[:] = start[s]
        for n in range(q.shape[0]):
            cells[n, 9] = lattice[3][n]
            cells[n, LVL] = 0.0
        for i in range(6):
            origin[i] = p[i]
        far = 1e9
        scale = 0.0
        if not cold:
            far, scale = _settle(frame, p, fine, (1, 1, 0.0), lattice, prior, mask, work, scratch)
        if far > reach:
            p[:] = origin
            _settle(frame, p, wide, (2, 8, 0.7), lattice, prior, mask, work, scratch)
            _settle(frame, p, middle, (1, 3, 0.4), lattice, prior, mask, work, scratch)
        far, scale = _settle(frame, p, fine, (2 if far > reach else 1, 5, 0.12), lattice, prior, mask, work, scratch)
        H, _, _, L, inverse = scratch
        # The normal matrix of the last pass belongs to the point before its step, which is shorter than a bin.
        for i in range(6):
            for j in range(i + 1):
                normal[s, i, j] = H[i, j]
                normal[s, j, i] = H[i, j]
        _invert(H, L, inverse)
        spread = 0.0
        freedom = -6.0
        for n in range(q.shape[0]):
            amplitude[s, n] = cells[n, 9]
            if cells[n, 4] > 0:
                far_n = cells[n, 4] * cells[n, DY] ** 2 + 2 * cells[n, 5] * cells[n, DY] * cells[n, DX] + cells[n, 6] * cells[n, DX] ** 2
                spread += far_n
                freedom += 2.0
        for i in range(6):
            theta[s, i] = p[i]
            for j in range(6):
                covariance[s, i, j] = inverse[i, j]
        ours = _strain_variance(inverse)
        diagnostics[s, MISFIT] = _misfit(lattice, fine, depth, work)
        diagnostics[s, LIMIT] = math.sqrt(ours / _limit(q, lattice[1], fine[7], cells, scratch)) if ours > 0 else np.nan
        diagnostics[s, STEP] = far
        diagnostics[s, SCALE] = scale
        diagnostics[s, SPREAD] = spread / max(freedom, 1.0)
        cold = not far < 1.0


@nb.njit(**_FAST, nogil=True)  # type: ignore[untyped-decorator]
def score(frames: Any, theta: Any, lattice: Any, bank: Any, mask: Any, out: Any) -> None:
    """Likelihood about fixed parameters, one pass a pattern.

    Parameters
    ----------
    frames : array, shape (n, q_y, q_x)
    theta : array, shape (n, 6)
    lattice, bank : tuples as `_pass` takes them
    mask : array of bool, shape (q_y, q_x)
    out : tuple of result arrays: information (n, 6, 6), its product with the step to the maximum (n, 6), and mean
        amplitudes (n, copies), where copies whose window leaves the detector are left as they are
    """
    information, gradient, amplitude = out
    copies = lattice[0].shape[0]
    cells = np.zeros((copies, 12))
    buf = np.zeros((copies, bank[5].shape[2]), np.float32)
    work = (cells, buf, np.zeros(5))
    H, g = np.zeros((6, 6)), np.zeros(6)
    frame = np.zeros((frames.shape[1], frames.shape[2] + PADDING), np.float32)
    for s in range(frames.shape[0]):
        _load(frames[s], frame)
        cells[:, 9] = lattice[3]
        _pass(frame, theta[s], lattice, bank, mask, work, H, g)
        for i in range(6):
            gradient[s, i] = g[i]
            for j in range(i + 1):
                information[s, i, j] = H[i, j]
                information[s, j, i] = H[i, j]
        for n in range(copies):
            if cells[n, 4] > 0.0:
                amplitude[s, n] = cells[n, 9]
