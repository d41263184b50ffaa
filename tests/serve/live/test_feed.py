"""What a page is told: only what changed, once, and nothing that is not there."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from parscope.core.errors import ParscopeError
from parscope.core.stream import Fate
from parscope.live.kernels.integrate import icom, without_plane
from parscope.serve.live.changes import Changes
from parscope.serve.live.contract import Control
from parscope.serve.live.feed import Feed, command
from parscope.serve.live.hub import Hub
from parscope.serve.live.messages import Kind, lines, unpack
from tests.serve.scene import DETECTOR, OUTPUTS, SCAN, Desk, Scene, kept, pattern, scene


class Clock:
    """Goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.05
        return self.now


def watched(shown: Scene, desk: Desk | None = None) -> tuple[Hub, Feed]:
    assert desk is None or isinstance(desk, Control)
    hub = Hub(shown.board, desk, kept, Clock())
    return hub, Feed(hub)


def rows(messages: list[bytes]) -> list[int]:
    told = [unpack(message) for message in messages]
    return [row for kind, text, _ in told if kind == Kind.LINES and text["first"] == 0 for row in text["rows"]]


def test_only_lines_that_changed_are_sent_and_only_once() -> None:
    with scene() as shown:
        _, feed = watched(shown)
        shown.begin()
        first = feed.news()
        assert unpack(first[0])[0] == Kind.HELLO and rows(first) == []
        shown.lines(0, 3)
        assert rows(feed.news()) == [0, 1, 2]
        assert rows(feed.news()) == []
        shown.lines(3, 4)
        assert rows(feed.news()) == [3]


def test_a_line_is_sent_as_it_is() -> None:
    with scene() as shown:
        _, feed = watched(shown)
        shown.begin()
        shown.lines(0, 2, {(1, 5): Fate.LOST})
        kind, text, rest = next(told for told in map(unpack, feed.news()) if told[0] == Kind.LINES)
        assert kind == Kind.LINES and text["rows"] == [0, 1]
        size = 2 * SCAN[1] * len(OUTPUTS)
        values = np.frombuffer(rest, "<f4", size).reshape(len(OUTPUTS), 2, SCAN[1])
        expected = np.moveaxis(shown.values[:2], 2, 0).copy()
        expected[:, 1, 5] = np.nan
        np.testing.assert_array_equal(values, expected)
        fates = np.frombuffer(rest, np.uint8, offset=4 * size).reshape(2, SCAN[1])
        assert np.argwhere(fates != Fate.ANSWERED).tolist() == [[1, 5]]


def test_a_value_that_comes_after_its_fate_is_seen_within_a_sweep() -> None:
    changes = Changes((40, 8), 2)
    values, fate = np.full((320, 2), np.nan, np.float32), np.ones(320, np.uint8)
    changes.look(values, fate)
    for _ in range(100):
        changes.look(values, fate)
    seen = changes.version
    values[17 * 8 + 3, 1] = 4.0
    for _ in range(32):
        changes.look(values, fate)
    assert changes.since(seen).tolist() == [17]
    assert changes.values[17, 3, 1] == 4.0


def test_who_comes_late_gets_everything_and_the_others_nothing_again() -> None:
    with scene() as shown:
        hub, feed = watched(shown)
        shown.begin()
        shown.lines(0, 9)
        feed.news()
        late = Feed(hub)
        assert rows(late.news()) == list(range(9))
        assert rows(feed.news()) == []


def test_another_series_begins_anew() -> None:
    with scene() as shown:
        _, feed = watched(shown)
        shown.begin(12)
        shown.lines(0, 5)
        feed.news()
        shown.begin(13)
        told = feed.news()
        kind, text, _ = unpack(told[0])
        assert kind == Kind.HELLO and text["series"] == 13 and text["generation"] == 2 and rows(told) == []


def test_nothing_of_the_last_series_is_shown_as_of_the_new_one() -> None:
    with scene() as shown:
        _, feed = watched(shown)
        shown.begin(12)
        shown.lines(0, 48)
        feed.news()
        assert ask(feed, "last")[0]["at"] == [47, 63]
        shown.begin(13)
        feed.news()
        assert ask(feed, "last")[0]["which"] == ask(feed, "mean")[0]["which"] == "none"
        shown.lines(0, 1)
        feed.news()
        assert ask(feed, "last")[0]["at"] == [0, 63]
        text, rest = ask(feed, "mean")
        assert text["of"] == 1 and np.frombuffer(rest, "<f4")[0] == pattern(0, 63)[0, 0]


