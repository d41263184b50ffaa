"""Published figures of the cycle-consistent autoencoder and of py4DSTEM on its polycrystal, to show beside ours.

Source: notebooks of github.com/m3-learning/Auto4DSTEM (2025-03-19), as rendered there; strain in 1e-3, rotation in
degrees. Mean absolute errors over the whole map of 256 x 256 positions, boundaries included, after a reference region
was aligned, with a training for each background on the very patterns that are measured. At 0 % the patterns have no
counting noise. These are figures of another phantom than ours, with other grains, strains and disks.
"""

from __future__ import annotations

CASE = "polycrystal, 256 x 256 positions of 256 px, {} % background"
"""Name of a case as published."""

COMPONENTS = ("e_xx", "e_yy", "e_xy", "rotation")

Figures = dict[int, tuple[float, float, float, float]]

CC_ST_AE: Figures = {
    0: (1.4, 1.7, 0.8, 0.854),
    25: (1.7, 1.8, 1.2, 0.861),
    50: (1.8, 1.9, 1.5, 0.876),
    70: (2.2, 2.6, 2.1, 0.936),
}
PY4DSTEM: Figures = {
    0: (1.6, 1.7, 0.8, 0.834),
    25: (2.1, 2.2, 1.3, 0.859),
    50: (2.7, 2.8, 1.7, 0.880),
    70: (4.5, 4.5, 3.0, 1.186),
}


def scores() -> dict[str, dict[int, dict[str, float]]]:
    """Mean absolute errors by method and background, strain in 1 and rotation in degrees."""
    methods = {"CC-ST-AE, published": CC_ST_AE, "py4DSTEM, published": PY4DSTEM}
    return {
        name: {
            share: {f"{part}_all": _plain(part, value) for part, value in zip(COMPONENTS, row, strict=True)}
            for share, row in figures.items()
        }
        for name, figures in methods.items()
    }


def _plain(part: str, value: float) -> float:
    return value if part == "rotation" else value / 1e3
