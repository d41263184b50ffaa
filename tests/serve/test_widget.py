"""The page in a notebook: the kernel's side as a notebook has it, the other in a real browser."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from parscope.serve.live.messages import Kind, unpack
from parscope.serve.live.module import module, style
from tests.serve.browser import chromium
from tests.serve.scene import DEADLINE_NS, Desk, kept, scene

pytest.importorskip("anywidget")

from parscope.serve.widget import LiveWidget

# What a notebook does for a widget: hands it an element, and passes messages on.
NOTEBOOK = """
window.sent = []; window.heard = [];
const model = {
  on: (_event, hear) => heard.push(hear), off: () => heard.pop(), send: (content) => sent.push(content),
};
window.deliver = (content, buffers) => heard.forEach((hear) => hear(content, buffers.map((text) => {
  // Notebooks give views into a larger buffer.
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const whole = new Uint8Array(bytes.length + 3);
  whole.set(bytes, 3);
  return new DataView(whole.buffer, 3);
})));
import(URL.createObjectURL(new Blob([program], {type: "text/javascript"}))).then((made) => {
  window.cleared = made.default.render({ model, el: document.getElementById("cell") });
});
"""


class Notebook:
    """Passes messages between a widget and a browser, as kernel and notebook do."""

    def __init__(self, widget: LiveWidget, page: Any) -> None:
        self.widget, self.page, self.posted = widget, page, []
        widget.send = lambda content, buffers=(): self.posted.append((content, list(buffers)))

    def turn(self) -> None:
        """Everything that waits goes to the other side."""
        for content in self.page.evaluate("sent.splice(0)"):
            self.widget._handle_custom_msg(content, [])
        for content, buffers in self.posted:
            given = [content, [base64.b64encode(buffer).decode() for buffer in buffers]]
            self.page.evaluate("([content, buffers]) => deliver(content, buffers)", given)
        self.posted.clear()


def test_a_cell_shows_maps_and_takes_commands() -> None:
    desk = Desk()
    with scene() as shown, chromium() as browser:
        shown.begin()
        shown.lines(0, 10)
        widget = LiveWidget(shown.board, desk, kept, DEADLINE_NS)
        page = browser.new_page()
        page.set_content(f"<style>{style()}</style><div id=cell></div>")
        page.evaluate(f"(program) => {{ {NOTEBOOK} }}", module())
        page.locator(".parscope-live").wait_for()
        notebook = Notebook(widget, page)
        notebook.turn()
        assert page.locator(".map h3").count() == 11
        assert page.locator(".phase").inner_text() == "Acquiring · series 12"
        page.get_by_role("button", name="Stop").click()
        notebook.turn()
        assert not desk.running
        assert page.locator(".control .told").inner_text() == "Stopped; the recording goes on."
        page.evaluate("cleared()")
        assert page.evaluate("heard.length") == 0
        widget.close()


def told(widget: LiveWidget) -> list[dict[str, Any]]:
    """Answers to what a notebook sends."""
    answers: list[dict[str, Any]] = []
    widget.send = lambda content, buffers=(): answers.append(content | {"buffers": buffers})
    return answers


def test_messages_of_a_notebook_are_answered() -> None:
    with scene() as shown:
        widget = LiveWidget(shown.board, Desk())
        answers = told(widget)
        shown.begin()
        shown.lines(0, 1)
        widget._handle_custom_msg({"kind": "hello"}, [])
        assert [unpack(message)[0] for message in answers.pop()["buffers"]] == [1, 2, 2, 3]
        widget._handle_custom_msg({"kind": "ask", "question": json.dumps({"pattern": "last"})}, [])
        assert unpack(answers.pop()["buffers"][0])[1]["at"] == [0, 63]
        widget._handle_custom_msg({"kind": "command", "verb": "arm", "number": 3}, [])
        assert answers.pop() == {"kind": "told", "number": 3, "answer": {"told": "Armed."}, "buffers": ()}
        widget._handle_custom_msg({"kind": "command", "verb": "masks", "body": 1, "number": 4}, [])
        assert answers.pop()["answer"]["fault"].startswith("masks: cannot be read")
        widget._handle_custom_msg({}, [])
        assert answers == []
        widget.close()


def test_where_an_event_loop_runs_news_go_out_by_themselves() -> None:
    async def watched() -> list[int]:
        with scene() as shown:
            widget = LiveWidget(shown.board)
            answers = told(widget)
            shown.begin()
            widget._handle_custom_msg({"kind": "hello"}, [])
            shown.lines(0, 2)
            while not any(unpack(part)[0] == Kind.LINES for answer in answers for part in answer["buffers"]):
                await asyncio.sleep(0.01)
            widget.close()
            parts = [unpack(part) for answer in answers for part in answer["buffers"]]
            return next(text["rows"] for kind, text, _ in parts if kind == Kind.LINES)

    assert asyncio.run(asyncio.wait_for(watched(), 20)) == [0, 1]
