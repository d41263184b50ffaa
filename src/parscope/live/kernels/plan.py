"""Several kernels as one: what shares a pass over the pattern is done in one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core import registry
from parscope.core.errors import InputError, OptionError, ShapeError
from parscope.live.kernels.contract import Detector, Kernel, found_in
from parscope.live.kernels.moments import Shared, native, prepare
from parscope.live.kernels.parts import nothing, outputs_of, part_of
from parscope.live.kernels.sweep import measure, measure_many

Array = NDArray[np.float64]

GROUP = "parscope.kernels"

# What a rule can write, and the names of files and of data keys hold.
_NAME = re.compile(r"[^\W\d]\w*(-\w+)*")


class Plan:
    """All that is computed of every pattern of a series, ready to run; can be pickled, one for each thread.

    Parameters
    ----------
    kernels : sequence of str or Kernel
        Kernels, or what `kernel_of` makes kernels of.
    detector : Detector
        What is known of the patterns.
    examples : ndarray, shape (n, q_y, q_x), optional
        Patterns of this sample, as many as `examples_of` says.

    Raises
    ------
    OptionError
        If there is no kernel, one of an unknown name, or two of one name.
    InputError
        If there are too few examples, or the patterns are of no use.
    NoLatticeError
        If a kernel finds no lattice in the examples.

    Attributes
    ----------
    outputs : tuple of Output
        What is computed, in the order of the numbers.
    parts : mapping
        What the set-up of each kernel gave, by its name.
    missing : tuple of str
        Kernels that have not been set up: their numbers are NaN.

    Examples
    --------
    >>> detector = Detector((4, 4), "uint8", np.zeros((4, 4), np.bool_), 255, (1, 1))
    >>> plan = Plan(["com", "sum"], detector)
    >>> frame, out = np.zeros((4, 4), np.uint8), plan.room()
    >>> frame[1, 2] = 7
    >>> plan.run(frame, out)
    >>> {output.name: float(value) for output, value in zip(plan.outputs, out)}
    {'com.y': 1.0, 'com.x': 2.0, 'sum.counts': 7.0}
    """

    def __init__(
        self, kernels: Sequence[str | Kernel], detector: Detector, examples: NDArray[Any] | None = None
    ) -> None:
        made = kernels_of(kernels)
        _check(detector)
        given = _examples(made, detector, examples)
        self._make(made, detector, {kernel.name: part_of(kernel, detector, given) for kernel in made})

    @classmethod
    def of_parts(cls, kernels: Sequence[str | Kernel], detector: Detector, parts: Mapping[str, Any]) -> Plan:
        """Put a plan together of kernels that were set up one by one; the numbers of the others are NaN.

        Parameters
        ----------
        kernels : sequence of str or Kernel
            Kernels, or what `kernel_of` makes kernels of.
        detector : Detector
            What is known of the patterns.
        parts : mapping
            By the names of kernels, what `part_of` gave.

        Returns
        -------
        Plan

        Raises
        ------
        OptionError
            If there is no kernel, one of an unknown name, or two of one name.
        InputError
            If the patterns are of no use.
        """
        plan = cls.__new__(cls)
        _check(detector)
        plan._make(kernels_of(kernels), detector, parts)
        return plan

    def _make(self, kernels: tuple[Kernel, ...], detector: Detector, parts: Mapping[str, Any]) -> None:
        """Put it together."""
        self._kernels, self.detector, self.parts = kernels, detector, dict(parts)
        self._type = native(detector)
        self.missing = tuple(kernel.name for kernel in kernels if kernel.name not in parts)
        self.outputs = outputs_of(kernels)
        self._places = {output.name: place for place, output in reversed(list(enumerate(self.outputs)))}
        for place, output in reversed(list(enumerate(self.outputs))):
            self._places[output.name.partition(".")[0]] = place
        self._steps, self._owners = self._prepared()

    def _prepared(self) -> tuple[list[tuple[Any, tuple[Any, ...], slice | None]], list[tuple[str, list[int]]]]:
        """Functions, their states, and where their numbers go; and whose each is, and which.

        First comes the shared pass, which puts its numbers in place itself.
        """
        wanted, places, together, start = [], [], [], 0
        steps: list[tuple[Any, tuple[Any, ...], slice | None]] = []
        owners: list[tuple[str, list[int]]] = []
        for kernel in self._kernels:
            stop = start + len(kernel.outputs)
            if kernel.name not in self.parts:
                steps.append((nothing, (), slice(start, stop)))
            elif isinstance(kernel, Shared):
                wanted.append(self.parts[kernel.name])
                places.append(range(start, stop))
                together.append(kernel.name)
            else:
                steps.append((kernel.function, self.parts[kernel.name], slice(start, stop)))
            if not isinstance(kernel, Shared) or kernel.name not in self.parts:
                owners.append((kernel.name, list(range(start, stop))))
            start = stop
        if wanted:
            steps.insert(0, (measure, prepare(self.detector, wanted, places), None))
            owners.insert(0, (", ".join(together), [place for part in places for place in part]))
        return steps, owners

    def having(self, name: str, part: Any) -> Plan:
        """The same with one more kernel.

        Parameters
        ----------
        name : str
            Of the kernel.
        part : object
            What `part_of` gave.

        Returns
        -------
        Plan
            It shares the states of the others with this one: one of the two is to be run.
        """
        return Plan.of_parts(self._kernels, self.detector, {**self.parts, name: part})

    def place(self, name: str) -> int:
        """Which number a name stands for.

        Parameters
        ----------
        name : str
            Such as ``strain.e_xx``; that of a kernel alone means its first number.

        Returns
        -------
        int

        Raises
        ------
        OptionError
            If nothing has this name.
        """
        if name not in self._places:
            raise OptionError(f"there is no {name!r}", "analysis", f"choose one of {', '.join(self._places)}")
        return self._places[name]

    def room(self) -> Array:
        """Room for the numbers of one pattern.

        Returns
        -------
        ndarray of float64, shape (outputs,)
            All NaN.
        """
        return np.full(len(self.outputs), np.nan)

    def run(self, frame: NDArray[Any], out: Array) -> None:
        """Compute everything of one pattern.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            Counts, of the type that the detector was said to have, contiguous.
        out : ndarray of float64, shape (outputs,)
            Where the numbers go, in the order of `outputs`; NaN where there is none.
        """
        for function, state, part in self._steps:
            function(frame, *state, out if part is None else out[part])

    def run_many(self, frames: NDArray[Any], out: Array) -> None:
        """Compute everything of several patterns, one after the other: the same numbers, bit for bit.

        Parameters
        ----------
        frames : ndarray, shape (n, q_y, q_x)
            Counts, as `run` takes them.
        out : ndarray of float64, shape (n, outputs)
            Where the numbers go.
        """
        for function, state, part in self._steps:
            if function is measure:
                measure_many(frames, *state, out)
            elif function is nothing:
                out[:, part] = np.nan
            else:
                for frame, numbers in zip(frames, out, strict=True):
                    function(frame, *state, numbers if part is None else numbers[part])

    def run_apart(self, frame: NDArray[Any], out: Array) -> dict[str, Exception]:
        """Compute what can be computed of a pattern with which `run` has failed.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            Counts, as `run` takes them.
        out : ndarray of float64, shape (outputs,)
            Where the numbers go; NaN for kernels that fail.

        Returns
        -------
        dict of Exception
            By the names of the kernels that failed.
        """
        failed = {}
        for (function, state, part), (name, places) in zip(self._steps, self._owners, strict=True):
            try:
                function(frame, *state, out if part is None else out[part])
            except Exception as error:  # noqa: BLE001 - whatever a kernel does, the loop goes on
                out[places] = np.nan
                failed[name] = error
        return failed

    def as_taken(self, frame: NDArray[Any]) -> NDArray[Any]:
        """A pattern as `run` takes it.

        Parameters
        ----------
        frame : ndarray, shape (q_y, q_x)
            Counts, of any type that holds the same numbers.

        Returns
        -------
        ndarray, shape (q_y, q_x)
            The same array where nothing is to be done.
        """
        return np.ascontiguousarray(frame, self._type)

    @property
    def found(self) -> dict[str, Mapping[str, Any]]:
        """What kernels found in the examples, by their names; see `parscope.live.kernels.contract.State`."""
        told = {name: found_in(part) for name, part in self.parts.items()}
        return {name: found for name, found in told.items() if found}

    def copy(self) -> Plan:
        """The same plan with room of its own, for another thread.

        Returns
        -------
        Plan
        """
        return deepcopy(self)

    def warm(self) -> None:
        """Compile everything, so that the first pattern takes no longer than any other."""
        frame, out = np.zeros(self.detector.shape, self._type), self.room()
        self.run(frame, out)
        self.run_many(frame[None], out[None])
        # What comes out of a message may not be written to, which is another type to the compiler.
        frame.flags.writeable = False
        self.run(frame, out)


def kernel_of(text: str) -> Kernel:
    """Make the kernel that a text asks for.

    Parameters
    ----------
    text : str
        ``kernel``, ``kernel:parameters``, or one of these with ``name=`` before it: ``com``, ``bf:95,96,40``,
        ``halo=ring:95,96,40,60``, ``onnx:network.onnx``.

    Returns
    -------
    Kernel

    Raises
    ------
    OptionError
        If there is no such kernel, or its parameters cannot be read.

    Examples
    --------
    >>> kernel_of("halo=ring:40,60").outputs[0].label
    'virtual detector halo'
    """
    label, _, rest = text.rpartition("=") if ":" not in text.partition("=")[0] else ("", "", text)
    kind, colon, parameters = rest.partition(":")
    made = registry.load(GROUP, kind.strip())
    if colon and not hasattr(made, "parse"):
        raise OptionError(f"takes no parameters, not {parameters!r}", kind)
    try:
        kernel = made.parse(parameters) if colon else made()
    except TypeError as error:
        raise OptionError("needs parameters", kind, f"give them after a colon, as in {kind}:FILE") from error
    name = label.strip() or kind.strip()
    if not _NAME.fullmatch(name):
        raise OptionError(
            f"{name!r} is no name of a kernel", "--analyse", "use letters, digits, - and _, a letter first"
        )
    found: Kernel = kernel if kernel.name == name else replace(kernel, name=name)
    return found


def kernels_of(kernels: Sequence[str | Kernel]) -> tuple[Kernel, ...]:
    """Make kernels of names, and see that they can be told apart.

    Parameters
    ----------
    kernels : sequence of str or Kernel
        What `kernel_of` takes, or kernels as they are.

    Returns
    -------
    tuple of Kernel

    Raises
    ------
    OptionError
        If there is none, one of an unknown name, or two of one name.
    """
    made = tuple(kernel_of(kernel) if isinstance(kernel, str) else kernel for kernel in kernels)
    names = [kernel.name for kernel in made]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"there are two {twice[0]!r}", "--analyse", f"name one of them, as in other={twice[0]}")
    if not made:
        raise OptionError("nothing is to be computed", "--analyse", f"choose of {', '.join(registry.names(GROUP))}")
    return made


def examples_of(kernels: Sequence[str | Kernel]) -> int:
    """How many patterns the kernels want to see before the first answer.

    Parameters
    ----------
    kernels : sequence of str or Kernel
        As of `Plan`.

    Returns
    -------
    int
        0 if none.
    """
    return max(kernel.examples for kernel in kernels_of(kernels))


def _check(detector: Detector) -> None:
    """Refuse patterns that no kernel can work with."""
    native(detector)
    if detector.mask.shape != detector.shape:
        raise ShapeError(f"has shape {detector.mask.shape}, the patterns {detector.shape}", "mask")


def _examples(kernels: Sequence[Kernel], detector: Detector, given: NDArray[Any] | None) -> NDArray[Any]:
    """The examples, if there are enough of the right shape."""
    wanted = max(kernel.examples for kernel in kernels)
    examples = np.zeros((0, *detector.shape), native(detector)) if given is None else given
    if examples.shape[1:] != detector.shape:
        raise ShapeError(f"have shape {examples.shape[1:]}, the patterns {detector.shape}", "examples")
    # A scan of fewer positions than that has no more to give.
    if len(examples) < min(wanted, max(int(np.prod(detector.scan_shape)), 1)):
        raise InputError(f"are {len(examples)}, not {wanted}", "examples of the patterns", "give more of them")
    return examples
