"""Networks from one scan start the map of another: one command each, and one clear error where they do not fit."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from click.testing import Result
from typer.testing import CliRunner

from parscope.cli.main import app
from parscope.core.errors import FormatError, OptionError, OutputError
from parscope.core.frames import Frames
from parscope.core.record import fingerprint
from parscope.core.solver import Status
from parscope.report.html import command_to_repeat
from parscope.report.view import StrainView
from parscope.solvers.networks.constellation.store import load_encoder, save_encoder
from parscope.techniques.diffraction import DiffractionPattern
from parscope.techniques.diffraction.saved import told, understood
from parscope.techniques.diffraction.simulate import ScanDesign, simulate
from parscope.workflows.strain import map_strain
from parscope.workflows.strain.network import learned_setup, load_start
from parscope.workflows.strain.prepare import _agreed
from parscope.workflows.train import train_strain

GRAINS = replace(
    ScanDesign(
        scan=(24, 24),
        electrons=1e5,
        lattice=(24.0, 24.0, 60.0, 11.0),
        ellipse=(0.0, 0.0),
        grains=4,
        max_strain=0.02,
        background=0.25,
    ).sized((64, 64)),
    contrast=0.0,
)
RAW = ("--format", "raw", "--scan-shape", "24,24", "--pattern-shape", "64,64", "--dtype", "uint16", "--gain", "1")
BOTH = ("--teacher", "simulation", "--teacher", "rendering")
SINGLE = replace(GRAINS, grains=0, scan=(12, 12), electrons=2e4, max_strain=0.01, seed=3)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks that were trained for as short as can be."""
    home = tmp_path_factory.mktemp("strain")
    scan, place = home / "scan.bin", home / "net"
    simulate(replace(GRAINS, electrons=1e4)).rows(0, 24).astype(np.uint16).tofile(scan)
    answer = run("train", "strain", str(scan), "-o", str(place), "--minutes", "0", *RAW, *BOTH)
    assert answer.exit_code == 0, answer.output
    assert "9166 parameters" in answer.stdout
    assert len(answer.stdout.splitlines()) == 6
    assert sorted(p.name for p in home.iterdir()) == ["net", "scan.bin"]
    notes = json.loads((place / "model.json").read_text(encoding="utf-8"))["notes"]
    assert notes["source_fingerprint"].startswith("sampled-sha256:")
    assert notes["physics"]["gain"] == 1.0
    assert set(notes["card"]["refusals"]) == {"zeros", "noise", "vacuum", "another material"}
    assert notes["training"]["teachers"] == {"simulation": 1.0, "rendering": 0.1}
    # Of measured patterns no one knows the truth, and so the least loss.
    assert notes["training"]["floor"] is None
    assert [step for step, _ in notes["training"]["losses"]][-1] == notes["training"]["steps"]
    return place


def test_grains_are_found_by_networks_as_by_search(folder: Path) -> None:
    scan = simulate(GRAINS)
    found = map_strain(scan.frames, solver=folder)
    inside = scan.truth.share == 0
    fitted = found.status.values == Status.OK
    assert fitted[inside].mean() > 0.97
    assert "told by a network" in str(found.attrs)
    pairs = {(int(g), int(c)) for g, c in zip(scan.truth.grain[inside], found.grain.values[inside], strict=True)}
    assert len(pairs) < 8


def test_the_verb_strain_takes_them(folder: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "map.nc")
    scan = str(folder.parent / "scan.bin")
    answer = run("strain", scan, "--solver", str(folder), "--no-report", "-o", output, *RAW)
    assert answer.exit_code == 0, answer.output
    assert "patterns fitted" in answer.stdout
    with xr.open_dataset(output, engine="h5netcdf") as found:
        assert found.attrs["solver_fingerprint"] == fingerprint(folder)
        words = shlex.split(command_to_repeat(StrainView(found)))
    again = run(*words[1:], "--no-report", "-o", str(tmp_path / "again.nc"))
    assert again.exit_code == 0, again.output


def test_what_is_for_spectra_is_refused(folder: Path, tmp_path: Path) -> None:
    said = {
        ("--everywhere",): "is for spectra",
        ("--again", str(folder.parent / "scan.bin")): "--again: is for spectra",
        ("--teacher", "labels"): "labels cannot teach",
        ("--teacher", "rendering"): "add --teacher simulation",
    }
    for words, why in said.items():
        answer = run("train", "strain", str(folder.parent / "scan.bin"), "-o", str(tmp_path / "new"), *RAW, *words)
        assert answer.exit_code == 2
        assert why in answer.stderr


