"""Networks of any origin, in ONNX Runtime, on one thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.errors import FormatError, MissingExtraError, OptionError, ShapeError
from parscope.live.kernels.contract import Detector, Output
from parscope.live.kernels.solver import readable

Array = NDArray[np.float64]


class Network:
    """A network that is loaded when it is first run in a process, and travels between processes as its bytes.

    Parameters
    ----------
    model : bytes
        Content of an ``.onnx`` file.
    source : str
        Where it is from, for errors.
    """

    def __init__(self, model: bytes, source: str) -> None:
        self._model, self._source = model, source

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is loaded."""
        return {"_model": self._model, "_source": self._source}

    @cached_property
    def _session(self) -> Any:
        """The network as ONNX Runtime has loaded it."""
        try:
            import onnxruntime  # type: ignore[import-untyped]
        except ModuleNotFoundError as error:
            raise MissingExtraError("onnxruntime", "onnx") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(self._model, options, providers=["CPUExecutionProvider"])
        # The library raises classes of its own, which have no common base but this one.
        except Exception as error:
            raise FormatError("is no network of one input", self._source, "export it as ONNX") from error

    @cached_property
    def _input(self) -> tuple[str, int]:
        """Name of the input, and how many axes it has."""
        given = self._session.get_inputs()[0]
        return given.name, len(given.shape)

    @cached_property
    def size(self) -> int:
        """How many numbers it gives for a pattern."""
        shapes = [given.shape[1:] for given in self._session.get_outputs()]
        if not all(isinstance(n, int) for shape in shapes for n in shape):
            raise FormatError(
                "gives as many numbers as its input decides", self._source, "fix the shape of its outputs"
            )
        return sum(int(np.prod(shape)) for shape in shapes)

    def __call__(self, frame: NDArray[Any]) -> Array:
        """Run it on one pattern.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            Counts.

        Returns
        -------
        ndarray, shape (k,)
            All its outputs, one after the other.

        Raises
        ------
        FormatError
            If it is no network.
        ShapeError
            If it does not take patterns of this shape.
        """
        name, axes = self._input
        signal = frame.astype(np.float32).reshape((1,) * (axes - 2) + frame.shape)
        try:
            results = self._session.run(None, {name: signal})
        # As above.
        except Exception as error:
            raise ShapeError(f"does not take patterns {frame.shape}", self._source) from error
        return np.concatenate([np.ravel(result) for result in results]).astype(np.float64)


def infer(frame: NDArray[Any], network: Network, mask: NDArray[np.bool_], nodata: int, out: Array) -> None:
    """Outputs of a network for one pattern; NaN where a pixel was not read or no electron came.

    Parameters
    ----------
    frame : ndarray, shape (q_y, q_x)
        Counts.
    network : Network
        Any.
    mask : ndarray of bool, shape (q_y, q_x)
        Pixels that are given to the network as 0.
    nodata : int
        Value of a pixel that was not read, [counts]; -1 if there is none.
    out : ndarray of float64, shape (k,)
        Its outputs.
    """
    out[:] = np.nan
    if readable(frame, mask, nodata):
        counts = np.where(mask, 0, frame)
        if counts.any():
            out[:] = network(counts)


@dataclass(frozen=True)
class OnnxKernel:
    """A network of patterns to numbers.

    Parameters
    ----------
    network : Network
        Its input has the shape (1, q_y, q_x) or (1, 1, q_y, q_x), in single precision.
    outputs : tuple of Output
        One for each number that it gives.
    name : str, default "onnx"
        Of the kernel.
    """

    network: Network
    outputs: tuple[Output, ...]
    name: str = "onnx"
    examples: int = 0

    @property
    def function(self) -> Callable[..., None]:
        """What is run; see `infer`."""
        return infer

    @classmethod
    def of(cls, path: Path, names: tuple[str, ...] = (), units: tuple[str, ...] = ()) -> OnnxKernel:
        """Read an ``.onnx`` file.

        Parameters
        ----------
        path : Path
            The file.
        names : tuple of str, optional
            Of its outputs; default ``out_0``, ``out_1``, ...
        units : tuple of str, optional
            Their units; default ``1``.

        Returns
        -------
        OnnxKernel

        Raises
        ------
        OptionError
            If the file cannot be read, or has another number of outputs.
        FormatError
            If it is no network.
        MissingExtraError
            If ONNX Runtime is not installed.
        """
        try:
            network = Network(path.read_bytes(), str(path))
        except OSError as error:
            raise OptionError("cannot be read", str(path), "name an .onnx file, as in onnx:network.onnx") from error
        names = names or tuple(f"out_{k}" for k in range(network.size))
        units = units or ("1",) * len(names)
        if not len(names) == len(units) == network.size:
            raise OptionError(
                f"gives {network.size} numbers, not {len(names)}", str(path), "give a name and a unit each"
            )
        return cls(network, tuple(Output(n, u, n.replace("_", " ")) for n, u in zip(names, units, strict=True)))

    @classmethod
    def parse(cls, text: str) -> OnnxKernel:
        """Read the file of this path; see `of`.

        Parameters
        ----------
        text : str
            Path of an ``.onnx`` file.

        Returns
        -------
        OnnxKernel
        """
        return cls.of(Path(text))

    def setup(self, detector: Detector, examples: NDArray[Any]) -> tuple[Any, ...]:
        """Prepare the state; see `Kernel.setup`.

        Parameters
        ----------
        detector : Detector
            What is known of the patterns.
        examples : ndarray, shape (n, q_y, q_x)
            Not looked at.

        Returns
        -------
        tuple
            Network, mask, value of a pixel that was not read.

        Raises
        ------
        ShapeError
            If the network is for patterns of another shape.
        """
        self.network(np.zeros(detector.shape, detector.dtype))
        return self.network, detector.mask, detector.nodata
