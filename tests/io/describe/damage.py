"""Describes damaged copies of files, and writes what came of each: run in a process of its own, which may die.

``python damage.py SCRATCH FIRST SEEDS FILE ...``: two lines of JSON for each damage, from number FIRST on.
"""

from __future__ import annotations

import faulthandler
import json
import random
import re
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from parscope.core.errors import InputError, ParscopeError
from parscope.io.describe import describe

CUTS = (0.02, 0.2, 0.5, 0.8, 0.995)
FLIPS, PATIENCE, MEMORY = 20, 30, 4 << 30


def damaged(path: Path, seeds: int) -> Iterator[tuple[str, bytes]]:
    """The content cut at five places, and with twenty bits flipped, for so many seeds."""
    whole = path.read_bytes()
    for share in CUTS:
        yield f"cut at {share}", whole[: int(share * len(whole))]
    for seed in range(seeds):
        dice = random.Random(seed)
        content = bytearray(whole)
        # half of them where headers are
        for place in [dice.randrange(min(4096, len(whole)) if i % 2 else len(whole)) for i in range(FLIPS)]:
            content[place] ^= 1 << dice.randrange(8)
        yield f"flipped by {seed}", bytes(content)


def outcome(path: Path) -> str:
    """What came of describing it."""
    try:
        told = describe(path)
        json.dumps([told.vendor, told.common])
    except InputError as error:
        return "refused" if "\n" not in str(error) else f"refused in several lines: {error}"
    except ParscopeError as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 what the test is about
        return f"raised {type(error).__name__}: {error}"
    return "described"


def peak() -> int:
    """The most memory of this process in MiB.

    Its own, of the kernel's list; what ``getrusage`` says begins with the peak of the process that started this one.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) >> 10


def main(scratch: Path, first: int, seeds: int, files: list[Path]) -> None:
    """Go through all damages of all files."""
    number = -1
    for path in files:
        folder = scratch / path.name
        folder.mkdir(exist_ok=True)
        for other in path.parent.glob("16_*"):
            # the other file of the acquisition
            shutil.copyfile(other, folder / other.name)
        for damage, content in damaged(path, seeds):
            number += 1
            if number < first:
                continue
            print(json.dumps({"number": number, "damage": f"{path.name} {damage}"}), flush=True)
            (folder / path.name).write_bytes(content)
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            began = time.process_time()
            found = outcome(folder / path.name)
            spent = time.process_time() - began
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps({"outcome": found, "seconds": round(spent, 3), "mebibytes": peak()}), flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), [Path(file) for file in sys.argv[4:]])
