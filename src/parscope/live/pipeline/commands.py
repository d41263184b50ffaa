"""Commands of a person to the frame loop, which it looks for between patterns."""

from __future__ import annotations

import select
import time
from multiprocessing.connection import Connection
from typing import Any

from parscope.core.errors import OptionError, ParscopeError
from parscope.live.pipeline.answers import Answers
from parscope.live.pipeline.board import Board
from parscope.live.rules.actuator import Actuator


class Commands:
    """The frame loop's end of a pipe over which it is asked to do something.

    Questions are tuples of a number, the time until which they hold (monotonic, [s]), a verb and what belongs to it;
    answers are the number, and a sentence or the three parts of an error.

    Parameters
    ----------
    pipe : Connection
        The other end belongs to whoever commands.
    board : Board
        Tells everybody what holds.
    answers : Answers
        What is stopped and started.
    actuator : Actuator, optional
        What is armed. Default: there are no rules.
    """

    def __init__(self, pipe: Connection, board: Board, answers: Answers, actuator: Actuator | None = None) -> None:
        self._pipe, self._board, self._answers, self._actuator = pipe, board, answers, actuator
        self._poll = select.poll()
        self._poll.register(pipe.fileno(), select.POLLIN)
        self._say()

    def look(self) -> None:
        """Do what was asked for, if something was."""
        if not self._poll.poll(0):
            return
        try:
            number, due, verb, _ = self._pipe.recv()
            if time.monotonic() > due:
                return  # the person has been told that nothing happened, and so nothing must happen
            answer = self._answer(verb)
            self._say()
            self._pipe.send((number, answer))
        except (EOFError, OSError):
            # nobody commands any more; what is armed stays armed, and Ctrl-C and the watchdog are there
            self._poll = select.poll()

    def _say(self) -> None:
        """Tell everybody what holds."""
        self._board.say(armed=self._actuator is not None and self._actuator.armed, halted=self._answers.stopped)

    def _answer(self, verb: str) -> Any:
        """Do it, and say so."""
        try:
            return self._do(verb)
        except ParscopeError as error:
            return error.what, error.where, error.advice

    def _do(self, verb: str) -> str:
        """Do it, or say why not."""
        if verb == "stop":
            return self._stop()
        if verb == "start":
            self._answers.start()
            return "Started: patterns are analysed from the next one on. Rules are disarmed."
        if verb not in ("arm", "disarm"):
            raise OptionError("cannot be changed while this session runs", "detectors", "give them to --analyse")
        if self._actuator is None:
            raise OptionError("there are none", "rules", "give them with --rule")
        if verb == "disarm":
            self._actuator.disarm()
            return "Disarmed from the next pattern on."
        if self._answers.stopped:
            raise OptionError("cannot be armed while the analysis is stopped", "rules", "start it first")
        self._actuator.arm()
        return "Armed from the next pattern on."

    def _stop(self) -> str:
        """Analyse no more; rules that are armed leave the instrument in its safe state."""
        if self._actuator is not None and self._actuator.armed:
            self._actuator.safe("the analysis was stopped by hand")
            self._actuator.disarm()
        self._answers.stop()
        return "Stopped: patterns are passed over, and recorded as before."
