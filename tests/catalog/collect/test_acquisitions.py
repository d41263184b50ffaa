"""Files of real formats of which several make one acquisition, and files that are only called alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy import select

from parscope.catalog.collect.collector import Collector
from parscope.catalog.collect.status import quarantined
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.tables import file, record

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
