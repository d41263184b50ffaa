"""Band excitation: the contact resonance of a cantilever, as a simple harmonic oscillator (``be_sho``).

Jesse, Kalinin, Proksch, Baddorf, Rodriguez, Nanotechnology 18, 435503 (2007), doi:10.1088/0957-4484/18/43/435503.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parscope.core.axes import Axis
from parscope.core.physics import Parameter
from parscope.core.separable import Linear, Separable

# A line down to this fraction of a bin wide is fitted; narrower ones cannot be told from each other.
_NARROWEST = 0.25


@dataclass(frozen=True)
class BandExcitation(Separable):
    """Complex response of a simple harmonic oscillator, driven at all frequencies of a band at once.

    The response is ``A exp(i phi) f0^2 / (f^2 - f0^2 - i f f0 / Q)``. Its modulus at resonance is ``A Q``, its phase
    there is ``phi + pi/2``, and far below resonance ``phi + pi``: see the conventions.

    Parameters
    ----------
    frequency : ndarray, shape (bins,)
        Frequencies of the samples, [Hz], rising.
    background : bool, default False
        Whether a complex constant is fitted too: what reaches the detector without the cantilever.
    resonance_range : tuple of float, optional
        Where the resonance may lie, [Hz]. Default: the band.
    quality_range : tuple of float, optional
        Smallest and largest quality factor, [1]. Default: from a line as wide as the band to one of a quarter bin.

    Raises
    ------
    ValueError
        If the frequencies are not positive and rising, or a range is not ordered.

    Examples
    --------
    >>> physics = BandExcitation(np.linspace(280e3, 360e3, 80))
    >>> [parameter.name for parameter in physics.parameters]
    ['resonance', 'quality', 'response_re', 'response_im']
    """

    frequency: NDArray[np.float64]
    background: bool = False
    resonance_range: tuple[float, float] | None = None
    quality_range: tuple[float, float] | None = None

    noise = "complex gaussian"
    usual_axis = Axis("frequency", 80, "Hz", 1e3, 280e3)
    quantities = (
        Parameter("amplitude", "signal", 0.0),
        Parameter("phase", "rad", -np.pi, np.pi, "circular"),
    )

    def __post_init__(self) -> None:
        """Refuse what no instrument sends."""
        f = np.array(self.frequency, np.float64)
        if f.ndim != 1 or not (np.all(np.isfinite(f)) and np.all(f > 0) and np.all(np.diff(f) > 0)):
            raise ValueError("frequency: not one-dimensional, positive and rising")
        f.setflags(write=False)
        object.__setattr__(self, "frequency", f)

    @property
    def axis(self) -> NDArray[np.float64]:
        """Frequencies of the samples, shape (bins,), [Hz]."""
        return self.frequency

    @property
    def nonlinear(self) -> tuple[Parameter, ...]:
        """Resonance frequency [Hz] and quality factor [1]."""
        f = self.frequency
        centre, step = (float(np.mean(f)), float(np.ptp(f)) / (len(f) - 1)) if len(f) > 1 else (1.0, 1.0)
        resonance = self.resonance_range or ((float(f[0]), float(f[-1])) if len(f) > 1 else (0.5, 1.5))
        quality = self.quality_range or (centre / (step * max(len(f), 2)), centre / (step * _NARROWEST))
        return Parameter("resonance", "Hz", *resonance), Parameter("quality", "1", *quality, "log")

    @property
    def linear(self) -> tuple[Linear, ...]:
        """Complex drive amplitude A exp(i phi), and the background, in the unit of the signal."""
        response = Linear("response", "signal")
        return (response, Linear("background", "signal")) if self.background else (response,)

    def columns(self, xp: Any, x: Any, /, *theta: Any) -> tuple[Any, ...]:
        """The oscillator of unit drive; (f - f0)(f + f0) keeps single precision where f^2 - f0^2 does not."""
        f0, quality = theta
        oscillator = f0 * f0 / ((x - f0) * (x + f0) - 1j * (x * f0 / quality))
        return (oscillator, 1) if self.background else (oscillator,)

    def derive(self, theta: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Drive amplitude A, in the unit of the signal, and phase phi [rad]."""
        re, im = theta[:, 2], theta[:, 3]
        return np.stack([np.hypot(re, im), np.arctan2(im, re)], axis=1)
