"""Errors say what, where and what to do, also across processes; the tree drawn at the top is the tree."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from parscope.core import errors
from parscope.core.errors import InputError, MissingExtraError, ParscopeError, ShapeError

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (("is empty",), "is empty"),
        (("is empty", "scan.mib"), "scan.mib: is empty"),
        (("is empty", "", "record again"), "is empty; record again"),
        (("is empty", "scan.mib", "record again"), "scan.mib: is empty; record again"),
    ],
)
def test_the_line_a_person_reads(parts: tuple[str, ...], line: str) -> None:
    assert str(ParscopeError(*parts)) == line


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = set(re.findall(r"\b\w+Error\b", errors.__doc__ or ""))
    assert drawn == {kind.__name__ for kind in ALL}
    assert all(issubclass(kind, ParscopeError) for kind in ALL)


def test_what_is_wrong_with_a_file_is_an_input_error() -> None:
    with pytest.raises(InputError):
        raise ShapeError("has 3 dimensions")


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind is not MissingExtraError])
def test_an_error_keeps_its_kind_and_parts_between_processes(kind: type[ParscopeError]) -> None:
    back = pickle.loads(pickle.dumps(kind("ends early", "scan.mib", "copy it again")))
    assert type(back) is kind
    assert (back.what, back.where, back.advice) == ("ends early", "scan.mib", "copy it again")


def test_a_missing_extra_names_its_command_also_between_processes() -> None:
    error = MissingExtraError("rosettasciio", "em")
    assert "pip install 'parscope[em]'" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
