"""What every kernel of one pattern promises, tried on patterns of a crystal with faults of the detector."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.frames import Frames
from parscope.live.kernels.contract import Detector, Kernel
from parscope.live.kernels.over import over
from parscope.live.kernels.plan import Plan
from parscope.techniques.diffraction.simulate import ScanDesign, simulate

Array = NDArray[np.float64]

_FILL = (7.0, -3.0)


def check_kernel(kernel: Kernel, detector: Detector | None = None, patterns: NDArray[Any] | None = None) -> None:
    """Try a kernel against its contract.

    Parameters
    ----------
    kernel : Kernel
        Any.
    detector : Detector, optional
        What is known of the patterns; default a detector of 96 x 96 pixels, of which two are unusable.
    patterns : ndarray, shape (n, q_y, q_x), optional
        Patterns of which it can say something, at least as many as it wants for examples; default those of a crystal.

    Raises
    ------
    AssertionError
        With what is not as it must be.

    Examples
    --------
    >>> from parscope.live.kernels.moments import CentreOfMass
    >>> check_kernel(CentreOfMass())
    """
    detector = example_detector() if detector is None else detector
    patterns = example_patterns() if patterns is None else patterns
    _require(isinstance(kernel, Kernel), "it has name, function, outputs, examples and setup")
    _names(kernel)
    examples = patterns[: kernel.examples]
    state = kernel.setup(detector, examples)
    some = patterns[:8]
    answers = np.stack([_run(kernel, state, frame) for frame in some])
    _require(np.isfinite(answers).any(), "it answers to at least one of the patterns")
    _pure(kernel, state, some, answers)
    _faults(kernel, state, detector, some[0])
    _hosts(kernel, detector, examples, some, answers)


def example_detector() -> Detector:
    """Detector of the patterns that kernels are tried on.

    Returns
    -------
    Detector
    """
    mask = np.zeros((96, 96), np.bool_)
    mask[2, 3] = mask[90, 1] = True
    return Detector((96, 96), "uint8", mask, 255, (8, 8))


@cache
def example_patterns() -> NDArray[np.uint8]:
    """Patterns of a strained crystal; one unusable pixel of the detector is hot, the other was not read.

    Returns
    -------
    ndarray of uint8, shape (64, 96, 96)
    """
    design = ScanDesign(
        scan=(8, 8),
        pattern=(96, 96),
        electrons=20000.0,
        radius=4.0,
        edge=0.7,
        lattice=(16.0, 16.0, -90.0, 79.0),
        max_q=40.0,
    )
    counts = np.minimum(np.asarray(simulate(design).frames.data[:]), 254).reshape(-1, 96, 96)
    patterns: NDArray[np.uint8] = counts.astype(np.uint8)
    patterns[:, 2, 3], patterns[:, 90, 1] = 250, 255
    patterns.flags.writeable = False
    return patterns


def _require(holds: Any, sentence: str) -> None:
    if not holds:
        raise AssertionError(f"not so: {sentence}")


def _run(kernel: Kernel, state: tuple[Any, ...], frame: NDArray[Any], fill: float = _FILL[0]) -> Array:
    out = np.full(len(kernel.outputs), fill)
    kernel.function(frame, *state, out)
    return out


def _same(one: Array, other: Array) -> bool:
    """Equal to the last bit, NaN included."""
    return bool(np.array_equal(one, other, equal_nan=True))


def _names(kernel: Kernel) -> None:
    names = [output.name for output in kernel.outputs]
    _require(names and len(set(names)) == len(names), "it has outputs, each of another name")
    _require(all(name and "." not in name for name in (kernel.name, *names)), "names have no dot")
    _require(all(output.unit and output.label for output in kernel.outputs), "every output has a unit and a label")
    _require(kernel.examples >= 0, "the number of examples is not negative")


def _pure(kernel: Kernel, state: tuple[Any, ...], some: NDArray[Any], answers: Array) -> None:
    """The answer to a pattern is its own, whatever came before and whichever process it is in."""
    kept = some.copy()
    for k in reversed(range(len(some))):
        _require(_same(_run(kernel, state, some[k]), answers[k]), "answers are the same in another order")
        _require(_same(_run(kernel, state, some[k], _FILL[1]), answers[k]), "every number is written")
    _require((some == kept).all(), "the pattern is left as it is")
    function, other = pickle.loads(pickle.dumps((kernel.function, state)))
    out = np.full(len(kernel.outputs), _FILL[0])
    function(some[0], *other, out)
    _require(_same(out, answers[0]), "answers are the same in another process")


def _faults(kernel: Kernel, state: tuple[Any, ...], detector: Detector, frame: NDArray[Any]) -> None:
    """What was not measured is never counted."""
    answer = _run(kernel, state, frame)
    if detector.mask.any():
        spoiled = frame.copy()
        spoiled[detector.mask] = 0
        _require(_same(_run(kernel, state, spoiled), answer), "what an unusable pixel holds does not matter")
    if detector.nodata >= 0:
        nothing = np.full_like(frame, detector.nodata)
        _require(np.isnan(_run(kernel, state, nothing)).all(), "a pattern of which nothing was read has no answer")
    dark = _run(kernel, state, np.zeros_like(frame))
    _require((np.isnan(dark) | (dark == 0)).all(), "a pattern without counts has no answer but 0")


def _hosts(kernel: Kernel, detector: Detector, examples: NDArray[Any], some: NDArray[Any], answers: Array) -> None:
    """Alone, with others, over a file: the same bits."""
    plan = Plan([kernel, "com" if kernel.name == "sum" else "sum"], detector, examples)
    out = plan.room()
    plan.run(some[0], out)
    _require(_same(out[: len(kernel.outputs)], answers[0]), "answers are the same in a plan")
    found = over(Frames.from_array(some[None]), plan)
    maps = np.stack([found[output.name][0] for output in plan.outputs[: len(kernel.outputs)]], 1)
    _require(_same(maps, answers), "answers are the same over a file")
