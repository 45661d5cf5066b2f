"""Writing and closing on the asyncio sockets, on asyncio's own loop and on uvloop."""

import asyncio
import socket

import httpcore
import pytest

from tests.waiting import until

from .loopback import LIMIT, Run, cancelled, connect, receive, reset, suspended

pytestmark = pytest.mark.slow


async def fill(stream: httpcore.AsyncNetworkStream) -> asyncio.Task[None]:
    """Write more than every buffer on the way holds."""
    task = asyncio.ensure_future(stream.write(b"x" * 16_000_000))
    await suspended(task)
    return task


def test_bytes_travel_both_ways(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            await stream.write(b"ping")
            await stream.write(b"")
            reader = asyncio.ensure_future(stream.read(10))
            await suspended(reader)
            assert peer.recv(10) == b"ping"
            peer.sendall(b"pong!")
            assert await reader == b"pong!"
            peer.sendall(b"more")
            await until(lambda: stream.get_extra_info("is_readable"))
            assert await stream.read(3, timeout=LIMIT) == b"mor"
            assert await stream.read(3, timeout=LIMIT) == b"e"
            await stream.aclose()
            assert peer.recv(1) == b""

    run(test)


def test_a_write_leaves_even_if_the_caller_does_something_else(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            for piece in (b"head", b"body"):
                await stream.write(piece)
                assert await asyncio.to_thread(peer.recv, 100) == piece
            await stream.aclose()

    run(test)


def test_a_slow_reader_makes_the_writer_wait(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            writer = await fill(stream)
            reading = asyncio.create_task(asyncio.to_thread(receive, peer, 16_000_007))
            await writer
            await stream.write(b"the end")
            received = await reading
            assert received == b"x" * 16_000_000 + b"the end"
            await stream.aclose()

    run(test)


def test_a_write_that_is_not_taken_in_time(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            with pytest.raises(httpcore.WriteTimeout, match=r"did not take the request in 0\.01 s"):
                await stream.write(b"x" * 16_000_000, timeout=0.01)
            await stream.aclose()
            with pytest.raises(httpcore.WriteError, match="was closed"):
                await stream.write(b"more")

    run(test)


def test_a_write_that_is_cancelled(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            await cancelled(await fill(stream))
            # What the loop took before goes out, and nobody stumbles over the writer who left.
            writing = asyncio.create_task(stream.write(b"y" * 17_000))
            await suspended(writing)
            received = b""
            while not received.endswith(b"y" * 17_000):
                received = received[-17_000:] + await asyncio.to_thread(peer.recv, 1_000_000)
            await writing
            await stream.aclose()

    run(test)


def test_a_write_that_the_server_interrupts(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        writer = await fill(stream)
        reset(peer)
        with pytest.raises(httpcore.WriteError):
            await writer
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"more")
        with pytest.raises(httpcore.ReadError):
            await stream.read(1)
        await stream.aclose()

    run(test)


def test_a_write_that_our_closing_interrupts(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            writer = await fill(stream)
            await stream.aclose()
            with pytest.raises(httpcore.WriteError, match="was closed"):
                await writer

    run(test)


def test_an_early_answer_ends_the_writing(run: Run) -> None:
    async def test() -> None:
        stream, peer = await connect()
        with peer:
            writer = await fill(stream)
            peer.sendall(b"HTTP/1.1 413 Too Large\r\n\r\n")
            peer.shutdown(socket.SHUT_WR)
            with pytest.raises(httpcore.WriteError, match="server closed"):
                await writer
            assert await stream.read(100) == b"HTTP/1.1 413 Too Large\r\n\r\n"
            assert await stream.read(100) == b""
            await stream.aclose()

    run(test)
