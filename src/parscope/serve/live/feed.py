"""What one who watches has seen already, and what is new."""

from __future__ import annotations

import json
from typing import Any

from parscope.core.errors import OptionError, ParscopeError
from parscope.serve.live.contract import VirtualDetector
from parscope.serve.live.hub import Hub
from parscope.serve.live.messages import Kind, lines, pack, pattern

_PLAIN = ("start", "stop", "arm", "disarm")


class Feed:
    """Messages for one page, whether they go through a socket or into a notebook.

    Parameters
    ----------
    hub : Hub
        What all share.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._edition = self._stated = -2
        self._seen = [0, 0, 0]

    def news(self) -> list[bytes]:
        """What has changed since the last call.

        Returns
        -------
        list of bytes
            Messages in their order; empty if there is nothing new.
        """
        with self._hub.lock:
            return self._news(self._hub)

    def _news(self, hub: Hub) -> list[bytes]:
        """What has changed, while nothing changes."""
        hub.tick()
        messages = []
        if hub.edition != self._edition:
            self._edition, self._seen = hub.edition, [0, 0, 0]
            messages.append(pack(Kind.HELLO, hub.hello()))
        for at, (first, changes) in enumerate(hub.parts):
            messages += lines(changes, self._seen[at], hub.edition, first)
            self._seen[at] = changes.version
        if hub.state_version != self._stated:
            self._stated = hub.state_version
            messages.append(pack(Kind.STATE, hub.state))
        return messages

    @property
    def over(self) -> bool:
        """Whether the last state has been given, since the session has ended."""
        return self._hub.over and self._stated == self._hub.state_version

    def answer(self, text: str) -> list[bytes]:
        """Answer a question of the page: ``{"pattern": "last" | "mean" | [y, x]}``.

        Parameters
        ----------
        text : str
            JSON.

        Returns
        -------
        list of bytes
            One message, without counts if the pattern is not kept; none if the question is not understood.
        """
        try:
            which = json.loads(text)["pattern"]
            with self._hub.lock:
                found = self._hub.pattern(which)
        except (ValueError, KeyError, TypeError, ParscopeError):
            return []
        if found is None:
            return [pack(Kind.PATTERN, {"which": "none", "asked": which})]
        return [pattern(found[0], {**found[1], "asked": which})]


def command(hub: Hub, verb: str, given: Any) -> str:
    """Pass a command on.

    Parameters
    ----------
    hub : Hub
        Knows who takes it.
    verb : str
        ``start``, ``stop``, ``arm`` or ``disarm``, or ``masks``, which needs nobody who takes commands.
    given : object
        Of masks: a list of mappings with the fields of `VirtualDetector`.

    Returns
    -------
    str
        A sentence for the person.

    Raises
    ------
    ParscopeError
        If it cannot be done.
    """
    if verb == "masks":
        told = hub.draw(_detectors(given))
    elif verb not in _PLAIN:
        raise OptionError("no such command", verb, f"use one of {', '.join([*_PLAIN, 'masks'])}")
    elif hub.control is None:
        raise OptionError("nobody takes commands", "control", "this page only watches")
    else:
        told = str(getattr(hub.control, verb)())
    hub.refresh()
    return told


def _detectors(given: Any) -> tuple[VirtualDetector, ...]:
    """Read detectors that were drawn."""
    try:
        made = tuple(
            VirtualDetector(str(one["name"]), *(float(one[field]) for field in ("y", "x", "inner", "outer")))
            for one in given
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OptionError("cannot be read", "masks", "give a list with name, y, x, inner and outer") from error
    if len({one.name for one in made}) < len(made):
        raise OptionError("two have one name", "masks", "give every detector its own")
    return made
