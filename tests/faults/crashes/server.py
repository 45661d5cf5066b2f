"""The server of a run: it fails at random, and applies what it applies the moment it has it.

A request that had arrived when its sender was killed is thus applied before anything of the next
sender is. Over a real network it may be applied later than that, and then no client can keep the
order: that is left out here on purpose.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import attrs

from .history import Arrival
from .plan import BAD_FIELD, mark_in

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SECONDS_TO_ANSWER = (0.0, 0.0, 0.005, 0.01, 0.02, 0.04)


@attrs.frozen
class Fault:
    """What the server does wrong with a request; `count` says how often, among all others."""

    count: int
    status: int | None
    applied: bool = False
    headers: str = ""
    is_reset: bool = False


FAULTS: Mapping[str, Fault] = {
    "503": Fault(6, 503),
    "503, applied": Fault(4, 503, applied=True),
    "503 with Retry-After": Fault(4, 503, headers="Retry-After: 0\r\n"),
    # Only one, since the library believes it: each makes a drainer slower for as long as it lives.
    "429 with Retry-After": Fault(1, 429, headers="Retry-After: 0\r\n"),
    "400": Fault(4, 400),
    "500": Fault(6, 500),
    "500, applied": Fault(4, 500, applied=True),
    "closed": Fault(6, None),
    "closed, applied": Fault(6, None, applied=True),
    "reset": Fault(4, None, is_reset=True),
    "reset, applied": Fault(4, None, applied=True, is_reset=True),
}
_FINE, _BAD = Fault(0, 200, applied=True), Fault(0, 400)


class Server:
    """Answers the drainers, which are told apart by the first part of the path.

    Args:
        random: Where chance comes from.
        faults: The part of the requests that meet a fault.
        tick: Counts all that happens.
        arrived: Called with each request, after it was applied and before it is answered.
        answered: Called after an answer.

    Attributes:
        faults: See there.
        arrivals: What came, in that order.
    """

    def __init__(
        self,
        random: Random,
        faults: float,
        *,
        tick: Callable[[], int],
        arrived: Callable[[Arrival], object],
        answered: Callable[[], object],
    ) -> None:
        self._random = random
        self.faults = faults
        self._tick = tick
        self._arrived = arrived
        self._answered = answered
        self._deck: list[str] = []  # the faults to come
        self.arrivals: list[Arrival] = []

    def take(self, path: str, body: Any, transport: asyncio.Transport) -> None:
        """Deal with a request."""
        drainer = path.split("/")[1]
        bodies = body if isinstance(body, list) else [body]
        name, fault = self._fault_for(bodies)
        arrival = Arrival(
            self._tick(), drainer, tuple(map(mark_in, bodies)), fault.status, fault.applied, name
        )
        self.arrivals.append(arrival)
        seconds = self._random.choice(_SECONDS_TO_ANSWER)
        asyncio.get_running_loop().call_later(seconds, self._answer, fault, transport)
        self._arrived(arrival)

    def _fault_for(self, bodies: list[Any]) -> tuple[str, Fault]:
        if self._random.random() < self.faults:
            if not self._deck:
                self._deck = [name for name, fault in FAULTS.items() for _ in range(fault.count)]
                self._random.shuffle(self._deck)
            name = self._deck.pop()
            return name, FAULTS[name]
        if any(BAD_FIELD.items() <= body.items() for body in bodies):
            return "", _BAD
        return "", _FINE

    def _answer(self, fault: Fault, transport: asyncio.Transport) -> None:
        if fault.status is not None:
            body = json.dumps({"status": str(fault.status), "message": "Read the status"})
            transport.write(
                f"HTTP/1.1 {fault.status} Status\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n{fault.headers}\r\n{body}".encode()
            )
        elif fault.is_reset:
            transport.abort()
        else:
            transport.close()
        self._answered()


class _Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        length = _CONTENT_LENGTH.search(head)
        if found and length and len(rest) >= int(length[1]):
            self._buffer = b""  # none comes behind it before it has its answer
            path = head.split(b" ", 2)[1].decode()
            self._server.take(path, json.loads(rest), self._transport)


async def serve(server: Server) -> tuple[asyncio.Server, str]:
    """Listen on a loopback port; gives what listens, and its URL."""
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: _Connection(server), "127.0.0.1", 0)
    return listening, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
