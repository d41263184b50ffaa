"""The shape of the code base: small files, one way to do a thing, every part documented and reachable."""

from __future__ import annotations

import ast
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from parscope.core import Reader, SpectraReader, registry

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "parscope"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST, MEDIAN = 400, 150
NUMPY_SECTIONS = re.compile(r"^(\w[\w ,]*?) : (.+)\n((?:[ ]{4}.*\n|\n)+)", re.MULTILINE)


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def length(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def functions(file: Path) -> Iterator[ast.FunctionDef]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("file", [*FILES, *sorted((ROOT / "tests").rglob("*.py"))], ids=name)
def test_no_file_is_long(file: Path) -> None:
    assert length(file) <= LONGEST


def test_the_typical_file_fits_a_screen_or_three() -> None:
    assert statistics.median(length(file) for file in FILES) <= MEDIAN


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_module_says_what_it_is_for_and_holds_more_than_that(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) > 1 or file.name == "__init__.py"


def test_nothing_is_written_twice() -> None:
    places = defaultdict(list)
    for file in FILES:
        for function in functions(file):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            if sum(isinstance(node, ast.stmt) for part in body for node in ast.walk(part)) >= 4:
                places[ast.dump(ast.Module(body, []))].append(f"{name(file)}:{function.name}")
    assert [same for same in places.values() if len(same) > 1] == []


@pytest.mark.parametrize("file", FILES, ids=name)
def test_docstrings_give_arrays_a_shape_and_numbers_a_unit(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    wanting = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            for names, kind, text in NUMPY_SECTIONS.findall((ast.get_docstring(node) or "") + "\n"):
                if re.match(r"(nd)?array\b", kind) and "shape" not in kind:
                    wanting.append(f"{node.name}: {names} has no shape")
                if re.match(r"float\b", kind) and not re.search(
                    r"\[[^\]]+\]|`unit`|[Cc]ounts|[Ee]lectrons", kind + text
                ):
                    wanting.append(f"{node.name}: {names} has no unit")
    assert wanting == []


@pytest.mark.parametrize("file", [f for f in FILES if "cli" not in f.parts], ids=name)
def test_a_library_does_not_print(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "print"]


@pytest.mark.parametrize("reader", registry.names("parscope.readers"))
def test_every_reader_of_the_registry_keeps_the_contract(reader: str) -> None:
    made = registry.load("parscope.readers", reader)()
    assert isinstance(made, Reader)
    assert made.name == reader
    assert all(re.fullmatch(r"\.[a-z0-9.]+", extension) for extension in made.extensions)


@pytest.mark.parametrize("reader", registry.names("parscope.spectra_readers"))
def test_every_reader_of_spectra_keeps_the_contract(reader: str) -> None:
    made = registry.load("parscope.spectra_readers", reader)()
    assert isinstance(made, SpectraReader)
    assert made.name == reader
    assert all(re.fullmatch(r"\.[a-z0-9.]+", extension) for extension in made.extensions)


def test_every_page_of_the_documentation_is_in_its_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in sorted(pages) if page not in navigation] == []


def test_every_package_is_in_the_reference() -> None:
    reference = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
    packages = {f"parscope.{folder.name}" for folder in PACKAGE.iterdir() if (folder / "__init__.py").exists()}
    assert packages - set(re.findall(r"^::: (\S+)$", reference, re.MULTILINE)) == {"parscope.cli"}


@pytest.mark.parametrize("file", sorted((PACKAGE / "techniques").rglob("*.py")), ids=name)
def test_every_physics_names_its_source(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if re.search(r"^class \w+\((Physics|Constellation)\)", text, re.MULTILINE):
        assert "doi:10." in (ast.get_docstring(ast.parse(text)) or "")


def test_the_project_speaks_of_itself_alone() -> None:
    """No absolute path of somebody's machine, no host of a package index."""
    folders = ("src", "docs", "tests", "benchmarks", "changes", "requirements")
    texts = [f for folder in folders for f in (ROOT / folder).rglob("*") if f.suffix in {".py", ".md", ".in", ".txt"}]
    hosts = re.compile(r"(?<![\w.])/(home|root|work|Users)/|--(extra-)?index-url|/simple/", re.MULTILINE)
    ours = [f for f in texts if ".cache" not in f.parts and f != Path(__file__)]
    assert [name(f) for f in ours if hosts.search(f.read_text(encoding="utf-8"))] == []
