"""One run of a benchmark: folders in which every method finds the same measurement and leaves its answer."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.environments import CACHE, ENVIRONMENTS, single_threaded

HERE = Path(__file__).resolve().parent
TIME_LIMIT = 3600.0


@dataclass(frozen=True)
class Method:
    """A program with its settings.

    Parameters
    ----------
    name : str
        As the table names it.
    runner : str
        File under ``benchmarks/``, such as ``strain/ours.py``.
    environment : str, optional
        Name of the peer's environment; None for the project's own.
    settings : dict
        Handed to the runner.
    """

    name: str
    runner: str
    environment: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def script(self) -> Path:
        """The runner."""
        return HERE / self.runner

    @property
    def command(self) -> list[str]:
        """How it is started: a peer's as a file, since its environment does not know this project."""
        if self.environment is not None:
            return [str(ENVIRONMENTS[self.environment].python), str(self.script)]
        return [sys.executable, "-m", ".".join(("benchmarks", *Path(self.runner).with_suffix("").parts))]

    @property
    def version(self) -> str:
        """What exactly ran: the installed versions, or the digest of the project's sources."""
        if self.environment is not None:
            return json.dumps(ENVIRONMENTS[self.environment].versions(), sort_keys=True)
        return machine.sources_digest(machine.ROOT / "src")


@dataclass(frozen=True)
class Answer:
    """What a runner left.

    Parameters
    ----------
    key : str
        Run, method, version, case and settings this answer belongs to.
    arrays : dict of ndarray
        Contents of its file; empty when it failed.
    error : str, optional
        Last line of a failed runner.
    """

    key: str
    arrays: dict[str, NDArray[Any]]
    error: str | None = None


class Run:
    """A folder of cases and answers; opened again under the same name, it goes on where it broke off.

    Parameters
    ----------
    name : str, optional
        Run to resume; default a new one, named after date and commit.

    Raises
    ------
    FileNotFoundError
        If the run to resume is not there.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name or f"{machine.now().replace(':', '')}-{machine.commit()}"
        self.folder = CACHE / "runs" / self.name
        if name is not None and not self.folder.is_dir():
            raise FileNotFoundError(f"no run {name} under {self.folder.parent}")
        self.folder.mkdir(parents=True, exist_ok=True)

    def case(self, name: str, given: dict[str, Any], **arrays: NDArray[Any]) -> Path:
        """Lay out one case for the runners.

        Parameters
        ----------
        name : str
            Folder name.
        given : dict
            What a person could have told a program, as ``given.json``.
        **arrays : ndarray
            What every method gets, each as a file of its name.

        Returns
        -------
        Path
        """
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for array, values in arrays.items():
            np.save(folder / f"{array}.npy", values)
        (folder / "given.json").write_text(json.dumps(given))
        return folder

    def answer(self, folder: Path, method: Method) -> Answer:
        """Result of `method` on the case in `folder`, computed unless this very run has it already.

        Parameters
        ----------
        folder : Path
            As `case` returned it.
        method : Method
            Which program.

        Returns
        -------
        Answer
            With its `error` when the runner failed: a broken peer does not stop the table.
        """
        settings = json.dumps(method.settings, sort_keys=True)
        inputs = [_digest(file) for file in sorted(folder.glob("*.npy"))]
        parts = (folder.name, method.version, settings, _digest(method.script), *inputs)
        key = f"{self.name}:{method.name}:{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"
        result = folder / f"{_file_name(method.name)}.npz"
        note = result.with_suffix(".key")
        if not (note.exists() and note.read_text() == key):
            error = _execute(method, folder, result)
            if error is not None:
                return Answer(key, {}, error)
            note.write_text(key)
        with np.load(result) as stored:
            return Answer(key, {name: stored[name] for name in stored.files})

    def clear(self) -> None:
        """Delete what was measured; the answers stay for inspection."""
        for file in self.folder.glob("*/*.npy"):
            file.unlink()


def _execute(method: Method, folder: Path, result: Path) -> str | None:
    """Run the program; the last line of its complaint when it fails."""
    log = result.with_suffix(".log")
    command = [*method.command, str(folder), str(result), json.dumps(method.settings)]
    try:
        with log.open("w") as sink, _one_core():
            subprocess.run(
                command,
                check=True,
                env=single_threaded(),
                cwd=machine.ROOT,
                stdout=sink,
                stderr=subprocess.STDOUT,
                timeout=TIME_LIMIT,
            )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
        said = log.read_text(errors="replace").strip().splitlines()
        return said[-1] if said else str(fault)
    return None


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """What is started meanwhile runs on one core: threads on the two halves of a core would slow each other down."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _digest(file: Path) -> str:
    """Digest of a file's contents."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _file_name(name: str) -> str:
    """A method's name as a file name."""
    return "".join(c if c.isalnum() else "_" for c in name)
