"""What a training is taken up from: weights, optimiser, chance and course in one file that holds no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from parscope.core.errors import OutputError

_NAME = "checkpoint.safetensors"
_OPTIMISER, _TENSOR = "optimiser", "tensor"

State = dict[str, Any]


class Checkpoint:
    """The last state of a training, in memory, and in a folder if there is one.

    Parameters
    ----------
    folder : Path, optional
        Where the file is.
    key : mapping, optional
        All that the training depends on; a file of another training is left alone until it is overwritten.

    Attributes
    ----------
    discarded : str
        Why a file that is there was not taken up; empty if it was, or there is none.
    """

    def __init__(self, folder: Path | None = None, key: Mapping[str, Any] | None = None) -> None:
        self._path = None if folder is None else folder / _NAME
        self._key = json.dumps(key or {}, sort_keys=True, default=str)
        self._last: tuple[dict[str, Tensor], State] | None = None
        self.discarded = ""

    def also(self, key: Mapping[str, Any]) -> Checkpoint:
        """The checkpoint of a training that depends on more.

        Parameters
        ----------
        key : mapping
            On what else.

        Returns
        -------
        Checkpoint
        """
        return Checkpoint(None if self._path is None else self._path.parent, {"": self._key, **key})

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

        Raises
        ------
        OutputError
            If it cannot be written, for want of space for example; what was kept before stays.
        """
        held = {name: _kept(tensor) for name, tensor in tensors.items()}
        self._last = held, {**course, _OPTIMISER: _packed(optimiser, held, _OPTIMISER)}
        if self._path is None:
            return
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # As bytes, which a full disk refuses with an error of the system.
            beside.write_bytes(save(held, {"key": self._key, "course": json.dumps(self._last[1])}))
            beside.replace(self._path)
        except OSError as error:
            advice = "free some space and run the command again: it goes on from what was kept before"
            raise OutputError(f"cannot be written ({error.strerror})", str(self._path), advice) from error
        finally:
            beside.unlink(missing_ok=True)

    def load(self) -> tuple[dict[str, Tensor], State, State] | None:
        """The last state: tensors, optimiser and course, to be changed at will; None where there is none of this."""
        if self._last is None and self._path is not None and self._path.exists():
            self._last = self._read(self._path)
        if self._last is None:
            return None
        # Optimisers go on in the tensors they are given: what is kept must not be changed by the steps that follow.
        tensors, course = {name: tensor.clone() for name, tensor in self._last[0].items()}, self._last[1]
        optimiser = _unpacked(course[_OPTIMISER], tensors)
        optimiser["state"] = {int(number): state for number, state in optimiser["state"].items()}
        return tensors, optimiser, {name: value for name, value in course.items() if name != _OPTIMISER}

    def _read(self, path: Path) -> tuple[dict[str, Tensor], State] | None:
        """State of a file; a damaged one, which a full disk may leave, is as good as none."""
        try:
            with safe_open(path, "pt") as file:
                notes = file.metadata() or {}
                if notes["key"] != self._key:
                    self.discarded = f"{path} is of another training"
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
                return tensors, json.loads(notes["course"])
        except (SafetensorError, OSError, ValueError, KeyError):
            self.discarded = f"{path} is damaged"
            return None

    def remove(self) -> None:
        """Remove the file, and its folder if nothing else is in it."""
        if self._path is None:
            return
        self._path.unlink(missing_ok=True)
        try:
            self._path.parent.rmdir()
        except OSError:
            # Not there, or something of a person's own is in it.
            return


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
