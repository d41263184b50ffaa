"""Writes records as a Parquet table, for pandas and DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from parscope.catalog.people.beside import beside
from parscope.catalog.query import units
from parscope.catalog.store import documents
from parscope.catalog.store.records import Record
from parscope.core.errors import MissingExtraError

_BATCH = 1000

NUMBERS = {
    "beam_voltage_V": ("beam.voltage", "V"),
    "convergence_angle_rad": ("beam.convergence_angle", "1"),
    "camera_length_m": ("camera_length", "m"),
    "magnification": ("magnification", "1"),
    "exposure_s": ("exposure", "s"),
}
"""Columns of numbers in units of the SI, where documents have them, and their dimensions."""

TEXTS = {
    "kind": "kind",
    "name": "name",
    "acquired": "acquired",
    "instrument": "instrument.name",
    "vendor": "instrument.vendor",
    "detector": "detector.name",
    "operator": "operator",
    "sample": "sample.name",
}
"""Columns of text, and where documents have them."""

OWN = ("number", "created", "changed", "hash", "reader", "error")
"""Columns of the catalog itself."""


def write_parquet(records: Iterable[Record], file: Path) -> int:
    """Write one row for each record: what is known of all formats in columns, the document as JSON in the last one.

    NaN and infinities in it are spelled as in queries, ``{"number": "nan"}``, since JSON has none.

    Parameters
    ----------
    records : iterable of Record
        In the order of the rows.
    file : Path
        To be made; it appears when everything is in it.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    OutputError
        If the file is there already.
    MissingExtraError
        If the library `pyarrow` is not installed.
    OSError
        If it cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise MissingExtraError("pyarrow", "parquet") from None
    kinds = dict.fromkeys(NUMBERS, pa.float64()) | dict.fromkeys(("created", "changed"), pa.timestamp("us", tz="UTC"))
    names = ["uid", *TEXTS, *NUMBERS, *OWN, "document"]
    schema = pa.schema([(name, kinds.get(name, pa.int64() if name == "number" else pa.string())) for name in names])
    rows = 0
    with beside(file) as place, pq.ParquetWriter(place, schema, compression="zstd") as writer:
        for batch in _batches(records):
            writer.write_table(pa.Table.from_pylist(batch, schema))
            rows += len(batch)
    return rows


def _batches(records: Iterable[Record]) -> Iterator[list[dict[str, Any]]]:
    """Rows, a thousand at a time."""
    rows = map(_row, records)
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _row(record: Record) -> dict[str, Any]:
    """One record as columns."""
    document = record.document
    row: dict[str, Any] = {name: _text(_at(document, path)) for name, path in TEXTS.items()}
    row |= {name: _number(_at(document, path), dimension) for name, (path, dimension) in NUMBERS.items()}
    row |= {name: getattr(record, name) for name in ("uid", *OWN)}
    return row | {"document": documents.encode(documents.portable(document))}


def _at(document: Mapping[str, Any], path: str) -> Any:
    """What stands under a path of plain keys, if anything does."""
    node: Any = document
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _text(value: Any) -> str | None:
    """Text that is Unicode; nothing for what is no text."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else None


def _number(value: Any, dimension: str) -> float | None:
    """A quantity in its unit of the SI, or a plain number where there is no unit; nothing for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if dimension == "1" else None
    measure = units.in_mapping(value) if isinstance(value, Mapping) else None
    measure = units.in_text(value) if isinstance(value, str) else measure
    return measure.value if measure is not None and measure.dimension == dimension else None
