"""Owners are known to be dead only if they are."""

from __future__ import annotations

import os
import subprocess
import sys

from parscope.catalog.collect.owner import is_dead, new_owner


def test_who_lives_is_not_dead() -> None:
    assert not is_dead(new_owner())
    assert new_owner() != new_owner()


def test_who_has_ended_is_dead_also_if_its_number_is_used_again() -> None:
    script = "from parscope.catalog.collect.owner import new_owner; print(new_owner())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    owner = subprocess.run(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert is_dead(owner.stdout.strip())
    head, _, began = new_owner().rpartition("/")
    assert is_dead(f"{head}/{int(began) - 1}")


def test_of_another_machine_nothing_is_known() -> None:
    assert not is_dead("elsewhere/0/1/2")
