"""Colours of all figures: safe for colour-blind readers, and a failed pixel is never the colour of a value."""

from __future__ import annotations

from matplotlib.colors import LinearSegmentedColormap

from parscope.core.solver import Status

DIVERGING = "RdBu_r"
"""Strain, rotation, residuals: blue below zero, white at zero, red above: two hues every reader can tell apart."""

SEQUENTIAL = "viridis"
"""Standard errors, misfit, intensities of disks: perceptually uniform, dark is small."""

INTENSITY = "YlGnBu_r"
"""Diffraction patterns and virtual images, bright on dark; a grey scale would hide failed positions."""

CYCLIC = LinearSegmentedColormap.from_list("cyclic", ["#f4efe6", "#e08a00", "#1a0508", "#1f5fe0", "#f4efe6"])
"""Angles: white, gold, black, blue and back, a ring round the greys below; opposite domains are opposite colours."""

# No colour map passes nearer than 10 CIELAB units to these greys or their mixtures, in normal vision or under
# deuteranopia, protanopia or tritanopia; white would read as zero strain, a middle grey as the middle of viridis.
FAILED_FACE = (0.38, 0.38, 0.38)
FAILED_LINE = (0.25, 0.25, 0.25)
FAILED_HATCH = "//////"

INK = "#1b1b1b"
QUIET = "#5f5f5f"
HALO = "#ffffff"

# Okabe and Ito, https://jfly.uni-koeln.de/color: distinguishable by colour-blind readers.
LINES = {"e_xx": "#0072B2", "e_yy": "#D55E00", "e_xy": "#009E73", "rotation": "#CC79A7"}
STROKES = {"e_xx": "-", "e_yy": "--", "e_xy": "-.", "rotation": ":"}
PARTS = ("#0072B2", "#D55E00")
"""Real and imaginary part, modulus and phase."""
MARK_CENTRE, MARK_DISK, MARK_G1, MARK_G2 = "#000000", "#D55E00", "#E69F00", "#CC79A7"

STATUS = {
    Status.OK: "#ececec",
    Status.VACUUM: "#332288",
    Status.WEAK: "#88ccee",
    Status.SECOND_LATTICE: "#cc6677",
    Status.BOUNDARY: "#117733",
    Status.NO_MODEL: "#882255",
    Status.AT_BOUND: "#ddcc77",
    Status.BAD_INPUT: "#aa4499",
    Status.UNREADABLE: "#000000",
    Status.NOT_DONE: "#999933",
    Status.AMBIGUOUS: "#44aa99",
    Status.ABSENT: "#ee7733",
}
"""One colour each; the tints are of P. Tol's schemes "muted" and, one, "vibrant", made for colour-blind readers."""
