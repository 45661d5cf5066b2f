"""Connecting to a host of several addresses, without waiting long for one that is silent.

Often a machine has an IPv6 address and no route behind it. "Happy eyeballs" (RFC 8305) races the
addresses, each with a head start before the next. uvloop's `create_connection` can't, and asyncio's
leaks a socket in some releases when two attempts succeed at once, so every loop uses this.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from httpcore import SOCKET_OPTION

    AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

# How long an address may stay silent before the next is tried beside it, as the RFC recommends.
_HEAD_START = 0.25


async def open_first_socket(
    host: str, port: int, *, local_address: str | None, options: tuple[SOCKET_OPTION, ...]
) -> socket.socket:
    """Connect to the first address of a host that answers.

    Args:
        host: The host's name or address.
        port: The TCP port.
        local_address: The address to connect from; None leaves it to the system.
        options: Arguments for `setsockopt`, applied before connecting.

    Returns:
        A connected socket that doesn't block.

    Raises:
        OSError: The name is unknown, or no address can be reached; the text says why, for each.
        UnicodeError: The name can't be one.
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
    try:
        # An address needs no look-up, and so no thread.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # The system sorts by preference; the families take turns, the preferred one first.
    preferred = [info for info in found if info[0] == found[0][0]]
    others = [info for info in found if info[0] != found[0][0]]
    turns = itertools.zip_longest(preferred, others)
    return [info for turn in turns for info in turn if info is not None]


async def _open_socket(
    info: AddressInfo, local_address: str | None, options: tuple[SOCKET_OPTION, ...]
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
