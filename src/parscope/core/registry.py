"""Finds plug-ins by name: built-ins first, then entry points; each is imported only when it is used."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from parscope.core.errors import OptionError

_BUILT_IN: dict[str, dict[str, str]] = {
    "parscope.techniques": {
        "be_sho": "parscope.techniques.band_excitation:BandExcitation",
        "be_loop": "parscope.techniques.hysteresis:HysteresisLoop",
        "lines": "parscope.techniques.lines:Lines",
        "raman": "parscope.techniques.lines:Lines",
        "current_voltage": "parscope.techniques.current_voltage:CurrentVoltage",
    },
    "parscope.readers": {
        name: f"parscope.io.{module}:{cls}"
        for name, module, cls in (
            ("numpy", "npy", "NumpyReader"),
            ("dectris", "dectris", "DectrisReader"),
            ("electron-events", "events", "EventsReader"),
            ("hdf5", "hdf5", "Hdf5Reader"),
            ("zarr", "zarr", "ZarrReader"),
            ("merlin", "merlin", "MerlinReader"),
            ("empad", "empad", "EmpadReader"),
            ("em", "em", "EmReader"),
            ("raw", "raw", "RawReader"),
        )
    },
    "parscope.spectra_readers": {
        name: f"parscope.io.{module}:{cls}"
        for name, module, cls in (
            ("numpy", "npz_spectra", "NumpySpectraReader"),
            ("usid", "usid", "UsidReader"),
            ("nsid", "nsid", "NsidReader"),
            ("igor", "igor", "IgorReader"),
            ("nanonis-spectrum", "nanonis_dat", "NanonisSpectrumReader"),
            ("nanonis-image", "nanonis_sxm", "NanonisImageReader"),
        )
    },
    "parscope.describers": {
        name: f"parscope.io.describers.{module}:{cls}Describer"
        for name, module, cls in (
            ("dm", "dm", "Dm"),
            ("velox", "velox", "Velox"),
            ("hdf5", "hdf5", "Hdf5"),
            ("tia", "tia", "Tia"),
            ("mrc", "mrc", "Mrc"),
            ("tiff", "tiff", "Tiff"),
            ("bruker", "bruker", "Bruker"),
            ("nanonis-image", "nanonis", "NanonisImage"),
            ("nanonis-spectrum", "nanonis", "NanonisSpectrum"),
            ("nanoscope", "nanoscope", "Nanoscope"),
            ("igor", "igor", "Igor"),
            ("axz", "axz", "Axz"),
            ("mdt", "mdt", "Mdt"),
            ("numpy", "numpy", "Numpy"),
            ("zarr", "zarr", "Zarr"),
            ("merlin", "detectors", "Merlin"),
            ("empad", "detectors", "Empad"),
            ("emsa", "emsa", "Emsa"),
            ("picture", "documents", "Picture"),
            ("igor-experiment", "igor", "IgorExperiment"),
            ("em", "others", "Others"),
            ("json", "documents", "Json"),
            ("xml", "documents", "Xml"),
            ("table", "documents", "Table"),
        )
    },
    "parscope.kernels": {
        name: f"parscope.live.kernels.{target}"
        for name, target in (
            ("sum", "moments:Sum"),
            ("com", "moments:CentreOfMass"),
            ("dpc", "dpc:Deflection"),
            ("bf", "discs:Disc"),
            ("adf", "discs:Ring"),
            ("disc", "discs:Disc"),
            ("ring", "discs:Ring"),
            ("mask", "moments:Region"),
            ("variance", "variance:Variance"),
            ("strain", "tracked:TrackedStrain"),
            ("pattern-strain", "pattern:PatternStrain"),
            ("solver", "solver:SolverKernel"),
            ("onnx", "onnx:OnnxKernel"),
        )
    },
    "parscope.sinks": {
        name: f"parscope.live.sinks.{module}:{cls}Sink"
        for name, module, cls in (
            ("udp", "udp", "Udp"),
            ("shm", "shm", "SharedMemory"),
            ("zmq", "zmq_pub", "Zmq"),
            ("ws", "websocket", "WebSocket"),
            ("http", "webhook", "Webhook"),
            ("https", "webhook", "Webhook"),
            ("pva", "pva", "Pva"),
        )
    },
    "parscope.sources": {
        name: f"parscope.live.sources.{module}:{cls}Source"
        for name, module, cls in (
            ("tcp", "dectris_v2", "DectrisV2"),
            ("v1", "dectris_v1", "DectrisV1"),
            ("replay", "replay", "Replay"),
            ("physics", "physics", "Physics"),
        )
    },
}


@cache
def names(group: str) -> tuple[str, ...]:
    """Names of all plug-ins of a group, built-ins first.

    Parameters
    ----------
    group : str
        Entry-point group: ``parscope.techniques``, ``parscope.readers``, ``parscope.spectra_readers``,
        ``parscope.describers``, ``parscope.kernels``, ``parscope.sinks`` or ``parscope.sources``.

    Returns
    -------
    tuple of str
    """
    own = _BUILT_IN.get(group, {})
    foreign = (e.name for e in entry_points(group=group))
    return (*own, *sorted(n for n in foreign if n not in own))


def load(group: str, name: str) -> Any:
    """Import one plug-in.

    Parameters
    ----------
    group : str
        Entry-point group.
    name : str
        One of `names(group)`.

    Returns
    -------
    object
        The class.

    Raises
    ------
    OptionError
        If there is no such plug-in.
    """
    target = _BUILT_IN.get(group, {}).get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        return getattr(import_module(module), attribute)
    for entry in entry_points(group=group, name=name):
        return entry.load()
    raise OptionError(f"there is no {name!r}", group, f"choose one of {', '.join(names(group))}")
