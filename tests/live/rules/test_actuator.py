"""From a pattern to a datagram and a line in the journal."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parscope.core.errors import OptionError, OutputError
from parscope.live.kernels import Output
from parscope.live.rules.actuator import Actuator
from parscope.live.rules.decider import Decider
from parscope.live.rules.journal import Journal, read
from parscope.live.rules.text import parse
from parscope.live.sinks.address import make_sink

OUTPUTS = (Output("x.a", "px", ""), Output("b.counts", "counts", ""))
HIGH, LOW = np.array([2.0, 9.0]), np.array([0.0, 9.0])


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(10)
        yield made


def actuator(peer: socket.socket, folder: Path, dry: bool = False) -> Actuator:
    address = f"udp://127.0.0.1:{peer.getsockname()[1]}"
    rule = parse(f"hot: when x.a > 1 for 2 frames within 50 ns: send {address} else send b to {address}")
    decider = Decider([rule], OUTPUTS, dry=dry)
    ticks = count(1000)
    sinks = {} if dry else {address: make_sink(address)}
    made = Actuator(decider, sinks, Journal(folder / "decisions.jsonl"), clock=lambda: next(ticks))
    made.open()
    made.begin(3, scan_shape=(8, 4))
    return made


def decisions(folder: Path) -> list[dict[str, Any]]:
    return [record for record in read(folder / "decisions.jsonl") if record["t"] == "decision"]


def losses(folder: Path) -> list[dict[str, Any]]:
    return [record for record in read(folder / "decisions.jsonl") if record["t"] == "sink"]


def test_an_armed_rule_acts_and_everything_is_noted(peer: socket.socket, tmp_path: Path) -> None:
    made = actuator(peer, tmp_path)
    made.arm()
    times = [made.step(p, HIGH, 100 * p, 100 * p + 30, image=p + 1, detector=7 * p) for p in range(3)]
    decided, emitted = zip(*times, strict=True)
    assert emitted[0] == 0
    assert 1000 < decided[0] < decided[1] < emitted[1] < decided[2] < emitted[2]
    first = json.loads(peer.recv(2000))
    assert (first["rule"], first["action"], first["series"], first["image"]) == ("hot", "act", 3, 2)
    assert first["values"] == {"x.a": 2}
    made.step(4, LOW, 400, 430)
    made.close()
    made.close()
    head, series, switch, *_ = read(tmp_path / "decisions.jsonl")
    assert head["rules"] == [{"name": "hot", "text": made.decider.rules[0].text}]
    assert head["outputs"][0] == {"name": "x.a", "unit": "px"}
    assert (series["series"], series["scan_shape"]) == (3, [8, 4])
    assert (switch["t"], switch["position"], switch["now"], switch["armed"]) == ("switch", 0, 30, True)
    noted = decisions(tmp_path)
    assert [(n["position"], n["y"], n["x"], n["image"], n["detector"]) for n in noted] == [
        (1, 0, 1, 2, 7),
        (2, 0, 2, 3, 14),
    ]
    assert [(n["received"], n["decided"], n["emitted"]) for n in noted] == [
        (100, 130, emitted[1]),
        (200, 230, emitted[2]),
    ]
    assert noted[0]["text"].startswith("hot: when x.a > 1 for 2 frames within 50 ns: send udp://")
    assert (noted[0]["outcome"], noted[0]["row"], noted[0]["armed"], noted[0]["fault"]) == ("act", [2, 9], True, "")
    assert not losses(tmp_path)


def test_nothing_is_sent_before_it_is_armed_nor_after_it_is_disarmed(peer: socket.socket, tmp_path: Path) -> None:
    made = actuator(peer, tmp_path)
    for position in range(6):
        if position == 2:
            made.arm()
        if position == 4:
            made.disarm()
        made.step(position, HIGH, position, position)
    made.close()
    assert [json.loads(peer.recv(2000))["position"] for _ in range(2)] == [2, 3]
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(2000)
    assert [(n["position"], n["armed"]) for n in decisions(tmp_path)] == [
        (1, False), (2, True), (3, True), (4, False), (5, False)
    ]  # fmt: skip


def test_a_late_decision_sends_the_safe_action(peer: socket.socket, tmp_path: Path) -> None:
    made = actuator(peer, tmp_path)
    made.arm()
    made.step(0, HIGH, 0, 10)
    made.step(1, HIGH, 100, 151)
    made.close()
    told = json.loads(peer.recv(2000))
    assert (told["action"], told["values"]) == ("safe", {"b.counts": 9})
    assert [n["outcome"] for n in decisions(tmp_path)] == ["safe"]


def test_the_watchdog_sends_safe_actions_from_its_own_thread(peer: socket.socket, tmp_path: Path) -> None:
    made = actuator(peer, tmp_path)
    assert made.safe("not armed yet") == 0
    made.arm()
    made.step(0, HIGH, 0, 10)
    watchdog = threading.Thread(target=made.safe, args=("the loop stands still",))
    watchdog.start()
    watchdog.join()
    made.close()
    told = json.loads(peer.recv(2000))
    assert (told["action"], told["position"], told["values"]) == ("safe", 0, {"b.counts": None})
    watched = [record for record in read(tmp_path / "decisions.jsonl") if record["t"] == "watchdog"]
    assert [(w["reason"], w["armed"]) for w in watched] == [("not armed yet", False), ("the loop stands still", True)]
    assert [n["armed"] for n in decisions(tmp_path)] == [False, True]


def test_a_dry_run_notes_what_it_would_have_done_and_opens_nothing(peer: socket.socket, tmp_path: Path) -> None:
    made = actuator(peer, tmp_path, dry=True)
    with pytest.raises(OptionError, match="cannot be armed"):
        made.arm()
    assert [made.step(p, HIGH, p, p)[1] for p in range(2)] == [0, 0]
    made.close()
    (noted,) = decisions(tmp_path)
    assert (noted["outcome"], noted["armed"], noted["emitted"]) == ("act", False, 0)


def test_a_sink_that_fails_is_noted_and_holds_nothing_up(tmp_path: Path) -> None:
    rule = parse("when x.a > 1: send shm://parscope-test-actuator")
    decider = Decider([rule], OUTPUTS)
    sink = make_sink(rule.then.address)
    made = Actuator(decider, {rule.then.address: sink}, Journal(tmp_path / "decisions.jsonl"))
    made.begin(1)
    made.arm()  # but not opened
    assert made.step(0, HIGH, 0, 0)[1] == 0
    made.close()
    assert "is not open" in decisions(tmp_path)[0]["fault"]
    assert [(one["given"], one["lost"]) for one in losses(tmp_path)] == [(1, 1)]


class Clumsy:
    """Raises what nobody foresaw."""

    name, dropped, fault = "clumsy", 0, ""

    def open(self) -> None:
        """Nothing."""

    def send(self, message: bytes) -> None:
        raise KeyError(message[:3])

    def close(self) -> None:
        """Nothing."""


def test_whatever_a_sink_raises_holds_nothing_up(tmp_path: Path) -> None:
    decider = Decider([parse("when x.a > 1: send clumsy://here")], OUTPUTS)
    made = Actuator(decider, {"clumsy://here": Clumsy()}, Journal(tmp_path / "decisions.jsonl"))
    made.begin(1)
    made.arm()
    assert [made.step(position, HIGH, 0, 0)[1] for position in range(2)] == [0, 0]
    made.close()
    assert [one["fault"] for one in decisions(tmp_path)] == ["KeyError: b'{\"p'"] * 2


class Late:
    """Takes everything, and finds out afterwards that nobody has it."""

    name, fault = "late", ""

    def __init__(self) -> None:
        self.dropped = 0

    def open(self) -> None:
        """Nothing."""

    def send(self, message: bytes) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def lose(self, fault: str) -> None:
        self.dropped += 1
        self.fault = fault


def test_messages_that_are_lost_later_are_noted_and_told_but_not_each_of_them(tmp_path: Path) -> None:
    sink, now, told = Late(), [0], list[str]()
    decider = Decider([parse("when x.a > 1: send late://here")], OUTPUTS)
    journal = Journal(tmp_path / "decisions.jsonl")
    made = Actuator(decider, {"late://here": sink}, journal, clock=lambda: now[0], tell=told.append)
    made.begin(1)
    made.arm()
    for position in range(4):
        made.step(position, HIGH, 0, 0)
    made._deliveries.look()
    assert told == []
    for second in range(1, 4):
        sink.lose(f"answered {499 + second}")
        now[0] = second * 1_000_000_000
        made._deliveries.look()
    assert told == ["1 of 4 messages to late://here were lost: answered 500"]
    made.begin(2)
    assert told[1:] == ["3 of 4 messages to late://here were lost: answered 502"]
    now[0] += 60_000_000_000
    made._deliveries.look()
    made.close()
    made.close()
    assert len(told) == 2
    noted = [(one["given"], one["lost"], one["fault"]) for one in losses(tmp_path)]
    assert noted == [(4, 1, "answered 500"), (4, 3, "answered 502")]


def test_a_series_accounts_for_its_own_losses_even_those_found_later() -> None:
    sink, reports = Late(), {1: list[list[str]](), 2: list[list[str]]()}
    made = Actuator(Decider([parse("when x.a > 1: send late://here")], OUTPUTS), {"late://here": sink})
    made.arm()
    for series, given in ((1, 4), (2, 3)):
        made.begin(series, report=reports[series].append)
        for position in range(given):
            made.step(position, HIGH, 0, 0)
        sink.lose(f"answered {500 + series}")
        made._deliveries.look()
        sink.lose("answered 503")
    sink.dropped += 3
    made.close()
    assert reports[1] == [
        ["1 of 4 messages to late://here were lost: answered 501"],
        ["2 of 4 messages to late://here were lost: answered 503"],
    ]
    assert reports[2][-1] == ["5 messages to late://here were lost: answered 503"]  # some of them of series 1


def test_what_a_sink_loses_when_it_is_closed_is_told_too() -> None:
    class Hasty(Late):
        def close(self) -> None:
            self.dropped = 1

    told: list[str] = []
    decider = Decider([parse("when x.a > 1: send late://here")], OUTPUTS)
    made = Actuator(decider, {"late://here": Hasty()}, tell=told.append)
    made.open()
    made.arm()
    made.step(0, HIGH, 0, 0)
    made.close()
    assert told == ["1 of 1 messages to late://here were lost"]


def test_lines_that_a_journal_loses_are_told(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path / "decisions.jsonl", pause=600, longest=2), list[str]()
    made = Actuator(
        Decider([parse("when x.a > 1: send late://here")], OUTPUTS), {"late://here": Late()}, journal, tell=told.append
    )
    for series in range(3):
        made.begin(series)
    made.close()
    assert told == [f"2 lines of the journal {journal.path} were lost"]


def test_a_detector_that_tells_no_time_is_said_not_to(peer: socket.socket, tmp_path: Path) -> None:
    made = actuator(peer, tmp_path)
    made.arm()
    for position in range(2):
        made.step(position, HIGH, 0, 10, detector=0)
    made.close()
    assert json.loads(peer.recv(2000))["detector_ns"] == -1
    assert decisions(tmp_path)[0]["detector"] == -1


def test_sinks_are_closed_again_if_one_of_them_cannot_be_opened(tmp_path: Path) -> None:
    first, second = "shm://parscope-test-first", "udp://no.such.host.invalid:9"
    decider = Decider([parse(f"when x.a > 1: send {first} else send {second}")], OUTPUTS)
    made = Actuator(decider, {address: make_sink(address) for address in decider.addresses})
    with pytest.raises(OutputError, match=r"no\.such\.host\.invalid:9: cannot be reached"):
        made.open()
    assert not (Path("/dev/shm") / "parscope-test-first").exists()


def test_an_address_without_a_sink_is_refused() -> None:
    with pytest.raises(OutputError, match="udp://h:1: has no sink"):
        Actuator(Decider([parse("when x.a > 1: send udp://h:1")], OUTPUTS), {})
