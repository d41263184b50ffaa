"""The page of a running acquisition in a cell of a notebook: the same program, fed by the kernel."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from parscope.core.errors import InputError, MissingExtraError, ParscopeError
from parscope.live.pipeline.board import Board
from parscope.live.pipeline.session import Session
from parscope.serve.live.contract import Control
from parscope.serve.live.feed import Feed, command
from parscope.serve.live.hub import PERIOD, Hub
from parscope.serve.live.module import module, style
from parscope.serve.live.patterns import RingPatterns
from parscope.serve.live.session import SessionControl

try:
    import anywidget
except ImportError as error:
    raise MissingExtraError("anywidget", "notebook") from error


class LiveWidget(anywidget.AnyWidget):
    """Maps of a running acquisition that fill in below a cell; `attach` and `of` find all that it needs.

    Whoever can run the notebook can do what its kernel can, so commands need no token.

    Parameters
    ----------
    hub : Hub
        What is shown.

    Examples
    --------
    >>> from parscope.live.kernels.contract import Output
    >>> board = Board.create(6, (Output("com.x", "px", "Centre of mass, x"),), (8, 8))
    >>> widget = LiveWidget(Hub(board))  # as the last line of a cell
    >>> widget.close(); board.close()
    """

    _esm = module()
    _css = style()

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._hub, self._feed = hub, Feed(hub)
        self._task: asyncio.Task[None] | None = None
        self.on_msg(self._heard)

    @classmethod
    def attach(cls, name: str = "") -> LiveWidget:
        """Watch a session that runs in another process of this machine, such as ``parscope live``.

        Patterns under the cursor are shown, and detectors can be drawn; it takes no commands.

        Parameters
        ----------
        name : str, optional
            Of the board of the session. Default: that of the only session that runs.

        Returns
        -------
        LiveWidget

        Raises
        ------
        InputError
            If no session runs, several do and none is named, or none has this name.
        """
        board = Board.attach(name or _only(Board.running()))
        return cls(_hub_of(board, board.layout.ring))

    @classmethod
    def of(cls, session: Session) -> LiveWidget:
        """Watch a session of this process, and command it.

        Parameters
        ----------
        session : Session
            Running; ``threading.Thread(target=session.run).start()`` leaves the notebook free.

        Returns
        -------
        LiveWidget
        """
        hub = _hub_of(session.board, session.ring.name, SessionControl(session), lambda: session.notes)
        session.extras = hub.drawn_of
        return cls(hub)

    def push(self) -> None:
        """Send what is new; needed only where no event loop runs, which in notebooks one does.

        What goes wrong is told in the cell, and then raised.
        """
        try:
            self._post(self._feed.news())
        except Exception as error:
            self.send({"kind": "fault", "fault": f"Nothing new is shown: {type(error).__name__}: {error}"})
            raise

    def close(self) -> None:
        """Send no more, and take the widget away."""
        if self._task is not None:
            self._task.cancel()
        super().close()

    def _post(self, messages: list[bytes]) -> None:
        """Send messages as they are."""
        if messages:
            self.send({"kind": "news"}, buffers=messages)

    def _heard(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Take a message of the browser."""
        kind = content.get("kind")
        if kind == "hello":
            self._feed = Feed(self._hub)
            self.push()
            self._begin()
        elif kind == "ask":
            self._post(self._feed.answer(str(content.get("question"))))
        elif kind == "command":
            try:
                answer = {"told": command(self._hub, str(content.get("verb")), content.get("body"))}
            except ParscopeError as error:
                answer = {"fault": str(error)}
            self.send({"kind": "told", "number": content.get("number"), "answer": answer})

    def _begin(self) -> None:
        """Send what is new from now on, if an event loop runs."""
        if self._task is None or self._task.done():
            with suppress(RuntimeError):
                self._task = asyncio.get_running_loop().create_task(self._keep_on())

    async def _keep_on(self) -> None:
        """Send what is new, 30 times a second, until the session ends."""
        while not self._feed.over:
            await asyncio.sleep(PERIOD)
            self.push()


_HUBS: weakref.WeakValueDictionary[tuple[str, bool], Hub] = weakref.WeakValueDictionary()
"""Those of sessions that are shown, with and without control: a cell that is run again sees the same one."""


def _hub_of(
    board: Board, ring: str, control: Control | None = None, notes: Callable[[], Sequence[str]] = lambda: ()
) -> Hub:
    """The hub of a session."""
    key = board.name, control is not None
    hub = _HUBS.get(key)
    if hub is None:
        patterns = RingPatterns(board, ring)
        hub = _HUBS[key] = Hub(board, control, patterns, notes=notes)
        weakref.finalize(hub, patterns.close)
    return hub


def _only(boards: list[str]) -> str:
    """The only board that there is."""
    if not boards:
        raise InputError("no session runs on this machine", "LiveWidget.attach", "start one with parscope live")
    if len(boards) > 1:
        raise InputError("several sessions run", "LiveWidget.attach", f"name one of {', '.join(boards)}")
    return boards[0]
