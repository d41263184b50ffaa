"""A real browser without a window, driven over its own protocol (https://chromedevtools.github.io/devtools-protocol)."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
SWITCHES = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


class Page:
    """One page; used as an asynchronous context."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0

    async def __aenter__(self) -> Page:
        from tornado.websocket import websocket_connect

        words = f"{SWITCHES} --remote-debugging-port=0 --remote-allow-origins=* --user-data-dir={self._folder}"
        self._process = subprocess.Popen([str(BROWSER), *words.split(), "about:blank"], stderr=subprocess.DEVNULL)
        told = self._folder / "DevToolsActivePort"
        while not (told.exists() and len(told.read_text().splitlines()) == 2):
            await asyncio.sleep(0.05)
        port, browser = told.read_text().splitlines()
        self._socket = await websocket_connect(f"ws://127.0.0.1:{port}{browser}", max_message_size=1 << 26)
        target = await self.send("Target.createTarget", url="about:blank")
        made = await self.send("Target.attachToTarget", flatten=True, **target)
        self._session = made["sessionId"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(20)

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        session = getattr(self, "_session", None)
        await self._socket.write_message(json.dumps(message | ({"sessionId": session} if session else {})))
        while (answer := json.loads(str(await self._socket.read_message()))).get("id") != self._number:
            pass
        return dict(answer["result"])

    async def evaluate(self, expression: str) -> Any:
        """Value of an expression of JavaScript."""
        return (await self.send("Runtime.evaluate", expression=expression))["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression of JavaScript is true."""
        while not await self.evaluate(expression):
            await asyncio.sleep(0.05)

    async def press(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            await self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    async def click(self, x: float, y: float) -> None:
        """Click at a point of the page, [px]."""
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
