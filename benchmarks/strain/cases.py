"""What is measured on which phantom, and what the project promises of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.report import Target
from benchmarks.scores import Metric

METRICS: Mapping[str, Metric] = {
    "strain_rms": Metric("strain RMS", "1e-3", 1e3),
    "ratio": Metric("strain RMS over the limit", "1"),
    "failures": Metric("failures", "%", 100.0),
    "rotation_rms": Metric("rotation RMS", "mrad", 1e3),
    "position_rms": Metric("disk position RMS", "px"),
    "e_xx_mad": Metric("e_xx, scaled median error", "1e-3", 1e3),
    "spread": Metric("error over standard error", "1", comparable=False),
    "speed": Metric("patterns per CPU second", "1/s", more_is_better=True),
    "automatic": Metric("strain RMS, automatic over given set-up", "1", comparable=False),
    "setup": Metric("set-up", "s", comparable=False),
    "boundary_recall": Metric("grain boundary, found", "%", 100.0, more_is_better=True, comparable=False),
    "boundary_precision": Metric("grain boundary, right", "%", 100.0, more_is_better=True, comparable=False),
}


@dataclass(frozen=True)
class Case:
    """One phantom at one dose.

    Parameters
    ----------
    phantom : str
        Name of the phantom.
    electrons : int
        Expected electrons in a pattern.
    metrics : mapping of str to Target or None
        Rows of the table, by key of `METRICS`, with the promise where there is one.
    pool : int, default 1
        Side of the square of neighbouring scan positions that share their electrons.
    peers : bool, default True
        Whether the others are run too.
    quick : bool, default False
        Whether ``--quick`` includes it.
    """

    phantom: str
    electrons: int
    metrics: Mapping[str, Target | None] = field(default_factory=dict)
    pool: int = 1
    peers: bool = True
    quick: bool = False

    @property
    def name(self) -> str:
        """As the table names it."""
        pooled = f", {self.pool}x{self.pool} positions pooled" if self.pool > 1 else ""
        return f"{self.phantom}, {self.electrons} electrons{pooled}"


def at_most(value: float) -> Target:
    """A promise from above."""
    return Target(at_most=value)


def at_least(value: float) -> Target:
    """A promise from below."""
    return Target(at_least=value)


HONEST = Target(0.9, 1.1)
EASY = {"automatic": at_most(1.03), "setup": at_most(5.0)}
NO_FAILURE = at_most(0.0)


def _precision(phantom: str, electrons: int, strain: float, **more: Target | None) -> Case:
    """A kinematic phantom: precision, failures, honesty of the standard error, set-up without parameters."""
    metrics = {
        "strain_rms": at_most(strain),
        "ratio": None,
        "failures": NO_FAILURE,
        "rotation_rms": None,
        "position_rms": None,
        "spread": HONEST,
        "speed": None,
        **EASY,
    }
    return Case(phantom, electrons, metrics | more, quick=phantom.startswith("A128") and electrons == 10_000)


def _further(phantom: str, electrons: int = 10_000) -> Case:
    """A phantom without a promise of precision: how near is the limit, and does the set-up find its way?"""
    metrics = {"strain_rms": None, "ratio": None, "failures": None, "spread": None, "speed": None, **EASY}
    return Case(phantom, electrons, metrics)


def _polycrystal(background: int) -> Case:
    """Sixty grains under a background, in percent; the peers have no lattice to be given for every grain."""
    metrics = {
        "strain_rms": None,
        "ratio": at_most(1.3),
        "failures": None,
        "boundary_recall": at_least(90.0),
        "boundary_precision": at_least(90.0),
        "setup": at_most(5.0),
    }
    return Case(f"polycrystal_{background:02d}", 100_000, metrics, peers=False)


FAST_128, FAST_256 = at_least(18_000), at_least(4_500)
NEAR_1000, NEAR_400 = at_most(0.2), at_most(0.3)
POOLED = {"strain_rms": at_most(5.0), "failures": at_most(0.5)}
DYNAMICAL = {
    "failures": at_most(1.0),
    "strain_rms": None,
    "e_xx_mad": None,
    "spread": at_most(1.3),
    **EASY,
}

CASES = (
    _precision("A128_flat", 1_000, 3.9, position_rms=NEAR_1000),
    _precision("A128_flat", 10_000, 1.25, speed=FAST_128),
    _precision("A128_flat", 100_000, 0.40),
    _precision("A128_mod", 1_000, 4.1, position_rms=NEAR_1000),
    _precision("A128_mod", 10_000, 1.5, speed=FAST_128),
    _precision("A128_mod", 100_000, 0.75),
    _precision("B256_mod", 1_000, 3.5),
    _precision("B256_mod", 10_000, 1.15, speed=FAST_256),
    _precision("B256_mod", 100_000, 0.48),
    Case("A128_flat", 400, {"position_rms": NEAR_400, "failures": None}),
    Case("A128_mod", 400, {"position_rms": NEAR_400, "failures": None}),
    Case("A128_flat", 100, POOLED, pool=3),
    Case("A128_mod", 100, POOLED, pool=3),
    Case("C_dyn", 1_000, {"failures": None, "strain_rms": None, "e_xx_mad": None, "spread": None}),
    Case("C_dyn", 10_000, DYNAMICAL),
    Case("C_dyn", 100_000, DYNAMICAL),
)

FURTHER = (
    *(_further(name) for name in ("hexagonal", "oblique", "spots", "spacing_24", "spacing_40", "spacing_60")),
    *(_further(f"detector_{size}") for size in (64, 256, 512)),
    *(_polycrystal(background) for background in (0, 25, 50, 70)),
)
