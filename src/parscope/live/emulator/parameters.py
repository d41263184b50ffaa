"""The parameters of a SIMPLON detector: their names, units, limits and what they are when it is switched on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parscope.core.errors import OptionError

_SWITCH = ("enabled", "disabled")
TRIGGERS = ("ints", "inte", "exts", "exte")
READOUT = 1e-7
"""Time of a frame in which nothing is counted, [s]."""


@dataclass(frozen=True)
class Parameter:
    """One parameter, as a client may read it and perhaps set it.

    Parameters
    ----------
    value : bool, int, float, str or list
        What it is after switching on; its type is that of the parameter.
    unit : str, default ""
        Unit, as the interface names it.
    allowed : tuple, default ()
        The only values it takes; any if empty.
    limits : tuple of float, optional
        Smallest and largest value, in `unit`.
    writable : bool, default True
        Whether a client may set it.
    form : str, default ""
        Regular expression that a text must match; any if empty.
    """

    value: Any
    unit: str = ""
    allowed: tuple[Any, ...] = ()
    limits: tuple[float, float] | None = None
    writable: bool = True
    form: str = ""

    @property
    def kind(self) -> str:
        """Type, as the interface names it."""
        names: dict[type, str] = {bool: "bool", int: "uint", float: "float", str: "string", list: "list"}
        return names.get(type(self.value), "dict")

    def accept(self, name: str, value: Any) -> Any:
        """Check a value that a client wants to set.

        Parameters
        ----------
        name : str
            Of the parameter.
        value : object
            As it came.

        Returns
        -------
        object
            The value, of the type of the parameter.

        Raises
        ------
        OptionError
            If it is of another type, not allowed, out of its limits, or cannot be set.
        """
        if not self.writable:
            raise OptionError("is read only", name)
        found = float(value) if type(value) is int and type(self.value) is float else value
        if type(found) is not type(self.value) and self.kind != "dict":
            raise OptionError(f"{value!r} is no {self.kind}", name)
        if self.form and not re.fullmatch(self.form, str(found)):
            raise OptionError(f"{value!r} is not allowed", name, "give the beginning of the name of a file")
        if self.allowed and found not in self.allowed:
            raise OptionError(f"{value!r} is not allowed", name, f"choose one of {', '.join(map(str, self.allowed))}")
        if self.limits and not self.limits[0] <= found <= self.limits[1]:
            raise OptionError(f"{value!r} is not within {self.limits[0]:g} and {self.limits[1]:g} {self.unit}", name)
        return found

    def describe(self, value: Any) -> dict[str, Any]:
        """What the interface answers to who reads it.

        Parameters
        ----------
        value : object
            What it is now.

        Returns
        -------
        dict
            ``value``, ``value_type``, ``access_mode`` and what else is known.
        """
        answer = {"value": value, "value_type": self.kind, "access_mode": "rw" if self.writable else "r"}
        if self.unit:
            answer["unit"] = self.unit
        if self.allowed:
            answer["allowed_values"] = list(self.allowed)
        if self.limits:
            answer["min"], answer["max"] = self.limits
        return answer


def _fixed(value: Any, unit: str = "") -> Parameter:
    """A parameter that is only read."""
    return Parameter(value, unit, writable=False)


def _count(value: int = 1) -> Parameter:
    """A number of things, of which there is at least one."""
    return Parameter(value, limits=(1, 2_000_000_000))


def _switch(value: str) -> Parameter:
    """What is on or off."""
    return Parameter(value, allowed=_SWITCH)


def detector_parameters(pattern: tuple[int, int], bits: int) -> dict[str, Parameter]:
    """Parameters of the module ``detector``.

    Parameters
    ----------
    pattern : tuple of int
        Detector pixels (q_y, q_x).
    bits : int
        Depth of the images of the source, [bit].

    Returns
    -------
    dict of Parameter
    """
    time = (1e-6, 3600.0)
    angles = {
        f"{axis}_{part}": Parameter(0.0, "degree")
        for axis in ("chi", "kappa", "omega", "phi", "two_theta")
        for part in ("start", "increment")
    }
    thresholds = {
        f"threshold/{number}/{name}": parameter
        for number, mode in ((1, "enabled"), (2, "disabled"))
        for name, parameter in (
            ("mode", _switch(mode)),
            ("energy", Parameter(20_000.0 * number, "eV", limits=(1e3, 1e6))),
            ("number_of_excluded_pixels", _fixed(0)),
        )
    }
    return {
        **angles,
        **thresholds,
        "auto_summation": Parameter(True),
        "beam_center_x": Parameter((pattern[1] - 1) / 2, "pixel"),
        "beam_center_y": Parameter((pattern[0] - 1) / 2, "pixel"),
        "bit_depth_image": _fixed(bits),
        "bit_depth_readout": _fixed(bits),
        "compression": Parameter("bslz4", allowed=("bslz4", "lz4", "none")),
        "count_time": Parameter(0.2e-3 - READOUT, "s", limits=time),
        "counting_mode": Parameter("normal", allowed=("normal", "retrigger")),
        "countrate_correction_applied": Parameter(False),
        "description": _fixed("DECTRIS ARINA, emulated by parscope"),
        "detector_distance": Parameter(1.0, "m"),
        "detector_number": _fixed("E-00-0000"),
        "detector_readout_time": _fixed(READOUT, "s"),
        "detector_translation": Parameter([0.0, 0.0, 0.0], "m"),
        "eiger_fw_version": _fixed("emulated"),
        "flatfield_correction_applied": Parameter(False),
        "frame_count_time": _fixed(0.2e-3 - READOUT, "s"),
        "frame_time": Parameter(0.2e-3, "s", limits=time),
        "incident_energy": Parameter(200_000.0, "eV", limits=(1e3, 1e6)),
        "incident_particle_type": _fixed("electrons"),
        "mask_to_zero": Parameter(False),
        "nexpi": Parameter(1, allowed=(1,)),
        "nimages": _count(),
        "ntrigger": _count(),
        "photon_energy": Parameter(8041.0, "eV", limits=(1e3, 1e6)),
        "pixel_mask_applied": Parameter(True),
        "roi_bit_depth": Parameter(bits, "bit", allowed=(8, 16, 32)),
        "roi_mode": Parameter("disabled", allowed=("disabled", "merge2x2")),
        "roi_y_size": _fixed(pattern[0], "pixel"),
        "sensor_material": _fixed("Si"),
        "sensor_thickness": _fixed(4.5e-4, "m"),
        "software_version": _fixed("1.8.0"),
        "threshold/difference/mode": _switch("disabled"),
        "threshold_energy": Parameter(20_000.0, "eV", limits=(1e3, 1e6)),
        "trigger_mode": Parameter("ints", allowed=TRIGGERS),
        "trigger_start_delay": Parameter(0.0, "s", limits=(0.0, 3600.0)),
        "virtual_pixel_correction_applied": Parameter(False),
        "wavelength": _fixed(2.508e-12, "m"),
        "x_pixel_size": _fixed(1e-4, "m"),
        "x_pixels_in_detector": _fixed(pattern[1]),
        "y_pixel_size": _fixed(1e-4, "m"),
        "y_pixels_in_detector": _fixed(pattern[0]),
    }


STREAM: Mapping[str, Parameter] = {
    "mode": _switch("enabled"),
    "format": Parameter("cbor", allowed=("legacy", "cbor")),
    "header_detail": Parameter("basic", allowed=("all", "basic", "none")),
    "header_appendix": Parameter({}),
    "image_appendix": Parameter({}),
}
"""Parameters of the module ``stream``; the appendices take any JSON."""

FILEWRITER: Mapping[str, Parameter] = {
    "mode": _switch("disabled"),
    "format": Parameter("hdf5 nexus legacy nxmx", allowed=("hdf5 nexus legacy nxmx",)),
    "name_pattern": Parameter("series_$id", form=r"[^./\\\0][^/\\\0]{0,199}"),
    "nimages_per_file": Parameter(1000, limits=(0, 1_000_000_000)),
    "image_nr_start": Parameter(1, limits=(0, 1_000_000_000)),
    "compression_enabled": Parameter(True),
}
"""Parameters of the module ``filewriter``."""

MONITOR: Mapping[str, Parameter] = {
    "mode": Parameter("disabled", allowed=("disabled",)),
    "buffer_size": Parameter(1, limits=(1, 1000)),
}
"""Parameters of the module ``monitor``, which gives no images here: its mode cannot be switched on."""


def follow(values: Mapping[str, Any], name: str, pattern: tuple[int, int]) -> dict[str, Any]:
    """What else changes in the detector because one parameter was set.

    Parameters
    ----------
    values : mapping
        All parameters of the detector, the new one in place.
    name : str
        Which one was set.
    pattern : tuple of int
        Detector pixels (q_y, q_x) without merging.

    Returns
    -------
    dict
        New values of other parameters.
    """
    if name == "count_time":
        frame = max(values["frame_time"], values["count_time"] + READOUT)
        return {"frame_time": frame, "frame_count_time": values["count_time"]}
    if name == "frame_time":
        count = min(values["count_time"], values["frame_time"] - READOUT)
        return {"count_time": count, "frame_count_time": count}
    if name == "roi_mode":
        y, x = (n // 2 if values["roi_mode"] == "merge2x2" else n for n in pattern)
        middle = {"beam_center_x": (x - 1) / 2, "beam_center_y": (y - 1) / 2}
        return {"x_pixels_in_detector": x, "y_pixels_in_detector": y, "roi_y_size": y, **middle}
    if name == "roi_bit_depth":
        return {"bit_depth_image": values["roi_bit_depth"], "bit_depth_readout": values["roi_bit_depth"]}
    if name == "threshold_energy":
        return {"threshold/1/energy": values["threshold_energy"]}
    if name == "threshold/1/energy":
        return {"threshold_energy": values["threshold/1/energy"]}
    return {}
