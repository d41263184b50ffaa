"""parscope: from the moment an instrument produces microscopy data to the moment someone can act on them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parscope.core.axes import Axis as Axis
    from parscope.core.frames import Frames as Frames
    from parscope.core.solver import Estimate as Estimate
    from parscope.core.solver import Status as Status
    from parscope.core.spectra import Spectra as Spectra
    from parscope.io import open_frames as open_frames
    from parscope.io import open_spectra as open_spectra
    from parscope.techniques.diffraction import DiffractionPattern as DiffractionPattern
    from parscope.workflows.fit import map_spectra as map_spectra
    from parscope.workflows.forecast import forecast as forecast
    from parscope.workflows.simulate import simulate_scan as simulate_scan
    from parscope.workflows.strain import map_strain as map_strain
    from parscope.workflows.train import train_spectra as train_spectra
    from parscope.workflows.train import train_strain as train_strain

    __version__: str

_HOME = {
    "Axis": "parscope.core.axes",
    "DiffractionPattern": "parscope.techniques.diffraction",
    "Estimate": "parscope.core.solver",
    "Frames": "parscope.core.frames",
    "Spectra": "parscope.core.spectra",
    "Status": "parscope.core.solver",
    "forecast": "parscope.workflows.forecast",
    "map_spectra": "parscope.workflows.fit",
    "map_strain": "parscope.workflows.strain",
    "open_frames": "parscope.io",
    "open_spectra": "parscope.io",
    "simulate_scan": "parscope.workflows.simulate",
    "train_spectra": "parscope.workflows.train",
    "train_strain": "parscope.workflows.train",
}

__all__ = [
    "Axis",
    "DiffractionPattern",
    "Estimate",
    "Frames",
    "Spectra",
    "Status",
    "__version__",
    "forecast",
    "map_spectra",
    "map_strain",
    "open_frames",
    "open_spectra",
    "simulate_scan",
    "train_spectra",
    "train_strain",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562), so that importing parscope costs nothing."""
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name == "__version__":
        value = import_module("importlib.metadata").version("parscope")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, imported or not."""
    return __all__
