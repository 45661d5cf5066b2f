"""Reading, writing and closing on encrypted connections."""

import asyncio
import contextlib
import socket
import ssl
from typing import Any

import httpcore
import pytest

from sendx_async._transport.stream import AsyncioStream
from tests.waiting import until

from .loopback import LIMIT, Run, accept_tls, connect, receive, reset, suspended


async def connect_tls(
    trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> tuple[AsyncioStream, ssl.SSLSocket]:
    plain, peer = await connect()
    accepting = asyncio.create_task(asyncio.to_thread(accept_tls, peer, serving))
    stream = await plain.start_tls(trusting, "localhost", LIMIT)
    assert isinstance(stream, AsyncioStream)
    return stream, await accepting


def test_closing_does_not_wait_for_the_server(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> None:
    async def test() -> None:
        stream, peer = await connect_tls(trusting, serving)
        with socket.socket(fileno=peer.detach()) as plain:
            plain.settimeout(LIMIT)
            await stream.aclose()
            await stream.aclose()
            # The server hasn't read a byte since the handshake, and yet the connection is gone.
            await until(lambda: stream.get_extra_info("server_addr") is None)
            # Read as TCP: OpenSSL 3.6 answers the end with an alert, and fails if it can't be sent.
            # An end is a reset if the client left a session ticket unread.
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(plain.recv, 1) == b""

    run(test)


def test_large_bodies_with_a_slow_reader_on_either_side(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> None:
    size = 16_000_000

    async def test() -> None:
        stream, peer = await connect_tls(trusting, serving)
        with peer:
            writing = asyncio.create_task(stream.write(b"x" * size))
            await suspended(writing)
            assert await asyncio.to_thread(receive, peer, size) == b"x" * size
            await writing
            sending = asyncio.create_task(asyncio.to_thread(peer.sendall, b"y" * size))
            await until(lambda: not stream._tcp_transport.is_reading())
            assert len(stream._received) <= 1_000_000
            received = bytearray()
            while len(received) < size:
                received += await stream.read(65_536, timeout=LIMIT)
            await sending
            assert received == b"y" * size
            await stream.aclose()

    run(test)


def test_a_write_that_is_not_taken_in_time(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> None:
    async def test() -> None:
        stream, peer = await connect_tls(trusting, serving)
        with peer:
            with pytest.raises(httpcore.WriteTimeout):
                await stream.write(b"x" * 16_000_000, timeout=0.05)
            await stream.aclose()

    run(test)


@pytest.mark.parametrize("polite", [True, False])
def test_the_end_comes_after_everything_that_was_sent(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext, polite: bool
) -> None:
    def say_and_leave(peer: ssl.SSLSocket) -> None:
        peer.sendall(b"z" * 1_000_000)
        if polite:
            peer.settimeout(0)
            with contextlib.suppress(ssl.SSLWantReadError):  # unless the answer is quicker
                peer.unwrap()
        peer.close()

    async def test() -> None:
        stream, peer = await connect_tls(trusting, serving)
        leaving = asyncio.create_task(asyncio.to_thread(say_and_leave, peer))
        await until(lambda: not stream._tcp_transport.is_reading())
        received = bytearray()
        while chunk := await stream.read(65_536):
            received += chunk
        assert received == b"z" * 1_000_000
        assert stream.get_extra_info("is_readable")
        await leaving
        await stream.aclose()

    run(test)


def test_a_reset_is_an_error(run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext) -> None:
    async def test() -> None:
        stream, peer = await connect_tls(trusting, serving)
        reading = asyncio.create_task(stream.read(100))
        await asyncio.sleep(0)
        reset(peer)
        with pytest.raises(httpcore.ReadError):
            await reading
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"more")
        await stream.aclose()

    run(test)


def test_bytes_that_are_no_record_are_an_error(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> None:
    async def test() -> None:
        stream, peer = await connect_tls(trusting, serving)
        reading: asyncio.Task[Any] = asyncio.create_task(stream.read(100))
        with socket.socket(fileno=peer.detach()) as plain:
            plain.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with pytest.raises(httpcore.ReadError):
                await reading
        await stream.aclose()

    run(test)


def test_a_handshake_inside_an_encrypted_connection_fails_like_any_other(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> None:
    async def test() -> None:
        stream, peer = await connect_tls(trusting, serving)
        # Python 3.11 complains to the loop about a mistake of its own.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        with peer:
            handshake = asyncio.create_task(stream.start_tls(trusting, "localhost", LIMIT))
            assert await asyncio.to_thread(peer.recv, 1) == b"\x16"
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with pytest.raises(httpcore.ConnectError, match=r"with localhost failed: .*SSL"):
                await handshake

    run(test)
