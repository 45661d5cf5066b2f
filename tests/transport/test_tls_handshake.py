"""Encrypting a connection: who is refused, and what is left when the handshake goes wrong."""

import asyncio
import socket
import ssl
from collections.abc import Callable

import httpcore
import pytest

from sendx_async._transport.sockets import AsyncioBackend
from tests.waiting import until

from .loopback import LIMIT, Run, accept_tls, connect, reset


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
                with pytest.raises(httpcore.ConnectError, match=r"is not valid for '127\.0\.0\.1'"):
                    await pool.request("GET", url)

    run(test)


def test_an_unknown_authority_is_refused(run: Run, serving: ssl.SSLContext) -> None:
    async def test() -> None:
        plain, peer = await connect()
        accepting = asyncio.create_task(asyncio.to_thread(accept_tls, peer, serving))
        with pytest.raises(
            httpcore.ConnectError, match=r"handshake with localhost failed.*certificate verify"
        ):
            await plain.start_tls(ssl.create_default_context(), "localhost", LIMIT)
        with pytest.raises(ssl.SSLError):
            await accepting

    run(test)


@pytest.mark.parametrize("name", [None, ""])
def test_a_name_that_no_certificate_can_carry(
    run: Run, trusting: ssl.SSLContext, name: str | None
) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            with pytest.raises(ValueError, match="server_hostname"):
                await stream.start_tls(trusting, name)
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
            with pytest.raises(httpcore.ReadError):
                await stream.read(100)

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
