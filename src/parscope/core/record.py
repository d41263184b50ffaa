"""Provenance: what was done to which data by which version, so that a map can be made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20


def fingerprint(path: Path) -> str:
    """Identify a file's content without reading 100 GB: SHA-256 of its size and of 64 blocks of 1 MiB spread over it.

    Parameters
    ----------
    path : Path
        A file, or a folder (its files in the order of their names).

    Returns
    -------
    str
        ``sampled-sha256:`` and 64 hexadecimal digits; files up to 64 MiB are hashed whole.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name if path.is_dir() else ''}:{size};".encode())
        step = max(_BLOCK, size // 64)
        with file.open("rb") as stream:
            for start in range(0, size, step):
                stream.seek(start)
                digest.update(stream.read(_BLOCK))
    return f"sampled-sha256:{digest.hexdigest()}"


def fingerprint_of(source: str) -> str:
    """Fingerprint of where data are from; empty for data in memory.

    Parameters
    ----------
    source : str
        A path, or ``memory``.

    Returns
    -------
    str
    """
    path = Path(source)
    return fingerprint(path) if path.exists() else ""


@dataclass(frozen=True)
class Provenance:
    """Where an estimate comes from.

    Parameters
    ----------
    source : str
        Path of the data, or ``memory``.
    fingerprint : str
        Of the data; empty for data in memory.
    version : str
        Version of parscope.
    settings : mapping
        Every setting, chosen or given, as JSON-able values.
    """

    source: str
    fingerprint: str
    version: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def attributes(self) -> dict[str, str]:
        """Attributes for a NetCDF or Zarr file.

        Returns
        -------
        dict of str
        """
        return {
            "source": self.source,
            "source_fingerprint": self.fingerprint,
            "parscope_version": self.version,
            "settings": json.dumps(dict(self.settings), sort_keys=True),
        }
