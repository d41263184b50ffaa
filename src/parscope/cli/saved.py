"""The verb `saved`: queries that are kept, and their new matches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from parscope.cli.catalog_option import CatalogOption, open_catalog
from parscope.cli.columns import show
from parscope.core.errors import OptionError, OutputError

if TYPE_CHECKING:
    from parscope.catalog.store.catalog import Catalog

app = typer.Typer(add_completion=False)


@app.command()
def saved(
    name: Annotated[str | None, typer.Argument(help="One of them; else all.")] = None,
    catalog: CatalogOption = None,
    new: Annotated[bool, typer.Option("--new", help="Print the ids of matches that nobody was told of, once.")] = False,
    post: Annotated[bool, typer.Option("--post", help="Try once more to tell webhooks what waits.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Keep the query no longer.")] = False,
) -> None:
    """List the queries that are kept, or what matches them now and did not before.

    parscope find --save NAME QUERY keeps one; with --subscribe or --webhook its new matches are noted from then on.
    """
    if new + post + forget > 1:
        raise OptionError("only one of them at a time", "--new, --post, --forget")
    if (new or forget) and name is None:
        raise OptionError("of which query?", "--new" if new else "--forget", "give its name")
    with open_catalog(catalog) as opened:
        if forget and name is not None:
            _forget(opened, name)
            return
        if name is not None:
            name = _check(opened, name, new)
        if new or post:
            _tell(opened, name, new)
        else:
            _list(opened, name)


def _check(catalog: Catalog, name: str, new: bool) -> str:
    """The name as it is kept; refuse one that is none, and to print what nobody notes or a webhook is told."""
    from parscope.catalog.people.saved import load

    with catalog.reading() as connection:
        kept = load(connection, name)
    if new and kept.webhook != "":
        fault = "has no subscription" if kept.webhook is None else "is told to a webhook"
        raise OptionError(fault, name, "keep it once more with parscope find --save NAME --subscribe")
    return kept.name


def _forget(catalog: Catalog, name: str) -> None:
    """Drop a query."""
    from parscope.catalog.people.saved import forget

    forget(catalog, name)
    print(f"{name}: forgotten")


def _tell(catalog: Catalog, name: str | None, printed: bool) -> None:
    """Print what waits, or post it to webhooks."""
    from parscope.catalog.people.deliver import deliver

    # Flushed: what did not arrive has not been told.
    done = deliver(catalog, (lambda notice: print(notice.record, flush=True)) if printed else None, only=name)
    if not printed:
        print(f"{done.told} notices told")
    if done.failed:
        raise OutputError("could not be told; what waits is kept", ", ".join(done.failed), "see parscope saved")


def _list(catalog: Catalog, name: str | None) -> None:
    """Print what is kept, and what waits."""
    from parscope.catalog.people.notices import state
    from parscope.catalog.people.saved import everything
    from parscope.catalog.query.spell import spell

    with catalog.reading() as connection:
        kept = [one for one in everything(connection) if name in (None, one.name)]
        states = {one.name: state(connection, one.name) for one in kept}
    rows = []
    for one in kept:
        waiting, error = states[one.name]
        told = {None: "", "": "waits for --new"}.get(one.webhook, urlsplit(one.webhook or "").hostname or "")
        rows.append(
            (one.name, spell(one.expression), one.who, told, str(waiting) if one.webhook is not None else "", error)
        )
    show(("name", "query", "who", "subscription", "waiting", "error"), rows, right=("waiting",))
