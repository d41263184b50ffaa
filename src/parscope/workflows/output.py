"""Where the result of a job goes: what it was made of, and what is kept beside its place until it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xarray as xr

from parscope.core.record import Provenance, fingerprint_of
from parscope.workflows.parts import Parts
from parscope.workflows.save import check_result, save


class Output:
    """The place of a result, which may be none; it is refused before any work is done.

    Parameters
    ----------
    path : Path, str or None
        ``.nc`` or ``.zarr``; None where nothing is written or kept.
    overwrite : bool
        Whether it may be replaced.
    source : str
        What the result is made of: a path, or ``memory``.
    others : iterable of Path, str or None
        Further files that are read, and must stay.

    Raises
    ------
    OutputError
        If it is an input, exists and may not be replaced, or cannot be made there.
    OptionError
        If the suffix is neither ``.nc`` nor ``.zarr``.
    """

    def __init__(
        self, path: Path | str | None, overwrite: bool, source: str, others: Iterable[Path | str | None] = ()
    ) -> None:
        self._path = None if path is None else Path(path)
        self._overwrite, self._source, self._inputs = overwrite, source, (source, *others)
        self._kept: list[Parts] = []
        self._check()

    def _check(self) -> None:
        if self._path is not None:
            check_result(self._path, self._overwrite, self._inputs)

    @cached_property
    def _mark(self) -> str:
        """Fingerprint of the source; empty for data in memory."""
        return fingerprint_of(self._source)

    def parts(self, *key: object, ending: str = "") -> Parts | None:
        """Where finished blocks are kept, valid for this source and what else they depend on.

        Parameters
        ----------
        *key : object
            What else they depend on.
        ending : str, optional
            Of the name of the folder, where a job has several passes.

        Returns
        -------
        Parts or None
            None where there is no output, or data in memory, which the next run could not know again.

        Raises
        ------
        OutputError
            If another run writes there.
        """
        if not self._mark or self._path is None:
            return None
        changed = Path(self._source).stat().st_mtime_ns
        beside = self._path.with_name(self._path.name + ending)
        self._kept.append(Parts(beside, (self._mark, changed, version("parscope"), *key)))
        return self._kept[-1]

    def provenance(self, settings: Mapping[str, Any]) -> Provenance:
        """Provenance of the result.

        Parameters
        ----------
        settings : mapping
            Every setting.

        Returns
        -------
        Provenance
        """
        return Provenance(self._source, self._mark, version("parscope"), settings)

    def write(self, result: xr.Dataset) -> None:
        """Write the result, and remove what was kept for it.

        Parameters
        ----------
        result : xarray.Dataset
            Maps.

        Raises
        ------
        OutputError
            If it cannot be written; what was kept stays then.
        """
        if self._path is not None:
            # Once more: another run may have finished there meanwhile.
            self._check()
            save(result, self._path)
        for parts in self._kept:
            parts.remove()
