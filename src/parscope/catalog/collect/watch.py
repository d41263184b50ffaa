"""What the operating system tells of a folder, so that nobody has to wait for the next sweep."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

_CHANGES = frozenset({"created", "modified", "moved", "deleted", "closed"})  # that a file was read is none


class Watch:
    """Gathers the paths at which something changed; use it as a context manager.

    Network shares tell nothing, and systems limit how many folders may be watched: sweeps find what is not told.

    Parameters
    ----------
    folder : Path
        To be watched, with all folders in it.
    active : bool, default True
        False to be told nothing.
    """

    def __init__(self, folder: Path, *, active: bool = True) -> None:
        self.folder, self.active = folder, active
        self._changed: set[Path] = set()
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._observer: Any = None

    def __enter__(self) -> Watch:
        """Begin to watch; where the system cannot, nothing is told."""
        if self.active:
            from watchdog.observers import Observer

            self._observer = Observer()
            self._observer.schedule(self, str(self.folder), recursive=True)
            try:
                self._observer.start()
            except OSError:
                self._observer = None
        return self

    def __exit__(self, *_: object) -> None:
        """Cease to watch."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def dispatch(self, event: Any) -> None:
        """Keep the paths of an event; called by watchdog in a thread of its own.

        Parameters
        ----------
        event : FileSystemEvent
            What happened.
        """
        of_a_list = event.is_directory and event.event_type == "modified"  # its files have events of their own
        if event.event_type in _CHANGES and not of_a_list:
            paths = {Path(str(path)) for path in (event.src_path, event.dest_path) if path}
            with self._lock:
                self._changed |= paths - {self.folder}
            self._news.set()

    def take(self) -> set[Path]:
        """Hand out the paths that changed since the last call.

        Returns
        -------
        set of Path
            Files and folders, also such as are gone.
        """
        with self._lock:
            changed, self._changed = self._changed, set()
            self._news.clear()
        return changed

    def wait(self, seconds: float) -> None:
        """Wait until something changes.

        Parameters
        ----------
        seconds : float
            At most so long [s].
        """
        self._news.wait(seconds)
