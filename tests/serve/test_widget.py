"""The page in a notebook: the kernel's side as a notebook has it, the other in a real browser."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parscope.core.errors import InputError, OutputError
from parscope.live.kernels.contract import Output
from parscope.live.pipeline import board as board_of
from parscope.live.pipeline import memory
from parscope.live.pipeline.answers import Policy
from parscope.live.pipeline.board import Board
from parscope.live.pipeline.ring import Reader, Ring
from parscope.live.pipeline.session import Session
from parscope.live.pipeline.workers import Orders
from parscope.live.sources.address import Wishes
from parscope.serve.live.hub import Hub
from parscope.serve.live.messages import Kind, unpack
from parscope.serve.live.module import module, style
from tests.serve.browser import chromium
from tests.serve.scene import Desk, kept, scene

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
        widget = LiveWidget(Hub(shown.board, desk, kept))
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
        widget = LiveWidget(Hub(shown.board, Desk()))
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
        widget._handle_custom_msg({"kind": "command", "verb": "explode", "number": 5}, [])
        assert answers.pop()["answer"]["fault"].startswith("explode: no such command")
        widget._handle_custom_msg({}, [])
        assert answers == []
        widget.close()


def test_where_an_event_loop_runs_news_go_out_by_themselves() -> None:
    async def watched() -> list[int]:
        with scene() as shown:
            widget = LiveWidget(Hub(shown.board))
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


def test_what_keeps_it_from_showing_more_is_told_in_the_cell() -> None:
    class Broken:
        def __call__(self) -> list[str]:
            raise OSError("the disk is gone")

    async def watched() -> list[dict[str, Any]]:
        with scene() as shown:
            notes = Broken()
            widget = LiveWidget(Hub(shown.board, notes=lambda: notes() if shown.board.generation else []))
            answers = told(widget)
            widget._handle_custom_msg({"kind": "hello"}, [])
            shown.begin()
            while answers[-1]["kind"] != "fault":
                await asyncio.sleep(0.01)
            widget.close()
            return answers

    assert asyncio.run(asyncio.wait_for(watched(), 20))[-1] == {
        "kind": "fault",
        "fault": "Nothing new is shown: OSError: the disk is gone",
        "buffers": (),
    }


def test_a_fault_is_shown_in_the_cell() -> None:
    with scene() as shown, chromium() as browser:
        widget = LiveWidget(Hub(shown.board))
        page = browser.new_page()
        page.set_content(f"<style>{style()}</style><div id=cell></div>")
        page.evaluate(f"(program) => {{ {NOTEBOOK} }}", module())
        page.locator(".parscope-live").wait_for()
        notebook = Notebook(widget, page)
        notebook.turn()
        assert page.locator("[aria-label=Rules]").is_hidden()
        widget.send({"kind": "fault", "fault": "Nothing new is shown: OSError: gone"})
        notebook.turn()
        assert page.locator(".offline").inner_text() == "Nothing new is shown: OSError: gone"
        widget.close()


def orders(tmp_path: Path, rate: float = 100.0) -> Orders:
    array = np.random.default_rng(3).poisson(4, (4, 5, 16, 16)).astype(np.uint16)
    np.save(tmp_path / "scan.npy", array)
    policy = Policy((4, 5), deadline=123_000)
    return Orders(f"replay:{tmp_path / 'scan.npy'}", ("sum",), Wishes(rate=rate, series=1000), policy, buffer=1 << 20)


def test_a_session_of_another_process_is_found_with_all_that_is_to_be_seen(tmp_path: Path) -> None:
    given = orders(tmp_path)
    array = np.load(tmp_path / "scan.npy")
    with Session(given) as session:
        assert session.board.name in Board.running() and session.ring.name not in Board.running()
        while session.board.generation < 2:
            session.turn()
        widget = LiveWidget.attach(session.board.name)
        answers = told(widget)
        widget._handle_custom_msg({"kind": "hello"}, [])
        parts = [unpack(part) for answer in answers for part in answer["buffers"]]
        hello, state = parts[0][1], parts[-1][1]
        assert (hello["scan"], hello["control"], hello["draws"]) == ([4, 5], False, True)
        assert state["latency"]["deadline_us"] == 123.0 and not state["ended"]
        for _ in range(600):  # a series may have begun just now, of which it has not come yet
            widget._handle_custom_msg({"kind": "ask", "question": json.dumps({"pattern": [0, 1]})}, [])
            kind, text, counts = unpack(answers[-1]["buffers"][0])
            if counts:
                break
            time.sleep(0.05)
        assert (kind, text["at"]) == (Kind.PATTERN, [0, 1])
        assert np.frombuffer(counts, "<f4").tolist() == array[0, 1].ravel().tolist()
        drawn = [{"name": "vd1", "y": 8, "x": 8, "inner": 0, "outer": 20}]
        widget._handle_custom_msg({"kind": "command", "verb": "masks", "body": drawn, "number": 1}, [])
        assert answers[-1]["answer"]["told"].startswith("In use here, and not saved.")
        widget._handle_custom_msg({"kind": "command", "verb": "stop", "number": 2}, [])
        assert answers[-1]["answer"] == {"fault": "control: nobody takes commands; this page only watches"}
        session.stop()
        session.run()
    widget._hub.refresh()
    widget.push()
    assert unpack(answers[-1]["buffers"][-1])[1]["ended"] is True
    widget.close()
    widget.close()


def test_a_session_of_this_process_is_commanded_too(tmp_path: Path) -> None:
    with Session(orders(tmp_path)) as session:
        widget = LiveWidget.of(session)
        answers = told(widget)
        widget._handle_custom_msg({"kind": "hello"}, [])
        parts = [unpack(part) for part in answers[-1]["buffers"]]
        assert parts[0][1]["control"] and parts[0][1]["draws"]
        assert parts[-1][1]["running"] is True and parts[-1][1]["latency"]["deadline_us"] == 123.0
        widget._handle_custom_msg({"kind": "command", "verb": "arm", "number": 2}, [])
        assert answers[-1]["answer"]["fault"].startswith("rules: there are none")
        widget.close()
        session.stop()
        session.run()


def test_the_only_session_needs_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module_of in (memory, board_of):
        monkeypatch.setattr(module_of, "folder", lambda: tmp_path)
    with pytest.raises(InputError, match="no session runs on this machine; start one with parscope live"):
        LiveWidget.attach()
    made = Ring.create(1 << 16)
    one = Board.create(6, (Output("com.x", "px", "Centre of mass, x"),), (8, 8), made.name)
    widgets = [LiveWidget.attach() for _ in range(10)]  # a cell that is run again and again
    assert all(widget._hub is widgets[0]._hub for widget in widgets) and widgets[0]._hub.hello()["draws"]
    for widget in widgets:
        widget.close()
    other = Board.create(6, (Output("com.x", "px", "Centre of mass, x"),), (8, 8))
    with pytest.raises(InputError, match=f"several sessions run; name one of .*{other.name}"):
        LiveWidget.attach()
    with pytest.raises(InputError, match="is the session still running"):
        LiveWidget.attach("parscope-live-1-00")
    for memory_of in (made, one, other):
        memory_of.close()


READERS = """
import os, sys
from parscope.live.pipeline.ring import Reader
held = [Reader(sys.argv[1]) for _ in range(8)]
os._exit(0)
"""


def test_a_kernel_that_died_leaves_its_place_to_the_next() -> None:
    made = Ring.create(1 << 16)
    subprocess.run([sys.executable, "-c", READERS, made.name], check=True, timeout=60)
    readers = [Reader(made.name) for _ in range(8)]
    with pytest.raises(OutputError, match="has 8 readers already"):
        Reader(made.name)
    for reader in readers:
        reader.close()
    made.close()
