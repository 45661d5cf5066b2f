"""Answers that are large, cut, broken or mad: each call ends, and the next one is not harmed."""

from collections.abc import Callable, Iterator
from socket import socket

import anyio
import pytest

from sendx_async import (
    ApiError,
    AsyncTrackingClient,
    ResponseDecodeError,
    ResponseLost,
    RetryPolicy,
    SendXError,
    ServerError,
)

from .loopback import LIMIT

MIB = 1024 * 1024
EVENT = {"identifier": "jane@example.com", "name": "seen"}

ServeRaw = Callable[..., int]

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def answer_of(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


GOOD = answer_of(b'{"status":"success","message":"second"}')


class Server:
    """Answers the first request with some bytes, and all others well.

    Attributes:
        bodies: The requests of each connection.
    """

    def __init__(self, serve_raw: ServeRaw, first: bytes, *, then_close: bool = False) -> None:
        self.bodies: list[list[bytes]] = []
        self._first = first
        self._then_close = then_close
        self.url = f"http://127.0.0.1:{serve_raw(self._answer)}"

    def _answer(self, bodies: Iterator[bytes], connection: socket) -> None:
        is_first = not self.bodies
        received: list[bytes] = []
        self.bodies.append(received)
        for body in bodies:
            received.append(body)
            connection.sendall(self._first if is_first and len(received) == 1 else GOOD)
            if is_first and self._then_close:
                return

    def client(self) -> AsyncTrackingClient:
        return patient_client(self.url)


def patient_client(url: str) -> AsyncTrackingClient:
    # The timeout only bounds a failing test: none of these answers needs it.
    return AsyncTrackingClient("key", base_url=url, retry=RetryPolicy(0), timeout=LIMIT)


@on_both_backends
def test_an_answer_of_more_than_a_mebibyte_is_not_read_to_its_end(
    serve_raw: ServeRaw, backend: str
) -> None:
    # Far more than the buffers in between hold: the server would notice if it were read.
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (10_000 * MIB)
    server = Server(serve_raw, head + b"x" * (2 * MIB))

    async def main() -> None:
        async with server.client() as client:
            with pytest.raises(ResponseDecodeError) as caught:
                await client.track_custom_event(EVENT)
            assert caught.value.maybe_delivered
            assert caught.value.body == b"x" * MIB
            await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert [len(received) for received in server.bodies] == [1, 1]


@on_both_backends
@pytest.mark.parametrize("size", [MIB - 1, MIB])
def test_an_answer_of_up_to_a_mebibyte_is_read(
    serve_raw: ServeRaw, backend: str, size: int
) -> None:
    text = b'{"message":"%s"}'
    server = Server(serve_raw, answer_of(text % (b"x" * (size - len(text) + 2))))

    async def main() -> None:
        async with server.client() as client:
            response = await client.track_custom_event(EVENT)
            assert response.message is not None
            assert response.message.strip("x") == ""
            await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert [len(received) for received in server.bodies] == [2]


@on_both_backends
def test_a_large_error_is_cut_and_keeps_its_status(serve_raw: ServeRaw, backend: str) -> None:
    server = Server(serve_raw, answer_of(b"x" * (3 * MIB), b"500 Oops"))

    async def main() -> None:
        async with server.client() as client:
            with pytest.raises(ServerError) as caught:
                await client.track_custom_event(EVENT)
            assert caught.value.body == b"x" * MIB
            await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert [len(received) for received in server.bodies] == [1, 1]


CUT = {
    "nothing at all": b"",
    "half a status line": b"HTTP/1.1 20",
    "half the headers": b"HTTP/1.1 200 OK\r\ncontent-le",
    "half the body": b'HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n{"message":',
    "half a chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n20\r\n{",
    "no last chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "only an interim answer": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}
BROKEN = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 99 Bottles\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "a negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}",
    "a chunk size that is none": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"x-filler: 0123456789\r\n" * 20_000,
    "a header with a null byte": b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\n{}",
}


@on_both_backends
@pytest.mark.parametrize("first", CUT.values(), ids=CUT.keys())
def test_an_answer_that_is_cut_is_lost(serve_raw: ServeRaw, backend: str, first: bytes) -> None:
    _expect_lost(Server(serve_raw, first, then_close=True), backend)


@on_both_backends
@pytest.mark.parametrize("first", BROKEN.values(), ids=BROKEN.keys())
def test_an_answer_that_is_not_http_is_lost_and_its_connection_thrown_away(
    serve_raw: ServeRaw, backend: str, first: bytes
) -> None:
    _expect_lost(Server(serve_raw, first), backend)


def _expect_lost(server: Server, backend: str) -> None:
    async def main() -> None:
        async with server.client() as client:
            with pytest.raises(ResponseLost) as caught:
                await client.track_custom_event(EVENT)
            assert caught.value.maybe_delivered
            assert (await client.track_custom_event(EVENT)).message == "second"

    anyio.run(main, backend=backend)
    assert [len(received) for received in server.bodies] == [1, 1]


FINE = {
    "chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    "until the end": b"HTTP/1.1 200 OK\r\n\r\n{}",
    "connection: close": b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    "interim answers before": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n" + GOOD,
    "no reason, strange headers": b"HTTP/1.1 200 \r\nx: \xff\xfe\r\ncontent-length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@on_both_backends
@pytest.mark.parametrize("first", FINE.values(), ids=FINE.keys())
def test_unusual_answers_are_fine(serve_raw: ServeRaw, backend: str, first: bytes) -> None:
    keeps = not any(word in first for word in (b"HTTP/1.0", b"close", b"OK\r\n\r\n"))
    server = Server(serve_raw, first, then_close=not keeps)

    async def main() -> None:
        async with server.client() as client:
            await client.track_custom_event(EVENT)
            assert (await client.track_custom_event(EVENT)).message == "second"

    anyio.run(main, backend=backend)
    assert [len(received) for received in server.bodies] == ([2] if keeps else [1, 1])


@on_both_backends
def test_a_switch_of_protocols_is_an_error(serve_raw: ServeRaw, backend: str) -> None:
    server = Server(
        serve_raw, b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
    )

    async def main() -> None:
        async with server.client() as client:
            with pytest.raises(SendXError):
                await client.track_custom_event(EVENT)
            assert (await client.track_custom_event(EVENT)).message == "second"

    anyio.run(main, backend=backend)


@on_both_backends
def test_an_answer_too_many_is_not_taken_for_the_next_one(
    serve_raw: ServeRaw, backend: str
) -> None:
    # The second call's request fails; a success that nobody asked for must not hide that.
    refused = _url_of_a_server_that_answers_twice(serve_raw)

    async def main() -> None:
        async with patient_client(refused) as client:
            await client.track_custom_event(EVENT)
            with pytest.raises(SendXError):
                await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)


def _url_of_a_server_that_answers_twice(serve_raw: ServeRaw) -> str:
    seen: list[bytes] = []

    def answer(bodies: Iterator[bytes], connection: socket) -> None:
        for body in bodies:
            seen.append(body)
            connection.sendall(GOOD + GOOD if len(seen) == 1 else answer_of(b"", b"500 Oops"))

    return f"http://127.0.0.1:{serve_raw(answer)}"


@on_both_backends
def test_an_answer_before_the_request_is_read_is_taken(serve_raw: ServeRaw, backend: str) -> None:
    def answer(_: Iterator[bytes], connection: socket) -> None:
        connection.recv(1000)
        connection.sendall(answer_of(b"", b"413 Too Large"))
        # Closing with unread bytes would reset the connection and might destroy the answer.
        while connection.recv(100_000):
            pass

    url = f"http://127.0.0.1:{serve_raw(answer)}"

    async def main() -> None:
        async with patient_client(url) as client:
            with pytest.raises(ApiError) as caught:
                await client.track_custom_event({**EVENT, "data": {"text": "x" * 20 * MIB}})
            assert caught.value.status_code == 413

    anyio.run(main, backend=backend)


@on_both_backends
def test_a_large_request_arrives_whole(serve_raw: ServeRaw, backend: str) -> None:
    server = Server(serve_raw, GOOD)
    text = "".join(chr(97 + index % 26) for index in range(3 * MIB))

    async def main() -> None:
        async with server.client() as client:
            for _ in range(2):
                await client.track_custom_event({**EVENT, "data": {"text": text}})

    anyio.run(main, backend=backend)
    assert [len(received) for received in server.bodies] == [2]
    for body in server.bodies[0]:
        assert text.encode() in body
        assert body.endswith(b"}")
