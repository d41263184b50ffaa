"""The modules of a SIMPLON detector: all parameters with their values, and the order for a series they amount to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parscope.core.errors import OptionError
from parscope.live.emulator.job import Filing, Imaging, Job, Timing
from parscope.live.emulator.parameters import FILEWRITER, MONITOR, STREAM, Parameter, detector_parameters, follow

_SECOND = 10**9
_MASKED = {(True, False): "nodata", (True, True): "zero"}


@dataclass(frozen=True)
class Pace:
    """How fast images and pulses come, where no client says.

    Parameters
    ----------
    unhurried : bool, default True
        Whether ``frame_time`` is kept; otherwise images come as fast as possible.
    pulse : float, optional
        External pulses per second; 0 for as fast as possible, negative for pulses by hand; as often as ``frame_time``
        says if not given, [Hz].
    """

    unhurried: bool = True
    pulse: float | None = None


class Modules:
    """Parameters of all modules, and what they are now.

    Parameters
    ----------
    pattern : tuple of int
        Detector pixels (q_y, q_x).
    bits : int
        Depth of the images of the source, [bit].
    preset : mapping
        Values after switching on that differ from those of the factory: ``detector/ntrigger``, ...

    Raises
    ------
    OptionError
        If there is no such parameter, or it does not take the value.
    """

    def __init__(self, pattern: tuple[int, int], bits: int, preset: Mapping[str, Any]) -> None:
        self.pattern, self.preset = pattern, dict(preset)
        self.parameters: dict[str, Mapping[str, Parameter]] = {
            "detector": detector_parameters(pattern, bits),
            "stream": STREAM,
            "filewriter": FILEWRITER,
            "monitor": MONITOR,
            "system": {},
        }
        self.values: dict[str, dict[str, Any]] = {}
        self.reset()

    def reset(self) -> None:
        """Set all parameters to what they are after switching on."""
        for module, parameters in self.parameters.items():
            self.values[module] = {name: parameter.value for name, parameter in parameters.items()}
        for place, value in self.preset.items():
            module, _, name = place.partition("/")
            if name not in self.parameters.get(module, {}):
                raise OptionError(f"there is no {place}", "--set", "name it as detector/roi_mode")
            self._put(module, name, self.parameters[module][name].accept(name, value))

    def describe(self, module: str, name: str) -> dict[str, Any]:
        """What the interface answers to who reads a parameter.

        Parameters
        ----------
        module, name : str
            As in the address.

        Returns
        -------
        dict

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        return self.parameters[module][name].describe(self.values[module][name])

    def write(self, module: str, name: str, value: Any) -> list[str]:
        """Set a parameter, and those that follow from it.

        Parameters
        ----------
        module, name : str
            As in the address.
        value : object
            As it came.

        Returns
        -------
        list of str
            All parameters that changed, that one in any case.

        Raises
        ------
        KeyError
            If there is none of that name.
        OptionError
            If it does not take the value.
        """
        accepted, before = self.parameters[module][name].accept(name, value), dict(self.values[module])
        self._put(module, name, accepted)
        return sorted({name} | {key for key, now in self.values[module].items() if now != before[key]})

    def _put(self, module: str, name: str, value: Any) -> None:
        values = self.values[module]
        values[name] = value
        if module == "detector":
            values.update(follow(values, name, self.pattern))

    def order(self, series: int, pace: Pace, folder: str) -> Job:
        """The order for a series, as the parameters are now.

        Parameters
        ----------
        series : int
            Its number.
        pace : Pace
            Of the images and pulses.
        folder : str
            Where files are written.

        Returns
        -------
        Job
        """
        detector, stream, files = (self.values[name] for name in ("detector", "stream", "filewriter"))
        frame_ns = round(detector["frame_time"] * _SECOND) if pace.unhurried else 0
        timing = Timing(
            mode=detector["trigger_mode"],
            images=detector["nimages"],
            triggers=detector["ntrigger"],
            frame_ns=frame_ns,
            count_ns=round(detector["count_time"] * _SECOND),
            pulse_ns=frame_ns if pace.pulse is None else _period(pace.pulse),
        )
        imaging = Imaging(
            bits=detector["roi_bit_depth"],
            merge=detector["roi_mode"] == "merge2x2",
            compression=detector["compression"],
            channels=_channels(detector),
            masked=_MASKED.get((detector["pixel_mask_applied"], detector["mask_to_zero"]), "kept"),
        )
        name = files["name_pattern"].replace("$id", str(series))
        filing = Filing(folder, name, files["nimages_per_file"], files["image_nr_start"])
        version = {"legacy": 1, "cbor": 2}[stream["format"]] if stream["mode"] == "enabled" else 0
        # 13 digits of time and 13 of a counter: valid as the identifier of the protocol, and sorted by time.
        unique = f"{time.time_ns() // 10**6:013d}{series:013d}"
        header = {**detector, **{key: stream[key] for key in ("header_detail", "header_appendix", "image_appendix")}}
        header["date"] = now()
        return Job(series, unique, timing, imaging, version, header, filing if files["mode"] == "enabled" else None)


def _channels(detector: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the images in every message."""
    every = (("threshold_1", "threshold/1"), ("threshold_2", "threshold/2"), ("difference", "threshold/difference"))
    found = tuple(name for name, place in every if detector[f"{place}/mode"] == "enabled")
    return found or ("threshold_1",)


def _period(rate: float) -> int:
    """Time between pulses, [ns]; as `Timing` has it."""
    if rate < 0:
        return -1
    return round(_SECOND / rate) if rate else 0


def now() -> str:
    """Time of day in UTC, as the protocol writes it.

    Returns
    -------
    str
        To the nanosecond.
    """
    seconds, rest = divmod(time.time_ns(), _SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"
