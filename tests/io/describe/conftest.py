"""Real files, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from parscope.core.description import Description
from parscope.io.describe import describe


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
