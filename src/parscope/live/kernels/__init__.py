"""What is computed of one pattern: pure functions, the same on a stream, over a file and in LiberTEM."""

from parscope.live.kernels.contract import Detector as Detector
from parscope.live.kernels.contract import Kernel as Kernel
from parscope.live.kernels.contract import Output as Output
