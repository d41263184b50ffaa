"""Trainings that are stopped, run twice or out of disk: the next call goes on, with what it has to do with alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parscope.core.errors import OutputError
from parscope.core.frames import Frames
from parscope.core.spectra import Spectra
from parscope.techniques.band_excitation import BandExcitation
from parscope.techniques.diffraction.simulate import ScanDesign, simulate
from parscope.workflows.train import train_spectra, train_strain
from parscope.workflows.train.folder import training_folder
from tests.cli.full_disk import files_up_to

FREQUENCY = np.linspace(280e3, 319e3, 40)


class Watch:
    """Remembers steps of a training, and what else was said; stops it after some of them."""

    def __init__(self, stop: int | None = None) -> None:
        self.steps, self.said, self._stop = list[int](), list[str](), stop

    def __call__(self, phase: str, done: int, total: int) -> None:
        self.said.append(phase)
        if "loss" in phase:
            self.steps.append(done)
            if len(self.steps) == self._stop:
                raise KeyboardInterrupt


def spectra(seed: int) -> Spectra:
    rng = np.random.default_rng(seed)
    theta = np.stack([rng.normal(300e3, 3e3, 120), np.full(120, 100.0), np.full(120, 0.12), np.zeros(120)], axis=1)
    noise = rng.normal(size=(120, 40, 2)).view(complex)[..., 0]
    return Spectra.from_array(BandExcitation(FREQUENCY).render(theta) + noise, FREQUENCY)


def scan(length: float) -> Frames:
    design = ScanDesign(scan=(6, 6), electrons=2e4, lattice=(length, length, 60.0, 11.0), ellipse=(0.0, 0.0))
    return simulate(design.sized((64, 64))).frames


def test_a_network_for_spectra_goes_on_where_it_was_stopped_with_other_limits_but_not_for_other_spectra(
    tmp_path: Path,
) -> None:
    place, first = tmp_path / "net", Watch(stop=1)
    with pytest.raises(KeyboardInterrupt) as stopped:
        train_spectra(spectra(1), "be-sho", place, minutes=9.0, progress=first)
    assert stopped.value.__notes__ == [
        f"the training is kept in {place}.training: the same command again goes on with it"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["net.training"]
    again, other = Watch(), Watch(stop=1)
    told = train_spectra(spectra(1), "be-sho", place, minutes=0.0, progress=again)
    assert (first.steps, again.steps[0]) == ([200], 400)
    assert told["training"]["anew"] == ""
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    with pytest.raises(KeyboardInterrupt):
        train_spectra(spectra(1), "be-sho", place, minutes=9.0, progress=Watch(stop=1), overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        train_spectra(spectra(2), "be-sho", place, minutes=9.0, progress=other, overwrite=True)
    assert other.steps == [200]
    assert any(said.startswith("anew: ") and said.endswith("is of another training") for said in other.said)


def test_networks_for_a_scan_go_on_for_this_scan_alone(tmp_path: Path) -> None:
    place, again, other = tmp_path / "net", Watch(stop=1), Watch(stop=1)
    for frames, watch in ((scan(24.0), Watch(stop=1)), (scan(24.0), again), (scan(20.0), other)):
        with pytest.raises(KeyboardInterrupt):
            train_strain(frames, place, minutes=9.0, progress=watch)
    assert again.steps == [400]
    assert other.steps == [200]
    assert any(said.startswith("anew: ") for said in other.said)


def test_two_runs_for_one_place_do_not_meet_and_a_place_that_is_taken_meanwhile_stays(tmp_path: Path) -> None:
    place = tmp_path / "net"
    with training_folder(place, overwrite=False) as training:
        with pytest.raises(OutputError, match="is being trained by another run"):
            train_spectra(spectra(1), "be-sho", place)
        place.mkdir()
        (place / "letter").touch()
        with pytest.raises(OutputError, match="is no network"):
            training.save(lambda: None)
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_what_a_person_has_in_the_folder_of_the_training_stays(tmp_path: Path) -> None:
    letter = tmp_path / "net.training" / "letter"
    letter.parent.mkdir()
    letter.touch()
    train_spectra(spectra(1), "be-sho", tmp_path / "net", minutes=0.0)
    assert list(letter.parent.iterdir()) == [letter]


def test_a_full_disk_is_said_in_one_line_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    with files_up_to(1000), pytest.raises(OutputError, match=r"cannot be written .* run the command again"):
        train_spectra(spectra(1), "be-sho", tmp_path / "net", minutes=0.0)
    assert list(tmp_path.iterdir()) == []
