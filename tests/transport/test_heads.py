"""Heads of answers that are long, ambiguous, endless or no HTTP: the same verdict each time."""

import itertools
import socket
from collections.abc import Callable, Iterator

import anyio
import anyio.lowlevel
import h11
import pytest

from sendx_async import AsyncTrackingClient, ResponseLost, RetryPolicy

from .loopback import LIMIT

EVENT = {"identifier": "jane@example.com", "name": "seen"}
END = b"content-length: 2\r\n\r\n{}"
GOOD = b"HTTP/1.1 200 OK\r\n" + END
MOST = 100 * 1024

ServeRaw = Callable[..., int]

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Server:
    """Answers the first request on each connection in pieces, and all others well.

    Attributes:
        requests: How many requests each connection has brought.
    """

    def __init__(self, serve_raw: ServeRaw, *pieces: bytes, closes: bool = False) -> None:
        self.requests: list[int] = []
        self._pieces = pieces
        self._closes = closes
        self.url = f"http://127.0.0.1:{serve_raw(self._answer)}"

    def _answer(self, bodies: Iterator[bytes], connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = len(self.requests)
        self.requests.append(0)
        for _ in bodies:
            self.requests[number] += 1
            if self.requests[number] == 1:
                for piece in self._pieces:
                    connection.sendall(piece)
                if self._closes:
                    return
            else:
                connection.sendall(GOOD)

    def client(self) -> AsyncTrackingClient:
        return AsyncTrackingClient("key", base_url=self.url, retry=RetryPolicy(0), timeout=LIMIT)

    def expect_reused(self, backend: str) -> None:
        """Make two calls, which have to travel over one connection."""

        async def main() -> None:
            async with self.client() as client:
                for _ in range(2):
                    await client.track_custom_event(EVENT)

        anyio.run(main, backend=backend)
        assert self.requests == [2]

    def expect_fault(self, backend: str) -> str:
        """Make two calls whose answers are no good, and return what the error says.

        An answer that isn't trusted proves nothing, and its connection is not used again.
        """

        said: list[str] = []

        async def main() -> None:
            async with self.client() as client:
                for _ in range(2):
                    with pytest.raises(ResponseLost) as caught:
                        await client.track_custom_event(EVENT)
                    assert caught.value.maybe_delivered
                    said.append(str(caught.value))

        anyio.run(main, backend=backend)
        assert self.requests == [1, 1]
        assert said[0] == said[1]
        return said[0]


def head_of(size: int, *, line: int = 1000) -> bytes:
    """Return an answer whose head has so many bytes."""
    head = bytearray(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n")
    while (left := size - len(head) - 2) > 0:
        # A line needs six bytes at least, and what is left must not be less.
        length = left if left < line + 6 else line
        head += b"x:%s\r\n" % (b"y" * (length - 4))
    return bytes(head + b"\r\n{}")


CUTS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "whole": lambda answer: iter([answer]),
    "near the end": lambda answer: iter([answer[:-500], answer[-500:]]),
    "inside the last line end": lambda answer: iter([answer[:-5], answer[-5:]]),
    "small": lambda answer: (answer[at : at + 777] for at in range(0, len(answer), 777)),
}


@on_both_backends
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
@pytest.mark.parametrize("size", [17_000, 64 * 1024 + 1, MOST])
def test_a_long_head_is_read_however_it_is_cut(
    serve_raw: ServeRaw, backend: str, cut: Callable[[bytes], Iterator[bytes]], size: int
) -> None:
    answer = head_of(size)
    assert len(answer) == size + 2
    Server(serve_raw, *cut(answer)).expect_reused(backend)


@on_both_backends
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
@pytest.mark.parametrize("size", [MOST + 1, MOST + 60_000])
def test_a_head_that_is_too_long_is_a_fault_however_it_is_cut(
    serve_raw: ServeRaw, backend: str, cut: Callable[[bytes], Iterator[bytes]], size: int
) -> None:
    said = Server(serve_raw, *cut(head_of(size))).expect_fault(backend)
    assert "its head has over 102,400 bytes" in said


@on_both_backends
def test_a_head_of_too_many_lines_is_a_fault(serve_raw: ServeRaw, backend: str) -> None:
    Server(serve_raw, b"HTTP/1.1 200 OK\r\n" + b"x:\r\n" * 990 + END).expect_reused(backend)
    many = Server(serve_raw, b"HTTP/1.1 200 OK\r\n" + b"x:\r\n" * 1000 + END)
    assert "1,000 lines" in many.expect_fault(backend)


@on_both_backends
def test_sixteen_interim_answers_are_read_and_no_more(serve_raw: ServeRaw, backend: str) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n"
    Server(serve_raw, hint * 16 + GOOD).expect_reused(backend)
    said = Server(serve_raw, hint * 17 + GOOD).expect_fault(backend)
    assert "over 16 interim answers" in said
    # All of them together are no longer than a head may be.
    long = b"HTTP/1.1 103 Early Hints\r\nx: %s\r\n\r\n" % (b"y" * 60_000)
    assert "102,400 bytes" in Server(serve_raw, long * 2 + GOOD).expect_fault(backend)


@on_both_backends
def test_interim_answers_without_end(serve_raw: ServeRaw, backend: str) -> None:
    pieces = itertools.repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000, 10_000)
    assert "interim" in Server(serve_raw, *pieces).expect_fault(backend)


