"""Sockets for httpcore: opening connections on asyncio's own loop, on uvloop, and on trio."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import httpcore

from sendx_async._runtime.background import start_thread
from sendx_async._runtime.loops import is_asyncio
from sendx_async._runtime.time_limit import AsyncioTimeLimit
from sendx_async._transport.stream import AsyncioStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


# How long an address may stay silent before the next is tried beside it, as RFC 8305 recommends.
_HEAD_START = 0.25


def network_backend() -> httpcore.AsyncNetworkBackend:
    """Return what opens connections in the running event loop: asyncio's, or trio's."""
    if is_asyncio():
        return AsyncioBackend()
    return _TrioBackend()


class _TrioBackend(httpcore.AsyncNetworkBackend):
    """httpcore's own, which lets through whatever a resolver raises that somebody has replaced."""

    def __init__(self) -> None:
        self._backend = cast("httpcore.AsyncNetworkBackend", httpcore.TrioBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            connect = self._backend.connect_tcp
            return await connect(host, port, timeout, local_address, socket_options)
        except (httpcore.NetworkError, httpcore.TimeoutException):
            raise
        except Exception as error:
            text = f"No connection to {host} port {port}: {_odd(error)}"
            raise httpcore.ConnectError(text) from error


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens connections on the running asyncio loop, uvloop's included."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
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
        try:
            with AsyncioTimeLimit(timeout):
                sock = await _open_first_socket(
                    host, port, local_address=local_address, options=tuple(socket_options or ())
                )
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


async def _open_first_socket(
    host: str, port: int, *, local_address: str | None, options: tuple[httpcore.SOCKET_OPTION, ...]
) -> socket.socket:
    """Race the addresses, each with a head start before the next: "happy eyeballs", RFC 8305.

    Often a machine has an IPv6 address and no route behind it. uvloop's `create_connection` would
    wait for it, and asyncio's leaks a socket in some releases when two attempts succeed at once,
    so the race is run here, for every loop alike.
    """
    loop = asyncio.get_running_loop()
    waiting = deque(await _resolve(host, port))
    attempts: set[asyncio.Task[socket.socket]] = set()
    reasons: list[str] = []
    try:
        while waiting or attempts:
            if waiting:
                attempt = _open_socket(waiting.popleft(), local_address, options)
                attempts.add(loop.create_task(attempt))
            done, _ = await asyncio.wait(
                attempts,
                timeout=_HEAD_START if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                attempts.remove(task)
                try:
                    return task.result()
                except OSError as error:
                    reasons.append(str(error))
    finally:
        # No await here: whoever is cancelled must not wait for the losers.
        for task in attempts:
            task.cancel()
            task.add_done_callback(_close_result)
    raise OSError("; ".join(reasons))


async def _resolve(host: str, port: int) -> list[AddressInfo]:
    found: Sequence[AddressInfo] = ()
    try:
        # An address needs no look-up, and so no thread.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    except (OSError, UnicodeError):
        raise
    except Exception as error:
        raise _odd(error) from error
    found = found or await _look_up(host, port)
    # The system sorts by preference; the families take turns, the preferred one first.
    preferred = [info for info in found if info[0] == found[0][0]]
    others = [info for info in found if info[0] != found[0][0]]
    turns = itertools.zip_longest(preferred, others)
    return [info for turn in turns for info in turn if info is not None]


async def _look_up(host: str, port: int) -> Sequence[AddressInfo]:
    """Return what the system knows, asked in a thread that is not one of the loop's executor."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[AddressInfo]] = loop.create_future()

    def tell(found: Sequence[AddressInfo], error: Exception | None) -> None:
        if answer.done():
            return  # cancelled
        if error is None:
            answer.set_result(found)
        else:
            answer.set_exception(error)

    def look_up() -> None:
        found: Sequence[AddressInfo] = ()
        failure: Exception | None = None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failure = error
        except BaseException as error:  # noqa: BLE001 - or the call would wait for ever
            failure = _odd(error)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, found, failure)

    start_thread(look_up, name="sendx_async look-up")
    return await answer


def _odd(error: BaseException) -> OSError:
    """Return the failure for what a resolver never raises, unless somebody has replaced it."""
    return OSError(f"looking the name up failed with {type(error).__name__}: {error}")


async def _open_socket(
    info: AddressInfo, local_address: str | None, options: tuple[httpcore.SOCKET_OPTION, ...]
) -> socket.socket:
    family, kind, protocol, _, address = info
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(0)
        for option in options:
            # httpcore's type also allows the form with a length, which no checker can follow.
            sock.setsockopt(*cast("tuple[int, int, int]", option))
        if local_address is not None:
            sock.bind((local_address, 0))
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            reason = os.strerror(error.errno) if error.errno else error
            raise OSError(f"{reason} ({address[0]})") from error
        raise
    return sock


def _close_result(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
