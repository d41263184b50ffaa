"""A detector without a detector: DECTRIS's interfaces SIMPLON, stream V1 and V2, with faults on request."""

from parscope.live.emulator.emulator import Emulator as Emulator
from parscope.live.emulator.faults import Faults as Faults
from parscope.live.emulator.frames import Scene as Scene
from parscope.live.emulator.job import Report as Report
