"""What the page on rules says is so."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from parscope.live.kernels import Output
from parscope.live.rules.actuator import Actuator
from parscope.live.rules.decision import Outcome
from parscope.live.rules.file import RuleSet, act
from parscope.live.rules.text import parse

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "act-on-a-stream.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def peer() -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(10)
        yield made


def test_every_message_is_as_the_schema_says(peer: socket.socket, tmp_path: Path) -> None:
    example, schema = map(json.loads, blocks("json"))
    jsonschema.validate(example, schema)
    address = f"udp://127.0.0.1:{peer.getsockname()[1]}"
    rules = RuleSet.of_texts([f"hot: when a.x > 1 within 5 ns: send a.x, b.y to {address} else send {address}"])
    actuator: Actuator = act(rules, [Output("a.x", "px", ""), Output("b.y", "px", "")])
    actuator.arm()
    actuator.safe("before the first series")
    actuator.begin(3, (4, 4))
    actuator.step(5, np.array([2.0, np.nan]), 0, 1, image=6, detector=77)
    actuator.step(6, np.array([2.0, 1.0]), 0, 100)
    actuator.close()
    messages = [json.loads(peer.recv(2000)) for _ in range(3)]
    for message in messages:
        jsonschema.validate(message, schema)
        assert list(message) == list(example)
    assert [message["action"] for message in messages] == ["safe", "act", "safe"]


def test_rules_of_the_page_are_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARSCOPE_WEBHOOKS", "lab.example")
    for text in re.findall(r'--rule "([^"]*)"', PAGE):
        parse(text)
    (tmp_path / "rules.toml").write_text(blocks("toml")[0])
    names = ("com.y", "com.x", "sum.counts")
    outputs = [Output(name, "counts" if "counts" in name else "px", name) for name in names]
    act(RuleSet.of_file(tmp_path / "rules.toml"), outputs, dry=True).close()


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    replayed, own = blocks("python")
    space: dict[str, Any] = {}
    exec(replayed, space)
    assert len(space["positions"]) > 5
    (tmp_path / "rules.toml").write_text('rules = ["when bf > 3: send shm://parscope-test-page"]\n')
    exec(own, space)
    assert space["actuator"].step(0, np.array([4.0]), 0, 1)[1] > 0
    space["actuator"].close()


def test_the_page_tells_every_outcome_and_every_sink() -> None:
    assert [outcome for outcome in Outcome if f"| `{outcome.value}` |" not in PAGE] == []
    assert [scheme for scheme in ("udp", "shm", "zmq", "ws", "pva", "https") if f"| `{scheme}://" not in PAGE] == []
