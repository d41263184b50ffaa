"""A detector control unit, as its clients see it: modules with parameters, a status and commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from parscope.core.errors import OptionError
from parscope.live.emulator.machine import Machine
from parscope.live.emulator.modules import now
from parscope.live.emulator.parameters import Parameter

_MOST = 1e9


class Dcu:
    """What an address of the interface stands for.

    Parameters
    ----------
    machine : Machine
        The detector.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine, self.modules = machine, machine.modules

    def read(self, module: str, task: str, name: str) -> dict[str, Any]:
        """Read a parameter or a status.

        Parameters
        ----------
        module, task, name : str
            As in the address: ``detector``, ``config`` or ``status``, ``count_time``.

        Returns
        -------
        dict
            ``value`` and what is known of it.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        if task == "config":
            return self.modules.describe(module, name)
        if task != "status":
            raise KeyError(task)
        value = self._statuses(module)[name]()
        return Parameter(value, writable=False).describe(value)

    def names(self, module: str, task: str) -> list[str]:
        """Names that a task of a module knows.

        Parameters
        ----------
        module, task : str
            As in the address; the task is ``config``, ``status`` or ``command``.

        Returns
        -------
        list of str

        Raises
        ------
        KeyError
            If there is no such module or task.
        """
        if task == "config":
            return sorted(self.modules.parameters[module])
        return sorted({"status": self._statuses, "command": self._commands}[task](module))

    def write(self, module: str, name: str, value: Any) -> list[str]:
        """Set a parameter, while no image is taken; one of the stream at any time, for the next series.

        Parameters
        ----------
        module, name : str
            As in the address.
        value : object
            As it came.

        Returns
        -------
        list of str
            All parameters that changed.

        Raises
        ------
        KeyError
            If there is none of that name.
        OptionError
            If the value or the moment does not allow it.
        """
        machine = self.machine
        # LiberTEM enables the stream of a detector that it has armed.
        with machine.at_rest(name, running=module == "stream"):
            if module == "filewriter" and name == "mode" and value == "enabled" and not machine.folder:
                raise OptionError("this emulator has no folder for files", name, "start it with --files FOLDER")
            return self.modules.write(module, name, value)

    def command(self, module: str, name: str, value: Any = None) -> dict[str, int] | None:
        """Do what a client orders.

        Parameters
        ----------
        module, name : str
            As in the address: ``detector``, ``arm``.
        value : float, optional
            Counting time of one trigger, for ``trigger`` in the mode ``inte``, [s]; number of pulses, for ``pulse``,
            which no real detector has.

        Returns
        -------
        dict, optional
            ``sequence id``, where the command concerns a series.

        Raises
        ------
        KeyError
            If there is no such command.
        OptionError
            If the state does not allow it.
        """
        return self._commands(module, value)[name]()

    def _commands(self, module: str, value: Any = None) -> dict[str, Callable[[], dict[str, int] | None]]:
        """Commands of a module, for what came with one of them."""
        machine = self.machine
        known: dict[str, dict[str, Callable[[], dict[str, int] | None]]] = {
            "detector": {
                "initialize": machine.initialize,
                "arm": machine.arm,
                "trigger": lambda: machine.trigger(_number(value, "trigger", int, float)),
                "disarm": machine.disarm,
                "cancel": machine.disarm,
                "abort": machine.abort,
                "pulse": lambda: machine.pulse(_number(value, "pulse", int)),
                "status_update": lambda: None,
                "hv_reset": lambda: None,
            },
            "stream": {"initialize": lambda: None},
            "filewriter": {"initialize": lambda: None, "clear": self._clear},
            "monitor": {"initialize": lambda: None, "clear": lambda: None},
            "system": {"restart": machine.restart},
        }
        return known[module]

    def _statuses(self, module: str) -> dict[str, Callable[[], Any]]:
        """What can be read of a module besides its parameters."""
        machine = self.machine

        def acts(part: str) -> str:
            enabled = self.modules.values[part]["mode"] == "enabled"
            return ("acquire" if machine.busy else "ready") if enabled else "disabled"

        known: dict[str, dict[str, Callable[[], Any]]] = {
            "detector": {
                "state": lambda: machine.state,
                "error": lambda: [machine.fault] if machine.fault else [],
                "time": now,
                "board_000/th0_temp": lambda: 22.5,
                "board_000/th0_humidity": lambda: 20.0,
                "builder/dcu_buffer_free": lambda: 100.0,
                "high_voltage/state": lambda: "READY",
            },
            "stream": {
                "state": lambda: acts("stream"),
                "error": list,
                "dropped": lambda: machine.camera.status()["dropped"],
                # No real detector tells this; two clients that take half of the images each are found by it.
                "clients": lambda: machine.camera.status()["clients"],
            },
            "filewriter": {
                "state": lambda: acts("filewriter"),
                "error": list,
                "files": lambda: list(machine.files),
                "buffer_free": lambda: 10**9,
            },
            "monitor": {"state": lambda: acts("monitor"), "error": list, "dropped": lambda: 0},
            "system": {},
        }
        return known[module]

    def _clear(self) -> None:
        """Delete the files that this detector wrote."""
        while self.machine.files:
            Path(self.machine.folder, self.machine.files.pop()).unlink(missing_ok=True)


def _number(value: Any, command: str, *kinds: type) -> Any:
    """A number above zero that came with a command, None if none came."""
    if value is not None and (type(value) not in kinds or not 0 < value < _MOST):
        raise OptionError(f"{value!r} is no {'number' if float in kinds else 'whole number'} above zero", command)
    return value