def test_at_most_30_updates_a_second_are_sent() -> None:
    now = 50.0
    with scene() as shown:
        feed = Feed(Hub(shown.board, clock=lambda: now))
        shown.begin()
        sent = []
        for step in range(400):
            now += 0.005
            shown.bank.values[0, 0] = step
            shown.bank.fate[0] = 1 + step % 2
            sent += [now] * bool(rows(feed.news()))
    assert 50 <= len(sent) <= 60
    assert np.diff(sent).min() >= 1 / 30


def test_the_last_state_says_that_the_session_has_ended_and_misses_nothing() -> None:
    with scene() as shown:
        hub, feed = watched(shown, Desk())
        other = Feed(hub)
        shown.begin()
        shown.lines(0, 20)
        feed.news()
        assert not feed.over
        shown.lines(20, 48)
        hub.end()
        told = [unpack(message) for message in feed.news()]
        assert feed.over and not other.over
        last = told[-1][1]
        assert (last["ended"], last["running"], last["armed"], last["done"]) == (True, None, False, 48 * 64)
        icom_rows = next(text["rows"] for kind, text, _ in told if kind == Kind.LINES and text["first"] == len(OUTPUTS))
        assert icom_rows[-1] == 47
        shown.lines(0, 1, {(0, 0): Fate.LOST})
        assert feed.news() == []
        assert unpack(other.news()[-1])[1] == last and other.over


def test_a_board_that_goes_has_ended() -> None:
    with scene() as shown:
        hub, feed = watched(shown)
        assert state(feed, hub)["ended"] is False
        shown.board.close()
        assert state(feed, hub)["ended"] is True


def test_who_only_watches_sees_whether_rules_act_and_patterns_are_analysed() -> None:
    with scene() as shown:
        hub, feed = watched(shown)
        for armed, halted in ((True, False), (False, True)):
            shown.board.say(armed=armed, halted=halted)
            told = state(feed, hub)
            assert (told["armed"], told["running"], told["rules"]) == (armed, not halted, [])


def test_the_last_sentences_are_stated_newest_first() -> None:
    with scene() as shown:
        told = ["one", "two", "three", "four"]
        feed = Feed(Hub(shown.board, notes=lambda: told))
        assert unpack(feed.news()[-1])[1]["notes"] == ["four", "three", "two"]


def test_large_scans_are_sent_in_pieces() -> None:
    changes = Changes((64, 4096), 8)
    changes.look(np.zeros((64 * 4096, 8), np.float32), np.ones(64 * 4096, np.uint8))
    told = lines(changes, 0, 1)
    assert len(told) == 3 and rows(told) == list(range(64))
    assert max(map(len, told)) < 1 << 23


def state(feed: Feed, hub: Hub) -> dict[str, object]:
    hub.refresh()
    return next(text for kind, text, _ in map(unpack, feed.news()) if kind == Kind.STATE)


def test_the_state_says_how_far_it_is_and_what_is_missing() -> None:
    with scene() as shown:
        hub, feed = watched(shown, Desk())
        assert state(feed, hub)["phase"] == "waiting"
        shown.begin()
        assert state(feed, hub)["phase"] == "waiting"
        shown.lines(0, 24, {(2, 3): Fate.LOST, (2, 4): Fate.DAMAGED, (2, 5): Fate.SKIPPED})
        told = state(feed, hub)
        assert (told["phase"], told["done"], told["total"]) == ("acquiring", 24 * 64, 48 * 64)
        holes = {"skipped": 1, "lost": 1, "damaged": 1, "filled": 0}
        assert told["fates"] == {"waiting": 24 * 64, "answered": 24 * 64 - 3, **holes}
        latency = told["latency"]
        assert latency["fates"]["answered"] == 24 * 64 - 3 and latency["missed"] == 8
        assert sum(latency["histogram"]["counts"]) == 24 * 64 - 3 and latency["deadline_us"] == 200.0
        assert told["running"] and not told["armed"] and told["rules"][0]["text"].startswith("when")
        shown.lines(24, 48)
        assert state(feed, hub)["phase"] == "finished"


