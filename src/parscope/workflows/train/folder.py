"""Where networks are to go, and what is kept beside that place while they are trained: by one run at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from parscope.core.errors import OutputError
from parscope.workflows.parts import digest

if TYPE_CHECKING:
    from parscope.solvers.networks.checkpoint import Checkpoint


class TrainingFolder:
    """A folder ``NAME.training`` beside that of a network, with a checkpoint of each of its trainings.

    Parameters
    ----------
    place : Path
        Where the network is to go.
    overwrite : bool
        Whether one that is there may be replaced.
    """

    def __init__(self, place: Path, overwrite: bool) -> None:
        self._place, self._overwrite = place, overwrite
        self.folder = place.with_name(f"{place.name}.training")

    def checkpoint(self, name: str, key: object) -> Checkpoint:
        """The checkpoint of one training.

        Parameters
        ----------
        name : str
            Of the training.
        key : object
            What it depends on, see `digest`: data, physics, settings, version.

        Returns
        -------
        Checkpoint
        """
        from parscope.solvers.networks.checkpoint import Checkpoint

        return Checkpoint(self.folder / name, {"about": digest(key)})

    def save(self, write: Callable[[], None]) -> None:
        """Write the network, and remove what was kept for it.

        Parameters
        ----------
        write : callable
            Writes it.

        Raises
        ------
        OutputError
            If it cannot be written; what was kept stays then.
        """
        from parscope.solvers.networks.checkpoint import Checkpoint
        from parscope.solvers.networks.store import check_folder

        # Once more: something may have been put there meanwhile.
        check_folder(self._place, self._overwrite)
        write()
        for kept in self.folder.iterdir():
            if kept.is_dir():
                Checkpoint(kept).remove()


@contextmanager
def training_folder(place: Path, overwrite: bool) -> Iterator[TrainingFolder]:
    """Work on a network in this block, and nobody else.

    Parameters
    ----------
    place : Path
        Where it is to go.
    overwrite : bool
        Whether one that is there may be replaced.

    Yields
    ------
    TrainingFolder

    Raises
    ------
    OutputError
        If something is there that may not be replaced, the folder cannot be made, or another run works in it.
    """
    from parscope.solvers.networks.store import check_folder

    check_folder(place, overwrite)
    training = TrainingFolder(place, overwrite)
    lock = _locked(training.folder, place)
    try:
        yield training
    except KeyboardInterrupt as stop:
        if any(training.folder.glob("*")):
            stop.add_note(f"the training is kept in {training.folder}: the same command again goes on with it")
        raise
    finally:
        for empty in (*training.folder.glob("*"), training.folder):
            # What is kept, or what a person put there, stays.
            with suppress(OSError):
                empty.rmdir()
        os.close(lock)


def _locked(folder: Path, place: Path) -> int:
    """Make a folder, and lock it; the lock ends with the process, however that ends."""
    try:
        folder.mkdir(exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise OutputError(f"cannot be made ({error.strerror})", str(folder), "choose another output") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise OutputError(
            "is being trained by another run", str(place), "wait for it, or choose another output"
        ) from error
    except OSError:
        # A file system without locks: nobody can be told from oneself there.
        return lock
    return lock
