"""Fits that a network starts: the noise of a scan is heard once, before it is cut into blocks."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from parscope import map_spectra
from parscope.core.spectra import Spectra
from parscope.solvers.networks.spectra.decoder import Decoder
from parscope.solvers.networks.spectra.draws import Anywhere
from parscope.solvers.networks.spectra.encoder import matched
from parscope.solvers.networks.spectra.inlet import Inlet
from parscope.solvers.networks.spectra.solver import SpectraNetwork
from parscope.techniques.band_excitation import BandExcitation
from parscope.workflows.fit.block import Plan, fit_block
from parscope.workflows.fit.job import plan_again
from parscope.workflows.saved_networks import save_spectra

FREQUENCY = np.linspace(280e3, 319e3, 40)
PHYSICS = BandExcitation(FREQUENCY)


def planned(folder: Path, count: int, everywhere: bool = True) -> Plan:
    """What is decided of a scan of weak spectra, whose noise is 2, and a network that has learnt nothing."""
    rng = np.random.default_rng(0)
    theta = np.stack([rng.uniform(290e3, 310e3, count), *np.tile([[100.0], [0.05], [0.0]], count)], axis=1)
    signals = PHYSICS.render(theta) + 2 * rng.normal(size=(count, 40, 2)).view(complex)[..., 0]
    decoder = Decoder(PHYSICS)
    network = matched(Inlet(PHYSICS), decoder, Anywhere(decoder), 0)
    notes = {"technique": "be-sho", "names": [p.name for p in PHYSICS.parameters], "options": {}}
    save_spectra(folder, SpectraNetwork(PHYSICS, network, everywhere=everywhere), notes)
    spectra = Spectra.from_array(signals.reshape(2, -1, 40), FREQUENCY)
    return plan_again(spectra, {"technique": "be-sho", "solver": str(folder)})


def test_blocks_do_not_change_what_is_told_of_a_spectrum(tmp_path: Path) -> None:
    plan = planned(tmp_path / "net", 400)
    assert plan.noise == pytest.approx(2.0, rel=0.02)
    whole = fit_block(plan, 0, 200)
    # in another process the network is read again
    other = pickle.loads(pickle.dumps(plan))
    parts = [fit_block(other, start, stop) for start, stop in ((0, 7), (7, 200))]
    for name, values in whole.items():
        np.testing.assert_allclose(np.concatenate([part[name] for part in parts]), values, rtol=1e-4)
    unknown = Plan(plan.spectra, plan.physics, None, network=plan.network)
    assert not np.allclose(fit_block(unknown, 0, 200)["std"], whole["std"], rtol=1e-3, equal_nan=True)


def test_maps_say_which_noise_was_heard(tmp_path: Path) -> None:
    plan = planned(tmp_path / "net", 400)
    assert map_spectra(plan.spectra, "be-sho", solver=tmp_path / "net").attrs["noise_heard"] == plan.noise


def test_few_spectra_or_a_network_that_is_not_weighed_leave_the_noise_unknown(tmp_path: Path) -> None:
    assert planned(tmp_path / "few", 40).noise is None
    assert planned(tmp_path / "scan", 400, everywhere=False).noise is None
