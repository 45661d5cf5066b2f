"""asyncio sockets for httpcore.

httpcore's own asyncio backend goes through several layers, which take about a quarter of the CPU
of a small request. Here the stream *is* the event loop's protocol: bytes that have arrived are
handed over without suspending, and a timer exists only where a timeout was asked for.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import select
import socket
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from httpcore import SOCKET_OPTION

    AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

# How long an address may stay silent before the next is tried beside it, as RFC 8305 recommends.
_NEXT_ADDRESS_DELAY = 0.25
# Bytes received and not read yet above which the server is made to wait.
_RECEIVED_LIMIT = 256 * 1024
# A write of up to this many bytes waits for its companion: copying more costs what it saves.
_CORK_LIMIT = 16 * 1024
# httpcore's names for what an asyncio transport knows.
_TRANSPORT_INFO = {
    "ssl_object": "ssl_object",
    "client_addr": "sockname",
    "server_addr": "peername",
    "socket": "socket",
}


class AsyncioStream(httpcore.AsyncNetworkStream, asyncio.Protocol):
    """A connection for one reader and one writer at a time, used in the loop that opened it.

    httpcore sends a request's headers and its body with two writes. The first write after a read
    is therefore held back until the next write, the next read or the loop's next turn, whichever
    comes first, so that both leave in one segment (3 to 10 % less CPU per request was measured).
    Nothing can get stuck: the loop's turn sends it whatever the caller does. Nothing is hidden: a
    transport buffers and reports a failed send later in any case, and closing drops what is unsent.
    """

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._held_back = b""
        self._may_hold_back = True
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
        if self._held_back:
            self._send_held_back()
        self._may_hold_back = True
        received = self._received
        if not received and not self._ended:
            waiter = self._read_waiter = self._loop.create_future()
            try:
                # Without a timeout no timer is made: most reads are of this kind.
                if timeout is None:
                    await waiter
                else:
                    async with asyncio.timeout(timeout):
                        await waiter
            except TimeoutError as error:
                raise httpcore.ReadTimeout(f"Nothing arrived in {timeout} s.") from error
            finally:
                self._read_waiter = None
        if not received and self._error is not None:
            raise httpcore.ReadError(_explain(self._error)) from self._error
        data = bytes(received[:max_bytes])
        del received[:max_bytes]
        if self._reading_paused and not received and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()
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
        if self._transport.is_closing():
            raise httpcore.WriteError(_explain(self._error)) from self._error
        if self._may_hold_back and len(buffer) <= _CORK_LIMIT:
            self._may_hold_back = False
            self._held_back = buffer
            self._loop.call_soon(self._send_held_back)
            return
        if len(buffer) > _CORK_LIMIT:
            self._send_held_back()
        self._held_back += buffer
        self._send_held_back()
        if self._writing_paused:
            await self._wait_until_sent(timeout)

    async def _wait_until_sent(self, timeout: float | None) -> None:
        waiter = self._write_waiter = self._loop.create_future()
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError as error:
            raise httpcore.WriteTimeout(
                f"The server did not take the request in {timeout} s."
            ) from error
        finally:
            self._write_waiter = None
        if self._writing_paused:
            raise httpcore.WriteError(_explain(self._error)) from self._error

    def _send_held_back(self) -> None:
        held_back, self._held_back = self._held_back, b""
        # Some transports raise when written to after they closed; the next read says why.
        if held_back and not self._transport.is_closing():
            self._transport.write(held_back)

    async def aclose(self) -> None:
        """Close at once, without waiting for the server; closing again changes nothing.

        A TLS server isn't told by a `close_notify`: HTTP marks the end of a message itself, and
        waiting for the answer to it is what makes closing hang.
        """
        self._abort(self._transport)
        # The loop closes the socket on its next turn, which must come before the loop is closed.
        await asyncio.sleep(0)

    def _abort(self, transport: asyncio.Transport) -> None:
        self._error = self._error or ConnectionAbortedError("The connection was closed.")
        self._ended = True
        self._received.clear()
        self._held_back = b""
        transport.abort()
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
        """
        transport = self._transport
        try:
            # What came before the handshake is not authentic: it must never be read as an answer.
            if self._received or self._ended or transport.is_closing():
                raise ConnectionAbortedError("the server spoke or hung up before it")
            # Until the encrypted transport is known data_received must not pause the one below it.
            self._reading_paused = True
            async with asyncio.timeout(timeout):
                encrypted = await self._loop.start_tls(
                    transport, self, ssl_context, server_hostname=server_hostname
                )
            # The loop reports success for a connection that was closed without an error.
            if encrypted is None or encrypted.is_closing():
                raise ConnectionAbortedError("the connection was closed")
        except TimeoutError as error:
            self._abort(transport)
            raise httpcore.ConnectTimeout(
                f"The TLS handshake with {server_hostname} took longer than {timeout} s."
            ) from error
        except OSError as error:
            self._abort(transport)
            raise httpcore.ConnectError(
                f"The TLS handshake with {server_hostname} failed: {_explain(error)}"
            ) from error
        except BaseException:
            self._abort(transport)
            raise
        self._transport = encrypted
        self._reading_paused = False
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
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep the bytes for `read`, and stop reading when too many are waiting."""
        self._received += data
        _wake(self._read_waiter)
        if len(self._received) > _RECEIVED_LIMIT and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """Let the transport close itself.

        All that the server sent is here by now, and nothing written from now on can be answered;
        so a kept-alive connection doesn't hold its socket after the server left.
        """
        self._ended = True
        _wake(self._read_waiter)

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


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens connections on the running asyncio loop, uvloop's included."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of a host that answers.

        Args:
            host: The host's name or address.
            port: The TCP port.
            timeout: The limit for looking up the name and connecting, in seconds; None for none.
            local_address: The address to connect from.
            socket_options: Arguments for `setsockopt`, applied before connecting.

        Returns:
            The connection, not encrypted.

        Raises:
            httpcore.ConnectTimeout: No connection in time.
            httpcore.ConnectError: The name is unknown, or no address of it can be reached.
        """
        options = tuple(socket_options or ())
        try:
            async with asyncio.timeout(timeout):
                addresses = await _resolve(host, port)
                sock = await _open_first_socket(addresses, local_address, options)
                loop = asyncio.get_running_loop()
                _, stream = await loop.create_connection(AsyncioStream, sock=sock)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(
                f"No connection to {host} port {port} in {timeout} s."
            ) from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"No connection to {host} port {port}: {error}") from error
        return stream

    async def sleep(self, seconds: float) -> None:
        """Wait.

        Args:
            seconds: How long.
        """
        await asyncio.sleep(seconds)


