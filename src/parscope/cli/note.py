"""The verb `note`: what people know about a record, and no file says."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from parscope.cli.catalog_option import CatalogOption, open_catalog
from parscope.core.errors import OptionError

app = typer.Typer(add_completion=False)
_MAKE, _TAKE = "Say", "Take back"


@app.command()
def note(  # noqa: PLR0913 - one argument an option, as typer wants it
    record: Annotated[str, typer.Argument(metavar="ID", help="The record, or how its id begins.")],
    catalog: CatalogOption = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Give it a tag.", rich_help_panel=_MAKE)] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Annotate it: number, text or JSON.", rich_help_panel=_MAKE),
    ] = None,
    collection: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Put it into a collection.", rich_help_panel=_MAKE)
    ] = None,
    derived_from: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="It was made from that record.", rich_help_panel=_MAKE)
    ] = None,
    program: Annotated[
        str, typer.Option(metavar="NAME", help="By this, with its version.", rich_help_panel=_MAKE)
    ] = "",
    parameters: Annotated[str, typer.Option(metavar="JSON", help="And with these.", rich_help_panel=_MAKE)] = "{}",
    untag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Take a tag from it.", rich_help_panel=_TAKE)
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Withdraw an annotation.", rich_help_panel=_TAKE)
    ] = None,
    leave: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Take it out of a collection.", rich_help_panel=_TAKE)
    ] = None,
    not_from: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="It was not made from that record.", rich_help_panel=_TAKE)
    ] = None,
) -> None:
    """Tag a record, annotate it, put it into a collection, say what it was made from.

    Most options may be given more than once. Who and when are noted; what the files say stays as it is.
    """
    annotations, making = dict(_assigned(text) for text in values or ()), _object(parameters)
    if not any((tag, values, collection, derived_from, untag, unset, leave, not_from)):
        raise OptionError("nothing is said", "parscope note", "see parscope note --help")
    with open_catalog(catalog) as opened:
        from parscope.catalog.people import notes

        said = notes.Note(
            tags=tuple(tag or ()),
            untag=tuple(untag or ()),
            values=annotations,
            withdraw=tuple(unset or ()),
            collections=tuple(collection or ()),
            leave=tuple(leave or ()),
            sources=tuple(derived_from or ()),
            unlink=tuple(not_from or ()),
            program=program,
            parameters=making,
        )
        notes.note(opened, record, said)


def _assigned(text: str) -> tuple[str, Any]:
    """A key and its value: JSON if it is, else text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise OptionError(f"{text!r} is not a key and a value", "--set", "write it as sample.name=PZT")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _object(text: str) -> dict[str, Any]:
    """A JSON object."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise OptionError(f"{text!r} is no JSON: {error}", "--parameters") from None
    if not isinstance(found, dict):
        raise OptionError(f"{text!r} is no JSON object", "--parameters", "write it as '{\"sigma\": 2}'")
    return found
