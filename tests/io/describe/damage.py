"""Describes damaged copies of a file, and writes what came of each: run in a process of its own, which may die.

``python damage.py FILE SCRATCH FIRST SEED ...``: a line of JSON for each damage, from number FIRST on.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from parscope.core.errors import InputError, ParscopeError
from parscope.io.describe import describe

CUTS = (0.02, 0.2, 0.5, 0.8, 0.995)
FLIPS = 20


def damaged(path: Path, seeds: list[int]) -> Iterator[tuple[str, bytes]]:
    """The content cut at five places, and with twenty bits flipped, once for every seed."""
    whole = path.read_bytes()
    for share in CUTS:
        yield f"cut at {share}", whole[: int(share * len(whole))]
    for seed in seeds:
        dice = random.Random(seed)
        content = bytearray(whole)
        # half of them where headers are
        for place in [dice.randrange(min(4096, len(whole)) if i % 2 else len(whole)) for i in range(FLIPS)]:
            content[place] ^= 1 << dice.randrange(8)
        yield f"flipped by {seed}", bytes(content)


def main(path: Path, scratch: Path, first: int, seeds: list[int]) -> None:
    for name in path.parent.iterdir():
        # the other files of the acquisition
        if name.is_file() and name.stem.startswith(path.stem[:8]):
            shutil.copyfile(name, scratch / name.name)
    for number, (damage, content) in enumerate(damaged(path, seeds)):
        if number < first:
            continue
        print(json.dumps({"number": number, "damage": damage}), flush=True)
        (scratch / path.name).write_bytes(content)
        began = time.process_time()
        try:
            told = describe(scratch / path.name, scratch)
            json.dumps([told.vendor, told.common])
            outcome = "described"
        except InputError as error:
            outcome = "refused" if "\n" not in str(error) else f"refused in several lines: {error}"
        except ParscopeError as error:
            outcome = f"{type(error).__name__}: {error}"
        except Exception as error:
            outcome = f"raised {type(error).__name__}: {error}"
        spent = time.process_time() - began
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(json.dumps({"outcome": outcome, "seconds": round(spent, 3), "mebibytes": memory}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), [int(seed) for seed in sys.argv[4:]])
