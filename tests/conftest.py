"""What all tests share: types checked at run time, repeatable random examples, and the folder of real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("parscope", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("parscope")


@pytest.fixture(scope="session")
def sample_files() -> Path:
    """Folder of real microscope files; the test is skipped where there is none."""
    folder = Path(os.environ.get("PARSCOPE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real sample files in {folder}; set PARSCOPE_TEST_DATA")
    return folder
