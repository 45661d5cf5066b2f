"""How long a connection may be idle: as long as the server has announced, less a margin."""

from collections.abc import Callable, Iterator
from socket import socket
from types import SimpleNamespace

import anyio
import pytest

from sendx_async import AsyncTrackingClient, RetryPolicy
from sendx_async._transport import http1, pool

from .loopback import LIMIT

EVENT = {"identifier": "jane@example.com", "name": "seen"}

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Server:
    """Announces how long it keeps its connections.

    Attributes:
        announced: The headers of the next answers.
        requests: How many requests each connection has brought.
    """

    def __init__(self, serve_raw: Callable[..., int]) -> None:
        self.announced = b""
        self.requests: list[int] = []
        self.url = f"http://127.0.0.1:{serve_raw(self._answer)}"

    def _answer(self, bodies: Iterator[bytes], connection: socket) -> None:
        number = len(self.requests)
        self.requests.append(0)
        for _ in bodies:
            self.requests[number] += 1
            connection.sendall(b"HTTP/1.1 200 OK\r\n%scontent-length: 2\r\n\r\n{}" % self.announced)

    def client(self) -> AsyncTrackingClient:
        return AsyncTrackingClient("key", base_url=self.url, retry=RetryPolicy(0), timeout=LIMIT)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock that connections age by, which must not depend on the machine."""
    clock = SimpleNamespace(now=1000.0)
    for module in (http1, pool):
        monkeypatch.setattr(module, "monotonic", lambda: clock.now)
    return clock


ANNOUNCED: dict[bytes, float] = {
    b"Keep-Alive: timeout=5\r\n": 4.0,
    b"keep-alive: timeout=5, max=100\r\nconnection: keep-alive\r\n": 4.0,
    b"KEEP-ALIVE: max=0, Timeout = 5\r\n": 4.0,
    b"keep-alive: timeout=2\r\n": 1.0,
    b"keep-alive: timeout=1\r\n": 0.5,
    b"keep-alive: timeout=16\r\n": 15.0,
    b"keep-alive: timeout=75\r\n": 15.0,
    b"keep-alive: timeout=999999999999\r\n": 15.0,
    b"keep-alive: timeout=-5\r\n": 15.0,
    b"keep-alive: timeout=soon\r\n": 15.0,
    b"keep-alive: max=5\r\n": 15.0,
    b"x-keep-alive: timeout=5\r\n": 15.0,
    b"keep-alive: x=1\r\ntimeout: 5\r\n": 15.0,
    b"": 15.0,
}


@on_both_backends
@pytest.mark.parametrize("announced,seconds", ANNOUNCED.items(), ids=str)
def test_a_connection_may_be_idle_for_a_little_less_than_announced(
    *,
    serve_raw: Callable[..., int],
    clock: SimpleNamespace,
    backend: str,
    announced: bytes,
    seconds: float,
) -> None:
    server = Server(serve_raw)
    server.announced = announced

    async def main() -> None:
        async with server.client() as client:
            await client.track_custom_event(EVENT)
            clock.now += seconds - 0.01
            await client.track_custom_event(EVENT)
            assert server.requests == [2]
            clock.now += seconds + 0.01
            await client.track_custom_event(EVENT)
            assert server.requests == [2, 1]

    anyio.run(main, backend=backend)


@on_both_backends
def test_a_connection_that_ends_at_once_is_not_used_again(
    serve_raw: Callable[..., int], clock: SimpleNamespace, backend: str
) -> None:
    server = Server(serve_raw)
    server.announced = b"keep-alive: timeout=0\r\n"

    async def main() -> None:
        async with server.client() as client:
            for _ in range(3):
                await client.track_custom_event(EVENT)
                clock.now += 0.001
            assert server.requests == [1, 1, 1]

    anyio.run(main, backend=backend)


@on_both_backends
def test_what_is_announced_holds_for_that_connection_until_it_says_otherwise(
    serve_raw: Callable[..., int], clock: SimpleNamespace, backend: str
) -> None:
    server = Server(serve_raw)
    server.announced = b"keep-alive: timeout=5\r\n"

    async def main() -> None:
        async with server.client() as client:
            await client.track_custom_event(EVENT)
            server.announced = b""
            await client.track_custom_event(EVENT)
            clock.now += 4.5
            await client.track_custom_event(EVENT)
            assert server.requests == [2, 1]
            # The new connection has announced nothing.
            clock.now += 4.5
            server.announced = b"keep-alive: timeout=9\r\n"
            await client.track_custom_event(EVENT)
            server.announced = b"keep-alive: timeout=3\r\n"
            clock.now += 7.5
            await client.track_custom_event(EVENT)
            assert server.requests == [2, 3]
            clock.now += 2.5
            await client.track_custom_event(EVENT)
            assert server.requests == [2, 3, 1]

    anyio.run(main, backend=backend)
