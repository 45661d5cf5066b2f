"""asyncio sockets for httpcore: one object between httpcore and the event loop's transport.

httpcore's own asyncio backend goes through several layers, which cost about a third of the CPU of
a small request. Here the stream *is* the loop's protocol: bytes that have arrived are handed over
without suspending, and a timer exists only where a timeout was asked for.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import select
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

# RFC 8305 recommends 250 ms before the next address is tried beside the one that does not answer.
_NEXT_ADDRESS_DELAY = 0.25
# Unread bytes after which the server is made to wait, as in asyncio's own streams.
_READ_BUFFER_LIMIT = 256 * 1024

_TRANSPORT_NAMES = {
    "ssl_object": "ssl_object",
    "client_addr": "sockname",
    "server_addr": "peername",
    "socket": "socket",
}


class AsyncioStream(httpcore.AsyncNetworkStream, asyncio.Protocol):
    """A connection, for one reader and one writer at a time, in the loop that opened it.

    Args:
        loop: The running loop.
    """

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._received = bytearray()
        self._reading_paused = False
        self._writing_paused = False
        self._read_waiter: asyncio.Future[None] | None = None
        self._drain_waiter: asyncio.Future[None] | None = None
        # Nothing more will arrive: the server said so, or (then with the reason) the connection broke.
        self._ended = False
        self._error: Exception | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        received = self._received
        if not received and not self._ended:
            waiter = self._read_waiter = self._loop.create_future()
            try:
                if timeout is None:
                    await waiter
                else:
                    async with asyncio.timeout(timeout):
                        await waiter
            except TimeoutError as error:
                raise httpcore.ReadTimeout(f"nothing received in {timeout} s") from error
            finally:
                self._read_waiter = None
        if not received and self._error is not None:
            raise httpcore.ReadError(f"{self._error}") from self._error
        data = bytes(received[:max_bytes])
        del received[:max_bytes]
        if self._reading_paused and not received:
            self._reading_paused = False
            self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        if self._transport.is_closing():
            raise httpcore.WriteError("the connection is closed") from self._error
        self._transport.write(buffer)
        if self._writing_paused:
            waiter = self._drain_waiter = self._loop.create_future()
            try:
                async with asyncio.timeout(timeout):
                    await waiter
            except TimeoutError as error:
                raise httpcore.WriteTimeout(f"not sent in {timeout} s") from error
            finally:
                self._drain_waiter = None

    async def aclose(self) -> None:
        self._transport.abort()
        await asyncio.sleep(0)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return (
                bool(self._received)
                or self._ended
                or self._transport.is_closing()
            )
        return self._transport.get_extra_info(_TRANSPORT_NAMES[info])

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        waiter = self._read_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if len(self._received) > _READ_BUFFER_LIMIT and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self):
        self._ended = True
        self._wake(self._read_waiter)

    def connection_lost(self, exc):
        self._ended = True
        self._error = exc
        self._wake(self._read_waiter)
        self._wake(self._drain_waiter)

    def pause_writing(self):
        self._writing_paused = True

    def resume_writing(self):
        self._writing_paused = False
        self._wake(self._drain_waiter)

    @staticmethod
    def _wake(waiter):
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(lambda: AsyncioStream(loop), host, port)
        return stream

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
