"""Files of real instruments all end in the catalog, and are found by their quantities in any unit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from parscope.catalog.collect.collector import Collector
from parscope.catalog.collect.document import of_description
from parscope.catalog.query.text import parse
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.documents import decode, encode
from parscope.catalog.store.tables import file, journal, record
from parscope.io.describe import describe
from tests.catalog.collect.rows import rows

TITAN = "ncempy_Camera_Ceta_Imaging_Micro.emd"  # 300 kV, 3.1 nm a pixel
QUANTA = "nist_quanta_quad1image_001.tif"  # 30 kV, 30 µs a pixel, 0.44 µm
STM = "nanonis_stm_Au_mica_195.sxm"  # -50 mV, 15.6 pm a pixel
DM = "pyTEMlib_EELS_STO.dm3"  # 200 kV


@pytest.fixture(scope="module")
def lab(sample_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """Catalog of four microscopes."""
    folder = tmp_path_factory.mktemp("lab")
    for name in (TITAN, QUANTA, STM, DM):
        shutil.copy(next(sample_files.rglob(name)), folder)
    with Catalog(tmp_path_factory.mktemp("catalog") / "lab.db") as catalog:
        Collector(catalog, folder, settle=0.0).run(once=True)
        yield catalog


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("beam.voltage >= 200 kV", {TITAN, DM}),
        ("beam.voltage >= 0.2 MV", {TITAN, DM}),
        ("beam.voltage > 200000 V", {TITAN}),
        ("beam.voltage in 0.02..0.04 MV", {QUANTA}),
        ("**.voltage = 3e5 V", {TITAN}),
        ("not beam.voltage >= 200 kV", {QUANTA, STM}),
        ("beam.voltage >= 200", set()),  # a number is none of volts
        ("beam.voltage >= 200 nm", set()),
        ("bias < 0 mV and bias >= -0.00005 kV", {STM}),
        ("exposure < 1 ms", {QUANTA}),
        ("signals.axes.step < 1 Å", {STM}),
        ("signals.axes.step in 1 nm..1 µm", {TITAN, QUANTA}),
    ],
)
def test_files_are_found_by_quantities_in_any_unit(lab: Catalog, query: str, names: set[str]) -> None:
    assert {lab.get(uid).document["name"] for uid in lab.uids(parse(query))} == names


def test_every_file_of_every_vendor_is_in_the_catalog_with_what_its_reader_tells(
    sample_files: Path, tmp_path: Path
) -> None:
    with Catalog(tmp_path / "lab.db") as catalog:
        Collector(catalog, sample_files, settle=0.0).run(once=True)
        assert rows(catalog, journal, "error") == [None] * len(rows(catalog, journal))
        lying = {Path(path): (of, part) for path, of, part in rows(catalog, file, "path", "record", "part")}
        assert lying.keys() == {path for path in sample_files.resolve().rglob("*") if path.is_file()}
        uids = dict(rows(catalog, record, "id", "uid"))
        for path in (path for path, (_, part) in lying.items() if not part):
            told = of_description(path, path.stat().st_size, describe(path, within=sample_files))
            kept = catalog.get(uids[lying[path][0]]).document
            assert encode({**kept, "name": path.name}) == encode(decode(encode(told)))


def test_damaged_files_of_every_vendor_are_in_the_catalog_and_harm_no_other(
    sample_files: Path, folder: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    whole = next(sample_files.rglob(STM))
    shutil.copy(whole, folder / "zz.sxm")  # the last of all
    for number, path in enumerate(sorted(path for path in sample_files.rglob("*") if path.is_file())):
        content = bytearray(path.read_bytes()[: -path.stat().st_size // 3])
        for place in random.integers(0, min(len(content), 2000), 20):
            content[place] ^= 1 << random.integers(8)
        (folder / f"{number:02} {path.name}").write_bytes(content)
    with Catalog(tmp_path / "lab.db") as catalog:
        Collector(catalog, folder, settle=0.0).run(once=True)
        lying = {Path(path): of for path, of in rows(catalog, file, "path", "record")}
        assert lying.keys() == set(folder.iterdir())
        uids = dict(rows(catalog, record, "id", "uid"))
        kept = catalog.get(uids[lying[folder / "zz.sxm"]])
        assert kept.error is None and kept.document["acquired"]
        errors = [error for error in rows(catalog, record, "error") if error]
        assert len(errors) > len(lying) // 3 and not any("parscope itself" in error for error in errors)
