"""What a training is taken up from: weights, optimiser, chance and course in one file that holds no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

_NAME = "checkpoint.safetensors"

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
        held = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        held |= _flattened(optimiser)
        self._last = held, course
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        save_file(held, beside, {"key": self._key, "course": json.dumps(course)})
        beside.replace(self._path)

    def load(self) -> tuple[dict[str, Tensor], State] | None:
        """The last state: tensors and course; None where there is none of this training."""
        if self._last is None and self._path is not None and self._path.exists():
            self._last = self._read(self._path)
        return self._last

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


def _flattened(optimiser: State) -> dict[str, Tensor]:
    """State of an optimiser as named tensors; none of one that keeps other things, which then begins anew."""
    flat = {}
    for number, state in optimiser["state"].items():
        for name, value in state.items():
            if not isinstance(value, Tensor | int | float):
                return {}
            flat[f"optimiser.{number}.{name}"] = torch.as_tensor(value).detach().cpu().clone().contiguous()
    return flat


def optimiser_state(tensors: Mapping[str, Tensor], fresh: State) -> State:
    """State of an optimiser from the tensors of a checkpoint.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        Of the checkpoint.
    fresh : dict
        State of a new optimiser, whose settings it keeps.

    Returns
    -------
    dict
        For ``load_state_dict``.
    """
    state: dict[int, State] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, number, what = name.split(".", 2)
            state.setdefault(int(number), {})[what] = tensor
    return {"state": state, "param_groups": fresh["param_groups"]}
