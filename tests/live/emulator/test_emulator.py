"""The emulated detector with a real client: what arrives is what was ordered, and every fault is where the log says."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import cbor2
import numpy as np
import pytest
import zmq
from numpy.typing import NDArray

from parscope.core.errors import InputError, OptionError, OutputError
from parscope.live.emulator import Emulator, Faults, Scene
from parscope.live.emulator.machine import Machine
from parscope.live.transport.handshake import Address, probe
from parscope.live.transport.zmq_pull import ZmqPull
from parscope.live.wire.messages import appendix, decode, read_start
from parscope.live.wire.v1 import translate
from tests.live.emulator.listening import listening, read, series, watched


def test_a_series_arrives_whole_in_order_and_as_it_was(scene: Scene, array: NDArray[np.uint8], tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    emulator = Emulator(scene, rate=2000, log=log, preset={"stream/header_detail": "all"})
    with watched(emulator) as (detector, client):
        before = time.monotonic_ns()
        report = detector.run()
        client.await_messages(32)
        start, *images, end = client.messages()
    assert (report.images, report.sent, report.faults) == (30, 30, {})
    told = read_start(client.parts[0][0])
    assert (told.number, told.images, told.shape, told.dtype) == (1, 30, (32, 24), "uint8")
    assert told.mask is not None and not told.mask.any()
    assert told.metadata["user_data"] == {"scan_shape": [5, 6], "dwell_ns": 500_000}
    assert told.metadata["frame_time"] == 0.0005
    assert (start["type"], end["type"]) == ("start", "end")
    assert [image["image_id"] for image in images] == list(range(30))
    np.testing.assert_array_equal([image["data"]["threshold_1"] for image in images], array.reshape(30, 32, 24))
    assert len({(m["series_id"], m["series_unique_id"]) for m in (start, *images, end)}) == 1
    assert len({image["series_date"] for image in images}) == 1
    times = [(image["start_time"], image["stop_time"], image["real_time"]) for image in images]
    assert all(part[1] == 10**9 for row in times for part in row)
    starts = [row[0][0] for row in times]
    assert set(np.diff(starts).tolist()) == {500_000}
    assert {stop[0] - begin[0] for begin, stop, _ in times} == {500_000 - 100}
    sent = [image["user_data"]["sent_ns"] for image in images]
    assert sorted(sent) == sent and sent[-1] - before >= 30 * 500_000 - 100
    assert before < report.began_ns <= sent[0]
    (line,) = map(json.loads, log.read_text().splitlines())
    assert (line["event"], line["images"], line["sent"], line["dropped"]) == ("series", 30, 30, 0)


def test_an_image_is_what_any_reader_of_cbor_expects(scene: Scene) -> None:
    with watched(Emulator(scene, rate=0)) as (detector, client):
        detector.run()
        client.await_messages(32)
    image = cbor2.loads(client.parts[5][0])
    assert next(iter(image)) == "type"
    assert set(image) == {
        "type", "series_id", "series_unique_id", "image_id", "real_time", "series_date", "start_time", "stop_time",
        "user_data", "data",
    }  # fmt: skip
    array = image["data"]["threshold_1"]
    assert (array.tag, list(array.value[0]), array.value[1].tag) == (40, [32, 24], 64)
    assert (array.value[1].value.tag, list(array.value[1].value.value[:2])) == (56500, ["bslz4", 1])


def test_series_follow_each_other_with_new_numbers_and_other_settings(scene: Scene, array: NDArray[np.uint8]) -> None:
    with watched(Emulator(scene, rate=0)) as (detector, client):
        detector.run()
        write = detector.dcu.write
        for name, value in (("roi_mode", "merge2x2"), ("roi_bit_depth", 16), ("compression", "lz4"), ("ntrigger", 7)):
            write("detector", name, value)
        write("detector", "threshold/2/mode", "enabled")
        detector.run()
        write("detector", "compression", "none")
        detector.run()
        client.await_messages(32 + 9 + 9)
    assert [m["series_id"] for m in client.messages()] == [1] * 32 + [2] * 9 + [3] * 9
    for number in (2, 3):
        start, *images, _ = series(client, number)
        assert (start["image_size_y"], start["image_size_x"], start["image_dtype"]) == (16, 12, "uint16")
        assert start["channels"] == ["threshold_1", "threshold_2"]
        merged = array.reshape(30, 16, 2, 12, 2).sum((2, 4))[:7]
        np.testing.assert_array_equal([image["data"]["threshold_1"] for image in images], merged)
        np.testing.assert_array_equal([image["data"]["threshold_2"] for image in images], merged // 2)
    assert len({m["series_unique_id"] for m in client.messages()}) == 3


ALL = Faults(drop=0.05, duplicate=0.05, reorder=0.05, stale=0.05, truncate=0.05, corrupt=0.05, nodata=0.05)


@pytest.mark.parametrize("compression", ["bslz4", "lz4"])
def test_every_fault_arrives_where_the_log_says(
    scene: Scene, array: NDArray[np.uint8], tmp_path: Path, compression: str
) -> None:
    log, preset = tmp_path / "log.jsonl", {"detector/compression": compression, "detector/ntrigger": 1500}
    with watched(Emulator(scene, rate=0, faults=ALL, log=log, preset=preset)) as (detector, client):
        report = detector.run()
        client.await_messages(report.sent + 2)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    logged = {line["fault"]: line["images"] for line in lines if line["event"] == "fault"}
    assert logged == {name: list(images) for name, images in report.faults.items()}
    assert set(logged) == {"drop", "duplicate", "reorder", "stale", "truncate", "corrupt", "nodata"}
    images = [message for message in client.messages() if message["type"] == "image"]
    own = [image for image in images if image["series_id"] == 1]
    numbers = [image["image_id"] for image in own]
    assert [image["image_id"] for image in images if image["series_id"] == 0] == logged["stale"]
    assert sorted(set(range(1500)) - set(numbers)) == logged["drop"]
    assert sorted(n for n in set(numbers) if numbers.count(n) == 2) == sorted(logged["duplicate"])
    late = [n for place, n in enumerate(numbers) if n < max(numbers[: place + 1])]
    assert list(dict.fromkeys(late)) == logged["reorder"]
    damaged = {image["image_id"] for image in own if "damaged" in image}
    assert damaged == set(logged["truncate"]) | set(logged["corrupt"])
    for image in own:
        if "damaged" in image:
            continue
        pattern, truth = image["data"]["threshold_1"], array.reshape(30, 32, 24)[image["image_id"] % 30]
        missing = pattern == 255
        assert missing.any() == (image["image_id"] in logged["nodata"])
        np.testing.assert_array_equal(pattern[~missing], truth[~missing])


def test_the_same_seed_gives_the_same_faults_again(scene: Scene) -> None:
    faults = []
    for _ in range(2):
        with watched(Emulator(scene, rate=0, faults=ALL, seed=3)) as (detector, _client):
            faults.append(detector.run().faults)
    assert faults[0] == faults[1] != {}


def test_start_and_end_may_be_missing(scene: Scene) -> None:
    with watched(Emulator(scene, rate=0, faults=Faults(no_start=1, no_end=1))) as (detector, client):
        report = detector.run()
        client.await_messages(30)
    assert {message["type"] for message in client.messages()} == {"image"}
    assert report.faults == {"no_start": (-1,), "no_end": (-1,)}


def test_a_second_client_takes_half_of_the_images(scene: Scene) -> None:
    with watched(Emulator(scene, rate=0, faults=Faults(two_clients=1))) as (detector, client):
        report = detector.run()
        client.await_messages(16)
    taken = set(report.faults["two_clients"])
    images = [message["image_id"] for message in client.messages() if message["type"] == "image"]
    assert images == [image for image in range(30) if image not in taken]
    assert len(images) == 15


def test_two_real_clients_take_turns(scene: Scene) -> None:
    with Emulator(scene, rate=0) as detector, listening(detector.stream) as one, listening(detector.stream) as other:
        detector.wait_for_clients(2)
        detector.run()
        one.await_messages(16)
        other.await_messages(16)
    numbers = [m["image_id"] for m in (*one.messages(), *other.messages()) if m["type"] == "image"]
    assert sorted(numbers) == list(range(30))
    assert len(one.parts) == len(other.parts) == 16


def test_clients_are_those_that_stay(scene: Scene) -> None:
    with Emulator(scene, rate=0) as detector:
        address = Address.parse(detector.stream)
        pulls = [ZmqPull(address), ZmqPull(address)]
        for pull in pulls:  # each looks at the address first, and leaves again
            pull.open()
        detector.wait_for_clients(2)
        probe(address)
        time.sleep(0.2)
        assert detector.status["clients"] == 2
        pulls[0].close()
        while detector.status["clients"] != 1:
            time.sleep(0.005)
        pulls[1].close()


def test_a_trigger_takes_as_long_as_its_images(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = {"detector/trigger_mode": "ints", "detector/ntrigger": 1, "detector/nimages": 120}
    with watched(Emulator(scene, rate=100, preset=preset)) as (detector, _client):
        detector.machine.initialize()
        detector.machine.arm()
        monkeypatch.setattr(Machine._until, "__defaults__", (0.5,))  # what anything else may take
        detector.machine.trigger()
        assert detector.machine.wait_for(1, 60).images == 120


def test_what_nobody_takes_is_dropped_and_counted(scene: Scene) -> None:
    with Emulator(scene, rate=0) as detector:
        report = detector.run()
        assert detector.dcu.read("stream", "status", "dropped")["value"] == 30
        assert report.faults == {"overflow": (-1, *range(30), -1)}
        assert (report.images, report.sent) == (30, 0)


def test_what_a_slow_client_has_no_room_for_is_dropped_and_counted() -> None:
    noise = np.random.default_rng(0).integers(0, 250, (4, 4, 192, 192)).astype(np.uint8)
    emulator = Emulator(Scene(array=noise), rate=0, most=5, preset={"detector/ntrigger": 2000})
    with emulator as detector, zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.set(zmq.RCVHWM, 1)
        socket.connect(detector.stream)
        detector.wait_for_clients(1)
        report = detector.run()
        lost = report.faults["overflow"]
        assert detector.dcu.read("stream", "status", "dropped")["value"] == len([n for n in lost if n >= 0]) > 0
        found = []
        while len(found) < report.sent:
            assert socket.poll(60_000)
            message = decode(socket.recv())
            found += [message["image_id"]] if message["type"] == "image" else []
    assert sorted([*found, *(n for n in lost if n >= 0)]) == list(range(2000))


def test_a_patient_one_waits_for_a_client_and_for_its_room() -> None:
    noise = np.random.default_rng(0).integers(0, 250, (4, 4, 192, 192)).astype(np.uint8)
    emulator = Emulator(Scene(array=noise), rate=0, most=5, patient=True, preset={"detector/ntrigger": 2000})
    with emulator as detector, zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.set(zmq.RCVHWM, 1)
        socket.connect(detector.stream)
        series = detector.start()
        found = [socket.recv() for _ in range(2002)]
        report = detector.machine.wait_for(series, 60)
    assert (report.sent, report.faults) == (2000, {})
    assert [decode(message).get("image_id") for message in found] == [None, *range(2000), None]


def test_a_sender_that_has_died_is_an_error_not_a_riddle(scene: Scene) -> None:
    with Emulator(scene) as detector:
        detector.machine.initialize()
        os.kill(detector.pid, signal.SIGKILL)
        with pytest.raises(OptionError, match="the process that sends has ended"):
            detector.run(60)
        assert detector.machine.state == "error"


def test_what_cannot_start_says_why(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"), Emulator(Scene(path=tmp_path / "none.h5")):
        pass
    with pytest.raises(InputError, match="float64, not counts"), Emulator(Scene(array=np.ones((2, 2, 4, 4)))):
        pass
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match="taken: cannot be written"), Emulator(scene, files=tmp_path / "taken"):
        pass
    with Emulator(scene) as first:
        taken = first.facts.ports[0]
        with pytest.raises(OptionError, match=f"{taken}: cannot listen"), Emulator(scene, ports=(0, taken, 0)):
            pass
        with (
            pytest.raises(OptionError, match="cannot listen"),
            Emulator(scene, ports=(int(first.address.rsplit(":")[-1]), 0, 0)),
        ):
            pass


@pytest.mark.parametrize("compression", ["bslz4", "lz4", "none"])
def test_the_older_stream_says_the_same(scene: Scene, array: NDArray[np.uint8], compression: str) -> None:
    preset = {"stream/format": "legacy", "stream/header_detail": "all", "detector/compression": compression}
    with watched(Emulator(scene, rate=2000, preset=preset), legacy=True) as (detector, client):
        report = detector.run()
        client.await_messages(32)
        detector.dcu.write("stream", "image_appendix", {"run": 5})
        detector.dcu.write("stream", "header_detail", "none")
        detector.run()
        client.await_messages(64)
    assert (report.sent, [len(parts) for parts in client.parts]) == (30, [5] + [4] * 30 + [1, 1] + [5] * 30 + [1])
    translated = [translate(parts) for parts in client.parts[:32]]
    assert translated[0] is not None
    told = read_start(translated[0])
    assert (told.number, told.images, told.shape, told.mask is not None) == (1, 30, (32, 24), True)
    assert appendix(told)["scan_shape"] == [5, 6]
    assert told.metadata["frame_time"] == 0.0005
    images = [decode(message or b"") for message in translated[1:31]]
    assert [image["image_id"] for image in images] == list(range(30))
    assert {image["stop_time"][0] - image["start_time"][0] for image in images} == {499_900}
    np.testing.assert_array_equal([image["data"]["threshold_1"] for image in images], array.reshape(30, 32, 24))
    assert [json.loads(client.parts[place][0])["htype"] for place in (31, 32)] == ["dseries_end-1.0", "dheader-1.0"]
    assert json.loads(client.parts[40][4])["run"] == 5


def test_faults_of_the_older_stream_are_where_the_log_says(scene: Scene) -> None:
    preset = {"stream/format": "legacy", "detector/ntrigger": 600}
    with watched(Emulator(scene, rate=0, faults=ALL, preset=preset), legacy=True) as (detector, client):
        report = detector.run()
        client.await_messages(report.sent + 2)
    images = [read(translate(parts) or b"") for parts in client.parts[1:-1]]
    own = [image for image in images if image["series_id"] == 1]
    assert [image["image_id"] for image in images if image["series_id"] == 0] == list(report.faults["stale"])
    assert set(range(600)) - {image["image_id"] for image in own} == set(report.faults["drop"])
    damaged = {image["image_id"] for image in own if "damaged" in image}
    assert damaged == {*report.faults["truncate"], *report.faults["corrupt"]}
