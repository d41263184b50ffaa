"""A detector without a detector: DECTRIS's interfaces SIMPLON, stream V1 and V2, with faults on request."""

from parscope.core.errors import MissingExtraError

try:
    import zmq as _zmq  # noqa: F401 - asked for here, so that everything below may import it
except ModuleNotFoundError as error:
    raise MissingExtraError("pyzmq", "live") from error

from parscope.live.emulator.emulator import Emulator as Emulator
from parscope.live.emulator.faults import Faults as Faults
from parscope.live.emulator.frames import Scene as Scene
from parscope.live.emulator.job import Report as Report
