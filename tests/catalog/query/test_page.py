"""The page about queries: what it shows is read, and its three spellings are one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from parscope.catalog.query import loads, parse, spell
from parscope.core.errors import QueryError

PAGE = (Path(__file__).parents[3] / "docs" / "explanation" / "queries.md").read_text(encoding="utf-8")
TABLES = re.findall(r"^\| query \|.*\n\|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
QUERIES = [re.match(r"\| `([^`]+)` \|", row)[1] for table in TABLES for row in table.splitlines()]  # type: ignore[index]


def block(language: str, number: int) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[number]


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_of_the_page_is_read(query: str) -> None:
    assert parse(spell(parse(query))) == parse(query)


def test_the_page_has_all_its_tables() -> None:
    assert len(TABLES) == 6 and len(QUERIES) > 30


def test_python_of_the_page_runs() -> None:
    exec(block("python", 0), {})


def test_json_of_the_page_is_the_text_at_its_top() -> None:
    assert loads(block("json", 0)) == parse(block("text", 0))
    named = re.findall(r"`([a-z_<>=]+)`", "".join(re.findall(r"^\| (.*?) \| .* \| .* \|$", PAGE, re.MULTILINE)))
    with pytest.raises(QueryError) as caught:
        loads(json.dumps({"version": 1, "query": {}}))
    known = caught.value.what.removeprefix("expected one of ").split(";")[0].split(", ")
    assert set(named) == {*known, "path", "aspect", "every"}


def test_the_refusal_of_the_page_is_the_real_one() -> None:
    with pytest.raises(QueryError) as caught:
        parse("mode = HAADF")
    assert str(caught.value) + "\n" == block("text", 2)
