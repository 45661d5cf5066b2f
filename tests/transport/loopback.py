"""Two ends of a connection on the loopback interface, and waiting for what happens between them."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sendx_async._transport.sockets import AsyncioBackend
from sendx_async._transport.stream import AsyncioStream

LIMIT = 120.0
"""Seconds after which a test that waits has failed."""

Run = Callable[[Callable[[], Awaitable[None]]], None]
"""What the fixture `run` is."""


async def connect() -> tuple[AsyncioStream, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", listener.getsockname()[1])
        peer, _ = listener.accept()
    peer.settimeout(LIMIT)
    assert isinstance(stream, AsyncioStream)
    return stream, peer


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def receive(peer: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        chunk = peer.recv(1_000_000)
        assert chunk, f"the end after {len(received)} bytes"
        received += chunk
    return bytes(received)


async def suspended(task: asyncio.Task[Any]) -> None:
    """Let a task run until nothing but the outside can wake it."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def accept_tls(peer: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    with peer:
        return context.wrap_socket(peer, server_side=True)
