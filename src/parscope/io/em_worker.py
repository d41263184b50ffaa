"""Reads and writes vendor formats through RosettaSciIO, in a process of its own: ``python -m parscope.io.em_worker``.

RosettaSciIO is under the GPL: it is imported here and nowhere else, and spoken to over a pipe.
The process ends when its parent does, because its standard input does.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import numpy as np

from parscope.io._meta import flatten
from parscope.io._wire import Outlet, receive, send
from parscope.io.describers._verbatim import verbatim


class Session:
    """The file that one parent works with.

    Parameters
    ----------
    out : Outlet
        Where answers go.
    """

    def __init__(self, out: Outlet) -> None:
        self.out = out
        self.signals: list[dict[str, Any]] = []

    def answer(self, request: dict[str, Any]) -> None:
        """Carry out one request; a fault becomes the answer.

        Parameters
        ----------
        request : dict
            ``do`` names the deed: ``open``, ``describe``, ``read`` or ``write``.
        """
        try:
            deeds = {"open": self.open, "describe": self.describe, "read": self.read, "write": self.write}
            message, payload = deeds[request["do"]](request)
        except ModuleNotFoundError as error:
            message, payload = {"missing": error.name or "rosettasciio"}, b""
        except Exception as error:  # noqa: BLE001 the parent is told, and raises
            message, payload = {"error": f"{type(error).__name__}: {error}"[:500]}, b""
        send(self.out, message, payload)

    def open(self, request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """List the signals of a file.

        Parameters
        ----------
        request : dict
            ``plugin`` and ``path``.

        Returns
        -------
        message : dict
            ``signals``: shape, type, axes, title and metadata of each.
        payload : bytes
            Empty.
        """
        plugin = import_module(f"rsciio.{request['plugin']}")
        try:
            found = plugin.file_reader(request["path"], lazy=True)
        except NotImplementedError:
            # formats of single spectra have no lazy reader
            found = plugin.file_reader(request["path"])
        self.signals = [_ordered(s) for s in found]
        return {"signals": [_describe(s) for s in self.signals]}, b""

    def describe(self, request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """List the signals of a file with all of their metadata as they are.

        Parameters
        ----------
        request : dict
            ``plugin`` and ``path``.

        Returns
        -------
        message : dict
            ``signals``: as `open` lists them, with names of the axes, metadata verbatim, and as mapped by RosettaSciIO.
        payload : bytes
            Empty.
        """
        listed, payload = self.open(request)
        for told, signal in zip(listed["signals"], self.signals, strict=True):
            told["axes"] = [[*a, str(s.get("name", ""))] for a, s in zip(told["axes"], signal["axes"], strict=True)]
            told["metadata"] = verbatim(_mapping(signal.get("original_metadata", {})))
            told["mapped"] = verbatim(_mapping(signal.get("metadata", {})))
        return listed, payload

    def read(self, request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """Read one window of one signal.

        Parameters
        ----------
        request : dict
            ``signal`` and ``window``: start and stop along the leading dimensions.

        Returns
        -------
        message : dict
            ``shape`` and ``dtype``.
        payload : ndarray of uint8, shape (bytes,)
            The samples.
        """
        part = self.signals[request["signal"]]["data"][tuple(slice(*w) for w in request["window"])]
        if hasattr(part, "compute"):
            part = part.compute(scheduler="synchronous")
        block = np.ascontiguousarray(part)
        block = block.astype(block.dtype.newbyteorder("="), copy=False)
        return {"shape": block.shape, "dtype": str(block.dtype)}, block.reshape(-1).view(np.uint8)

    def write(self, request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """Write a file from a raw one.

        Parameters
        ----------
        request : dict
            ``plugin``, ``path``, ``raw``, ``shape``, ``dtype`` and ``axes``.

        Returns
        -------
        message : dict
            Empty.
        payload : bytes
            Empty.
        """
        from_array = import_module("dask.array").from_array
        plugin = import_module(f"rsciio.{request['plugin']}")
        shape = tuple(request["shape"])
        mapped = np.memmap(request["raw"], request["dtype"], "r", shape=shape)
        signal = {
            "data": from_array(mapped, chunks=(1, *shape[1:])),
            "axes": request["axes"],
            "metadata": {"General": {"title": ""}, "Signal": {}},
            "original_metadata": {},
            "attributes": {"_lazy": True},
        }
        navigator = np.zeros(shape[:2], np.uint8)
        plugin.file_writer(request["path"], signal, intensity_scaling=None, navigator=navigator, show_progressbar=False)
        return {}, b""


def _ordered(signal: dict[str, Any]) -> dict[str, Any]:
    """Scan dimensions first, pattern dimensions last, whatever the format's own order."""
    axes = sorted(signal["axes"], key=lambda a: a.get("index_in_array", 0))
    order = sorted(range(len(axes)), key=lambda i: not axes[i].get("navigate", False))
    if len(axes) != signal["data"].ndim:
        return signal
    return {**signal, "data": signal["data"].transpose(order), "axes": [axes[i] for i in order]}


def _describe(signal: dict[str, Any]) -> dict[str, Any]:
    data = signal["data"]
    axes = [[float(a.get("scale", 1.0)), str(a.get("units", "")), float(a.get("offset", 0.0))] for a in signal["axes"]]
    return {
        "shape": list(data.shape),
        "dtype": str(np.dtype(data.dtype)),
        "axes": axes,
        "title": str(signal.get("metadata", {}).get("General", {}).get("title", "")),
        "metadata": flatten(_mapping(signal.get("original_metadata", {}))),
    }


def _mapping(tree: Any) -> dict[str, Any]:
    return tree.as_dictionary() if hasattr(tree, "as_dictionary") else dict(tree)


def main() -> None:
    """Answer requests from standard input until it ends."""
    # what libraries print must not get between the answers
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    session = Session(out)
    while (request := receive(sys.stdin.buffer)) is not None:
        session.answer(request[0])


if __name__ == "__main__":
    main()
