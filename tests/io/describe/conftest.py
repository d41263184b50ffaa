"""Where the real files are, and how trees are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from parscope.core.description import Description
from parscope.io.describe import describe

Leaves = Callable[[Any], dict[str, Any]]


def flat(tree: Any, path: str = "", base: int = 0) -> Iterator[tuple[str, Any]]:
    """Path -> value of every leaf, entries of lists counted from `base`."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from flat(value, f"{path}.{key}", base)
    elif isinstance(tree, list):
        for place, value in enumerate(tree):
            yield from flat(value, f"{path}.{place + base}", base)
    else:
        yield path, tree


@pytest.fixture
def told(sample_files: Path) -> Callable[[str], Description]:
    """Describe the real file of that name."""

    def describe_it(name: str) -> Description:
        found = next(sample_files.rglob(name))
        return describe(found, sample_files)

    return describe_it


@pytest.fixture
def real(sample_files: Path) -> Callable[[str], Path]:
    """The real file of that name."""
    return lambda name: next(sample_files.rglob(name))
