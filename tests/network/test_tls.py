"""Encrypted connections: who is refused, and what is left when the handshake goes wrong."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import httpcore
import pytest
import trustme

from sendx_async._network import AsyncioBackend, AsyncioStream

Run = Callable[[Callable[[], Awaitable[None]]], None]
LIMIT = 20.0


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def serving(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def connect() -> tuple[AsyncioStream, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", listener.getsockname()[1])
        peer, _ = listener.accept()
    peer.settimeout(LIMIT)
    assert isinstance(stream, AsyncioStream)
    return stream, peer


def accept_tls(peer: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    with peer:
        return context.wrap_socket(peer, server_side=True)


async def connect_tls(
    trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> tuple[AsyncioStream, ssl.SSLSocket]:
    plain, peer = await connect()
    accepting = asyncio.create_task(asyncio.to_thread(accept_tls, peer, serving))
    stream = await plain.start_tls(trusting, "localhost", LIMIT)
    assert isinstance(stream, AsyncioStream)
    return stream, await accepting


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def receive(peer: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        received += peer.recv(1_000_000)
    return bytes(received)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def greeted(peer: socket.socket) -> None:
    """Wait until the client has begun the handshake."""
    assert await asyncio.to_thread(peer.recv, 1) == b"\x16"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _ in range(2):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    writer.close()


def test_a_verified_server_answers(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> None:
    async def test() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving) as server:
            port = server.sockets[0].getsockname()[1]
            origin = httpcore.Origin(b"https", b"127.0.0.1", port)
            connection = httpcore.AsyncHTTPConnection(
                origin, ssl_context=trusting, network_backend=AsyncioBackend()
            )
            url = httpcore.URL(scheme="https", host=b"127.0.0.1", port=port, target="/")
            for number in range(2):
                request = httpcore.Request(
                    "GET",
                    url,
                    headers={"Host": "localhost"},
                    extensions={"sni_hostname": "localhost"},
                )
                response = await connection.handle_async_request(request)
                stream = response.extensions["network_stream"]
                if number == 0:
                    assert stream.get_extra_info("ssl_object").version() == "TLSv1.3"
                    assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
                assert await response.aread() == b"hi"
                await response.aclose()
                if number == 0:
                    # The session tickets that follow a handshake are no sign of an end.
                    assert not connection.has_expired()
            await until(connection.has_expired)
            await connection.aclose()

    run(test)


def test_a_certificate_for_another_name_is_refused(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> None:
    async def test() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            pool = httpcore.AsyncConnectionPool(trusting, network_backend=AsyncioBackend())
            async with pool:
                with pytest.raises(httpcore.ConnectError, match="is not valid for '127.0.0.1'"):
                    await pool.request("GET", url)

    run(test)


def test_an_unknown_authority_is_refused(run: Run, serving: ssl.SSLContext) -> None:
    async def test() -> None:
        plain, peer = await connect()
        accepting = asyncio.create_task(asyncio.to_thread(accept_tls, peer, serving))
        with pytest.raises(
            httpcore.ConnectError, match="handshake with localhost failed.*certificate verify"
        ):
            await plain.start_tls(ssl.create_default_context(), "localhost", LIMIT)
        with pytest.raises(ssl.SSLError):
            await accepting

    run(test)


def test_a_context_that_needs_a_name_and_gets_none(run: Run, trusting: ssl.SSLContext) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            with pytest.raises(ValueError, match="hostname"):
                await stream.start_tls(trusting)
            assert await asyncio.to_thread(peer.recv, 1) == b""

    run(test)


def test_a_server_that_never_answers_the_handshake(run: Run, trusting: ssl.SSLContext) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            with pytest.raises(httpcore.ConnectTimeout, match=r"with localhost took over 0\.05 s"):
                await stream.start_tls(trusting, "localhost", timeout=0.05)
            with pytest.raises(httpcore.WriteError):
                await stream.write(b"secret")

    run(test)


@pytest.mark.parametrize("hang_up", [socket.socket.close, reset])
def test_a_server_that_hangs_up_during_the_handshake(
    run: Run, trusting: ssl.SSLContext, hang_up: Callable[[socket.socket], None]
) -> None:
    async def test() -> None:
        stream, peer = await connect()
        handshake = asyncio.create_task(stream.start_tls(trusting, "localhost"))
        await greeted(peer)
        hang_up(peer)
        with pytest.raises(httpcore.ConnectError, match=r"handshake with localhost failed: \S"):
            await handshake

    run(test)


def test_a_server_that_speaks_no_tls(run: Run, trusting: ssl.SSLContext) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            handshake = asyncio.create_task(stream.start_tls(trusting, "localhost"))
            await greeted(peer)
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with pytest.raises(httpcore.ConnectError, match="SSL"):
                await handshake

    run(test)


def test_what_came_before_the_handshake_is_never_taken_for_an_answer(
    run: Run, trusting: ssl.SSLContext
) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            peer.sendall(b"!HTTP/1.1 200 OK\r\n\r\n")
            assert await stream.read(1) == b"!"
            with pytest.raises(httpcore.ConnectError, match="before the TLS handshake"):
                await stream.start_tls(trusting, "localhost")
            with pytest.raises(httpcore.ReadError):
                await stream.read(100)

    run(test)


def test_what_was_written_before_the_handshake_leaves_before_it(
    run: Run, trusting: ssl.SSLContext
) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            await stream.write(b"CONNECT")
            handshake = asyncio.create_task(stream.start_tls(trusting, "localhost"))
            assert await asyncio.to_thread(peer.recv, 7) == b"CONNECT"
            handshake.cancel()
            with pytest.raises(asyncio.CancelledError):
                await handshake

    run(test)


def test_cancelling_after_any_number_of_turns_of_the_loop_leaves_nothing(
    run: Run, trusting: ssl.SSLContext
) -> None:
    async def test() -> None:
        for turns in range(12):
            stream, peer = await connect()
            with peer:
                handshake = asyncio.create_task(stream.start_tls(trusting, "localhost"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                handshake.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await handshake
                if turns == 0:  # it hasn't even begun
                    await stream.aclose()
                while await asyncio.to_thread(peer.recv, 1000):
                    pass  # the beginning of the handshake; after it, the end

    run(test)


def test_closing_during_the_handshake_ends_it(run: Run, trusting: ssl.SSLContext) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            handshake = asyncio.create_task(stream.start_tls(trusting, "localhost"))
            await greeted(peer)
            await stream.aclose()
            with pytest.raises(httpcore.ConnectError, match="closed"):
                await handshake

    run(test)


def test_closing_does_not_wait_for_the_server(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> None:
    async def test() -> None:
        stream, peer = await connect_tls(trusting, serving)
        with peer:
            await stream.aclose()
            await stream.aclose()
            # The server hasn't read a byte since the handshake, and yet the connection is gone.
            await until(lambda: stream.get_extra_info("server_addr") is None)
            assert await asyncio.to_thread(peer.recv, 1) == b""

    run(test)


def test_a_request_in_two_writes_leaves_in_one_record(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> None:
    async def test() -> None:
        stream, peer = await connect_tls(trusting, serving)
        with peer:
            await stream.write(b"headers ")
            await stream.write(b"body")
            assert await asyncio.to_thread(peer.recv, 100) == b"headers body"
            await stream.aclose()

    run(test)


def test_large_bodies_with_a_slow_reader_on_either_side(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext
) -> None:
    size = 16_000_000

    async def test() -> None:
        stream, peer = await connect_tls(trusting, serving)
        with peer:
            with pytest.raises(httpcore.WriteTimeout):
                await stream.write(b"x" * size, timeout=0.05)
            assert await asyncio.to_thread(receive, peer, size) == b"x" * size
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


@pytest.mark.parametrize("polite", [True, False])
def test_the_end_comes_after_everything_that_was_sent(
    run: Run, trusting: ssl.SSLContext, serving: ssl.SSLContext, polite: bool
) -> None:
    def say_and_leave(peer: ssl.SSLSocket) -> None:
        peer.sendall(b"z" * 1_000_000)
        if polite:
            peer.settimeout(0)
            with pytest.raises(ssl.SSLWantReadError):
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
