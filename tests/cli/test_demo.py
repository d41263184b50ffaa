"""The verb `demo`: what it writes and says is what was reached."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import xarray as xr
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.techniques.diffraction.simulate import ScanDesign


def test_the_demo_compares_what_it_found_with_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = ScanDesign(scan=(12, 12), strain_field="inclusion", electrons=3000.0).sized((64, 64))
    monkeypatch.setattr("parscope.workflows.demo.INCLUSION", small)
    monkeypatch.setattr("parscope.workflows.demo.GRAINS", small)
    monkeypatch.setattr("webbrowser.open", lambda page: pytest.fail(f"opened {page} where nobody sits"))
    monkeypatch.setenv("DISPLAY", ":0")
    folder = tmp_path / "new" / "demo"
    answer = CliRunner().invoke(app, ["demo", str(folder)])
    assert (answer.exit_code, answer.stderr) == (0, "")
    kinds = (".emd", ".html", ".nc", ".png", ".truth.nc", "_and_truth.png")
    names = {f"{scan}{kind}" for scan in ("inclusion", "grains") for kind in kinds}
    assert {path.name for path in folder.iterdir()} == names
    row = re.search(r"e_xx +(\S+) % +(\S+) % +(\S+) +(\S+) %", answer.stdout)
    assert row is not None
    error, claimed, spread, limit = map(float, row.groups())
    assert 0.1 < limit < claimed < 1.0
    assert error < 1.5 * claimed
    assert 0.7 < spread < 1.3
    assert str(folder / "inclusion.html") in answer.stdout.replace("\n", "")
    with xr.open_dataset(folder / "inclusion.nc", engine="h5netcdf") as result:
        assert (result.x.attrs["units"], result.attrs["q_unit"]) == ("nm", "1/nm")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    answer = CliRunner().invoke(app, ["demo", str(tmp_path / "file")])
    assert answer.exit_code == 2
    assert "cannot be made" in answer.stderr
    assert (tmp_path / "file").read_text() == "mine"
