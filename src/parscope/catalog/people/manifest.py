"""The manifest of an RO-Crate: what is in it, in terms of schema.org, with the SHA-256 of every file."""

from __future__ import annotations

import json
import mimetypes
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from parscope.catalog.people.crate import Item

# Of schema.org, but not in the context of every version of RO-Crate.
_TERMS = {"sha256": "https://schema.org/sha256"}


def write_manifest(folder: Path, cards: list[dict[str, Any]], items: list[Item], name: str) -> None:
    """Write ``ro-crate-metadata.json``.

    Parameters
    ----------
    folder : Path
        Of the crate; its files are there already.
    cards : list of dict
        Records, as of `parscope.catalog.people.card.card`.
    items : list of Item
        All files of the crate, with their SHA-256.
    name : str
        Of the crate.
    """
    crate = ROCrate()
    crate.name = name
    crate.description = f"{len(cards)} records of a parscope catalog, with their files"
    crate.metadata.extra_terms.update(_TERMS)
    files: dict[str, list[Any]] = {}
    for item in items:
        file = crate.add_file(folder / item.place, item.place, properties=_file(folder / item.place, item.hash))
        files.setdefault(item.about, []).append(file)
    for card in cards:
        entity = crate.add(ContextEntity(crate, f"#{card['uid']}", properties=_record(card)))
        entity["associatedMedia"] = files.get(card["uid"], [])
        crate.root_dataset.append_to("mentions", entity)
    _gather(crate, cards)
    crate.metadata.write(folder)


def _file(path: Path, digest: str) -> dict[str, Any]:
    """A file in terms of schema.org."""
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return {"name": path.name, "contentSize": str(path.stat().st_size), "encodingFormat": kind, "sha256": digest}


def _record(card: dict[str, Any]) -> dict[str, Any]:
    """A record in terms of schema.org."""
    document = json.loads(card["document"])
    told = {
        "@type": "CreativeWork",
        "identifier": card["uid"],
        "name": document.get("name") or card["uid"],
        "additionalType": document.get("kind"),
        "dateCreated": document.get("acquired"),
        "version": str(card["number"]),
        "keywords": [tag["name"] for tag in card["tags"]],
    }
    return {key: value for key, value in told.items() if isinstance(value, str | list) and value}


def _gather(crate: Any, cards: list[dict[str, Any]]) -> None:
    """Collections, what was made from what, and what people said."""
    inside = {card["uid"] for card in cards}
    for number, card in enumerate(cards):
        for member in card["collections"]:
            collection = _once(crate, f"#collection-{quote(member['collection'])}", "Collection", member["collection"])
            collection.append_to("hasPart", {"@id": f"#{card['uid']}"})
        for said in card["annotations"]:
            if said["withdrawn"] is None:
                comment = _comment(crate, f"#comment-{number}-{quote(said['key'])}", said)
                crate.dereference(f"#{card['uid']}").append_to("comment", comment)
        for link in card["links"]:
            if link["target"] == card["uid"] and link["source"] in inside:
                _action(crate, link)


def _action(crate: Any, link: dict[str, Any]) -> None:
    """How one record was made from another."""
    properties = {
        "@type": "CreateAction",
        "name": link["kind"],
        "object": {"@id": f"#{link['source']}"},
        "result": {"@id": f"#{link['target']}"},
        "agent": _once(crate, f"#person-{quote(link['who'])}", "Person", link["who"]),
        "endTime": _time(link["created"]),
        "description": link["parameters"],
    }
    if link["program"]:
        properties["instrument"] = _once(
            crate, f"#program-{quote(link['program'])}", "SoftwareApplication", link["program"]
        )
    crate.add(ContextEntity(crate, f"#made-{link['source']}-{link['target']}", properties=properties))
    crate.dereference(f"#{link['target']}").append_to("isBasedOn", {"@id": f"#{link['source']}"})


def _comment(crate: Any, identifier: str, said: dict[str, Any]) -> Any:
    """What somebody said about a record."""
    properties = {
        "@type": "Comment",
        "text": f"{said['key']} = {said['value']}",
        "author": _once(crate, f"#person-{quote(said['who'])}", "Person", said["who"]),
        "dateCreated": _time(said["created"]),
    }
    return crate.add(ContextEntity(crate, identifier, properties=properties))


def _once(crate: Any, identifier: str, kind: str, name: str) -> Any:
    """An entity that others share; made when it is first named."""
    known = crate.dereference(identifier)
    if known is not None:
        return known
    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, "name": name}))


def _time(microseconds: int) -> str:
    """A time in ISO 8601."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat()
