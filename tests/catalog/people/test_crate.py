"""A selection as an RO-Crate: every file and all that is known of it, there and back without loss."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import zarr
from rocrate.rocrate import ROCrate

from parscope.catalog.collect.collector import Collector
from parscope.catalog.collect.digest import digest
from parscope.catalog.people.card import card, thumbnail
from parscope.catalog.people.crate import Written, write_crate
from parscope.catalog.people.crate_read import Taken, read_crate
from parscope.catalog.people.notes import Note, note
from parscope.catalog.query.ast import Compare, DerivedFrom, Is, Located, Order, State, Tagged, Term
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.records import resolve
from parscope.core.errors import FormatError, InputError, OutputError, UnreadableError


def saved_by_an_instrument(made: Path) -> Path:
    """A folder with two images, one of them twice, and what nobody reads."""
    (made / "day 1").mkdir(parents=True)
    image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    np.save(made / "day 1" / "image µ#1?.npy", image)
    np.save(made / "other.npy", image[::-1])
    shutil.copy(made / "other.npy", made / "day 1" / "copy.npy")
    (made / "what.bin").write_bytes(b"\x93 nobody reads this")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an instrument saved."""
    return saved_by_an_instrument(tmp_path / "instrument")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Catalog]:
    """Another catalog."""
    with Catalog(tmp_path / "other.db") as made:
        yield made


def collect(catalog: Catalog, folder: Path) -> None:
    Collector(catalog, folder, settle=0.0).run(once=True)


def named(catalog: Catalog, name: str) -> str:
    (uid,) = catalog.uids(Compare(Term(("name",)), Order.EQUAL, name))
    return uid


def fill(catalog: Catalog, folder: Path) -> Catalog:
    """Files, versions, links, and all that people say."""
    collect(catalog, folder)
    np.save(folder / "day 1" / "image µ#1?.npy", np.ones((8, 8)))
    collect(catalog, folder)
    image = named(catalog, "image µ#1?.npy")
    result = catalog.add({"kind": "strain map", "name": "result", "odd": {"a.b": float("nan"), "\ud800": 2**70}})
    note(catalog, result, Note(sources=(image,), program="parscope 0.1.0", parameters={"sigma": 2}), who="ann")
    note(catalog, image, Note(tags=("good",), values={"sample": "PZT", "dose": 1e-300}, collections=("Paper 3",)))
    note(catalog, image, Note(values={"sample": "BTO"}, untag=("good",), tags=("bad",)), who="bob")
    return catalog


@pytest.fixture
def filled(catalog: Catalog, folder: Path) -> Catalog:
    """A catalog with all that there can be."""
    return fill(catalog, folder)


