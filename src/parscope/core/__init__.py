"""The nouns every other part speaks in; needs NumPy only, and not even that until a noun is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parscope.core.axes import Axis as Axis
    from parscope.core.bound import cramer_rao as cramer_rao
    from parscope.core.bound import propagate as propagate
    from parscope.core.contracts import Format as Format
    from parscope.core.contracts import Reader as Reader
    from parscope.core.contracts import SpectraReader as SpectraReader
    from parscope.core.frames import Frames as Frames
    from parscope.core.frames import Sliceable as Sliceable
    from parscope.core.network import Builder as Builder
    from parscope.core.network import Layer as Layer
    from parscope.core.network import Network as Network
    from parscope.core.physics import Constellation as Constellation
    from parscope.core.physics import Contrast as Contrast
    from parscope.core.physics import Levels as Levels
    from parscope.core.physics import Parameter as Parameter
    from parscope.core.physics import Physics as Physics
    from parscope.core.record import Provenance as Provenance
    from parscope.core.record import fingerprint as fingerprint
    from parscope.core.separable import Linear as Linear
    from parscope.core.separable import Separable as Separable
    from parscope.core.solver import Estimate as Estimate
    from parscope.core.solver import Solver as Solver
    from parscope.core.solver import Status as Status
    from parscope.core.spectra import Spectra as Spectra

_HOME = {
    "axes": ("Axis",),
    "bound": ("cramer_rao", "propagate"),
    "contracts": ("Format", "Reader", "SpectraReader"),
    "frames": ("Frames", "Sliceable"),
    "network": ("Builder", "Layer", "Network"),
    "physics": ("Constellation", "Contrast", "Levels", "Parameter", "Physics"),
    "record": ("Provenance", "fingerprint"),
    "separable": ("Linear", "Separable"),
    "solver": ("Estimate", "Solver", "Status"),
    "spectra": ("Spectra",),
}

__all__ = [name for names in _HOME.values() for name in names]


def __getattr__(name: str) -> Any:
    """Import a noun when it is first used (PEP 562)."""
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
