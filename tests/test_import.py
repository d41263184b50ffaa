"""Importing parscope is free; a heavy library arrives with the first thing that needs it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import parscope

HEAVY = {"dask", "h5py", "matplotlib", "numba", "rsciio", "scipy", "torch", "xarray", "zarr"}
PROBE = """
import json, sys
before = set(sys.modules)
import {module}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def imported_by(module: str) -> set[str]:
    """Modules that an import brings in a fresh interpreter."""
    run = subprocess.run(
        [sys.executable, "-c", PROBE.format(module=module)], capture_output=True, text=True, check=True
    )
    return set(json.loads(run.stdout))


def test_importing_parscope_costs_next_to_nothing() -> None:
    modules = imported_by("parscope")
    assert len(modules) <= 120
    assert not {name.partition(".")[0] for name in modules} & (HEAVY | {"numpy"})


def test_the_core_adds_numpy_only() -> None:
    modules = imported_by("parscope.core, parscope.core.frames, parscope.core.solver, parscope.core.record")
    foreign = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    # NumPy's compiled random generators register the helper modules of Cython
    assert {name for name in foreign if not name.startswith(("_cython", "cython"))} == {"numpy", "parscope"}


@pytest.mark.parametrize("module", ["parscope.cli.main", "parscope.io", "parscope.solvers", "parscope.workflows"])
def test_what_is_imported_to_choose_from_is_light(module: str) -> None:
    modules = imported_by(module)
    assert not {name.partition(".")[0] for name in modules} & HEAVY


@pytest.mark.parametrize("name", parscope.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(parscope, name) is not None
    assert name in dir(parscope)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="map_stress"):
        _ = parscope.map_stress
