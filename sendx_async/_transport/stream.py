"""A connection on an asyncio loop, as httpcore wants to read and write it.

httpcore's own asyncio backend goes through several layers, which take about a quarter of the CPU
of a small request. Here the stream *is* the event loop's protocol: bytes that have arrived are
handed over without suspending, and a timer exists only where a timeout was asked for.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Any, cast

import httpcore

from sendx_async._runtime.time_limit import AsyncioTimeLimit

if TYPE_CHECKING:
    import ssl

# Bytes received and not read yet above which the server is made to wait.
_RECEIVED_LIMIT = 256 * 1024
# What a transport is given of a large body before it is asked whether it wants to wait.
_PIECE = 256 * 1024
# httpcore's names for what an asyncio transport knows.
_TRANSPORT_INFO = {
    "ssl_object": "ssl_object",
    "client_addr": "sockname",
    "server_addr": "peername",
    "socket": "socket",
}


class AsyncioStream(httpcore.AsyncNetworkStream, asyncio.Protocol):
    """A connection for one reader and one writer at a time, used in the loop that opened it.

    What is written leaves at once. Holding the first write back, to send a request's head and body
    in one segment, saved a few per cent where they are two writes, and cost as much where they are
    one, as in this package's own HTTP/1.1: waking up the loop once more is what makes it dear.
    """

    _transport: asyncio.Transport  # encrypts, if anything does
    _tcp_transport: asyncio.Transport

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._reading_paused = False
        self._writing_paused = False
        self._read_waiter: asyncio.Future[None] | None = None
        self._write_waiter: asyncio.Future[None] | None = None
        self._ended = False  # nothing more will arrive
        self._lost = False  # the transport is gone
        self._error: Exception | None = None  # why the connection broke; None after a clean end

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has arrived, or wait for it.

        Args:
            max_bytes: The most bytes to return.
            timeout: How long to wait, in seconds; None waits as long as it takes.

        Returns:
            At least one byte, or `b""` when the server has finished sending.

        Raises:
            httpcore.ReadTimeout: Nothing arrived in time.
            httpcore.ReadError: The connection broke, or was closed on this side.
        """
        if not self._received and not self._ended:
            waiter = self._read_waiter = self._loop.create_future()
            # Without a timeout no timer is made: most reads are of this kind.
            if timeout is None:
                await waiter
            else:
                try:
                    with AsyncioTimeLimit(timeout):
                        await waiter
                except TimeoutError as error:
                    raise httpcore.ReadTimeout(f"Nothing arrived in {timeout} s.") from error
        received = self._received
        if not received and self._error is not None:
            raise httpcore.ReadError(_explain(self._error)) from self._error
        data = bytes(received[:max_bytes])
        del received[:max_bytes]
        if self._reading_paused and not received:
            self._reading_paused = False
            self._tcp_transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes, waiting while the server takes in less than is sent.

        Args:
            buffer: The bytes to send.
            timeout: How long to wait, in seconds; None waits as long as it takes.

        Raises:
            httpcore.WriteTimeout: The server didn't take the bytes in time.
            httpcore.WriteError: The connection is closed or broken.
        """
        if not buffer:
            return
        if self._ended or self._transport.is_closing():
            raise httpcore.WriteError(_explain(self._error)) from self._error
        # In one piece an encrypted transport would take any amount and never ask us to wait. As
        # bytes, since what stands in a socket's place for a test reads what is sent.
        self._transport.write(bytes(buffer[:_PIECE]))
        if self._writing_paused or len(buffer) > _PIECE:
            try:
                with AsyncioTimeLimit(timeout):
                    await self._write_rest(memoryview(buffer)[_PIECE:])
            except TimeoutError as error:
                raise httpcore.WriteTimeout(
                    f"The server did not take the request in {timeout} s."
                ) from error

    async def _write_rest(self, rest: memoryview) -> None:
        while rest or self._writing_paused:
            if self._writing_paused:
                self._write_waiter = self._loop.create_future()
                await self._write_waiter
            if self._ended or self._transport.is_closing():
                raise httpcore.WriteError(_explain(self._error)) from self._error
            self._transport.write(bytes(rest[:_PIECE]))
            rest = rest[_PIECE:]

    async def aclose(self) -> None:
        """Close at once, without waiting for the server; closing again changes nothing.

        A TLS server isn't told by a `close_notify`: HTTP marks the end of a message itself, and
        waiting for the answer to it is what makes closing hang.
        """
        self._abort()
        # The loop closes the socket on its next turn, which must come before the loop is closed.
        await asyncio.sleep(0)

    def _abort(self) -> None:
        self._error = self._error or ConnectionAbortedError("The connection was closed.")
        self._ended = True
        self._received.clear()
        self._transport.abort()
        self._wake_both()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Encrypt the connection; whatever goes wrong closes it.

        Args:
            ssl_context: How to verify the server.
            server_hostname: The name the server's certificate must carry.
            timeout: The limit for the handshake, in seconds; the loop ends it after 60 at most.

        Returns:
            This stream, encrypted from here on.

        Raises:
            httpcore.ConnectTimeout: The handshake took too long.
            httpcore.ConnectError: The handshake failed, or the server's certificate was refused.
            ValueError: There is no name to check the certificate against.
        """
        transport = self._transport
        # What came before the handshake is not authentic: it must never be read as an answer.
        if self._received or self._ended or transport.is_closing():
            self._abort()
            raise httpcore.ConnectError("The server spoke or hung up before the TLS handshake.")
        if ssl_context.check_hostname and not server_hostname:
            # The loop would find out too late to tell us, and leave us waiting.
            self._abort()
            raise ValueError("server_hostname is missing: the certificate is checked against it")
        try:
            with AsyncioTimeLimit(timeout):
                encrypted = await self._loop.start_tls(
                    transport, self, ssl_context, server_hostname=server_hostname
                )
        except BaseException as error:
            # The loop closes the transport only in some of these cases.
            self._abort()
            handshake = f"The TLS handshake with {server_hostname}"
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout(f"{handshake} took over {timeout} s.") from error
            # Python 3.11 stumbles over the error of a handshake that is inside another one.
            cause = error.__context__ if isinstance(error, TypeError) else error
            if isinstance(cause, OSError):
                raise httpcore.ConnectError(f"{handshake} failed: {_explain(cause)}") from error
            raise
        # The loop reports success when the connection was closed without an error meanwhile.
        if encrypted is None or encrypted.is_closing():
            self._abort()
            raise httpcore.ConnectError("The connection was closed during the TLS handshake.")
        self._transport = encrypted
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks about a connection.

        Args:
            info: `"is_readable"`, `"ssl_object"`, `"client_addr"`, `"server_addr"` or `"socket"`.

        Returns:
            The value; None for a name that isn't known, or when the connection is gone.
        """
        if info == "is_readable":
            return bool(
                self._received
                or self._ended
                or self._transport.is_closing()
                # The loop may not have run since the server hung up: only the system knows then.
                or _has_unread_bytes(self._transport.get_extra_info("socket").fileno())
            )
        # uvloop can't be asked about a transport that is gone.
        if self._lost or info not in _TRANSPORT_INFO:
            return None
        return self._transport.get_extra_info(_TRANSPORT_INFO[info])

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        self._transport = self._tcp_transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep the bytes for `read`, and stop reading when too many are waiting."""
        self._received += data
        _wake(self._read_waiter)
        if len(self._received) > _RECEIVED_LIMIT and not self._reading_paused:
            # Not the encrypted transport: uvloop's forgets what it holds when the server hangs up
            # while it is paused.
            self._reading_paused = True
            self._tcp_transport.pause_reading()

    def eof_received(self) -> None:
        """Let the transport close itself.

        All that the server sent is here by now, and nothing written from now on can be answered:
        whoever writes had better read, and a kept-alive connection needs no socket any more.
        """
        self._ended = True
        self._wake_both()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits, and keep the reason for them."""
        self._error = self._error or exc
        self._ended = self._lost = True
        self._wake_both()

    def pause_writing(self) -> None:
        """Make writers wait."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._writing_paused = False
        _wake(self._write_waiter)

    def _wake_both(self) -> None:
        _wake(self._read_waiter)
        _wake(self._write_waiter)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    # A waiter that is done was cancelled, or woken in this turn of the loop already.
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


def _explain(error: Exception | None) -> str:
    # The loop raises a bare ConnectionResetError when the server hangs up during the handshake.
    return str(error or "") or "The server closed the connection."


def _has_unread_bytes(fileno: int) -> bool:
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fileno, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([fileno], [], [], 0)[0])
