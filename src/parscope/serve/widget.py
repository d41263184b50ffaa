"""The page of a running acquisition in a cell of a notebook: the same program, fed by the kernel."""

from __future__ import annotations

import asyncio
from typing import Any

from parscope.core.errors import MissingExtraError, ParscopeError
from parscope.live.pipeline.board import Board
from parscope.serve.live.contract import Control, Patterns
from parscope.serve.live.feed import Feed, command
from parscope.serve.live.hub import PERIOD, Hub
from parscope.serve.live.module import module, style

try:
    import anywidget
except ImportError as error:
    raise MissingExtraError("anywidget", "notebook") from error


class LiveWidget(anywidget.AnyWidget):
    """Maps of a running acquisition that fill in below a cell.

    Whoever can run the notebook can do what its kernel can, so commands need no token.

    Parameters
    ----------
    board : Board
        Results of a session; ``Board.attach`` finds those of another process.
    control : Control, optional
        Who takes commands. Default: nobody, the widget only watches.
    patterns : callable, optional
        Gives patterns by position.
    deadline_ns : int, default 200 us
        When an answer is late, [ns].

    Examples
    --------
    >>> from parscope.live.kernels.contract import Output
    >>> board = Board.create(6, (Output("com.x", "px", "Centre of mass, x"),), (8, 8))
    >>> widget = LiveWidget(board)  # as the last line of a cell
    >>> widget.close(); board.close()
    """

    _esm = module()
    _css = style()

    def __init__(
        self,
        board: Board,
        control: Control | None = None,
        patterns: Patterns | None = None,
        deadline_ns: int = 200_000,
    ) -> None:
        super().__init__()
        self._hub = Hub(board, control, patterns, deadline_ns)
        self._feed = Feed(self._hub)
        self._task: asyncio.Task[None] | None = None
        self.on_msg(self._heard)

    def push(self) -> None:
        """Send what is new; needed only where no event loop runs, which in notebooks one does."""
        self._post(self._feed.news())

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
        if self._task is None:
            try:
                self._task = asyncio.get_running_loop().create_task(self._keep_on())
            except RuntimeError:
                return

    async def _keep_on(self) -> None:
        """Send what is new, 30 times a second."""
        while True:
            await asyncio.sleep(PERIOD)
            self.push()
