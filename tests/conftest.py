"""What all tests share: types checked at run time, repeatable random examples, and the folder of real files."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from beartype import BeartypeConf
from beartype.claw import beartype_package
from hypothesis import settings

SOURCE = Path(__file__).parents[1] / "src"

# A shell that starts the tests in the background has them ignore Ctrl-C, and what they start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _unchecked() -> tuple[str, ...]:
    """Modules that cannot be checked at run time.

    A check round a numba kernel would hide it from the kernels that call it, a name imported for type checkers only is
    not there to be checked against, and neither is any name where Python makes the methods of a NamedTuple.
    """
    files = [file for file in (SOURCE / "parscope").rglob("*.py") if file.name != "__init__.py"]
    odd = [
        file
        for file in files
        if {"numba", "NamedTuple", "TYPE_CHECKING"} & set(re.findall(r"\w+", file.read_text("utf-8")))
    ]
    return tuple(".".join(file.relative_to(SOURCE).with_suffix("").parts) for file in odd)


beartype_package(
    "parscope", conf=BeartypeConf(claw_is_pep526=False, claw_skip_package_names=_unchecked(), is_pep484_tower=True)
)
settings.register_profile("parscope", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("parscope")


@pytest.fixture(scope="session")
def sample_files() -> Path:
    """Folder of real microscope files; the test is skipped where there is none."""
    folder = Path(os.environ.get("PARSCOPE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real sample files in {folder}; set PARSCOPE_TEST_DATA")
    return folder