@pytest.fixture
def lab(tmp_path: Path, folder: Path) -> Iterator[Catalog]:
    """The same in SQLite alone, for what does not depend on the database."""
    with Catalog(tmp_path / "lab.db") as made:
        yield fill(made, folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crate, made once."""
    tmp = tmp_path_factory.mktemp("made")
    with Catalog(tmp / "lab.db") as catalog:
        write(fill(catalog, saved_by_an_instrument(tmp / "instrument")), tmp / "crate")
    return tmp / "crate"


@pytest.fixture
def crate(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(made, tmp_path / "crate"))


def cards(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """All that a catalog knows, apart from where files lie and when it looked."""
    found = {}
    with catalog.reading() as connection:
        for uid in catalog.uids():
            told = card(connection, resolve(connection, uid))
            told["thumbnail"] = thumbnail(connection, resolve(connection, uid))
            told["files"] = sorted({(row["hash"], row["size"], row["part"]) for row in told["files"]})
            told["sightings"] = [row for row in told["sightings"] if "instrument" in row["path"]]
            found[uid] = told
    return found


def write(catalog: Catalog, folder: Path) -> Written:
    return write_crate(catalog, list(catalog.uids()), folder)


def test_there_and_back_nothing_is_lost(filled: Catalog, other: Catalog, tmp_path: Path) -> None:
    written = write(filled, tmp_path / "crate")
    assert (written.records, written.files, written.missing) == (4, 3, ())
    assert read_crate(other, tmp_path / "crate") == Taken(added=4, known=0, loose=0)
    assert cards(other) == cards(filled)
    image = named(other, "image µ#1?.npy")
    assert [*other.uids(Tagged("bad"))] == [image]
    assert [*other.uids(Compare(Term(("annotation", "sample")), Order.EQUAL, "BTO"))] == [image]
    assert [*other.uids(DerivedFrom(image))] == [named(other, "result")]
    assert other.count(Located("%/instrument/day 1/%")) == 2
    assert other.count(Is(State.MISSING)) == 0
    with other.reading() as connection:
        files = card(connection, resolve(connection, image))["files"]
    assert [Path(row["path"]).is_relative_to(tmp_path / "crate") for row in files] == [True]
    np.testing.assert_array_equal(np.load(files[0]["path"]), np.ones((8, 8)))


def test_once_more_adds_nothing(lab: Catalog, other: Catalog, tmp_path: Path) -> None:
    write(lab, tmp_path / "crate")
    read_crate(other, tmp_path / "crate")
    before = cards(other)
    assert read_crate(other, tmp_path / "crate") == Taken(added=0, known=4, loose=0)
    assert cards(other) == before
    mine = cards(lab)
    assert read_crate(lab, tmp_path / "crate").added == 0
    assert cards(lab) == mine


def test_a_later_state_is_caught_up_with_and_another_history_is_refused(
    filled: Catalog, other: Catalog, tmp_path: Path
) -> None:
    write(filled, tmp_path / "early")
    uid = named(filled, "result")
    filled.amend(uid, {"kind": "strain map", "name": "better"})
    note(filled, named(filled, "image µ#1?.npy"), Note(withdraw=("dose",), values={"sample": "PMN"}))
    write(filled, tmp_path / "late")
    read_crate(other, tmp_path / "early")
    assert read_crate(other, tmp_path / "late").added == 0
    assert other.get(uid).document["name"] == "better"
    assert cards(other) == cards(filled)
    read_crate(other, tmp_path / "early")  # an earlier state changes nothing
    assert cards(other) == cards(filled)
    with Catalog(tmp_path / "third.db") as third:
        read_crate(third, tmp_path / "early")
        third.amend(uid, {"name": "mine"})
        note(third, uid, Note(tags=("mine",)))
        before = cards(third)
        with pytest.raises(InputError, match="another history"):
            read_crate(third, tmp_path / "late")
        assert cards(third) == before


def test_a_file_that_was_collected_here_too_is_not_doubled(
    lab: Catalog, other: Catalog, folder: Path, tmp_path: Path
) -> None:
    write(lab, tmp_path / "crate")
    collect(other, folder)
    image, before = named(other, "image µ#1?.npy"), other.count()
    assert read_crate(other, tmp_path / "crate") == Taken(added=1, known=3, loose=0)
    assert other.count() == before + 1
    assert [*other.uids(Tagged("bad"))] == [image]
    assert [*other.uids(DerivedFrom(image))] == [named(other, "result")]


def test_a_link_to_a_record_outside_comes_when_that_comes(lab: Catalog, other: Catalog, tmp_path: Path) -> None:
    result, image = named(lab, "result"), named(lab, "image µ#1?.npy")
    write_crate(lab, [result], tmp_path / "result")
    write_crate(lab, [image], tmp_path / "image")
    assert read_crate(other, tmp_path / "result").loose == 1
    assert read_crate(other, tmp_path / "image").loose == 0
    assert [*other.uids(DerivedFrom(image))] == [result]


def test_other_tools_read_the_crate(made: Path) -> None:
    crate = ROCrate(made)
    (image,) = [entity for entity in crate.get_by_type("CreativeWork") if entity.get("name") == "image µ#1?.npy"]
    (file,) = [entity for entity in image["associatedMedia"] if entity.id.startswith("files/")]
    assert unquote(file.id).endswith("/image µ#1?.npy")
    assert file["sha256"] == digest(made / unquote(file.id))
    assert image["keywords"] == ["bad"]
    (comment,) = [entity for entity in image["comment"] if "sample" in entity["text"]]
    assert (comment["text"], comment["author"]["name"]) == ('sample = "BTO"', "bob")
    (action,) = crate.get_by_type("CreateAction")
    assert (action["object"].id, action["instrument"]["name"]) == (image.id, "parscope 0.1.0")
    assert crate.get_by_type("Collection")[0]["name"] == "Paper 3"


def test_a_crate_is_whole_or_not_there(lab: Catalog, folder: Path, tmp_path: Path) -> None:
    (folder / "what.bin").write_bytes(b"changed meanwhile")
    with pytest.raises(InputError, match="has changed since it was collected"):
        write(lab, tmp_path / "crate")
    assert [path.name for path in tmp_path.glob("crate*")] == []
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        write(lab, tmp_path / "there")


def test_a_file_that_is_not_there_any_more_is_told(lab: Catalog, other: Catalog, folder: Path, tmp_path: Path) -> None:
    (folder / "what.bin").unlink()
    written = write(lab, tmp_path / "crate")
    assert written.missing == (str(folder / "what.bin"),)
    read_crate(other, tmp_path / "crate")
    assert [*other.uids(Is(State.MISSING))] == [named(other, "what.bin")]


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a bit of a file": lambda crate: _flip(next(crate.rglob("*.bin"))),
    "a bit of a picture": lambda crate: _flip(next(crate.rglob("*.png"))),
    "a bit of the records": lambda crate: _flip(crate / "parscope-catalog.json"),
    "a file is gone": lambda crate: next(crate.rglob("*.bin")).unlink(),
    "the records are gone": lambda crate: (crate / "parscope-catalog.json").unlink(),
    "the manifest is cut": lambda crate: (crate / "ro-crate-metadata.json").write_text('{"@graph": [{"sha'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_crate_is_refused_and_nothing_is_taken(crate: Path, other: Catalog, damage: str) -> None:
    DAMAGE[damage](crate)
    with pytest.raises(UnreadableError, match="copy the crate again"):
        read_crate(other, crate)
    assert other.count() == 0


def _edited(crate: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A crate that somebody wrote by hand, with a manifest that fits it."""
    inside, manifest = crate / "parscope-catalog.json", crate / "ro-crate-metadata.json"
    told = json.loads(inside.read_text())
    old = digest(inside)
    change(told)
    inside.write_text(json.dumps(told))
    manifest.write_text(manifest.read_text().replace(old, digest(inside)))


def _retracted(said: str) -> dict[str, Any]:
    return {"what": "tag", "name": "good", "said": said, "who": "x", "created": 1}


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "a newer version": lambda told: told.update(version=2),
    "another format": lambda told: told.update(format="zip"),
    "no uid": lambda told: told["records"][0].pop("uid"),
    "a number as a uid": lambda told: told["records"][0].update(uid=3),
    "one column more": lambda told: told["records"][0]["tags"].append({"name": "x", "who": "y", "created": 1, "id": 3}),
    "a document that is none": lambda told: told["records"][0].update(document="[1]"),
    "a document that is no JSON": lambda told: told["records"][0].update(document="{"),
    "records are no records": lambda told: told.update(records=[3]),
    "a place outside": lambda told: [file.update(copy="../../etc") for one in told["records"] for file in one["files"]],
    "a time that never comes": lambda told: told["records"][0].update(created=10**18),
    "a number beyond all": lambda told: told["records"][0]["versions"].append(
        {"number": 2**70, "hash": None, "document": "{}", "reader": "", "error": None, "created": 1}
    ),
    "what was taken back is no JSON": lambda told: told["records"][0]["retractions"].append(_retracted("{")),
    "what was taken back is of nobody": lambda told: told["records"][0]["retractions"].append(_retracted("{}")),
    "an annotation that is no JSON": lambda told: told["records"][0]["annotations"].append(
        {"key": "a", "value": "gold", "who": "x", "created": 1, "withdrawn": None}
    ),
    "parameters that are no JSON": lambda told: [
        link.update(parameters="sigma") for one in told["records"] for link in one["links"]
    ],
    "another file": lambda told: [
        file.update(copy="parscope-catalog.json") for one in told["records"] for file in one["files"]
    ],
}


