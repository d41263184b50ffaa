"""What can be put under the beam where there is no microscope."""

from __future__ import annotations

from dataclasses import replace

from parscope.core.errors import OptionError
from parscope.core.frames import Frames
from parscope.techniques.diffraction.magnetic import MagneticFilm
from parscope.techniques.diffraction.simulate import Detector, ScanDesign, simulate

SPECIMENS = ("crystal", "magnetic")


def specimen(
    name: str, scan: tuple[int, int], pattern: tuple[int, int], electrons: float, kind: str, seed: int = 7
) -> Frames:
    """Simulate the scan of a specimen.

    Parameters
    ----------
    name : {"crystal", "magnetic"}
        A strained crystal, or a magnetic film.
    scan, pattern : tuple of int
        Scan positions and detector pixels, (y, x).
    electrons : float
        Mean electrons per pattern.
    kind : {"uint8", "uint16", "float32"}
        Type of a sample.
    seed : int, default 7
        Fixes every random draw.

    Returns
    -------
    Frames
        Drawn when they are read.

    Raises
    ------
    OptionError
        If there is no such specimen, or a size is out of range.

    Examples
    --------
    >>> specimen("magnetic", (8, 8), (96, 96), 1000.0, "uint8").axes[0].unit
    'nm'
    """
    if name == "crystal":
        design = ScanDesign().sized(pattern)
        made = simulate(replace(design, scan=scan, electrons=electrons, seed=seed, detector=Detector(kind))).frames
    elif name == "magnetic":
        made = MagneticFilm(scan, pattern, electrons, kind, seed).frames
    else:
        raise OptionError(f"there is no {name!r}", "specimen", f"choose one of {', '.join(SPECIMENS)}")
    return replace(made, source=f"physics:{name}")
