"""The verbs `find`, `show`, `note`, `saved` and `unpack` on a catalog of small files."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from sqlalchemy import insert
from typer.testing import CliRunner

from parscope.catalog.store import tables
from parscope.catalog.store.catalog import Catalog
from parscope.cli.catalog_option import open_catalog
from parscope.cli.main import app

DOCUMENTS = [
    {"name": "one.dm4", "kind": "image", "beam": {"voltage": {"value": 300, "units": "kV"}}, "vendor": {"Cs(mm)": 1.2}},
    {"name": "two.dm4", "kind": "image", "beam": {"voltage": {"value": 80, "units": "kV"}}, "a.b": [1, 2]},
    {"name": "\x1b[31mred\nline", "kind": "4D-STEM", "acquired": "2024-03-05T10:30:00Z", "text": "domain wall"},
]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog that all verbs take."""
    monkeypatch.setenv("PARSCOPE_CATALOG", str(tmp_path / "lab.db"))
    monkeypatch.chdir(tmp_path)
    with Catalog(tmp_path / "lab.db") as catalog:
        catalog.add_many(DOCUMENTS)
    return tmp_path / "lab.db"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def told(*arguments: str) -> str:
    answer = run(*arguments)
    assert (answer.exit_code, answer.stderr) == (0, ""), answer.output
    return answer.stdout


def uid(name: str) -> str:
    return told("find", f'name = "{name}"', "--ids").strip()


def test_a_table_is_plain_in_a_pipe_and_shows_no_control_characters(file: Path) -> None:
    lines = told("find", "--reverse").splitlines()
    assert [line.split() for line in lines] == [
        ["id", "acquired", "kind", "name"],
        [uid("one.dm4")[:8], "image", "one.dm4"],
        [uid("two.dm4")[:8], "image", "two.dm4"],
        [told("find", 'kind = "4D-STEM"', "--ids")[:8], "2024-03-05", "10:30:00Z", "4D-STEM", "\\x1b[31mred\\nline"],
    ]
    assert all(line == line.rstrip() for line in lines)
    with Catalog(file) as catalog:
        catalog.add_many({"acquired": f"2024-03-05T10:30:00{zone}"} for zone in (".25+01:00", "+00:00", ""))
    times = {line.split()[2] for line in told("find", "acquired = 2024-03-05 and not exists kind").splitlines()[1:]}
    assert times == {"10:30:00+01:00", "10:30:00Z", "10:30:00"}


@pytest.mark.usefixtures("file")
def test_queries_count_order_and_page() -> None:
    assert told("find", "--count") == "3\n"
    assert told("find", "beam.voltage >= 0.2 MV", "--count") == "1\n"
    assert told("find", '**."Cs(mm)" > 1', "--count") == "1\n"
    assert told("find", 'text "domain wall" or "a.b" = 2', "--count") == "2\n"
    assert told("find", "--order", "beam.voltage", "--ids").split()[:2] == [uid("one.dm4"), uid("two.dm4")]
    assert told("find", "--order", "beam.voltage", "--reverse", "--ids", "--limit", "1").split() == [uid("two.dm4")]
    first = run("find", "--limit", "2")
    assert "3 records match; go on with --cursor " in first.stderr
    cursor = first.stderr.split()[-1]
    rest = told("find", "--limit", "2", "--cursor", cursor)
    assert rest.splitlines()[1].split()[0] == uid("one.dm4")[:8]


@pytest.mark.usefixtures("file")
def test_a_query_that_finds_nothing_is_told_why() -> None:
    why = "beam.voltage holds quantity, and no number; give the unit, as in 200 kV\n"
    for arguments in (("--count",), ()):
        answer = run("find", "beam.voltage > 200", *arguments)
        assert (answer.exit_code, answer.stderr) == (0, why)


@pytest.mark.usefixtures("file")
def test_documents_come_as_json_lines_and_as_a_parquet_table() -> None:
    lines = [json.loads(line) for line in told("find", "--json", "--reverse").splitlines()]
    assert [line["document"] for line in lines] == DOCUMENTS
    assert told("find", "--parquet", "all.parquet") == "all.parquet: 3 records\n"
    assert pq.read_table("all.parquet")["beam_voltage_V"].to_pylist() == [None, 8e4, 3e5]