@pytest.mark.parametrize("forgery", FORGED)
def test_a_crate_that_is_none_is_refused(crate: Path, other: Catalog, forgery: str) -> None:
    _edited(crate, FORGED[forgery])
    with pytest.raises(FormatError):
        read_crate(other, crate)
    assert other.count() == 0


def test_a_crate_does_not_reach_out_of_its_folder(crate: Path, other: Catalog) -> None:
    manifest = crate / "ro-crate-metadata.json"
    manifest.write_text(manifest.read_text().replace('"@id": "files/', '"@id": "../files/'))
    with pytest.raises(InputError, match="leads out of the crate"):
        read_crate(other, crate)
    assert other.count() == 0


def test_circles_are_refused(crate: Path, other: Catalog) -> None:
    def turn(told: dict[str, Any]) -> None:
        (link,) = next(one["links"] for one in told["records"] if one["links"])
        told["records"][0]["links"].append(link | {"source": link["target"], "target": link["source"]})

    _edited(crate, turn)
    with pytest.raises(InputError, match="would be derived from itself"):
        read_crate(other, crate)
    assert other.count() == 0


def test_a_folder_that_is_one_data_set_is_copied_whole(tmp_path: Path, other: Catalog) -> None:
    scan = zarr.open_group(tmp_path / "instrument" / "scan.zarr", mode="w")
    scan.create_array("data", data=np.arange(24.0).reshape(2, 3, 4))
    with Catalog(tmp_path / "lab.db") as catalog:
        collect(catalog, tmp_path / "instrument")
        assert write(catalog, tmp_path / "crate").records == catalog.count() == 1
        read_crate(other, tmp_path / "crate")
        assert cards(other) == cards(catalog)
    (uid,) = other.uids()
    data = zarr.open_group(tmp_path / "crate" / "files" / uid / "scan.zarr", mode="r")["data"]
    np.testing.assert_array_equal(data, np.arange(24.0).reshape(2, 3, 4))
    _flip(tmp_path / "crate" / "files" / uid / "scan.zarr" / "data" / "c" / "0" / "0" / "0")
    with pytest.raises(UnreadableError, match="is damaged"):
        read_crate(other, tmp_path / "crate")
