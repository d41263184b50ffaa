"""What the documentation says is true: its examples run and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from parscope.cli.main import VERBS, app
from parscope.core import Reader, registry
from parscope.core.errors import TruncatedError
from parscope.testing import check_describer

ROOT = Path(__file__).parents[1]


def examples(page: str, language: str = "python") -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_every_verb_is_in_the_reference_and_every_one_there_is_a_verb() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## parscope (.+)$", page, re.MULTILINE)) == set(VERBS)
    assert set(VERBS) <= set(re.findall(r"<!-- help: (\w+)", page))


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_python_examples_are_python(page: Path) -> None:
    for example in examples(str(page.relative_to(ROOT))):
        compile(example, page.name, "exec")


def test_the_reader_of_the_how_to_reads(tmp_path: Path) -> None:
    space: dict[str, type] = {}
    exec(examples("docs/how-to/write-a-reader.md")[0], space)
    reader = space["HouseReader"]()
    assert isinstance(reader, Reader)
    patterns = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    file = tmp_path / "scan.house"
    file.write_bytes(b"HOUS\0\0\0\0" + np.array(patterns.shape, np.uint16).tobytes() + patterns.tobytes())
    assert reader.accepts(file)
    np.testing.assert_array_equal(reader.read(file).data[1, 2], patterns[1, 2])
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(TruncatedError, match="copy it again"):
        reader.read(file)


def test_the_describer_of_the_how_to_describes(tmp_path: Path) -> None:
    space: dict[str, Any] = {}
    exec(examples("docs/how-to/write-a-reader.md")[1], space)
    file = tmp_path / "scan.house"
    file.write_bytes(b'HOUSE{"shape": [2, 3, 8, 8], "HT": 200, "operator": "Ruska"}\n' + bytes(384))
    told = check_describer(space["HouseDescriber"](), file)
    assert told.vendor["operator"] == "Ruska"
    assert told.common == {"beam": {"voltage": {"value": 200, "units": "kV"}}}


def test_the_tutorial_runs_and_maps_what_was_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    for example in examples("docs/tutorials/first-strain-map.md"):
        exec(example, space)
    plt.close("all")
    assert space["strain"].e_xx.shape == (12, 16)
    assert float((space["strain"].status == 0).mean()) > 0.9
    assert (tmp_path / "strain.nc").exists()


def test_tables_are_what_the_results_say() -> None:
    space: dict[str, object] = {"__name__": "make_tables", "__file__": str(ROOT / "docs" / "make_tables.py")}
    exec((ROOT / "docs" / "make_tables.py").read_text(encoding="utf-8"), space)
    row = {"case": "flat disks", "metric": "strain error", "value": 0.00123, "unit": "1", "peer": "other 1.2"}
    row |= {"peer_value": 0.00178, "bound": 0.00118, "target": {"at_least": None, "at_most": 0.0013}, "met": True}
    missed = {**row, "metric": "speed", "value": 18340.0, "unit": "1/s", "bound": None, "met": False}
    missed["target"] = {"at_least": 20000.0, "at_most": None}
    head = {"machine": {"processor": "P"}, "versions": {"peers": {"other": "1.2"}}, "date": "D", "commit": "C"}
    results = {"strain": {"head": head | {"load_start": 0.1, "load_end": 0.2}, "rows": [row, missed]}}
    drawn = space["page"](results)  # type: ignore[operator]
    assert "| flat disks | strain error | 1 | **0.00123** | 0.00178 (other 1.2) | 0.00118 | ≤ 0.0013 | yes |" in drawn
    assert "|  | speed | 1/s | **18 340** | 0.00178 (other 1.2) | - | ≥ 20 000 | **no** |" in drawn
    alone = {**row, "case": "memory", "peer_value": None}
    told = {**alone, "case": "load", "target": None}
    results |= {"memory": {**results["strain"], "rows": [alone]}, "told": {**results["strain"], "rows": [told]}}
    short = space["summary"](results)  # type: ignore[operator]
    assert "| memory |" in short
    assert short.count("| case |") == 2
    near = {**row, "case": "near", "value": 0.00129}
    short_of_it = {**missed, "case": "slow", "value": 100.0}
    between = {**row, "metric": "spread", "target": {"at_least": 0.9, "at_most": 1.1}}
    rows = [row, near, missed, short_of_it, {**between, "value": 1.0}, {**between, "case": "wide", "value": 1.08}]
    assert [r["case"] for r in space["hardest"](rows)] == ["near", "slow", "wide"]  # type: ignore[operator]
    assert [r["case"] for r in space["shown"](rows)] == ["flat disks", "near", "flat disks", "slow", "wide"]  # type: ignore[operator]
    lonely = {"live": {**results["strain"], "rows": [row, {**missed, "case": "live", "peer_value": None}]}}
    assert "| live | speed | 1/s | **18 340** | - | - | ≥ 20 000 | **no** |" in space["summary"](lonely)  # type: ignore[operator]
    once = space["renewed"]("# parscope\n", short)  # type: ignore[operator]
    assert "1 of 2 aims kept" in once
    assert space["renewed"](once, space["summary"](results)) == once  # type: ignore[operator]


def test_figures_are_drawn_from_the_results(tmp_path: Path) -> None:
    space: dict[str, Any] = {"__name__": "make_figures", "__file__": str(ROOT / "docs" / "make_figures.py")}
    exec((ROOT / "docs" / "make_figures.py").read_text(encoding="utf-8"), space)
    space["IMAGES"] = tmp_path
    space["main"]()
    assert {image.name for image in tmp_path.iterdir()} == set(space["FIGURES"])
    pages = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "docs" / "explanation").glob("*.md"))
    assert all(f"../images/{name}" in pages and (ROOT / "docs" / "images" / name).exists() for name in space["FIGURES"])


def commands(page: str) -> list[tuple[str, str]]:
    """Command lines of a page with what it says they print; those that write what others read come first."""
    blocks = "".join(examples(page, "console"))
    found = re.findall(r"^\$ parscope (.*)\n((?:(?!\$).*\n)*)", blocks, re.MULTILINE)
    return sorted(found, key=lambda pair: not pair[0].startswith("simulate"))


def run(line: str) -> str:
    answer = CliRunner().invoke(app, shlex.split(line))
    assert (answer.exit_code, answer.stderr) == (0, ""), line
    return "\n".join(shown.rstrip() for shown in answer.stdout.splitlines())


def test_the_commands_of_the_how_to_of_spectra_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line, printed in commands("docs/how-to/fit-spectra.md"):
        shown = run(line)
        if not line.startswith("fit"):
            assert printed.strip() in ("", shown.strip())
    for name in ("spectra.h5.fit.nc", "given.nc"):
        with xr.open_dataset(name, engine="h5netcdf") as maps:
            assert {"centre_1", "centre_2"} <= set(maps)
            assert "centre_3" not in maps
            assert float((maps["status"] == 0).mean()) > 0.9


def test_the_technique_of_the_how_to_is_fitted_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = "docs/how-to/declare-a-technique.md"
    declared, used = examples(page)
    (tmp_path / "relaxation.py").write_text(declared)
    info = tmp_path / "relaxation-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: relaxation\nVersion: 1.0\n")
    named = tomllib.loads(examples(page, "toml")[0])["project"]["entry-points"]["parscope.techniques"]
    lines = [f"{name} = {target}" for name, target in named.items()]
    (info / "entry_points.txt").write_text("\n".join(["[parscope.techniques]", *lines]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    registry.names.cache_clear()
    try:
        printed = [run(line) for line, _ in commands(page)]
    finally:
        registry.names.cache_clear()
        sys.modules.pop("relaxation", None)
    assert "decay.nc: 320 of 320 spectra fitted" in printed[1]
    assert "time_constant to" in printed[2]
    with xr.open_dataset("decay.nc", engine="h5netcdf") as maps, xr.open_dataset("decay.truth.nc") as truth:
        away = (maps["time_constant"] - truth["time_constant"]) / maps["time_constant_std"]
        assert float(np.sqrt((away**2).mean())) == pytest.approx(1.0, abs=0.15)
        assert maps["rate"].attrs["units"] == "Hz"
    space: dict[str, Any] = {}
    exec(declared, space)
    exec(used.replace("print(", "reached = ("), space)
    assert space["reached"] == pytest.approx(1.0, abs=0.1)


def test_the_how_to_of_spectra_finds_what_was_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    command, *steps = examples("docs/how-to/fit-spectra.md")
    for example in (*steps, command):
        exec(example, space)
    assert space["fitted"].all()
    assert space["maps"].resonance.values.ravel() == pytest.approx(space["resonance"])
    error = space["resonance"] - space["truth"][..., 0].ravel()
    assert np.std(error / space["resonance_std"]) == pytest.approx(1.0, abs=0.1)
    assert np.std(error / space["possible"][:, 0]) == pytest.approx(1.0, abs=0.1)
    turned = np.angle(np.exp(1j * (space["phase"] - np.arctan2(*space["truth"][..., :1:-1].reshape(-1, 2).T))))
    assert np.std(turned / space["errors"][:, 1]) == pytest.approx(1.0, abs=0.1)
