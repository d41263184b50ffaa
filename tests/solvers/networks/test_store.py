"""Networks in folders: whole or not there, and nothing in them is run."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from parscope.core.errors import FormatError, OutputError
from parscope.core.network import Builder, Network
from parscope.solvers.networks.store import check_folder, load_network, save_network
from tests.cli.full_disk import files_up_to


def network(seed: int = 0) -> Network:
    build = Builder((2, 6), seed)
    rows = build.convolution(0, (3, 2, 3), then="relu", padding=1, circular=True)
    build.dense(build.add("reshape", rows, shape=(18,)), 18, 4)
    return build.network()


def test_a_network_comes_back_as_it_was(tmp_path: Path) -> None:
    save_network(tmp_path / "n", network(), {"technique": "x", "axis": [1.0, 2.5]})
    back, notes = load_network(tmp_path / "n")
    assert back.layers == network().layers
    assert back.input_shape == (2, 6)
    assert notes == {"technique": "x", "axis": [1.0, 2.5]}
    for name, array in network().arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)
    save_network(tmp_path / "n", network(1), {})
    assert load_network(tmp_path / "n")[1] == {}
    assert [path.name for path in tmp_path.iterdir()] == ["n"]


def _no_weights(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()


def _cut(folder: Path) -> None:
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-7])


def _pickled(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(pickle.dumps({"weight": [1.0]}))


def _no_json(folder: Path) -> None:
    (folder / "model.json").write_text("{", encoding="utf-8")


def _changed(what: str, value: object) -> object:
    def change(folder: Path) -> None:
        told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        told[what] = value
        (folder / "model.json").write_text(json.dumps(told), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    "damage",
    [
        _no_weights,
        _cut,
        _pickled,
        _no_json,
        _changed("layers", [{"kind": "exec", "inputs": [0], "arrays": [], "options": {}}]),
        _changed("layers", 3),
        _changed("input_shape", [2, 7]),
        _changed("notes", None),
        _changed("format", "another 7"),
    ],
)
def test_damaged_and_foreign_folders_give_one_clear_error(damage: object, tmp_path: Path) -> None:
    save_network(tmp_path / "n", network(), {})
    damage(tmp_path / "n")  # type: ignore[operator]
    with pytest.raises(FormatError, match="train it again") as caught:
        load_network(tmp_path / "n")
    assert "\n" not in str(caught.value)


def test_a_replacement_that_is_killed_leaves_a_whole_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_network(tmp_path / "n", network(), {"number": 1})

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for what, number in (("pathlib.Path.write_text", 1), ("shutil.rmtree", 2)):
        with monkeypatch.context() as while_at_it:
            while_at_it.setattr(what, killed)
            with pytest.raises(KeyboardInterrupt):
                save_network(tmp_path / "n", network(1), {"number": 2})
        assert load_network(tmp_path / "n")[1] == {"number": number}
    rename = Path.rename

    def killed_between(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as between:
        between.setattr("pathlib.Path.rename", killed_between)
        with pytest.raises(KeyboardInterrupt):
            save_network(tmp_path / "n", network(1), {"number": 3})
    assert load_network(tmp_path / "n")[1] == {"number": 2}


def test_what_a_person_keeps_beside_a_network_stays(tmp_path: Path) -> None:
    own = [tmp_path / name for name in ("n.old", "n.new", ".n.old")]
    for folder in own:
        folder.mkdir()
        (folder / "letter").touch()
    for number in (1, 2):
        save_network(tmp_path / "n", network(), {"number": number})
    assert load_network(tmp_path / "n")[1] == {"number": 2}
    assert all((folder / "letter").exists() for folder in own)
    assert sorted(tmp_path.iterdir()) == sorted([*own, tmp_path / "n"])


def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    save_network(tmp_path / "n", network(), {"number": 1})
    for size in (100, 630):
        with files_up_to(size), pytest.raises(OutputError, match="cannot be written"):
            save_network(tmp_path / "n", network(1), {"number": 2})
    assert load_network(tmp_path / "n")[1] == {"number": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["n"]


def test_a_folder_without_a_network_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no folder with a network; make it with: parscope train"):
        load_network(tmp_path)


def test_places_are_refused_before_the_work(tmp_path: Path) -> None:
    check_folder(tmp_path / "new", overwrite=False)
    save_network(tmp_path / "n", network(), {})
    check_folder(tmp_path / "n", overwrite=True)
    with pytest.raises(OutputError, match="exists already"):
        check_folder(tmp_path / "n", overwrite=False)
    (tmp_path / "mine").mkdir()
    check_folder(tmp_path / "mine", overwrite=False)
    (tmp_path / "mine" / "letter").touch()
    with pytest.raises(OutputError, match="is no network"):
        check_folder(tmp_path / "mine", overwrite=True)
    with pytest.raises(OutputError, match="no folder that exists"):
        check_folder(tmp_path / "a" / "b", overwrite=False)
    for place in (Path(), Path("..")):
        with pytest.raises(OutputError, match="has no name"):
            check_folder(place, overwrite=True)
