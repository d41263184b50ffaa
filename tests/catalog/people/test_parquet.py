"""A selection as a Parquet table: every record a row, what all formats share in columns."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from parscope.catalog.people.matches import Selection, records
from parscope.catalog.people.parquet import write_parquet
from parscope.catalog.query.ast import Term
from parscope.catalog.store.catalog import Catalog
from parscope.core.errors import OutputError


def test_every_record_is_a_row(catalog: Catalog, tmp_path: Path) -> None:
    documents = [
        {
            "kind": "4D-STEM",
            "name": "scan.emd",
            "acquired": "2024-03-05T10:30:00",
            "beam": {"voltage": {"value": 300, "units": "kV"}, "convergence_angle": {"value": 1.5, "units": "mrad"}},
            "magnification": 2e5,
            "exposure": {"value": 3.0, "units": "nm"},
            "sample": {"name": "PZT"},
            "vendor": {"nan": math.nan, "odd\ud800": "\ud800"},
        },
        {"kind": 3, "name": "\ud800", "beam": "strong", "camera_length": "12 cm", "magnification": True},
    ]
    uids = catalog.add_many(documents)
    file = tmp_path / "records.parquet"
    assert write_parquet(records(catalog, Selection(newest=False)), file) == 2
    table = pq.read_table(file)
    first, second = table.to_pylist()
    assert [first["uid"], second["uid"]] == uids
    assert (first["kind"], first["name"], first["acquired"]) == ("4D-STEM", "scan.emd", "2024-03-05T10:30:00")
    assert (first["beam_voltage_V"], first["convergence_angle_rad"], first["magnification"]) == (3e5, 1.5e-3, 2e5)
    assert first["exposure_s"] is None
    assert first["sample"] == "PZT"
    assert first["created"].timestamp() * 1e6 == pytest.approx(catalog.get(uids[0]).created)
    assert (second["kind"], second["name"], second["camera_length_m"], second["magnification"]) == (
        None,
        "\\ud800",
        0.12,
        None,
    )
    kept = json.loads(first["document"])
    assert kept["vendor"] == {"nan": {"number": "nan"}, "odd\ud800": "\ud800"}
    assert sorted(path.name for path in tmp_path.glob("records*")) == ["records.parquet"]
    with pytest.raises(OutputError, match="exists already"):
        write_parquet(records(catalog, Selection()), file)


def test_nothing_found_is_a_table_without_rows(catalog: Catalog, tmp_path: Path) -> None:
    assert write_parquet(records(catalog, Selection()), tmp_path / "none.parquet") == 0
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 0


def test_a_selection_is_read_to_its_end_or_limit(catalog: Catalog) -> None:
    catalog.add_many([{"number": i} for i in range(1203)])
    numbers = [
        record.document["number"] for record in records(catalog, Selection(order=Term(("number",)), newest=False))
    ]
    assert numbers == [*range(1203)]
    numbers = [record.document["number"] for record in records(catalog, Selection(order=Term(("number",)), limit=700))]
    assert numbers == [*range(1202, 502, -1)]
