"""What a training is taken up from: weights, optimiser, chance and course in one file that holds no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

_NAME = "checkpoint.safetensors"
_OPTIMISER, _TENSOR = "optimiser", "tensor"

State = dict[str, Any]


class Checkpoint:
    """The last state of a training, in memory, and in a folder if there is one.

    Parameters
    ----------
    folder : Path, optional
        Where the file is.
    key : mapping
        All that the training depends on; a file of another training is left alone until it is overwritten.
    """

    def __init__(self, folder: Path | None, key: Mapping[str, Any]) -> None:
        self._path = None if folder is None else folder / _NAME
        self._key = json.dumps(key, sort_keys=True, default=str)
        self._last: tuple[dict[str, Tensor], State] | None = None

    def keep(self, tensors: Mapping[str, Tensor], optimiser: State, course: State) -> None:
        """Keep a state.

        Parameters
        ----------
        tensors : mapping of str to Tensor
            Weights and what else is made of numbers.
        optimiser : dict
            As PyTorch gives it.
        course : dict
            How the training went; as JSON.
        """
        held = {name: _kept(tensor) for name, tensor in tensors.items()}
        self._last = held, {**course, _OPTIMISER: _packed(optimiser, held, _OPTIMISER)}
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        save_file(held, beside, {"key": self._key, "course": json.dumps(self._last[1])})
        beside.replace(self._path)

    def load(self) -> tuple[dict[str, Tensor], State, State] | None:
        """The last state: tensors, optimiser and course; None where there is none of this training."""
        if self._last is None and self._path is not None and self._path.exists():
            self._last = self._read(self._path)
        if self._last is None:
            return None
        tensors, course = self._last
        optimiser = _unpacked(course[_OPTIMISER], tensors)
        optimiser["state"] = {int(number): state for number, state in optimiser["state"].items()}
        return tensors, optimiser, {name: value for name, value in course.items() if name != _OPTIMISER}

    def _read(self, path: Path) -> tuple[dict[str, Tensor], State] | None:
        """State of a file; a damaged one, which a full disk may leave, is as good as none."""
        try:
            with safe_open(path, "pt") as file:
                notes = file.metadata() or {}
                if notes.get("key") != self._key:
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
                return tensors, json.loads(notes["course"])
        except (SafetensorError, OSError, ValueError, KeyError):
            return None

    def remove(self) -> None:
        """Remove the file."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _kept(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone().contiguous()


def _packed(tree: Any, tensors: dict[str, Tensor], at: str) -> Any:
    """What JSON can hold of a tree; its tensors go to `tensors`, and their names stay in their places."""
    if isinstance(tree, Tensor):
        tensors[at] = _kept(tree)
        return {_TENSOR: at}
    if isinstance(tree, dict):
        return {str(key): _packed(value, tensors, f"{at}.{key}") for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_packed(value, tensors, f"{at}.{key}") for key, value in enumerate(tree)]
    return tree


def _unpacked(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The tree again."""
    if isinstance(tree, dict):
        if set(tree) == {_TENSOR}:
            return tensors[tree[_TENSOR]]
        return {key: _unpacked(value, tensors) for key, value in tree.items()}
    return [_unpacked(value, tensors) for value in tree] if isinstance(tree, list) else tree
