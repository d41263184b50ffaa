"""Files of real formats of which several make one acquisition, and files that are only called alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from sqlalchemy import select

from parscope.catalog.collect.collector import Collector
from parscope.catalog.collect.status import quarantined
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.tables import file, record, version
from tests.catalog.collect.rows import rows

Collect = Callable[[], Collector]

EMPAD = """<?xml version="1.0"?><root><raw_file filename="{}"/><scan_parameters mode="acquire">
<scan_resolution_x>3</scan_resolution_x><scan_resolution_y>2</scan_resolution_y></scan_parameters></root>"""
PHOTO = """<?xml version="1.0"?><photo><iso>200</iso></photo>"""


def files(catalog: Catalog) -> list[tuple[str, int, bool, str]]:
    """Name, record, whether it is a part, and kind of the record."""
    told = select(file.c.path, file.c.record, file.c.part, record.c.uid).join(record).order_by(file.c.path)
    with catalog.reading() as connection:
        rows = connection.execute(told).all()
    return [(Path(row.path).name, row.record, row.part, catalog.get(row.uid).document["kind"]) for row in rows]


def patterns(path: Path) -> None:
    path.write_bytes(np.arange(6 * 130 * 128, dtype=np.float32).tobytes())


def test_an_empad_scan_is_one_record_and_a_photograph_with_notes_is_none(
    catalog: Catalog, folder: Path, collected: Collect
) -> None:
    patterns(folder / "scan.raw")
    (folder / "scan.xml").write_text(EMPAD.format("scan.raw"))
    (folder / "photo.raw").write_bytes(b"\xff\0" * 5000)
    (folder / "photo.xml").write_text(PHOTO)
    collected()
    assert files(catalog) == [
        ("photo.raw", 1, False, "unread"),
        ("photo.xml", 2, False, "document"),
        ("scan.raw", 3, False, "4D-STEM"),
        ("scan.xml", 3, True, "4D-STEM"),
    ]


def test_a_part_that_could_not_be_read_alone_is_wanting_no_more(
    catalog: Catalog, folder: Path, collected: Collect
) -> None:
    patterns(folder / "scan.raw")
    collected()
    with catalog.reading() as connection:
        assert [path.name for path, _ in quarantined(connection)] == ["scan.raw"]
    (folder / "scan.xml").write_text(EMPAD.format("scan.raw"))
    collected()
    assert files(catalog) == [("scan.raw", 1, True, "4D-STEM"), ("scan.xml", 1, False, "4D-STEM")]
    with catalog.reading() as connection:
        assert quarantined(connection) == []


def test_a_scan_whose_data_files_come_one_by_one_is_read_again_once_it_has_ended(
    catalog: Catalog, folder: Path, tmp_path: Path
) -> None:
    """As a detector writes them: the master first, and a data file as soon as the one before is full."""
    ready = tmp_path / "ready"
    ready.mkdir()
    names = [f"a_data_{number:06}.h5" for number in range(1, 5)]
    for number, name in enumerate(names):
        with h5py.File(ready / name, "w") as data:
            data["entry/data/data"] = np.full((4, 16, 16), number, np.uint16)
    with h5py.File(folder / "a_master.h5", "w") as master:
        for name in names:
            master[f"entry/data/{name[2:-3]}"] = h5py.ExternalLink(name, "/entry/data/data")
    collector = Collector(catalog, folder, settle=0.4)
    thread = threading.Thread(target=collector.run)
    thread.start()
    for name in names:
        content = (ready / name).read_bytes()
        with (folder / name).open("wb") as growing:
            for start in range(0, len(content), len(content) // 6 + 1):
                growing.write(content[start : start + len(content) // 6 + 1])
                growing.flush()
                time.sleep(0.15)
    for _ in range(400):
        told = files(catalog)
        if len(told) == 5 and all(part for name, _, part, _ in told if name != "a_master.h5"):
            break
        time.sleep(0.05)
    collector.stop()
    thread.join()
    Collector(catalog, folder, settle=0.0).run(once=True)
    assert [(name, of, part) for name, of, part, _ in files(catalog)] == [
        *((name, 1, True) for name in names),
        ("a_master.h5", 1, False),
    ]
    assert rows(catalog, version, "record", "number") == [(1, 1)]  # when no data file was there
    told = catalog.get(rows(catalog, record, "uid")[0]).document["vendor"]["entry"]["data"]
    assert [link["shape"] for link in told.values()] == [[4, 16, 16]] * 4
