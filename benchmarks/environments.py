"""Environments of the peers: each has one of its own; no licence and no pin of theirs touches the project."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parent / ".cache"

LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR", "BLIS")
SINGLE_THREAD = {f"{library}_NUM_THREADS": "1" for library in LIBRARIES}


@dataclass(frozen=True)
class Environment:
    """One virtual environment: what is installed, in which order, and whose versions a table states.

    Parameters
    ----------
    name : str
        Folder under the cache.
    steps : tuple of tuple of str
        Requirements of each pip call, in order: an early pin keeps a later one from pulling another build.
    reported : tuple of str
        Distributions whose versions go into the results.
    """

    name: str
    steps: tuple[tuple[str, ...], ...]
    reported: tuple[str, ...]

    @property
    def root(self) -> Path:
        """Folder of the environment."""
        return CACHE / "envs" / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.root / "bin" / "python"

    @property
    def marker(self) -> Path:
        """File written last, when everything is installed: the versions found."""
        return self.root / "ready.json"

    @property
    def key(self) -> str:
        """Digest of what is asked for; a changed pin makes the environment anew."""
        return hashlib.sha256(json.dumps(self.steps).encode()).hexdigest()[:12]

    def ready(self) -> bool:
        """Whether it is there, complete, and of the present pins."""
        return self.marker.exists() and json.loads(self.marker.read_text())["key"] == self.key

    def versions(self) -> dict[str, str]:
        """Versions of the reported distributions, as installed."""
        found: dict[str, str] = json.loads(self.marker.read_text())["versions"]
        return found

    def make(self) -> None:
        """Create and fill the environment unless it is ready."""
        if self.ready():
            return
        venv.EnvBuilder(with_pip=True, clear=True).create(self.root)
        for requirements in self.steps:
            pip = [str(self.python), "-m", "pip", "install", "--quiet", "--no-input", *requirements]
            subprocess.run(pip, check=True)
        self.marker.write_text(json.dumps({"key": self.key, "versions": self._installed()}, indent=1))

    def _installed(self) -> dict[str, str]:
        """Ask the environment's own interpreter what it holds."""
        script = "import sys,json,importlib.metadata as m;print(json.dumps({n:m.version(n) for n in sys.argv[1:]}))"
        run = subprocess.run(
            [str(self.python), "-c", script, *self.reported], check=True, capture_output=True, text=True
        )
        found: dict[str, str] = json.loads(run.stdout)
        return found


ENVIRONMENTS = {
    e.name: e
    for e in (
        Environment("py4dstem", (("py4DSTEM==0.14.18", "numpy<2", "numba"),), ("py4DSTEM", "numpy", "numba")),
        Environment(
            "others",
            (("torch==2.13.0",), ("torch==2.13.0", "quantem==0.1.10", "libertem-blobfinder==0.6.1", "libertem")),
            ("quantem", "torch", "libertem-blobfinder", "libertem", "numpy", "numba"),
        ),
        Environment(
            "bglib",
            (
                ("numpy==1.26.4", "scipy<1.15", "pyarrow<18", "sidpy==0.12.3", "BGlib==0.0.6"),
                # BGlib asks for a release of numpy_groupies that cannot be imported with this NumPy.
                ("numpy==1.26.4", "numpy_groupies>=0.11"),
            ),
            ("BGlib", "sidpy", "pyUSID", "scipy", "numpy"),
        ),
        Environment("abtem", (("abtem==1.0.11",),), ("abtem", "ase", "numpy")),
        Environment("libertem-live", (("libertem-live==0.3.0",),), ("libertem-live", "libertem", "libertem-dectris")),
        Environment("tiled", (("tiled[all]==0.2.20",),), ("tiled", "sqlalchemy", "fastapi", "httpx")),
    )
}


def single_threaded() -> dict[str, str]:
    """Environment variables of this process, with every library held to one thread."""
    return {**os.environ, **SINGLE_THREAD, "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "Agg"}


def main(arguments: list[str] | None = None) -> int:
    """Make the environments named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.environments", description=main.__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *ENVIRONMENTS], default=[])
    names = parser.parse_args(arguments).names or list(ENVIRONMENTS)
    for name in names:
        ENVIRONMENTS[name].make()
        print(name, ENVIRONMENTS[name].versions())
    return 0


if __name__ == "__main__":
    sys.exit(main())