def test_json_is_that_of_the_standard_whatever_a_document_holds(file: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    odd = {"a": [math.nan, {"b": math.inf}], "c": -math.inf, "d": "NaN"}
    plain = {"a": [{"number": "nan"}, {"b": {"number": "inf"}}], "c": {"number": "-inf"}, "d": "NaN"}
    with Catalog(file) as catalog:
        this = catalog.add(odd)
        catalog.amend(this, odd)
    told("note", this, "--set", "drift=NaN", "--derived-from", uid("one.dm4"), "--parameters", '{"sigma": Infinity}')
    found = json.loads(told("find", "c exists", "--json"), parse_constant=refuse)
    card = json.loads(told("show", this, "--json"), parse_constant=refuse)
    told("find", "c exists", "--parquet", "odd.parquet")
    (row,) = pq.read_table("odd.parquet")["document"].to_pylist()
    assert found["document"] == card["document"] == card["versions"][0]["document"] == plain
    assert json.loads(row, parse_constant=refuse) == plain
    assert card["annotations"][0]["value"] == {"number": "nan"}
    assert card["links"][0]["parameters"] == card["lineage"]["edges"][0]["parameters"] == {"sigma": {"number": "inf"}}


@pytest.mark.usefixtures("file")
def test_what_there_is_to_ask_for_is_listed_as_it_is_typed() -> None:
    rows = {line.split()[0]: line.split()[1:] for line in told("find", "--paths").splitlines()}
    assert rows["beam.voltage"] == ["2", "container,", "quantity", "V"]
    assert rows['vendor."Cs(mm)"'][0] == rows['"a.b"'][0] == "1"
    assert told("find", 'vendor."Cs(mm)" exists', "--count") == "1\n"
    assert len(told("find", "--paths", "%volt%").splitlines()) == 4
    assert told("find", "--facet", "kind").splitlines() == ["kind     records", "image          2", "4D-STEM        1"]
    assert told("find", 'name = "one.dm4"', "--facet", "beam.voltage").splitlines()[1].split() == ["300000", "1"]
    spread = run("find", "--facet", "beam.voltage", "--limit", "1")
    assert spread.stderr == "2 different values; --limit lists more\n"
    assert "from" in spread.stdout


@pytest.mark.usefixtures("file")
def test_a_note_is_shown_and_found_and_taken_back() -> None:
    one, two = uid("one.dm4"), uid("two.dm4")
    told("note", two[:8], "--tag", "good", "--set", "sample=PZT", "--set", "dose=3.5", "--collection", "Paper 3")
    told("note", two, "--derived-from", one, "--program", "denoise 2.1", "--parameters", '{"sigma": 2}')
    shown = told("show", two[:8])
    for line in (
        f"{two}  version 1, read by nobody",
        "  voltage  80 kV",
        f"  {one[:8]} one.dm4 image  [denoise 2.1]",
        "  good  (",
        "  Paper 3  (",
        '  sample = "PZT"  (',
    ):
        assert line in shown
    assert f"made from it\n  {two[:8]} two.dm4 image  [denoise 2.1]" in told("show", one)
    assert told("find", 'annotation.sample = "PZT" and annotation.dose > 3 and tagged "good"', "--ids").strip() == two
    assert told("find", f"derived from {one[:6]}", "--ids").strip() == two
    card = json.loads(told("show", two, "--json"))
    assert card["document"] == DOCUMENTS[1]
    assert card["lineage"]["edges"][0]["parameters"] == {"sigma": 2}
    told("note", two, "--untag", "good", "--unset", "sample", "--leave", "Paper 3", "--not-from", one)
    assert told("show", two).endswith("annotations\n" + told("show", two).partition("annotations\n")[2])
    assert not {"tags", "collections", "derived from"} & set(told("show", two).splitlines())
    for line in ("  tag good  (", "  annotation sample  (", "  collection Paper 3  (", f"  derived from {one[:8]}  ("):
        assert line in told("show", two).partition("taken back\n")[2]
    card = json.loads(told("show", two, "--json"))
    assert [row["said"]["value"] for row in card["retractions"] if row["what"] == "annotation"] == ["PZT"]


def test_what_others_wrote_is_shown_without_what_a_terminal_obeys(file: Path) -> None:
    one = uid("one.dm4")
    said = {"record": 1, "who": "\x1b[2Jx", "created": 1}
    with Catalog(file) as catalog, catalog.writing() as connection:
        connection.execute(insert(tables.tag).values(said | {"name": "\x1b[31mred"}))
        connection.execute(insert(tables.member).values(said | {"collection": "a\rb"}))
        connection.execute(insert(tables.annotation).values(said | {"key": "\x1b]0;k", "value": "1"}))
    shown = told("show", one)
    assert all(line.isprintable() for line in shown.splitlines())
    assert "\\x1b[31mred" in shown


@pytest.mark.usefixtures("file")
def test_vendor_values_are_folded_until_all_are_wanted() -> None:
    assert "vendor  1 value\n" in told("show", uid("one.dm4"))
    assert "  Cs(mm)  1.2\n" in told("show", uid("one.dm4"), "--all")


def test_a_saved_query_tells_its_new_matches_once(file: Path) -> None:
    assert told("find", 'kind = "image"', "--save", "images", "--subscribe") == "images: kept; 2 records match now\n"
    assert told("saved", "images", "--new") == ""
    with open_catalog(str(file)) as catalog:
        new = catalog.add({"kind": "image"})
        catalog.add({"kind": "volume"})
    assert told("saved").splitlines()[1].split()[:4] == ["images", "kind", "=", '"image"']
    assert told("saved", "images", "--new") == f"{new}\n"
    assert told("saved", "images", "--new") == ""
    assert told("find", "--saved", "images", "--count") == "3\n"
    assert told("find", "beam.voltage > 100 kV", "--saved", "images", "--ids").strip() == uid("one.dm4")
    assert "images: kept; 3 records" in told("find", "--save", "images", "--saved", "images")
    assert "images: has no subscription" in run("saved", "images", "--new").stderr
    told("saved", "images", "--forget")
    assert told("saved").splitlines() == ["name  query  who  subscription  waiting  error"]


def test_a_picture_is_written_and_an_export_comes_back(file: Path, tmp_path: Path) -> None:
    (tmp_path / "instrument").mkdir()
    np.save(tmp_path / "instrument" / "image.npy", np.eye(32))
    assert run("collect", str(tmp_path / "instrument"), "--once", "--settle", "0").exit_code == 0
    image = uid("image.npy")
    assert f"{tmp_path / 'instrument' / 'image.npy'}  8320 bytes\n" in told("show", image)
    told("show", image, "--thumbnail", "image.png")
    assert (tmp_path / "image.png").read_bytes().startswith(b"\x89PNG")
    assert told("find", "--crate", "crate") == "crate: 4 records, 1 files\n"
    assert told("unpack", "crate", "--catalog", "other.db") == "crate: 4 records are new, 0 were there\n"
    assert told("find", "--ids") == told("find", "--ids", "--catalog", "other.db")
    (tmp_path / "instrument" / "image.npy").unlink()
    assert "image.npy  8320 bytes  missing\n" in told("show", image)
    assert file.exists()


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("find", 'mode = "HAADF'), "column"),
        (("find", "mode ="), "column"),
        (("find", "a > 3 elephants"), "elephants"),
        (("find", "--ids", "--json"), "only one of them"),
        (("find", "--subscribe"), "--save NAME"),
        (("find", "--webhook", "http://a.example/"), "--save NAME"),
        (("find", "--save", "x", "--webhook", "http://a.example/"), "not on the list of hosts"),
        (("find", "--saved", "nothing"), "no saved query"),
        (("find", "--facet", "a = 3"), "column"),
        (("find", "--order", "a or b"), "column 3"),
        (("find", "--order", "a exists or b"), "is no path"),
        (("find", "--cursor", "xyz"), "cursor"),
        (("find", "--catalog", "nowhere.db"), "there is no catalog"),
        (("find", "--catalog", "."), "folder"),
        (("find", "--catalog", "mysql://a/b"), "no address of a catalog"),
        (("show", "0000"), "no such record"),
        (("show", "x"), "no name of a record"),
        (("note", "0000"), "nothing is said"),
        (("note", "0000", "--tag", "good"), "no such record"),
        (("note", "0000", "--set", "sample"), "not a key and a value"),
        (("note", "0000", "--derived-from", "1111", "--parameters", "3"), "no JSON object"),
        (("note", "0000", "--derived-from", "1111", "--parameters", "{"), "no JSON"),
        (("saved", "--new"), "of which query"),
        (("saved", "x"), "no saved query"),
        (("saved", "x", "--forget"), "no saved query"),
        (("saved", "x", "--new", "--forget"), "only one of them"),
        (("unpack", "nowhere", "--catalog", "new.db"), "no such folder"),
        (("unpack", "."), "no such file"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    answer = run(*arguments)
    assert answer.exit_code == 2, answer.output
    assert len(answer.stderr.strip().splitlines()) == 1
    assert said in answer.stderr
    assert answer.stdout == ""


@pytest.mark.usefixtures("file")
def test_a_reader_that_has_seen_enough_hears_no_complaint() -> None:
    with Catalog("many.db") as catalog:
        catalog.add_many({"name": f"{i}" * 100} for i in range(3000))
    command = [sys.executable, "-c", "from parscope.cli.main import run; run()", "find", "--json"]
    with subprocess.Popen(
        [*command, "--catalog", "many.db"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["number"] == 1
        process.stdout.close()
        assert process.stderr.read() == b""
