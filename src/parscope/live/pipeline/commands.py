"""Commands of a person to the frame loop, which it looks for between patterns."""

from __future__ import annotations

import select
import time
from multiprocessing.connection import Connection
from typing import Any

from parscope.core.errors import OptionError, ParscopeError
from parscope.live.rules.actuator import Actuator


class Commands:
    """The frame loop's end of a pipe over which it is asked to do something.

    Questions are tuples of a number, the time until which they hold (monotonic, [s]), a verb and what belongs to it;
    answers are the number, a sentence or the three parts of an error, and whether rules are armed.

    Parameters
    ----------
    pipe : Connection
        The other end belongs to whoever commands.
    actuator : Actuator, optional
        What is armed. Default: there are no rules.
    """

    def __init__(self, pipe: Connection, actuator: Actuator | None = None) -> None:
        self._pipe, self._actuator = pipe, actuator
        self._poll = select.poll()
        self._poll.register(pipe.fileno(), select.POLLIN)

    def look(self) -> None:
        """Do what was asked for, if something was."""
        if not self._poll.poll(0):
            return
        try:
            number, due, verb, _ = self._pipe.recv()
            if time.monotonic() > due:
                return  # the person has been told that nothing happened, and so nothing must happen
            self._pipe.send((number, self._answer(verb), self._actuator is not None and self._actuator.armed))
        except (EOFError, OSError):
            # nobody commands any more; what is armed stays armed, and Ctrl-C and the watchdog are there
            self._poll = select.poll()

    def _answer(self, verb: str) -> Any:
        """Do it, and say so."""
        try:
            return self._do(verb)
        except ParscopeError as error:
            return error.what, error.where, error.advice

    def _do(self, verb: str) -> str:
        """Do it, or say why not."""
        if verb == "masks":
            raise OptionError("cannot be changed while this session runs", "detectors", "give them to --analyse")
        if self._actuator is None:
            raise OptionError("there are none", "rules", "give them with --rule")
        if verb == "arm":
            self._actuator.arm()
            return "Armed from the next pattern on."
        self._actuator.disarm()
        return "Disarmed from the next pattern on."
