"""Reads files in a process with limits: ``python -m parscope.catalog.collect.worker FOLDER``.

Nobody vouches for the files. It says when it has begun; then a request names a file, and the answer is what its reader
said, or why it could not. What readers print goes nowhere; the folder is for what they write. The process ends when its
parent does, because its standard input does; and if a reader never returns, by an alarm.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from parscope.catalog.collect.document import of_description, one_line
from parscope.catalog.store.documents import encode
from parscope.catalog.thumbnail import thumbnail
from parscope.core.description import Description
from parscope.core.errors import InputError, MissingExtraError
from parscope.io._wire import receive, send
from parscope.io.describe import describe

_MEMORY = 4 << 30
_WRITTEN = 64 << 20
_ANSWER = 16 << 20
_GRACE = 5.0


def answer(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Read one file.

    Parameters
    ----------
    request : dict
        ``path``, ``within`` (the folder that is collected) and ``size`` in bytes.

    Returns
    -------
    message : dict
        ``document`` as JSON, ``reader`` and ``parts``; or ``error``, and ``doubtful`` if another process may do better.
    picture : bytes
        A PNG, or nothing.
    """
    path = Path(request["path"])
    try:
        told, picture = _drawn(describe(path, within=Path(request["within"])))
        document = encode(of_description(path, request["size"], told))
        parts = [str(part) for part in told.parts]
    except MemoryError:
        return {"error": f"its reader needs more than {_MEMORY >> 30} GB of memory", "doubtful": True}, b""
    except (InputError, MissingExtraError) as error:
        return {"error": one_line(str(error).removeprefix(f"{path}: "))}, b""
    except Exception as error:  # noqa: BLE001 whatever a reader raises, the file is catalogued with it
        return {"error": one_line(f"its reader failed with {type(error).__name__}: {error}")}, b""
    if len(document) > _ANSWER:
        return {"error": f"has {len(document) >> 20} MB of metadata, and at most {_ANSWER >> 20} MB are kept"}, b""
    return {"document": document, "reader": f"{told.reader}: {told.library}", "parts": parts}, picture


def _drawn(told: Description) -> tuple[Description, bytes]:
    """A file and its picture; what it says is worth more than the picture, which may be of anything."""
    try:
        return told, thumbnail(told) or b""
    except (MemoryError, MissingExtraError):
        raise
    except Exception as error:  # noqa: BLE001 it is told with the file
        note = one_line(f"It could not be drawn ({type(error).__name__}: {error}).")
        return replace(told, warnings=(*told.warnings, note)), b""


def main() -> None:
    """Answer requests from standard input until it ends."""
    for limit, most in (
        (resource.RLIMIT_DATA, _MEMORY),  # what is mapped from a file costs no memory, and scans may have 100 GB
        (resource.RLIMIT_FSIZE, _WRITTEN),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which lets the file at hand be finished
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b") as nothing:  # noqa: PTH123
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            os.dup2(nothing.fileno(), stream.fileno())
    own = os.getpid()
    send(answers, {"asked": 0})
    while (request := receive(questions)) is not None:
        signal.setitimer(signal.ITIMER_REAL, request[0]["seconds"] + _GRACE)
        message, picture = answer(request[0])
        if os.getpid() != own:
            os._exit(0)  # the reader forked: one answers, and waits for the next request
        send(answers, {"asked": request[0]["asked"], **message}, picture)
        signal.setitimer(signal.ITIMER_REAL, 0)
    shutil.rmtree(sys.argv[1], ignore_errors=True)  # what readers wrote; the parent may be dead


if __name__ == "__main__":
    main()