def test_a_series_that_ended_early_is_finished() -> None:
    with scene() as shown:
        hub, feed = watched(shown)
        shown.begin()
        shown.lines(0, 5)
        shown.count("finished", 1)
        assert state(feed, hub)["phase"] == "finished"


def ask(feed: Feed, which: object) -> tuple[dict[str, object], bytes]:
    (message,) = feed.answer(json.dumps({"pattern": which}))
    kind, text, rest = unpack(message)
    assert kind == Kind.PATTERN
    return text, rest


def test_patterns_are_the_last_the_mean_and_those_that_are_kept() -> None:
    with scene() as shown:
        _, feed = watched(shown)
        shown.begin()
        assert ask(feed, "last")[0]["which"] == ask(feed, "mean")[0]["which"] == "none"
        for line in range(2):
            shown.lines(line, line + 1)
            feed.news()
        text, rest = ask(feed, "last")
        expected = pattern(1, 63).astype("<f4")
        expected[40, 7] = np.nan
        assert text["at"] == [1, 63] and text["shape"] == list(DETECTOR)
        np.testing.assert_array_equal(np.frombuffer(rest, "<f4").reshape(DETECTOR), expected)
        text, rest = ask(feed, "mean")
        mean = (pattern(0, 63).astype(float) + pattern(1, 63)) / 2
        mean[40, 7] = np.nan
        assert text["of"] == 2
        np.testing.assert_allclose(np.frombuffer(rest, "<f4").reshape(DETECTOR), mean)
        text, rest = ask(feed, [3, 4])
        assert text["at"] == [3, 4] and np.frombuffer(rest, "<f4")[0] == pattern(3, 4)[0, 0]
        assert ask(feed, [30, 4])[0]["which"] == "none"


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"pattern": [1]}', '{"pattern": [99, 0]}', '{"pattern": 3}',
                                  '{"pattern": [true, 0]}', '{"pattern": [-1, 0]}'])  # fmt: skip
def test_questions_that_make_no_sense_get_no_answer(text: str) -> None:
    with scene() as shown:
        shown.begin()
        assert watched(shown)[1].answer(text) == []


def test_without_anybody_who_takes_commands_there_are_none() -> None:
    with scene() as shown:
        hub, feed = watched(shown)
        with pytest.raises(ParscopeError, match="this page only watches"):
            command(hub, "arm", None)
        assert unpack(feed.news()[0])[1]["control"] is False
        with pytest.raises(ParscopeError, match="use one of start, stop, arm, disarm, masks"):
            command(Hub(shown.board, Desk()), "explode", None)


def test_the_integrated_deflection_follows_with_the_fates_it_was_made_of() -> None:
    with scene() as shown:
        _, feed = watched(shown)
        shown.begin()
        shown.lines(0, 8, {(2, 3): Fate.LOST})
        told = [(text, rest) for kind, text, rest in map(unpack, feed.news()) if kind == Kind.LINES]
        text, rest = next(one for one in told if one[0]["first"] == len(OUTPUTS))
        assert text["rows"] == list(range(8)) and text["columns"] == 1
        made = np.frombuffer(rest, "<f4", 8 * SCAN[1]).reshape(8, -1)
        y, x = (shown.values[:8, :, n].astype(float) for n in (0, 1))
        for part in (y, x):
            part[2, 3] = np.nan
        np.testing.assert_allclose(made, icom(*without_plane(y, x)), rtol=1e-4, atol=1e-4)


def test_large_scans_are_computed_beside() -> None:
    scan = (512, 300)
    with scene(scan) as shown:
        hub, feed = watched(shown)
        shown.begin()
        shown.lines(0, 512)
        feed.news()
        first = state(feed, hub)["latency"]
        end = time.monotonic() + 30
        while not (state(feed, hub)["latency"]["fates"]["answered"] and hub.integrated.changes.since(0).size):
            assert time.monotonic() < end
            time.sleep(0.01)
        assert first["patterns"] in (0, 512 * 300)
        assert state(feed, hub)["latency"]["fates"]["answered"] == 512 * 300
