"""Answers that something has compressed unasked: they are read within limits, or say so."""

import gzip
from collections.abc import Callable, Iterator
from socket import socket

import anyio
import pytest

from sendx_async import (
    AsyncTrackingClient,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
    SendXError,
    ServerError,
    UnprocessableEntityError,
)

from .loopback import LIMIT

EVENT = {"identifier": "jane@example.com", "name": "seen"}

ServeRaw = Callable[..., int]

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Server:
    """Answers with a body that is encoded, or says that it is.

    Attributes:
        heads: The first requests of all connections.
        connections: How many there were.
    """

    def __init__(self, serve_raw: ServeRaw, answer: bytes) -> None:
        self.connections = 0
        self._answer_ = answer
        self.url = f"http://127.0.0.1:{serve_raw(self._answer)}"

    def _answer(self, bodies: Iterator[bytes], connection: socket) -> None:
        self.connections += 1
        for _ in bodies:
            connection.sendall(self._answer_)

    def failures(self, backend: str) -> list[SendXError]:
        """Return the errors of two calls, over one connection."""
        errors: list[SendXError] = []

        async def main() -> None:
            options = {"base_url": self.url, "retry": RetryPolicy(0), "timeout": LIMIT}
            async with AsyncTrackingClient("open-sesame", **options) as client:  # type: ignore[arg-type]
                for _ in range(2):
                    with pytest.raises(SendXError) as caught:
                        await client.track_custom_event(EVENT)
                    errors.append(caught.value)

        anyio.run(main, backend=backend)
        assert self.connections == 1
        return errors


def answer(status: bytes, encoding: bytes, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 %s\r\nContent-Encoding: %s\r\nRetry-After: 0\r\nContent-Length: %d\r\n\r\n%s"
        % (status, encoding, len(body), body)
    )


UNREADABLE = {
    b"br": "(br)",
    b"BR": "(br)",
    b"gzip": "(gzip)",
    b"zstd, gzip": "(zstd, gzip)",
    b"identity, gzip": "(gzip)",
    b"jane@example.com": "(in some way)",
}


@on_both_backends
@pytest.mark.parametrize("encoding,name", UNREADABLE.items(), ids=str)
def test_a_success_that_can_not_be_read_proves_nothing(
    serve_raw: ServeRaw, backend: str, encoding: bytes, name: str
) -> None:
    for error in Server(serve_raw, answer(b"200 OK", encoding, b"open-sesame")).failures(backend):
        assert isinstance(error, ResponseDecodeError)
        assert error.maybe_delivered
        assert str(error) == (
            "the body of an answer with HTTP 200 can't be read, since it is encoded "
            f"{name}, which this client never asks for: look for a proxy or a CDN between you and "
            "SendX that does so"
        )
        # The key can't be found in what is encoded, so that isn't kept.
        assert error.body == b""


@on_both_backends
@pytest.mark.parametrize(
    "status,kind,maybe_delivered",
    [(b"422 No", UnprocessableEntityError, False), (b"429 Slow", RateLimitError, False),
     (b"500 Oops", ServerError, True)],
)  # fmt: skip
def test_of_a_failure_that_can_not_be_read_the_status_counts(
    *,
    serve_raw: ServeRaw,
    backend: str,
    status: bytes,
    kind: type[SendXError],
    maybe_delivered: bool,
) -> None:
    for error in Server(serve_raw, answer(status, b"br", b"open-sesame")).failures(backend):
        assert isinstance(error, kind)
        assert isinstance(error, (UnprocessableEntityError, RateLimitError, ServerError))
        assert error.maybe_delivered == maybe_delivered
        assert error.message is None
        assert error.retry_after == 0
        assert error.headers["content-encoding"] == "br"
        assert "Its message can't be read, since it is encoded (br)" in str(error)
        assert str(error).startswith(f"SendX answered with HTTP {status[:3].decode()}. ")


@on_both_backends
def test_the_words_of_a_failure_are_decompressed_and_the_key_taken_out(
    serve_raw: ServeRaw, backend: str
) -> None:
    words = gzip.compress(b'{"status":"error","message":"what is open-sesame?"}')
    for error in Server(serve_raw, answer(b"422 No", b"gzip", words)).failures(backend):
        assert isinstance(error, UnprocessableEntityError)
        assert error.message is not None
        assert error.message.startswith("what is ")
        assert "open-sesame" not in f"{error} {error.message} {error.body!r}"


@on_both_backends
@pytest.mark.parametrize(
    "fine",
    [answer(b"200 OK", b"identity", b"{}"), answer(b"200 OK", b"Identity ", b"{}"),
     answer(b"200 OK", b"br", b""), answer(b"200 OK", b"", b"{}"),
     answer(b"200 OK", b"gzip", gzip.compress(b"{}")),
     b"HTTP/1.1 204 No Content\r\nContent-Encoding: br\r\n\r\n"],
)  # fmt: skip
def test_what_can_be_read_is_read(serve_raw: ServeRaw, backend: str, fine: bytes) -> None:
    server = Server(serve_raw, fine)

    async def main() -> None:
        async with AsyncTrackingClient("key", base_url=server.url, timeout=LIMIT) as client:
            for _ in range(2):
                await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert server.connections == 1


@on_both_backends
def test_what_would_fill_the_memory_is_read_up_to_the_limit(
    serve_raw: ServeRaw, backend: str
) -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    for error in Server(serve_raw, answer(b"500 Oops", b"gzip", bomb)).failures(backend):
        assert isinstance(error, ServerError)
        assert error.body == bytes(1024 * 1024)
