"""The page and the session behind it: begun, stopped, ended, out of reach; who may command; what it tells."""

from __future__ import annotations

from typing import Any

from parscope.serve.live.hub import Hub
from parscope.serve.live.server import PageServer
from tests.serve.shown import Shown, at, canvas


def test_start_and_stop(shown: Shown) -> None:
    shown.page.get_by_role("button", name="Stop").click()
    shown.wait("parscope.latest.running === false")
    assert not shown.desk.running and shown.page.get_by_role("button", name="Stop").is_disabled()
    assert shown.page.locator(".control .told").inner_text() == "Stopped; the recording goes on."
    assert shown.page.locator(".phase").inner_text() == "Stopped · series 12"
    assert shown.page.locator(".stopped").inner_text() == (
        "Stopped: patterns are passed over, and counted as skipped. A recording goes on."
    )
    shown.page.get_by_role("button", name="Start").click()
    shown.wait("parscope.latest.running === true")
    assert shown.page.locator(".stopped").is_hidden()
    assert shown.page.locator(".phase").inner_text() == "Acquiring · series 12"
    titles = [shown.page.get_by_role("button", name=name).get_attribute("title") for name in ("Start", "Stop")]
    assert titles == [
        "Analyse patterns again, from the next one on",
        "Analyse no more: patterns are passed over and counted as skipped, and rules are disarmed. "
        "A recording goes on, and so does the session.",
    ]


def test_without_the_token_a_page_watches_only(browser: Any) -> None:
    made = Shown(browser, token=False)
    buttons = [made.page.get_by_role("button", name=name) for name in ("Start", "Stop", "Arm rules …", "Use these")]
    assert all(button.is_disabled() for button in buttons)
    assert made.page.locator(".control .told").inner_text() == "Watching only"
    made.close()
    assert made.faults == []


def test_the_token_leaves_the_address_and_outlives_a_reload(shown: Shown) -> None:
    assert shown.server.token not in shown.page.url
    shown.page.reload()
    shown.wait("parscope.latest")
    assert shown.page.get_by_role("button", name="Stop").is_enabled()


def test_an_address_that_is_pasted_into_the_same_tab_is_taken(browser: Any) -> None:
    made = Shown(browser, token=False)
    assert made.page.get_by_role("button", name="Stop").is_disabled()
    made.page.evaluate("(token) => { window.location.hash = `token=${token}`; }", made.server.token)
    made.page.get_by_role("button", name="Stop").click()
    made.wait("parscope.latest.running === false")
    assert not made.desk.running and made.server.token not in made.page.url
    made.close()
    assert made.faults == []


def test_a_server_that_goes_and_comes_back_is_noticed(browser: Any) -> None:
    made = Shown(browser)
    made.server.stop()
    made.page.locator(".offline").wait_for(state="visible")
    assert made.page.locator(".offline").inner_text() == "No connection. What you see may be old; trying again …"
    again = PageServer(Hub(made.scene.board, made.desk), port=made.server.port, token=made.server.token)
    with again:
        made.page.locator(".offline").wait_for(state="hidden")
        made.scene.lines(32, 33)
        made.wait("parscope.latest.done === 33 * 64")
    made.close()


def test_a_session_that_ends_says_so_and_leaves_its_last_numbers(browser: Any) -> None:
    made = Shown(browser)
    made.desk.armed = True
    made.page.get_by_role("alert").filter(has_text="ARMED").wait_for()
    made.page.evaluate("() => { window.opened = 0; window.WebSocket = class { constructor() { window.opened++; } }; }")
    made.scene.lines(32, 48)
    made.server.__exit__(None, None, None)
    made.page.locator(".offline").wait_for(state="visible")
    told = "The session has ended. You see its last state; the next session prints an address of its own."
    assert made.page.locator(".offline").inner_text() == told
    assert made.page.locator(".phase").inner_text() == "Session ended · series 12"
    assert made.page.locator(".done").inner_text() == "3,072 of 3,072 (100 %)"
    assert made.page.locator(".alarm").is_hidden() and made.page.get_by_role("button", name="Stop").is_disabled()
    made.settle()
    for name in ("bf.counts", "icom"):
        assert at(made.picture(canvas(name)), 44, 60).std(axis=(0, 1)).max() < 0.2
        assert made.page.evaluate(
            f"parscope.cards.find((card) => card.shown.name === '{name}').surface.codes.every((code) => code !== 0)"
        )
    made.page.wait_for_timeout(800)
    assert made.page.evaluate("opened") == 0 and made.page.locator(".offline").inner_text() == told
    made.close()
    assert made.faults == []


def test_what_the_session_tells_is_on_the_page_newest_first(shown: Shown) -> None:
    assert shown.page.locator(".notes").is_hidden()
    shown.notes += [f"a <b>sentence</b> {n}" for n in range(5)]
    shown.page.locator(".notes").wait_for(state="visible")
    told = [f"a <b>sentence</b> {n}" for n in (4, 3, 2)]
    assert shown.page.locator(".notes p").all_inner_texts() == told
