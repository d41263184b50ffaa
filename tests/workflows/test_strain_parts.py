"""Finished blocks: found again for the same work, and never for another."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parscope.core.errors import OutputError
from parscope.core.frames import Frames
from parscope.core.physics import Contrast
from parscope.core.solver import Status
from parscope.solvers.lattice import LatticeFilters
from parscope.techniques.diffraction import DiffractionPattern
from parscope.techniques.diffraction.simulate import ScanDesign, simulate
from parscope.workflows.parts import Parts, digest
from parscope.workflows.strain.block import Plan
from parscope.workflows.strain.descan import Descan
from parscope.workflows.strain.excess import Cells
from parscope.workflows.strain.judge import _UNEVEN, judge
from parscope.workflows.strain.sampling import scattering
from parscope.workflows.strain.settings import StrainSettings

SIMULATION = simulate(ScanDesign(scan=(4, 3)).sized((64, 64)))
PHYSICS = SIMULATION.pattern()
BLOCK = {"theta": np.arange(6.0).reshape(1, 1, 6)}


def plan(physics: DiffractionPattern = PHYSICS, **changes: Any) -> Plan:
    first = Plan(SIMULATION.frames, (LatticeFilters(physics),), None, 1, (Cells.of(physics),))
    return replace(first, **changes)


MASK = np.zeros((64, 64), bool)
MASK[3, 3] = True
OTHERS = {
    "background": plan(replace(PHYSICS, background=replace(PHYSICS.background, width=9.0))),
    "mask": plan(replace(PHYSICS, mask=MASK)),
    "probe": plan(replace(PHYSICS, probe=replace(PHYSICS.probe, edge=0.7))),
    "distortion": plan(replace(PHYSICS, probe=replace(PHYSICS.probe, distortion=np.diag([1.0, 1.001])))),
    "basis": plan(replace(PHYSICS, basis=PHYSICS.basis * 1.0001)),
    "disks": plan(replace(PHYSICS, indices=PHYSICS.indices[::-1])),
    "amplitude": plan(replace(PHYSICS, amplitude=PHYSICS.amplitude * 1.1)),
    "centre": plan(replace(PHYSICS, centre=(31.0, 31.0))),
    "contrast": plan(replace(PHYSICS, contrast=Contrast((0.09,)))),
    "gain": plan(replace(PHYSICS, gain=2.0)),
    "solver": plan(crystals=(LatticeFilters(PHYSICS, bins=4),)),
    "crystals": plan(crystals=(LatticeFilters(PHYSICS), LatticeFilters(PHYSICS))),
    "candidates": plan(candidates=np.zeros((4, 3, 1), np.int16)),
    "pooling": plan(pool=3),
    "cells": plan(cells=()),
    "descan": plan(descan=Descan(np.ones((6, 2)), (4, 3))),
    "type": plan(frames=Frames.from_array(np.zeros((4, 3, 64, 64), np.float32))),
    "shape": plan(frames=Frames.from_array(np.zeros((3, 4, 64, 64), np.uint16))),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_a_block_depends_on_is_in_its_name(other: Plan) -> None:
    assert digest(other) != digest(plan())


def test_the_same_work_has_the_same_name_in_every_process() -> None:
    again = replace(PHYSICS, amplitude=PHYSICS.amplitude.copy())
    assert digest(plan(again)) == digest(plan())
    program = (
        "from parscope.techniques.diffraction.simulate import ScanDesign, simulate\n"
        "from parscope.workflows.parts import digest\n"
        "print(digest(simulate(ScanDesign(scan=(4, 3)).sized((64, 64))).pattern()))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == digest(PHYSICS)


def test_a_used_solver_has_the_name_of_a_new_one() -> None:
    used = plan()
    before = digest(used)
    used.crystals[0](SIMULATION.rows(0, 1)[0])
    assert digest(used) == before


def test_blocks_are_found_again_and_those_of_another_key_are_not(tmp_path: Path) -> None:
    Parts(tmp_path / "map.nc", ("file", 1)).save(8, BLOCK)
    again = Parts(tmp_path / "map.nc", ("file", 1))
    found = again.load(8)
    assert found is not None
    np.testing.assert_array_equal(found["theta"], BLOCK["theta"])
    assert 8 in again and 0 not in again and again.load(0) is None
    assert Parts(tmp_path / "map.nc", ("other file", 1)).load(8) is None
    assert Parts(tmp_path / "map.nc", ("file", 1)).load(8) is None


def test_another_process_is_kept_out_until_the_first_has_ended(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom parscope.workflows.parts import Parts\n"
        f"parts = Parts(Path({str(tmp_path / 'map.nc')!r}), 1)\nprint('mine', flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(OutputError, match=r"map\.nc: is being written by another run"):
            Parts(tmp_path / "map.nc", 2)
        other.kill()
    Parts(tmp_path / "map.nc", 2).save(0, BLOCK)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_block_cut_short_is_fitted_again(tmp_path: Path, share: float) -> None:
    parts = Parts(tmp_path / "map.nc", 1)
    parts.save(0, BLOCK)
    path = tmp_path / "map.nc.parts" / "rows_000000.npz"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert parts.load(0) is None


def test_a_broken_list_of_parts_starts_anew(tmp_path: Path) -> None:
    Parts(tmp_path / "map.nc", 1).save(0, BLOCK)
    (tmp_path / "map.nc.parts" / "key").write_text("{")
    assert Parts(tmp_path / "map.nc", 1).load(0) is None


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "map.nc.parts").write_text("mine")
    with pytest.raises(OutputError, match=r"map\.nc\.parts: cannot be made"):
        Parts(tmp_path / "map.nc", 1)
    assert (tmp_path / "map.nc.parts").read_text() == "mine"


def test_the_pixels_between_the_disks_follow_the_pattern() -> None:
    physics = simulate(ScanDesign(scan=(4, 3), electrons=3000.0)).pattern()
    patterns = np.random.default_rng(1).poisson(physics.render(np.tile(physics.theta, (40, 1))))
    moved, steps = np.roll(patterns, (6, -5), (1, 2)), np.tile([6.0, -5.0], (40, 1))
    cells = Cells.of(physics)
    still = cells.excess(patterns)
    assert still.mean() == pytest.approx(1.0, abs=0.1)
    assert cells.excess(moved).mean() > 1.5
    assert cells.excess(moved, steps).mean() == pytest.approx(1.0, abs=0.1)
    assert cells.excess(patterns, np.full((40, 2), np.nan)) == pytest.approx(still)


def test_vacuum_is_told_from_crystals_of_any_orientation() -> None:
    half = simulate(ScanDesign(scan=(8, 16), electrons=3000.0, vacuum=0.5, descan=10.0).sized((64, 64)))
    patterns = half.rows(0, 8).reshape(-1, 64, 64)
    assert (scattering(patterns, half.design.radius) == (half.truth.grain.ravel() >= 0)).all()
    grains = simulate(ScanDesign(scan=(12, 12), electrons=3000.0, grains=9, lattice=(24.0, 24.0, 60.0, 11.0)))
    assert scattering(grains.rows(0, 12).reshape(-1, 128, 128), grains.design.radius).all()


def test_a_strong_second_lattice_does_not_spill_over_its_neighbours() -> None:
    cells = Cells.of(simulate(ScanDesign(scan=(4, 3), electrons=1e5)).pattern())
    excess = 1.0 + cells.sigma * np.random.default_rng(0).normal(size=(16, 16))
    excess[8, 8] = 1000.0
    excess[2:6, 2:6] += 2 * _UNEVEN**2 * cells.electrons
    shape = excess.shape
    maps: dict[str, Any] = {name: np.ones(shape) for name in ("limit_ratio", "misfit", "electrons")}
    maps |= {"beam": np.ones(shape), "diffracted": np.ones(shape), "diffracted_std": np.full(shape, 0.01)}
    maps |= {"grain": np.zeros(shape, np.int16), "share": np.zeros(shape)}
    maps |= {"status": np.full(shape, Status.OK, np.uint8), "excess": excess}
    found = judge(maps, (cells,)) == Status.SECOND_LATTICE
    expected = np.zeros(shape, np.bool_)
    expected[8, 8] = expected[2:6, 2:6] = True
    assert (found == expected).all()
    maps["share"][8, 8] = 0.3
    assert judge(maps, (cells,))[8, 8] == Status.OK
    maps["share"][0, :5] = 0.2
    maps["misfit"][0, 0] = 20.0
    assert judge(maps, (cells,))[0, :5].tolist() == [Status.BOUNDARY] + [Status.OK] * 4


def test_paths_may_be_texts() -> None:
    given = StrainSettings.of(vacuum="vacuum.npy", mask=Path("mask.npy"), solver="networks", pool=None)
    assert (given.vacuum, given.mask, given.solver) == (Path("vacuum.npy"), Path("mask.npy"), Path("networks"))
    assert StrainSettings.of(solver=None) == StrainSettings()
