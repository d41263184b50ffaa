"""What `live` says of each series: lines as soon as it is over, or JSON of all at the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from parscope.cli.live_catalog import Shelf

if TYPE_CHECKING:
    from parscope.live.pipeline.session import Finished, Session


class Reports:
    """Tells of every series that is over, and has it taken into the catalog.

    Parameters
    ----------
    as_json : bool
        Whether to print a list of all at the end, on one line, in place of lines for each.
    shelf : Shelf, optional
        Where recorded series go.
    """

    def __init__(self, as_json: bool, shelf: Shelf | None) -> None:
        self._as_json, self._shelf, self._told = as_json, shelf, 0

    def follow(self, session: Session) -> None:
        """Deal with the series that have come to their end since.

        Parameters
        ----------
        session : Session
            With its finished series.
        """
        for one in session.finished[self._told :]:
            self._told += 1
            if not self._as_json:
                _tell(one)
            if self._shelf is not None and one.stem is not None:
                self._shelf.take(one.stem)

    def end(self, session: Session) -> None:
        """Deal with all that is left, however the session has ended.

        Parameters
        ----------
        session : Session
            With its finished series.
        """
        self.follow(session)
        if self._as_json:
            print(json.dumps([_plain(one) for one in session.finished]), flush=True)


def _tell(one: Finished) -> None:
    """Print the report of a series."""
    lines = [f"series {one.result.head['series']}", *(f"  {line}" for line in one.report.lines())]
    if one.recorded is not None:
        lines.append(f"  {one.recorded.written} of {one.recorded.images} patterns recorded: {one.recorded.masters[0]}")
    if one.saved is not None:
        lines.append(f"  maps: {one.saved}")
    print("\n".join(lines), flush=True)


def _plain(one: Finished) -> dict[str, Any]:
    """The report of a series for a program."""
    return {
        "series": one.result.head["series"],
        "scan_shape": one.result.head["scan_shape"],
        "counters": dict(one.result.counters),
        "report": one.report.as_json(),
        "maps": str(one.saved) if one.saved else None,
        "recorded": None if one.recorded is None else [str(master) for master in one.recorded.masters],
        "written": None if one.recorded is None else one.recorded.written,
    }
