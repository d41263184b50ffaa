"""Tells of new matches, outside of every transaction: a slow host holds up nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from functools import partial
from types import TracebackType

from sqlalchemy import update

from parscope.catalog.people.notices import Notice, waiting
from parscope.catalog.people.saved import Saved, subscribed
from parscope.catalog.store import tables
from parscope.catalog.store.catalog import Catalog
from parscope.catalog.store.clock import now
from parscope.core.errors import CatalogError
from parscope.io import webhooks

_LONGEST = 600.0  # seconds that a webhook which fails is left alone

Teller = Callable[[Notice], object]
"""What is called with each notice; if it raises, the notice waits on."""


@dataclass(frozen=True)
class Delivery:
    """What came of one round.

    Parameters
    ----------
    told : int
        Notices that somebody has taken.
    failed : tuple of str
        Questions whose webhook or callable failed; their notices wait, with what went wrong.
    """

    told: int
    failed: tuple[str, ...]


def deliver(
    catalog: Catalog, tell: Teller | None = None, only: str | None = None, resting: Collection[str] = ()
) -> Delivery:
    """Tell of all matches that wait, each of them until somebody has taken it.

    A webhook, or a callable, that fails is asked no more in this round. A notice may come twice if the machine stops
    between telling and noting that it was told; its `Notice.id` is the same then.

    Parameters
    ----------
    catalog : Catalog
        Where the notices are.
    tell : callable, optional
        Takes notices of subscriptions without a webhook; without it they wait.
    only : str, optional
        Of this question alone.
    resting : collection of str, optional
        Questions that are left out in this round.

    Returns
    -------
    Delivery

    Examples
    --------
    ``deliver(catalog, lambda notice: print(notice.saved, notice.record))``
    """
    with catalog.reading() as connection:
        questions = [one for one in subscribed(connection) if only in (None, one.name) and one.name not in resting]
    told, failed = 0, []
    for question in questions:
        teller = partial(_post, question) if question.webhook else tell
        if teller is not None:
            number, well = _tell(catalog, question.name, teller)
            told += number
            failed += [] if well else [question.name]
    return Delivery(told, tuple(failed))


class Courier:
    """Delivers in the background while a block runs, as while a folder is watched.

    Parameters
    ----------
    catalog : Catalog
        Where the notices are.
    tell : callable, optional
        As of `deliver`.
    every : float, default 2.0
        Pause between two looks, [s]. What has failed rests: twice as long each time, up to ten minutes.
    """

    def __init__(self, catalog: Catalog, tell: Teller | None = None, every: float = 2.0) -> None:
        self._catalog, self._tell, self._every = catalog, tell, every
        self._rests: dict[str, tuple[float, float]] = {}  # of questions: how long, and until when
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="parscope-courier", daemon=True)

    def __enter__(self) -> Courier:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell what is left, once, and end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        """Look again and again; once more at the end."""
        while not self._stop.wait(self._every):
            try:
                self._round()
            except CatalogError:  # it is busy or out of reach; what is to be told waits in it
                continue
        deliver(self._catalog, self._tell)

    def _round(self) -> None:
        """Tell, and let rest what fails."""
        now = time.monotonic()
        resting = {name for name, (_, until) in self._rests.items() if until > now}
        failed = deliver(self._catalog, self._tell, resting=resting).failed
        longer = {name: min(2 * self._rests.get(name, (self._every / 2, 0.0))[0], _LONGEST) for name in failed}
        self._rests = {name: self._rests[name] for name in resting}
        self._rests |= {name: (rest, now + rest) for name, rest in longer.items()}


def _tell(catalog: Catalog, saved: str, teller: Teller) -> tuple[int, bool]:
    """Tell of one question, oldest first, until something fails."""
    with catalog.reading() as connection:
        notices = list(waiting(connection, saved))
    for number, one in enumerate(notices):
        try:
            teller(one)
        except Exception as error:  # noqa: BLE001 - whatever a subscriber raises is kept with the notice
            _mark(catalog, one, error=str(error) or type(error).__name__)
            return number, False
        _mark(catalog, one, delivered=now(), error=None)
    return len(notices), True


def _mark(catalog: Catalog, one: Notice, **state: object) -> None:
    """Note what became of a notice."""
    with catalog.writing() as connection:
        connection.execute(update(tables.notice).where(tables.notice.c.id == one.id).values(**state))


def _post(question: Saved, one: Notice) -> None:
    """Tell a webhook."""
    webhooks.post(question.webhook or "", asdict(one))
