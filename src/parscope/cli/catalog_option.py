"""The option `--catalog`, alike for all verbs, and where the catalog is without it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from parscope.core.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from parscope.catalog.store.catalog import Catalog

CatalogOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        envvar="PARSCOPE_CATALOG",
        help="Catalog: a file, or postgresql://USER@HOST/NAME; else one in your data folder.",
    ),
]


def open_catalog(address: str | None, make: bool = False) -> Catalog:
    """Open the catalog that a verb was given, or that of this user.

    Parameters
    ----------
    address : str or None
        Value of the option.
    make : bool, default False
        Whether a file that is not there is made, with its folder.

    Returns
    -------
    Catalog

    Raises
    ------
    InputError
        If there is no such file and none is to be made.
    MissingExtraError
        If the libraries of the catalog are not installed.
    """
    try:
        from parscope.catalog.store.catalog import Catalog
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "catalog") from None
    if address and "://" in address:
        return Catalog(address)
    path = Path(address).expanduser() if address else _default()
    if make:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise InputError(
            "there is no catalog", str(path), "make one with parscope collect FOLDER, or name it: --catalog"
        )
    return Catalog(path)


def _default() -> Path:
    """The catalog of this user."""
    try:
        from platformdirs import user_data_dir
    except ModuleNotFoundError:
        raise MissingExtraError("platformdirs", "catalog") from None
    return Path(user_data_dir("parscope", appauthor=False)) / "catalog.db"