OTHER_PROTOCOLS = {
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "SMTP": b"220 mail.example.com ESMTP\r\n",
    "Redis": b"-ERR unknown command 'POST'\r\n",
    "HTTP/2": b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00",
    "one byte": b"!",
    "an empty line": b"\r\n",
    "RTSP": b"RTSP/1.0 400 Bad Request\r\n\r\n",
}


@on_both_backends
@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize("said", OTHER_PROTOCOLS.values(), ids=OTHER_PROTOCOLS.keys())
def test_another_protocol_is_named_as_such_at_once(
    serve_raw: ServeRaw, backend: str, said: bytes, closes: bool
) -> None:
    error = Server(serve_raw, said, closes=closes).expect_fault(backend)
    assert error.startswith("what has answered doesn't speak HTTP/1.1, so it can't be SendX")
    assert "connection was lost" not in error


@on_both_backends
@pytest.mark.parametrize("said", [b"\x15\x03\x01\x00\x02\x02\x46", b"\x15\x03\x03\x00\x02\x02\x0a"])
def test_a_server_that_speaks_tls_is_named_as_such(
    serve_raw: ServeRaw, backend: str, said: bytes
) -> None:
    error = Server(serve_raw, said, closes=True).expect_fault(backend)
    assert "but TLS: perhaps the address has to begin with https://" in error


AMBIGUOUS = {
    "length and chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
        "it gives a length and chunks",
    ),
    "chunks and length": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "it gives a length and chunks",
    ),
    "line feeds": (
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}",
        "ends without a carriage return",
    ),
    "one line feed": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\nx: y\r\n\r\n{}",
        "ends without a carriage return",
    ),
    "an empty line of a line feed": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\n{}\r\n\r\n",
        "ends without a carriage return",
    ),
    "a folded line": (
        b"HTTP/1.1 200 OK\r\nx: y\r\n content-length: 3\r\n" + END,
        "is folded",
    ),
    "a line folded by a tab": (
        b"HTTP/1.1 200 OK\r\nx: y\r\n\tz\r\n" + END,
        "is folded",
    ),
    "behind an interim answer": (
        b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nx: y\n" + END,
        "ends without a carriage return",
    ),
    "a carriage return in a line": (
        b"HTTP/1.1 200 OK\r\nx: y\rcontent-length: 3\r\n" + END,
        "it isn't valid HTTP",
    ),
    "a space before the colon": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n" + END,
        "it isn't valid HTTP",
    ),
    "something else than chunks": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "it isn't valid HTTP",
    ),
}


@on_both_backends
@pytest.mark.parametrize("answer,reason", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_can_be_read_in_two_ways_is_a_fault(
    serve_raw: ServeRaw, backend: str, answer: bytes, reason: str
) -> None:
    said = Server(serve_raw, answer).expect_fault(backend)
    assert said.startswith("the answer can't be trusted")
    assert reason in said


CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"
ENDS_OF_CHUNKS = {
    "a trailer": b"0\r\nx-checksum: 1\r\n\r\n",
    "a trailer that ends in line feeds": b"0\r\nx: y\n\n",
    "a line feed": b"0\r\n\n",
}


@on_both_backends
def test_chunks_end_clearly(serve_raw: ServeRaw, backend: str) -> None:
    Server(serve_raw, CHUNKS + b"0\r\n\r\n").expect_reused(backend)


@on_both_backends
@pytest.mark.parametrize("end", ENDS_OF_CHUNKS.values(), ids=ENDS_OF_CHUNKS.keys())
def test_a_connection_is_not_used_again_if_chunks_end_in_another_way(
    serve_raw: ServeRaw, backend: str, end: bytes
) -> None:
    server = Server(serve_raw, CHUNKS + end)

    async def main() -> None:
        async with server.client() as client:
            for _ in range(2):
                await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert server.requests == [1, 1]


@on_both_backends
def test_others_have_their_turns_while_many_pieces_are_read(
    serve_raw: ServeRaw, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(
        serve_raw,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"1\r\n \r\n" * 20_000,
        b"1\r\n}\r\n0\r\n\r\n",
    )
    events = events_in_all = most_in_a_turn = 0
    next_event = h11.Connection.next_event

    def counted(connection: h11.Connection) -> object:
        nonlocal events, events_in_all
        events += 1
        events_in_all += 1
        return next_event(connection)

    monkeypatch.setattr(h11.Connection, "next_event", counted)

    async def take_turns() -> None:
        nonlocal events, most_in_a_turn
        while True:
            most_in_a_turn = max(most_in_a_turn, events)
            events = 0
            await anyio.lowlevel.checkpoint()

    async def main() -> None:
        async with server.client() as client, anyio.create_task_group() as tasks:
            tasks.start_soon(take_turns)
            await client.track_custom_event(EVENT)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert events_in_all > 20_000
    assert most_in_a_turn <= 200