def test_a_single_crystal_is_mapped_as_without_networks(folder: Path) -> None:
    frames = simulate(SINGLE).frames
    ours, usual = map_strain(frames, solver=folder, pool=1), map_strain(frames, pool=1)
    both = (ours.status.values == Status.OK) & (usual.status.values == Status.OK)
    assert both.mean() > 0.97
    for name in ("e_xx", "e_yy", "e_xy", "rotation"):
        off = (ours[name].values - usual[name].values)[both] / usual[f"{name}_std"].values[both]
        assert np.sqrt(np.mean(off**2)) < 0.35, name


def _with(physics: DiffractionPattern, **changes: Any) -> DiffractionPattern:
    return replace(physics, **changes)


def test_networks_for_something_else_are_refused(folder: Path) -> None:
    physics = understood(load_encoder(folder)[2]["physics"], "here")
    load_start(folder, physics)
    with pytest.raises(OptionError, match="patterns"):
        load_start(folder, _with(physics, shape=(64, 65)))
    with pytest.raises(OptionError, match="disks of"):
        load_start(folder, _with(physics, probe=replace(physics.probe, radius=1.5 * physics.probe.radius)))
    with pytest.raises(OptionError, match="lattice of"):
        load_start(folder, _with(physics, basis=physics.basis @ np.diag([1.0, 1.2])))


def test_a_scan_too_dim_for_a_set_up_has_that_of_the_networks(folder: Path) -> None:
    patterns = simulate(replace(GRAINS, electrons=300.0, background=0.6)).rows(0, 24).reshape(-1, 64, 64)
    setup = learned_setup(folder, patterns, None)
    learned = understood(load_encoder(folder)[2]["physics"], "here")
    np.testing.assert_array_equal(setup.physics.basis, learned.basis)
    assert setup.physics.gain == pytest.approx(1.0, rel=0.1)
    assert setup.physics.render(setup.physics.theta[None]).sum() == pytest.approx(setup.mean.sum(), rel=0.1)
    with pytest.raises(OptionError, match="patterns"):
        learned_setup(folder, patterns[:, :-1], None)


def test_noise_that_was_taken_for_a_lattice_gives_way_to_networks_that_know_the_patterns(folder: Path) -> None:
    dim = simulate(replace(GRAINS, electrons=3e3)).rows(0, 24).reshape(-1, 64, 64)
    setup = learned_setup(folder, dim, None)
    wrong = replace(setup, physics=_with(setup.physics, basis=0.3 * setup.physics.basis))
    assert _agreed(wrong, None, dim, None) is wrong
    assert _agreed(setup, folder, dim, None) is setup
    np.testing.assert_array_equal(_agreed(wrong, folder, dim, None).physics.basis, setup.physics.basis)
    other = replace(GRAINS, electrons=3e3, lattice=(17.0, 17.0, 90.0, 11.0))
    with pytest.raises(OptionError, match="lattice of"):
        _agreed(wrong, folder, simulate(other).rows(0, 24).reshape(-1, 64, 64), None)


def test_a_turned_lattice_is_the_same_lattice(folder: Path) -> None:
    physics = understood(load_encoder(folder)[2]["physics"], "here")
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    start = load_start(folder, _with(physics, basis=physics.basis @ turn))
    assert start.network.physics.shape == physics.shape


def test_physics_comes_back_as_it_was_told(folder: Path) -> None:
    notes = load_encoder(folder)[2]["physics"]
    assert told(understood(json.loads(json.dumps(notes)), "here")) == notes
    with pytest.raises(FormatError, match="no physics"):
        understood({**notes, "basis": [1, 2, 3]}, "here")


def test_folders_without_networks_and_places_that_are_taken_are_refused(folder: Path, tmp_path: Path) -> None:
    frames = simulate(SINGLE).frames
    with pytest.raises(FormatError, match="no folder with a network"):
        map_strain(frames, solver=tmp_path)
    orientation, window, notes = load_encoder(folder)
    save_encoder(tmp_path / "bare", orientation, window, {})
    with pytest.raises(FormatError, match="no physics"):
        map_strain(frames, solver=tmp_path / "bare")
    save_encoder(tmp_path / "old", orientation, window, {"physics": notes["physics"]})
    with pytest.raises(FormatError, match="does not say what it was trained for"):
        map_strain(frames, solver=tmp_path / "old")
    save_encoder(tmp_path / "null", orientation, window, {**notes, "unlikely": None})
    with pytest.raises(FormatError, match="is damaged"):
        map_strain(frames, solver=tmp_path / "null")
    with pytest.raises(OutputError, match="exists"):
        train_strain(frames, folder)
    with pytest.raises(OptionError, match="positive"):
        train_strain(Frames.from_array(np.ones((2, 2, 64, 64))), tmp_path / "new", probe_radius=-1.0)
