"""Separable physics: signals that are linear in some parameters, which are then solved in closed form.

Amplitudes and backgrounds multiply columns that depend on the remaining, non-linear parameters alone. Least squares
over all of them is a search over the non-linear ones only (variable projection, Golub and Pereyra,
doi:10.1137/0710036). A technique says what its columns are, once; simulation, fit, bounds and errors follow.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.physics import Parameter, Physics

# Of the standard library, element by element: used for templates and simulation, not in the compiled search.
_ERF = np.vectorize(math.erf, otypes=[np.float64])


def _functions(library: Any) -> Any:
    """What columns may use of a library; NumPy lacks the error function."""
    if library is not np:
        return library
    return SimpleNamespace(exp=np.exp, log=np.log, sqrt=np.sqrt, where=np.where, erf=_ERF)


@dataclass(frozen=True)
class Linear:
    """A factor that multiplies one column: complex where the signal is complex, else real.

    Parameters
    ----------
    name : str
        The field's standard term; a complex factor is stored as ``name_re`` and ``name_im``.
    unit : str
        Unit of the factor; ``signal`` in it stands for that of the samples, as in ``signal/V``.
    typical : float, optional
        What forecasts and simulations take it to be, in `unit`. Default: 1 for a column that depends on what is
        searched, 0 for others.
    """

    name: str
    unit: str
    typical: float | None = None


@dataclass(frozen=True)
class Piece:
    """A part of the samples that some of the non-linear parameters govern alone.

    Parameters
    ----------
    physics : Separable
        Makes that part of a signal; its non-linear parameters are some of those of the whole, in their order.
    samples : ndarray of int, shape (n,)
        Which samples.
    """

    physics: Separable
    samples: NDArray[np.int64]


class Separable(Physics):
    """Physics whose signal is a sum of columns with linear factors.

    A subclass is a frozen dataclass that gives `axis`, `nonlinear`, `linear` and `columns`. Signals have one axis.
    They are complex where `noise` is ``complex gaussian``, and so are the factors.
    """

    usual_axis: ClassVar[Axis | None] = None
    """What spectra are usually measured on: its unit is the one that is needed, and forecasts and simulations are made
    on it. None where there is no such thing."""
    any_unit: ClassVar[bool] = False
    """Whether an axis of any unit will do."""
    dispensable: ClassVar[bool] = False
    """Whether signals may lack the columns that are searched: these get ABSENT unless Bayes' criterion asks for
    them (Schwarz, doi:10.1214/aos/1176344136)."""

    @classmethod
    def for_spectra(cls, axis: Axis, sample: Callable[[], NDArray[Any]], /, **options: Any) -> Self:
        """Physics for measured spectra: the one place where a technique may adapt to data; most do not.

        Parameters
        ----------
        axis : Axis
            Of the spectra, in the unit of the technique.
        sample : callable
            Reads spectra that are spread over the measurement, shape (n, bins), some of which may be NaN.
        **options
            Fields of the class, and keywords that a subclass adds.

        Returns
        -------
        Separable
        """
        return cls(axis.values, **options)  # type: ignore[call-arg]  # the first field of a technique is its axis

    @property
    @abstractmethod
    def axis(self) -> NDArray[np.float64]:
        """Positions of the samples, shape (bins,)."""

    @property
    @abstractmethod
    def nonlinear(self) -> tuple[Parameter, ...]:
        """The parameters that the columns depend on, with finite bounds."""

    @property
    @abstractmethod
    def linear(self) -> tuple[Linear, ...]:
        """The factors of the columns."""

    @abstractmethod
    def columns(self, xp: Any, x: Any, /, *theta: Any) -> tuple[Any, ...]:
        """What the linear factors multiply, one expression each.

        Called with arrays of any library, and once with symbols, from which derivatives and machine code are made: so
        it holds arithmetic and functions of `xp` (``exp``, ``log``, ``sqrt``, ``erf``, ``where``) only.

        Parameters
        ----------
        xp : namespace
            Where functions come from.
        x : array, shape (bins,)
            Positions of the samples.
        *theta : array, shape (n, 1)
            Non-linear parameters, in the order of `nonlinear`.

        Returns
        -------
        tuple of array, shape (n, bins)
            One column for each of `linear`; a number stands for a constant column.
        """

    @property
    def quantities(self) -> tuple[Parameter, ...]:
        """What `derive` returns: quantities a person asks for that are functions of the parameters; none by default."""
        return ()

    def derive(self, theta: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Quantities of the parameters.

        Parameters
        ----------
        theta : ndarray, shape (n, k)
            Parameters in the order of `parameters`.

        Returns
        -------
        ndarray, shape (n, q)
            In the order and units of `quantities`.
        """
        return np.empty((len(theta), 0))

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Parts from which a search starts, where a grid over all parameters would be too coarse; none by default.

        Their non-linear parameters, one piece after the other, are those of the whole. Pieces whose factors are those
        of the whole too are tried together.
        """
        return ()

    @property
    def usual(self) -> tuple[tuple[float, float], ...]:
        """Soft bounds: mean and standard deviation of what is searched (logarithms for ``log``); none by default."""
        return ()

    @property
    def complex(self) -> bool:
        """Whether signals and factors are complex."""
        return self.noise == "complex gaussian"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All real parameters: the non-linear ones, then the factors with real before imaginary part."""
        parts = ("_re", "_im") if self.complex else ("",)
        return self.nonlinear + tuple(Parameter(f.name + part, f.unit) for f in self.linear for part in parts)

    @property
    def signal_shape(self) -> tuple[int, ...]:
        """Shape of one signal, (bins,)."""
        return self.axis.shape

    def basis(self, theta: Any, /) -> tuple[Any, ...]:
        """Columns at given non-linear parameters.

        Parameters
        ----------
        theta : array, shape (n, k)
            Parameters whose first ones are the non-linear ones; of NumPy or PyTorch.

        Returns
        -------
        tuple of array, shape (n, bins)
            One for each of `linear`, of the library of `theta`.
        """
        library = import_module(type(theta).__module__.partition(".")[0])
        x = library.asarray(np.array(self.axis), dtype=theta.dtype)
        if library is not np:
            x = x.to(theta.device)
        given = (theta[:, j, None] for j in range(len(self.nonlinear)))
        level = 0 * theta.sum(-1)[:, None] + 0 * x
        return tuple(level + column for column in self.columns(_functions(library), x, *given))

    def render(self, theta: Any, /) -> Any:
        """Expected signals: the columns times their factors.

        Parameters
        ----------
        theta : array, shape (n, k)
            All parameters, in the order and units of `parameters`; of NumPy or PyTorch.

        Returns
        -------
        array, shape (n, bins)
            Of the library of `theta`.
        """
        first, parts = len(self.nonlinear), 2 if self.complex else 1
        signal: Any = 0
        for m, column in enumerate(self.basis(theta)):
            at = first + parts * m
            factor = theta[:, at] + 1j * theta[:, at + 1] if self.complex else theta[:, at]
            signal = signal + factor[:, None] * column
        return signal