async def _resolve(host: str, port: int) -> list[AddressInfo]:
    try:
        # An address needs no look-up, and so no thread.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # The system sorts the addresses by preference; families take turns, the preferred one first.
    preferred = [info for info in found if info[0] == found[0][0]]
    others = [info for info in found if info[0] != found[0][0]]
    turns = itertools.zip_longest(preferred, others)
    return [info for turn in turns for info in turn if info is not None]


async def _open_first_socket(
    addresses: list[AddressInfo], local_address: str | None, options: tuple[SOCKET_OPTION, ...]
) -> socket.socket:
    """Race the addresses, each with a head start before the next ("happy eyeballs", RFC 8305).

    uvloop's create_connection can't do this, and asyncio's leaks sockets when two attempts succeed
    at the same time in releases before 3.13.2; so the race is run here, for every loop alike.
    """
    loop = asyncio.get_running_loop()
    waiting = deque(addresses)
    attempts: set[asyncio.Task[socket.socket]] = set()
    errors: list[str] = []
    try:
        while waiting or attempts:
            if waiting:
                attempt = _open_socket(loop, waiting.popleft(), local_address, options)
                attempts.add(loop.create_task(attempt))
            done, _ = await asyncio.wait(
                attempts,
                timeout=_NEXT_ADDRESS_DELAY if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                attempts.remove(task)
                if task.exception() is None:
                    return task.result()
                errors.append(str(task.exception()))
    finally:
        # No await here: whoever was cancelled must not wait for the losers.
        for task in attempts:
            task.cancel()
            task.add_done_callback(_close_result)
    raise OSError("; ".join(dict.fromkeys(errors)))


async def _open_socket(
    loop: asyncio.AbstractEventLoop,
    info: AddressInfo,
    local_address: str | None,
    options: tuple[SOCKET_OPTION, ...],
) -> socket.socket:
    family, kind, protocol, _, address = info
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        for option in options:
            sock.setsockopt(*option)
        if local_address is not None:
            sock.bind((local_address, 0))
        await loop.sock_connect(sock, address)
    except OSError as error:
        sock.close()
        reason = os.strerror(error.errno) if error.errno else error
        raise OSError(f"{reason} ({address[0]})") from error
    except BaseException:
        sock.close()
        raise
    return sock


def _close_result(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
