"""Documents like those of a microscopy laboratory: about 1 kB, 44 leaves each, 432 distinct paths in all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

MODES = ("HAADF", "BF", "DF", "ABF", "TEM", "SAED", "EELS", "EDS", "4D-STEM", "CBED")
"""How an acquisition was made; each is a tenth of them."""

MATERIALS = ("PbTiO3", "PZT", "BaTiO3", "SrTiO3", "Si", "GaN", "MoS2", "WSe2", "BiFeO3", "graphene")
WORDS = (
    "domain",
    "wall",
    "vortex",
    "skyrmion",
    "interface",
    "lamella",
    "grain",
    "boundary",
    "dislocation",
    "vacancy",
    "cluster",
    "strain",
    "switching",
    "film",
    "substrate",
    "electrode",
    "drift",
    "stable",
    "charging",
    "thick",
    "thin",
    "edge",
    "overview",
    "detail",
    "atomic",
    "column",
    "lattice",
    "survey",
    "repeat",
)
OPERATORS = tuple(f"operator {i:02}" for i in range(40))
VENDOR = tuple(
    (f"Section {i % 20:02}", f"{name} {i // 20:02}{unit}")
    for i, (name, unit) in enumerate(
        random.Random(0).choices(
            [("Cs", "(mm)"), ("Lens", "_%"), ("Stage", " [um]"), ("Flag", ""), ("Name", "")], k=405
        )
    )
)
"""Paths of which each document has some, named as vendors name them."""


def _vendor_value(random_: random.Random, key: str) -> Any:
    """A value that suits the key."""
    if key.startswith("Flag"):
        return random_.random() < 0.5
    if key.startswith("Name"):
        return f"unit-{random_.randrange(200)}"
    return round(random_.gauss(0, 10), 4)


def document(number: int, seed: int = 0) -> dict[str, Any]:
    """The document of a number; the same each time."""
    random_ = random.Random(f"{seed} {number}")
    day = f"20{random_.randrange(15, 26)}-{random_.randrange(1, 13):02}-{random_.randrange(1, 29):02}"
    vendor: dict[str, dict[str, Any]] = {}
    for section, key in random_.sample(VENDOR, 16):
        vendor.setdefault(section, {})[key] = _vendor_value(random_, key)
    made: dict[str, Any] = {
        "kind": random_.choice(("image", "spectrum image", "4D-STEM", "diffraction pattern")),
        "name": f"{day}_{number:07}.dm4",
        "mode": random_.choice(MODES),
        "acquired": f"{day}T{random_.randrange(24):02}:{random_.randrange(60):02}:{random_.randrange(60):02}",
        "operator": random_.choice(OPERATORS),
        "beam": {
            "voltage": {"value": random_.choice((60, 80, 200, 300)), "units": "kV"},
            "current": round(random_.lognormvariate(3, 1), 3),
            "convergence_angle": round(random_.gauss(25, 3), 3),
        },
        "scan": {"dwell": round(random_.lognormvariate(1, 1), 4), "size": [random_.choice((256, 512)), 512]},
        "stage": {axis: round(random_.gauss(0, 300), 3) for axis in ("x", "y", "z", "alpha", "beta")},
        "detector": {"name": random_.choice(("Ceta", "K3", "Arina")), "gain": random_.randrange(1, 9)},
        "magnification": random_.choice((20_000, 50_000, 100_000, 500_000)),
        "sample": {
            "name": f"{random_.choice(MATERIALS)}-{random_.randrange(500)}",
            "material": random_.choice(MATERIALS),
            "tags": random_.sample(WORDS, 3),
        },
        "exposure": round(random_.lognormvariate(0, 1), 3),
        "session": f"session {random_.randrange(2000)}",
        "comment": " ".join(random_.sample(WORDS, 4)),
        "vendor": vendor,
    }
    if number % 20 == 7:
        made["annealing"] = {"temperature": random_.randrange(300, 1200), "hours": random_.randrange(1, 48)}
    return made


def documents(count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """As many documents, one after the other."""
    return (document(number, seed) for number in range(count))
