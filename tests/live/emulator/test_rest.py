"""The interface SIMPLON over real HTTP: what a client of a real detector asks, and how it is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from parscope.io import open_frames
from parscope.live.emulator import Emulator, Faults, Scene
from tests.live.emulator.listening import Client, listening, series, watched


class Remote:
    """A client of the interface."""

    def __init__(self, emulator: Emulator) -> None:
        self.http = httpx.Client(base_url=emulator.address, timeout=60)

    def get(self, path: str) -> Any:
        """Read what is there."""
        answer = self.http.get(f"/{path}")
        answer.raise_for_status()
        return answer.json()

    def put(self, path: str, value: Any = None) -> httpx.Response:
        """Set or order something."""
        return self.http.put(f"/{path}", **({} if value is None else {"json": {"value": value}}))

    def config(self, **values: Any) -> None:
        """Set parameters of the detector."""
        for name, value in values.items():
            self.put(f"detector/api/1.8.0/config/{name}", value).raise_for_status()

    def order(self, name: str, value: Any = None) -> Any:
        """Give a command to the detector."""
        answer = self.put(f"detector/api/1.8.0/command/{name}", value)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    @property
    def state(self) -> str:
        """Of the detector."""
        return str(self.get("detector/api/1.8.0/status/state")["value"])

    def await_state(self, *states: str) -> None:
        """Wait for a state."""
        pause = threading.Event()
        while self.state not in states:
            pause.wait(0.01)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, Client]]:
    """One for all tests of this file, with pulses by hand and a folder for files."""
    array = np.random.default_rng(3).poisson(4, (5, 6, 32, 24)).astype(np.uint8)
    folder = tmp_path_factory.mktemp("files")
    made = Emulator(Scene(array=array), rate=2000, trigger=-1, files=folder, faults=Faults(nodata=0.2))
    with watched(made) as (detector, client):
        yield detector, client


@pytest.fixture
def remote(emulator: tuple[Emulator, Client]) -> Iterator[Remote]:
    """A client of a detector that was just initialized."""
    client = Remote(emulator[0])
    with client.http:
        client.order("abort")
        client.order("initialize")
        yield client


def test_it_says_its_version_and_what_it_knows(remote: Remote) -> None:
    assert remote.get("detector/api/version/") == {"value": "1.8.0", "value_type": "string"}
    assert remote.get("stream/api/version")["value"] == "1.8.0"
    assert {"count_time", "threshold/1/energy"} <= set(remote.get("detector/api/1.8.0/config/keys"))
    assert "state" in remote.get("detector/api/1.8.0/status/keys")
    assert {"arm", "trigger", "abort"} <= set(remote.get("detector/api/1.8.0/command/keys"))
    for module in ("detector", "stream", "filewriter", "monitor"):
        for task in ("config", "status"):
            for name in remote.get(f"{module}/api/1.8.0/{task}/keys"):
                assert "value" in remote.get(f"{module}/api/1.8.0/{task}/{name}")


def test_a_parameter_tells_its_kind_and_limits(remote: Remote) -> None:
    assert remote.get("detector/api/1.8.0/config/trigger_mode") == {
        "value": "exte",
        "value_type": "string",
        "access_mode": "rw",
        "allowed_values": ["ints", "inte", "exts", "exte"],
    }
    told = remote.get("detector/api/1.8.0/config/count_time")
    assert (told["value_type"], told["unit"], told["min"], told["max"]) == ("float", "s", 1e-6, 3600.0)
    assert remote.get("detector/api/1.8.0/config/x_pixels_in_detector")["access_mode"] == "r"


def test_setting_a_parameter_answers_with_all_that_changed(remote: Remote) -> None:
    answer = remote.put("detector/api/1.8.0/config/count_time", 0.01)
    assert (answer.status_code, answer.json()) == (200, ["count_time", "frame_count_time", "frame_time"])
    assert remote.get("detector/api/1.8.0/config/frame_time")["value"] == 0.01 + 1e-7
    assert remote.put("stream/api/1.8.0/config/format", "legacy").json() == ["format"]
    remote.order("initialize")
    assert remote.get("stream/api/1.8.0/config/format")["value"] == "cbor"


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "said"),
    [
        ("GET", "detector/api/1.8.0/config/colour", None, 404, 'unknown path: "config/colour"'),
        ("GET", "detector/api/1.8.0/taste/sweet", None, 404, 'unknown path: "taste/sweet"'),
        ("GET", "detector/api/1.6.0/config/nimages", None, 404, "unknown path"),
        ("GET", "teapot/api/1.8.0/config/nimages", None, 404, "unknown path"),
        ("GET", "data/other.h5", None, 404, "unknown path"),
        ("PUT", "detector/api/1.8.0/command/dance", None, 404, "unknown path"),
        ("PUT", "detector/api/1.8.0/status/state", b'{"value": "idle"}', 404, "unknown path"),
        ("PUT", "detector/api/1.8.0/config/nimages", b'{"value": -1}', 400, "-1 is not within"),
        ("PUT", "detector/api/1.8.0/config/nimages", b"[1]", 400, "there is no value"),
        ("PUT", "detector/api/1.8.0/config/nimages", b"one", 400, "the body is no JSON"),
        ("PUT", "detector/api/1.8.0/config/nimages", b"\xff\xfe", 400, "the body is no JSON"),
        ("PUT", "detector/api/1.8.0/config/description", b'{"value": "x"}', 400, "is read only"),
        ("PUT", "detector/api/1.8.0/command/trigger", None, 400, "not possible in state idle"),
        ("PUT", "monitor/api/1.8.0/config/mode", b'{"value": "enabled"}', 400, "'enabled' is not allowed"),
    ],
)
def test_what_is_not_there_or_not_possible_is_refused(
    remote: Remote, method: str, path: str, body: bytes | None, code: int, said: str
) -> None:
    answer = remote.http.request(method, f"/{path}", content=body)
    assert answer.status_code == code
    assert answer.text.startswith("error during request: ") and said in answer.text
    assert remote.state == "idle"


def test_it_wants_to_be_initialized_after_a_restart(remote: Remote) -> None:
    remote.put("system/api/1.8.0/command/restart").raise_for_status()
    assert remote.state == "na"
    for path in ("config/nimages", "command/arm"):
        answer = remote.put(f"detector/api/1.8.0/{path}", 1 if "config" in path else None)
        assert (answer.status_code, "state na; initialize it first" in answer.text) == (400, True)
    remote.order("initialize")
    assert remote.state == "idle"


def test_triggers_by_command_take_their_images_and_end_the_series(
    remote: Remote, emulator: tuple[Emulator, Client]
) -> None:
    remote.config(trigger_mode="ints", nimages=3, ntrigger=2)
    number = remote.order("arm")["sequence id"]
    assert remote.state == "ready"
    assert "not possible in state ready" in remote.put("detector/api/1.8.0/command/arm").text
    assert remote.order("trigger") == {"sequence id": number}
    assert remote.state == "ready"
    assert remote.order("trigger") == {"sequence id": number}
    remote.await_state("idle")
    emulator[0].machine.wait_for(number, 60)
    _, client = emulator
    client.await_messages(len(client.parts))
    while not any(m["type"] == "end" for m in series(client, number)):
        client.await_messages(len(client.parts) + 1)
    start, *images, _ = series(client, number)
    assert start["number_of_images"] == 6
    assert [image["image_id"] for image in images] == list(range(6))
    begins = [image["start_time"][0] for image in images]
    assert np.diff(begins)[[0, 1, 3, 4]].tolist() == [500_000] * 4
    assert begins[3] - begins[2] > 500_000


def test_a_trigger_may_bring_its_counting_time(remote: Remote, emulator: tuple[Emulator, Client]) -> None:
    remote.config(trigger_mode="inte", ntrigger=2)
    number = remote.order("arm")["sequence id"]
    for value in ("long", 0, True):
        assert f"{value!r} is no number above zero" in remote.put("detector/api/1.8.0/command/trigger", value).text
    remote.order("trigger", 0.002)
    remote.order("trigger")
    emulator[0].machine.wait_for(number, 60)
    client = emulator[1]
    while not any(m["type"] == "end" for m in series(client, number)):
        client.await_messages(len(client.parts) + 1)
    _, one, other, _ = series(client, number)
    assert (one["real_time"][0], other["real_time"][0]) == (2_000_000, 499_900)


def test_pulses_by_hand_take_an_image_or_a_line(remote: Remote, emulator: tuple[Emulator, Client]) -> None:
    detector, client = emulator
    for mode, images, pulses in (("exte", 1, 4), ("exts", 5, 3)):
        remote.config(trigger_mode=mode, nimages=images, ntrigger=pulses)
        number = remote.order("arm")["sequence id"]
        assert remote.state == "ready"
        answer = remote.put("detector/api/1.8.0/command/trigger")
        assert f"trigger_mode is {mode}" in answer.text
        detector.pulse()
        remote.await_state("ready")
        assert "'1' is no whole number above zero" in remote.put("detector/api/1.8.0/command/pulse", "1").text
        remote.order("pulse", pulses - 1)
        assert detector.machine.wait_for(number, 60).images == images * pulses
        while not any(m["type"] == "end" for m in series(client, number)):
            client.await_messages(len(client.parts) + 1)
        found = [m["image_id"] for m in series(client, number) if m["type"] == "image"]
        assert found == list(range(images * pulses))


@pytest.mark.parametrize(("command", "ends"), [("disarm", True), ("cancel", True), ("abort", False)])
def test_a_series_may_be_stopped(remote: Remote, emulator: tuple[Emulator, Client], command: str, ends: bool) -> None:
    detector, client = emulator
    remote.config(trigger_mode="ints", nimages=1_000_000)
    number = remote.order("arm")["sequence id"]
    trigger = threading.Thread(target=remote.order, args=("trigger",))
    trigger.start()
    remote.await_state("acquire")
    answer = remote.put("detector/api/1.8.0/config/nimages", 1)
    assert (answer.status_code, "not possible in state acquire" in answer.text) == (400, True)
    assert remote.put("stream/api/1.8.0/config/mode", "enabled").status_code == 200
    while not any(m["type"] == "image" for m in series(client, number)):
        client.await_messages(len(client.parts) + 1)
    assert remote.order(command) == {"sequence id": number}
    trigger.join()
    assert remote.state == "idle"
    report = detector.machine.wait_for(number, 60)
    assert 0 < report.images < 1_000_000
    # The faults of the whole series were drawn before it began.
    assert max(report.faults.get("nodata", (-1,))) < report.images
    # What was sent before has arrived when the next series has begun to arrive.
    remote.config(nimages=1)
    after = remote.order("arm")["sequence id"]
    while not series(client, after):
        client.await_messages(len(client.parts) + 1)
    assert [m["type"] for m in series(client, number)].count("end") == int(ends)
    assert len([m for m in series(client, number) if m["type"] == "image"]) == report.sent


@pytest.mark.parametrize(("per_file", "compression"), [(8, "bslz4"), (100, "lz4"), (0, "none")])
def test_the_filewriter_writes_what_any_reader_opens(
    remote: Remote, emulator: tuple[Emulator, Client], tmp_path: Path, per_file: int, compression: str
) -> None:
    detector, _ = emulator
    truth = detector.scene.array
    assert truth is not None
    remote.config(trigger_mode="ints", compression=compression, nimages=6, ntrigger=5)
    for name, value in (("mode", "enabled"), ("nimages_per_file", per_file), ("name_pattern", f"{compression}_$id")):
        remote.put(f"filewriter/api/1.8.0/config/{name}", value).raise_for_status()
    number = remote.order("arm")["sequence id"]
    for _ in range(5):
        remote.order("trigger")
    report = detector.machine.wait_for(number, 60)
    names = remote.get("filewriter/api/1.8.0/files/")
    assert names == list(report.files)
    assert len(names) == {8: 5, 100: 2, 0: 1}[per_file]
    for name in names:
        (tmp_path / name).write_bytes(remote.http.get(f"/data/{name}").content)
    found = np.asarray(open_frames(tmp_path / names[0]).data[:])
    assert found.shape == truth.shape
    lost = found == 255
    assert set(np.flatnonzero(lost.reshape(30, -1).any(1)).tolist()) == set(report.faults["nodata"])
    np.testing.assert_array_equal(found[~lost], truth[~lost])
    if per_file == 8:
        with h5py.File(tmp_path / names[2]) as file:
            assert [int(file["entry/data/data"].attrs[f"image_nr_{end}"]) for end in ("low", "high")] == [9, 16]
    assert remote.http.delete(f"/data/{names[0]}").status_code == 204
    remote.put("filewriter/api/1.8.0/command/clear").raise_for_status()
    assert remote.get("filewriter/api/1.8.0/status/files")["value"] == []
    assert detector.files is not None and list(detector.files.iterdir()) == []


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/b", "..", "a\\b", "a\0b", "", "x" * 300])
def test_files_stay_in_the_folder(remote: Remote, name: str) -> None:
    answer = remote.put("filewriter/api/1.8.0/config/name_pattern", name)
    assert (answer.status_code, "is not allowed" in answer.text) == (400, True)
    assert remote.get("filewriter/api/1.8.0/config/name_pattern")["value"] == "series_$id"


def test_a_file_that_exists_is_an_error_that_can_be_read(remote: Remote, emulator: tuple[Emulator, Client]) -> None:
    detector, _ = emulator
    assert detector.files is not None
    mine = detector.files / "mine_master.h5"
    mine.write_text("mine")
    remote.config(trigger_mode="ints", ntrigger=1)
    for name, value in (("mode", "enabled"), ("name_pattern", "mine")):
        remote.put(f"filewriter/api/1.8.0/config/{name}", value).raise_for_status()
    remote.order("arm")
    remote.order("trigger")
    remote.await_state("error")
    assert "mine_master.h5: exists already" in remote.get("detector/api/1.8.0/status/error")["value"][0]
    remote.order("initialize")
    assert (remote.state, remote.get("detector/api/1.8.0/status/error")["value"]) == ("idle", [])
    assert mine.read_text() == "mine"
    mine.unlink()


def test_without_a_folder_the_filewriter_says_so(scene: Scene, array: NDArray[np.uint8]) -> None:
    with Emulator(scene, rate=0) as detector, listening(detector.stream):
        remote = Remote(detector)
        with remote.http:
            remote.order("initialize")
            answer = remote.put("filewriter/api/1.8.0/config/mode", "enabled")
            assert (answer.status_code, "has no folder for files" in answer.text) == (400, True)
            assert remote.get("filewriter/api/1.8.0/status/state")["value"] == "disabled"
            remote.put("stream/api/1.8.0/config/mode", "disabled").raise_for_status()
        report = detector.run()
        assert (report.images, report.sent, report.faults) == (array[:, :, 0, 0].size, 0, {})
