"""Scans of two phases: told apart by the exact workflow, and by networks that are trained on such a scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parscope.core.errors import OptionError
from parscope.core.frames import Frames
from parscope.core.solver import Status
from parscope.solvers.networks.constellation.store import load_encoders
from parscope.techniques.diffraction.saved import understood
from parscope.techniques.diffraction.simulate import ScanDesign, simulate
from parscope.workflows.strain import map_strain
from parscope.workflows.strain.network import load_start
from parscope.workflows.strain.prepare import found_setup
from parscope.workflows.strain.settings import StrainSettings
from parscope.workflows.train import train_strain
from parscope.workflows.train.phases import found_phases

HEXAGONAL = replace(
    ScanDesign(
        scan=(24, 24),
        electrons=2e4,
        lattice=(24.0, 24.0, 60.0, 11.0),
        ellipse=(0.0, 0.0),
        grains=3,
        max_strain=0.02,
        background=0.2,
    ).sized((64, 64)),
    contrast=0.0,
)
SQUARE = replace(HEXAGONAL, lattice=(12.0, 12.0, -90.0, 79.0), seed=11)
RIGHT = np.arange(24) >= 12


@pytest.fixture(scope="module")
def scan() -> Frames:
    """Hexagonal grains on the left, square ones on the right."""
    left, right = (simulate(design).rows(0, 24) for design in (HEXAGONAL, SQUARE))
    return Frames.from_array(np.where(RIGHT[:, None, None], right, left))


@pytest.fixture(scope="module")
def folder(scan: Frames, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks for both, trained for as short as can be."""
    place = tmp_path_factory.mktemp("phases") / "net"
    said: list[str] = []

    def stop_in_the_second(phase: str, done: int, total: int) -> None:
        said.append(phase)
        if phase.startswith("phase 2 of 2: learn") or phase.startswith("phase 2 of 2: settle"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_strain(scan, place, minutes=0.0, progress=stop_in_the_second)
    assert sum("phase 1 of 2" in phase for phase in said) == 2
    said.clear()
    told = train_strain(scan, place, minutes=0.0, progress=lambda phase, *_: said.append(phase))
    # The first is not trained again.
    assert not any("phase 1 of 2" in phase for phase in said)
    assert len(told["others"]) == 1
    # The floor stands beside the loss, and where networks that learnt next to nothing are far above it.
    training = told["others"][0]["training"]
    assert training["losses"][-1][1] > training["floor"] + 5
    assert any(f"(floor {training['floor']:.2f})" in phase for phase in said)
    assert sorted(p.name for p in place.parent.iterdir()) == ["net"]
    return place


def separated(phase: np.ndarray, fitted: np.ndarray) -> float:
    """Share of the fitted positions with the phase of their half, whichever number it has."""
    same = (phase == phase[0, 0])[fitted] == (~np.broadcast_to(RIGHT, phase.shape))[fitted]
    return float(same.mean())


def test_a_map_tells_the_phase_of_every_position(scan: Frames) -> None:
    found = map_strain(scan)
    fitted = found.status.values == Status.OK
    assert fitted.mean() > 0.5
    assert set(np.unique(found.phase.values)) == {0, 1}
    assert separated(found.phase.values, fitted) > 0.99


def test_both_phases_are_found_and_one_is_not_split(scan: Frames) -> None:
    for frames, number in ((scan, 2), (simulate(HEXAGONAL).frames, 1)):
        phases = found_phases(found_setup(frames, StrainSettings()))
        assert len(phases) == number
        assert sum(len(p.patterns) for p in phases) == 256


def test_networks_of_two_phases_map_both(scan: Frames, folder: Path) -> None:
    found = map_strain(scan, solver=folder)
    fitted = found.status.values == Status.OK
    assert fitted.mean() > 0.5
    assert separated(found.phase.values, fitted) > 0.97


def test_each_pattern_is_told_by_the_network_with_more_evidence(scan: Frames, folder: Path) -> None:
    setup = found_setup(scan, StrainSettings()).setup
    start = load_start(folder, setup.physics)
    patterns = np.asarray(scan.data[::3]).reshape(-1, 64, 64)
    right = np.broadcast_to(RIGHT, (8, 24)).ravel()
    first, second = (n(patterns).extra["evidence"] for n in (start.network, *start.others))
    better = first > second
    assert max((better == right).mean(), (better != right).mean()) > 0.95


def test_networks_fit_a_scan_of_either_phase_and_of_no_other(folder: Path) -> None:
    phases = [understood(notes["physics"], "here") for _, _, notes in load_encoders(folder)]
    for physics in phases:
        assert len(load_start(folder, physics).others) == 1
    with pytest.raises(OptionError, match="lattice of"):
        load_start(folder, replace(phases[0], basis=1.3 * phases[0].basis))
