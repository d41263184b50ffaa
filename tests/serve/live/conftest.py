"""A browser, and a page in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.serve.browser import chromium
from tests.serve.shown import Shown


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.fixture
def shown(browser: Any) -> Iterator[Shown]:
    made = Shown(browser)
    yield made
    made.close()
    assert made.faults == []
