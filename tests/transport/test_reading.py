"""Reading, and the end of a connection, on asyncio's own loop and on uvloop."""

import asyncio
import select
import socket

import httpcore
import pytest

from sendx_async._transport.sockets import AsyncioBackend
from tests.waiting import until

from .loopback import LIMIT, Run, cancelled, connect, reset, suspended


def test_a_read_that_gets_nothing_in_time_can_be_repeated(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            with pytest.raises(httpcore.ReadTimeout, match=r"Nothing arrived in 0\.01 s"):
                await stream.read(10, timeout=0.01)
            peer.sendall(b"late")
            assert await stream.read(10, timeout=LIMIT) == b"late"
            await stream.aclose()

    run(test)


def test_a_read_that_is_cancelled_loses_no_bytes(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            reader = asyncio.ensure_future(stream.read(10))
            await suspended(reader)
            peer.sendall(b"late")
            await cancelled(reader)
            assert await stream.read(10) == b"late"
            await stream.aclose()

    run(test)


def test_a_read_that_our_closing_interrupts_is_no_end_of_the_answer(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            reader = asyncio.ensure_future(stream.read(10))
            await suspended(reader)
            await stream.aclose()
            with pytest.raises(httpcore.ReadError, match="was closed"):
                await reader
            with pytest.raises(httpcore.ReadError, match="was closed"):
                await stream.read(10)

    run(test)


@pytest.mark.parametrize("half_closed", [True, False])
def test_the_end_comes_after_everything_that_was_sent(run: Run, half_closed: bool) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            peer.sendall(b"last words")
            if half_closed:
                peer.shutdown(socket.SHUT_WR)
            else:
                peer.close()
            assert await stream.read(4) == b"last"
            assert await stream.read(100) == b" words"
            assert await stream.read(100) == b""
            assert await stream.read(100) == b""
            with pytest.raises(httpcore.WriteError, match="server closed"):
                await stream.write(b"too late")
            await stream.aclose()

    run(test)


def test_the_end_wakes_a_reader(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        reader = asyncio.ensure_future(stream.read(10))
        await suspended(reader)
        peer.close()
        assert await reader == b""
        await stream.aclose()

    run(test)


def test_what_arrived_before_a_reset_is_read_before_the_error(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        peer.sendall(b"last words")
        assert await stream.read(4) == b"last"
        reset(peer)
        await until(lambda: stream.get_extra_info("server_addr") is None)
        assert await stream.read(100) == b" words"
        with pytest.raises(httpcore.ReadError, match="reset"):
            await stream.read(100)
        await stream.aclose()

    run(test)


def test_a_server_that_sends_faster_than_we_read_has_to_wait(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            sending = asyncio.create_task(asyncio.to_thread(peer.sendall, b"y" * 30_000_000))
            await until(lambda: not stream._tcp_transport.is_reading())
            await suspended(sending)
            assert len(stream._received) <= 1_000_000
            received = 0
            while received < 30_000_000:
                chunk = await stream.read(65_536)
                assert 0 < len(chunk) <= 65_536
                received += len(chunk)
            await sending
            await stream.aclose()

    run(test)


def test_an_answer_in_a_thousand_pieces(run: Run) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"z" * 1000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        writer.close()

    async def test() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with httpcore.AsyncConnectionPool(network_backend=AsyncioBackend()) as pool:
                response = await pool.request("GET", f"http://127.0.0.1:{port}/")
                assert response.content == b"z" * 1000

    run(test)


def test_a_large_answer_to_a_large_request(run: Run) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(5_000_000)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async def test() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with httpcore.AsyncConnectionPool(network_backend=AsyncioBackend()) as pool:
                body = bytes(range(250)) * 20_000
                response = await pool.request("POST", f"http://127.0.0.1:{port}/", content=body)
                assert response.content == body

    run(test)


def answer(peer: socket.socket) -> None:
    assert peer.recv(1000).endswith(b"\r\n\r\n")
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")


def accept(listener: socket.socket) -> socket.socket:
    listener.settimeout(LIMIT)
    peer, _ = listener.accept()
    peer.settimeout(LIMIT)
    return peer


@pytest.mark.parametrize("poll", [True, False])
def test_a_kept_alive_connection_that_the_server_closed_is_known_to_be_expired(
    run: Run, poll: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            accepting = asyncio.create_task(asyncio.to_thread(accept, listener))
            origin = httpcore.Origin(b"http", b"127.0.0.1", listener.getsockname()[1])
            connection = httpcore.AsyncHTTPConnection(origin, network_backend=AsyncioBackend())
            url = httpcore.URL(scheme="http", host=origin.host, port=origin.port, target="/")
            request = httpcore.Request("GET", url, headers={"Host": "127.0.0.1"})
            for _ in range(2):
                responding = asyncio.create_task(connection.handle_async_request(request))
                await asyncio.to_thread(answer, await accepting)
                response = await responding
                assert await response.aread() == b"hi"
                await response.aclose()
                assert not connection.has_expired()
            if not poll:
                monkeypatch.delattr(select, "poll")
                assert not connection.has_expired()
            # Between these two lines the loop has no turn in which to notice.
            (await accepting).close()
            assert connection.has_expired()
            await until(lambda: connection._connection._network_stream._lost)  # type: ignore[union-attr]
            assert connection.has_expired()
            await connection.aclose()

    run(test)
