"""Files of real instruments, collected, are found by their quantities in whatever unit somebody asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from parscope.catalog.collect.collector import Collector
from parscope.catalog.query.text import parse
from parscope.catalog.store.catalog import Catalog

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
