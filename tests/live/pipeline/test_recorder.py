"""What is recorded is what was sent, in files that others read too; whatever happens, it stays readable."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from parscope.core.errors import OutputError
from parscope.io.open import open_frames
from parscope.live.pipeline import recorder as module
from parscope.live.pipeline.board import Board, cell_of
from parscope.live.pipeline.chunks import ChannelFiles
from parscope.live.pipeline.recorder import RESERVE, Recorder
from parscope.live.pipeline.ring import Reader, Ring
from parscope.live.wire.encode import end_message, image_message, start_message
from parscope.live.wire.pack import Packed, pack
from parscope.live.wire.scan import scan as scan_message

from .conftest import SHAPE, image, pattern, series, whole
from .recording import Record, recording, stored, truth


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with recording(tmp_path) as run:
        yield run


@pytest.mark.parametrize("algorithm", ["bslz4", "lz4", "none"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_a_series_is_recorded_bit_for_bit(record: Record, algorithm: str, dtype: str) -> None:
    of = series(dtype=dtype, mask=np.eye(16, dtype=bool), metadata={"frame_time": 0.0002, "sensor_material": "Si"})
    patterns = truth().astype(dtype) * (1 if dtype == "uint8" else 300)
    messages = [image_message(of, n, {"threshold_1": one}, algorithm=algorithm) for n, one in enumerate(patterns)]
    made = record([start_message(of), *messages, end_message(of)])
    (done,) = made.done
    assert (done.images, done.written, [p.name for p in done.masters]) == (12, 12, ["g1s1_master.h5"])
    frames = open_frames(done.masters[0])
    assert frames.scan_shape == (3, 4)
    assert np.array_equal(np.asarray(frames.data[:]).reshape(-1, *SHAPE), patterns)
    assert np.array_equal(frames.mask, np.eye(16, dtype=bool))
    with h5py.File(done.masters[0].with_name("g1s1_data_000001.h5"), locking=False) as file:
        for number, message in enumerate(messages):
            payload = scan_message(message).channels[0]
            sent = message[payload.offset : payload.offset + payload.length]
            assert file["entry/data/data"].id.read_direct_chunk((number, 0, 0))[1] == sent


def test_what_did_not_come_is_a_hole_and_named(record: Record) -> None:
    (done,) = record(whole(series(), [0, 1, 1, 4, 3, 5, 7, 8])).done
    assert (done.images, done.written) == (12, 7)
    got = stored(done.masters[0])
    there = [0, 1, 3, 4, 5, 7, 8]
    assert np.array_equal(got[there], truth()[there])
    holes = [2, 6, 9, 10, 11]
    assert (got[holes] == 255).all()
    with h5py.File(done.masters[0]) as master:
        assert master["entry/parscope/missing"][:].tolist() == holes


def test_several_data_files(record: Record) -> None:
    order = [0, 1, 2, 3, 5, 4, 6, 7, 8, 2, 9, 10]
    (done,) = record(whole(series(), order), per_file=3).done
    assert len(list(done.masters[0].parent.glob("*_data_*"))) == 4
    assert np.array_equal(stored(done.masters[0])[:11], truth()[:11])


def test_images_that_are_late_by_more_than_a_file(record: Record) -> None:
    order = [0, 3, 6, 1, 9, 4, 2, 11, 10, 5, 8, 7]
    (done,) = record(whole(series(), order), per_file=3).done
    assert done.written == 12
    assert np.array_equal(stored(done.masters[0]), truth())


def test_a_series_that_breaks_off_has_the_shape_of_its_scan(record: Record) -> None:
    (done,) = record(whole(series(), [0, 1])[:-1], per_file=5).done
    frames = open_frames(done.masters[0])
    assert frames.scan_shape == (3, 4)
    assert np.array_equal(stored(done.masters[0])[:2], truth()[:2])


def test_several_series_and_what_belongs_to_none(record: Record) -> None:
    stray = image(series(9), 3)
    made = record([stray, b"\xff", *whole(series(1)), *whole(series(2))[:-1], stray, *whole(series(3))])
    assert [[p.name for p in done.masters] for done in made.done] == [
        ["g1s1_master.h5"],
        ["g2s2_master.h5"],
        ["g3s3_master.h5"],
    ]
    assert all(np.array_equal(stored(done.masters[0]), truth()) for done in made.done)


def test_each_channel_has_a_file_of_its_own(record: Record) -> None:
    of = series(channels=("threshold_1", "threshold_2"))
    messages = [image_message(of, n, {"threshold_1": pattern(n), "threshold_2": pattern(n) // 2}) for n in range(12)]
    (done,) = record([start_message(of), *messages, end_message(of)]).done
    assert [p.name for p in done.masters] == ["g1s1_threshold_1_master.h5", "g1s1_threshold_2_master.h5"]
    assert np.array_equal(stored(done.masters[1]), truth() // 2)


def test_patterns_that_do_not_belong_are_left_out(record: Record) -> None:
    messages = whole(series())
    messages[3] = image_message(series(), 2, {"threshold_1": np.zeros((8, 8), np.uint8)})
    messages[4] = image_message(series(), 3, {"threshold_1": np.zeros(SHAPE, np.uint16)})
    messages[5] = image_message(series(), 4, {"threshold_1": pattern(4)}, algorithm="none")
    messages[6] = image_message(series(), 5, {"threshold_1": pattern(5)}, algorithm="lz4")
    messages[7] = image_message(series(), 6, {"threshold_1": Packed(SHAPE, "|u1", "bslz4", 2, pack(pattern(6)).data)})
    told: list[str] = []
    (done,) = record(messages, tell=told.append).done
    assert done.written == 8
    assert np.array_equal(stored(done.masters[0])[4], pattern(4))
    assert told == ["series 1 is recorded in part: image 2 of threshold_1 is uint8 8 x 8, bslz4 1"]


def test_a_pattern_that_came_cut_short_is_kept_apart_and_crashes_no_reader(record: Record) -> None:
    messages = whole(series())
    good = scan_message(messages[4]).channels[0]  # image 3
    samples = messages[4][good.offset : good.offset + good.length]
    broken = bytearray(messages[4])
    broken[good.offset + 12] ^= 0xFF  # the first block is longer than all of the pattern
    messages[4] = bytes(broken)
    (done,) = record(messages).done
    assert (done.images, done.written) == (12, 11)
    with h5py.File(done.masters[0]) as master:
        assert master["entry/parscope/missing"][:].tolist() == [3]
        kept = master["entry/parscope/damaged/000003"][:].tobytes()
    assert (len(kept), kept[:12], kept[13:]) == (len(samples), samples[:12], samples[13:])
    assert np.array_equal(stored(done.masters[0])[4:], truth()[4:])


def test_a_full_disk_is_one_line_and_what_is_there_stays_readable(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parscope.live.pipeline.recorder._LOOK_EVERY", 1000)
    rooms = iter([10**12] * 2)
    with pytest.raises(OutputError, match=r"the disk is full: recording has stopped, what was recorded is readable"):
        record(whole(series()), free=lambda _: next(rooms, RESERVE))
    got = stored(tmp_path / "g1s1_master.h5")
    whole_ones = [n for n in range(12) if np.array_equal(got[n], pattern(n))]
    assert len(whole_ones) >= 3
    assert all((got[n] == 255).all() for n in range(12) if n not in whole_ones)


def test_a_disk_that_takes_no_more_is_one_line_too(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, count = ChannelFiles.write, iter(range(100))

    def fail(self: ChannelFiles, *told: object) -> bool:
        if next(count) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, *told)  # type: ignore[arg-type]

    monkeypatch.setattr(ChannelFiles, "write", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        record(whole(series()))
    assert np.array_equal(stored(tmp_path / "g1s1_master.h5")[:5], truth()[:5])


def test_a_compression_without_a_filter_is_refused(record: Record) -> None:
    message = bytearray(image(series(), 0))
    at = message.index(b"bslz4")
    message[at : at + 5] = b"trpx5"
    with pytest.raises(OutputError, match="have no place in HDF5"):
        record([start_message(series()), bytes(message)])


def test_a_first_pattern_that_does_not_belong_does_not_set_the_form(record: Record) -> None:
    messages = whole(series())
    messages[1] = image_message(series(), 0, {"threshold_1": np.zeros(SHAPE, np.uint16)})
    (done,) = record(messages).done
    assert done.written == 11
    assert np.array_equal(stored(done.masters[0])[1:], truth()[1:])


def test_what_hdf5_does_not_take_is_taken_out(record: Record) -> None:
    told = {"user_data": "a\0b", "sensor_material": "Si\0", "count_time": 1 << 70, "arm_date": "\0", "x/y": [1, None]}
    names = ("a/b", "a b", "../c")
    of = series(channels=names, metadata=told)
    messages = [image_message(of, n, dict.fromkeys(names, pattern(n))) for n in range(12)]
    (done,) = record([start_message(of, None), *messages, end_message(of)]).done
    assert [p.name for p in done.masters] == ["g1s1_a_b_1_master.h5", "g1s1_a_b_2_master.h5", "g1s1_.._c_master.h5"]
    assert all(np.array_equal(stored(master), truth()) for master in done.masters)


def test_a_series_without_an_end_of_its_images_is_not_recorded(record: Record) -> None:
    with pytest.raises(OutputError, match="a series of 100000001 patterns is not recorded; set the detector to 100000"):
        record([start_message(series(images=100_000_001))])


def test_what_nobody_thought_of_is_one_line(record: Record, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(self: ChannelFiles, *told: object) -> bool:
        raise ValueError("of another kind")

    messages = whole(series())
    monkeypatch.setattr(ChannelFiles, "write", fail)
    with pytest.raises(OutputError, match="--record: recording has stopped, what was recorded is readable: of another"):
        record(messages)
    assert (stored(tmp_path / "g1s1_master.h5") == 255).all()


@pytest.mark.parametrize("times", [1, 2])
def test_files_that_cannot_be_completed_are_tried_again_in_the_room_that_was_held(
    record: Record, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, times: int
) -> None:
    finish, faults, held = ChannelFiles.finish, iter([OSError(errno.ENOSPC, "no room")] * times), []

    def fail(self: ChannelFiles) -> None:
        held.append(len(list(tmp_path.glob(".parscope-ballast-*"))))
        for fault in faults:
            raise fault
        finish(self)

    monkeypatch.setattr(ChannelFiles, "finish", fail)
    if times == 1:
        (done,) = record(whole(series())).done
        assert np.array_equal(stored(done.masters[0]), truth())
    else:
        with pytest.raises(OutputError, match=r"g1s1_master\.h5: cannot be completed: no room; free some space"):
            record(whole(series()))
    assert held[:2] == [1, 0]


def test_a_series_whose_end_does_not_come_is_complete_when_the_frame_loop_says_so(tmp_path: Path) -> None:
    ring, board = Ring.create(4 << 20), Board.create(12, (), (16, 16))
    made = Recorder(Reader(ring.name, lossless=True), lambda *_: tmp_path / "s", (3, 4), board)
    for message in whole(series())[:-1]:
        ring.put(message or b"", 0)
    while made.step():
        pass
    assert made.done == []
    board.cells[cell_of("finished")] = 1
    ring.put(image(series(), 3), 0)
    assert made.step() and made.done == []  # what still is there comes first
    assert not made.step()
    (done,) = made.done
    assert (done.generation, done.written) == (1, 12)
    assert np.array_equal(stored(done.masters[0]), truth())
    ring.finish()
    made.run()
    assert len(made.done) == 1
    ring.close()
    board.close()


def test_patterns_reach_the_disk_while_more_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FLUSH_BUSY", -1.0)
    ring = Ring.create(4 << 20)
    made = Recorder(Reader(ring.name, lossless=True), lambda *_: tmp_path / "s", (3, 4))
    for message in whole(series())[:6]:
        ring.put(message or b"", 0)
        made.step()
    (data,) = tmp_path.glob("s_data_*")
    assert data.stat().st_size > sum(len(pack(one).data) for one in truth(5))
    ring.finish()
    made.run()
    ring.close()
