"""The nouns every other part speaks in; needs NumPy only."""

from parscope.core.axes import Axis as Axis
from parscope.core.contracts import Reader as Reader
from parscope.core.frames import Frames as Frames
from parscope.core.frames import Sliceable as Sliceable
from parscope.core.physics import Constellation as Constellation
from parscope.core.physics import Contrast as Contrast
from parscope.core.physics import Levels as Levels
from parscope.core.physics import Parameter as Parameter
from parscope.core.physics import Physics as Physics
from parscope.core.record import Provenance as Provenance
from parscope.core.record import fingerprint as fingerprint
from parscope.core.solver import Estimate as Estimate
from parscope.core.solver import Solver as Solver
from parscope.core.solver import Status as Status
