"""One stream for several programs: each gets all of it, and what becomes of the detector is told."""

from __future__ import annotations

import pytest
import zmq

from parscope.core.errors import InputError
from parscope.live.transport.handshake import BACK, LOST, Address
from parscope.live.transport.tee import Tee
from parscope.live.transport.zmq_pull import ZmqPull
from parscope.live.transport.zmtp import ZmtpPull

from .pusher import Pusher


@pytest.mark.parametrize(("source", "host"), [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")])
def test_each_program_gets_all(source: str, host: str) -> None:
    pusher = Pusher(host=source, IPV6=1)
    with Tee(pusher.address, (0, 0), host) as tee:
        pulls = [ZmqPull(Address.parse(tee.branches[0].address)), ZmtpPull(Address.parse(tee.branches[1].address))]
        for pull in pulls:
            pull.open()
        for number in range(50):
            pusher.socket.send(bytes([number]))
        while tee.received < 50:
            tee.pump(1.0)
        for pull in pulls:
            assert [bytes(pull.receive(10) or b"") for _ in range(50)] == [bytes([number]) for number in range(50)]
            pull.close()
        assert [(branch.sent, branch.dropped) for branch in tee.branches] == [(50, 0)] * 2
    pusher.close()


def test_a_lost_detector_and_its_return_are_told() -> None:
    pusher, told = Pusher(), list[str]()
    with Tee(pusher.address, (0,), tell=told.append) as tee:
        tee.pump(0.2)
        pusher.close()
        for _ in range(1000):
            if told:
                break
            tee.pump(0.02)
        again = Pusher(port=pusher.address.port)
        for _ in range(1000):
            if len(told) > 1:
                break
            tee.pump(0.02)
        again.close()
    assert told == [LOST.format(pusher.address), BACK.format(pusher.address)]


def test_what_is_no_stream_is_refused() -> None:
    pusher = Pusher(zmq.PUB)
    with pytest.raises(InputError, match="is a PUB socket"), Tee(pusher.address, (0,)):
        pass
    pusher.close()
