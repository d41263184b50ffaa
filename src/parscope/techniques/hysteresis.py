"""Switching spectroscopy: the nine-parameter piezoelectric hysteresis loop (``be_loop``).

Jesse, Lee, Kalinin, Review of Scientific Instruments 77, 073702 (2006), doi:10.1063/1.2214699.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.physics import Parameter
from parscope.core.separable import Linear, Piece, Separable

# Widths of a transition lie about this share of the largest bias, within this power of e either way: only what a loop
# does not tell at all is held.
_WIDTH, _SPREAD = 0.07, 2.5
# Widths from this share of a step to this multiple of the whole sweep can be fitted.
_NARROWEST, _WIDEST = 0.1, 4.0

# Nucleation begins where 3 % of a level are left: 1 - erf(1.5345) = 0.03.
_LATE = 1.5345

_LINEAR = (Linear("level", "signal"), Linear("response", "signal"), Linear("slope", "signal/V"))


@dataclass(frozen=True)
class Branch(Separable):
    """One branch of a loop: a transition between two levels, of different width below and above its coercive bias.

    Parameters
    ----------
    bias : ndarray, shape (n,)
        Bias of each sample, [V].
    name : str
        Of the branch; ends the names of its parameters.
    """

    bias: NDArray[np.float64]
    name: str = "branch"

    noise = "gaussian"

    @property
    def axis(self) -> NDArray[np.float64]:
        """Bias, shape (n,), [V]."""
        return self.bias

    @property
    def nonlinear(self) -> tuple[Parameter, ...]:
        """Coercive bias and the widths below and above it, [V]."""
        low, high = float(self.bias.min()), float(self.bias.max())
        widths = (_NARROWEST * (high - low) / len(self.bias), _WIDEST * (high - low))
        return (
            Parameter(f"coercive_{self.name}", "V", low, high),
            Parameter(f"width_below_{self.name}", "V", *widths, "log"),
            Parameter(f"width_above_{self.name}", "V", *widths, "log"),
        )

    @property
    def linear(self) -> tuple[Linear, ...]:
        """Level below the transition, what switches, and the slope that does not."""
        return _LINEAR

    def columns(self, xp: Any, x: Any, /, *theta: Any) -> tuple[Any, ...]:
        """Constant, transition from 0 to 1, and bias."""
        return 1, _transition(xp, x, *theta), x


@dataclass(frozen=True)
class HysteresisLoop(Separable):
    """Piezoresponse against bias: two transitions at the coercive biases, between the same two levels.

    A signal that a straight line explains as well is no loop and is ABSENT. Widths are drawn softly towards 7 % of
    the largest bias, so that those which the loop does not tell have an error instead of running away. Do not use it
    for loops of which the bias does not reach both coercive biases.

    Parameters
    ----------
    bias : ndarray, shape (n,)
        Bias of each sample of one cycle, [V], starting anywhere in it.

    Raises
    ------
    ValueError
        If the bias is not one cycle, which falls once and rises once.

    Examples
    --------
    >>> loop = HysteresisLoop(8 * np.cos(np.linspace(0, 2 * np.pi, 64, endpoint=False)))
    >>> [parameter.name for parameter in loop.nonlinear][::3]
    ['coercive_falling', 'coercive_rising']
    """

    bias: NDArray[np.float64]

    noise = "gaussian"
    usual_axis = Axis.from_values("bias", 8.0 * np.cos(np.linspace(0, 2 * np.pi, 64, endpoint=False)), "V")
    dispensable = True
    quantities = (
        Parameter("imprint", "V"),
        Parameter("switchable_response", "signal", 0.0),
        Parameter("work_of_switching", "signal V", 0.0),
        Parameter("nucleation_falling", "V"),
        Parameter("nucleation_rising", "V"),
    )

    def __post_init__(self) -> None:
        """Refuse waveforms that are not one cycle."""
        bias = np.array(self.bias, np.float64)
        if bias.ndim != 1 or len(bias) < 4 or not np.isfinite(bias).all():
            raise ValueError("bias: not a row of four finite numbers or more")
        branches = self._fall(bias), self._rise(bias)
        steps = [np.diff(sign * bias[branch]) for sign, branch in zip((-1, 1), branches, strict=True)]
        if any(len(step) == 0 or np.any(step < 0) for step in steps):
            raise ValueError("bias: not one cycle, which falls once and rises once; give one cycle at a time")
        bias.setflags(write=False)
        object.__setattr__(self, "bias", bias)

    @staticmethod
    def _fall(bias: NDArray[np.float64]) -> NDArray[np.int64]:
        """Samples from the highest bias to before the lowest, wherever the waveform starts."""
        top, count = int(np.argmax(bias)), len(bias)
        return (top + np.arange((int(np.argmin(bias)) - top) % count)) % count

    @staticmethod
    def _rise(bias: NDArray[np.float64]) -> NDArray[np.int64]:
        """Samples from the lowest bias to before the highest."""
        return HysteresisLoop._fall(-bias)

    @property
    def _apart(self) -> float:
        """What is added to the bias of the rising branch, so that a position tells its branch."""
        return 4 * float(np.abs(self.bias).max())

    @property
    def axis(self) -> NDArray[np.float64]:
        """Bias, shape (n,), [V]; that of the rising branch beyond all others."""
        axis = self.bias.copy()
        axis[self._rise(self.bias)] += self._apart
        return axis

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The two branches."""
        falling, rising = self._fall(self.bias), self._rise(self.bias)
        return (
            Piece(Branch(self.bias[falling], "falling"), falling),
            Piece(Branch(self.bias[rising], "rising"), rising),
        )

    @property
    def nonlinear(self) -> tuple[Parameter, ...]:
        """Coercive bias, and the widths below and above it, of the falling, then of the rising branch, [V]."""
        return tuple(parameter for piece in self.pieces for parameter in piece.physics.nonlinear)

    @property
    def usual(self) -> tuple[tuple[float, float], ...]:
        """Coercive biases inside the sweep, widths of 7 % of it."""
        most = float(np.abs(self.bias).max())
        width = (float(np.log(_WIDTH * most)), _SPREAD)
        return ((0.0, most), width, width) * 2

    @property
    def linear(self) -> tuple[Linear, ...]:
        """Level at the lowest bias, what switches, and the slope that does not."""
        return _LINEAR

    def columns(self, xp: Any, x: Any, /, *theta: Any) -> tuple[Any, ...]:
        """Constant, transitions from 0 to 1, and bias."""
        rising = x > self._apart / 2
        back = x - self._apart
        both = xp.where(rising, _transition(xp, back, *theta[3:]), _transition(xp, x, *theta[:3]))
        return 1, both, xp.where(rising, back, x)

    def derive(self, theta: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Imprint, switchable response, work of switching, and nucleation biases.

        The work is the area of the loop without its rounding: response times the distance of the coercive biases.
        Nucleation biases are those at which 3 % of the range beyond the coercive bias is left.
        """
        fall, fall_above, rise, rise_below, response = theta[:, 0], theta[:, 2], theta[:, 3], theta[:, 4], theta[:, 7]
        size = np.abs(response)
        return np.stack(
            [
                (fall + rise) / 2,
                size,
                size * np.abs(rise - fall),
                fall + _LATE * fall_above,
                rise - _LATE * rise_below,
            ],
            axis=1,
        )


def _transition(xp: Any, bias: Any, coercive: Any, below: Any, above: Any) -> Any:
    """From 0 to 1, with a width that changes at the coercive bias, where value and slope are continuous."""
    width = xp.where(bias < coercive, below, above)
    return (width * xp.erf((bias - coercive) / width) + below) / (below + above)
