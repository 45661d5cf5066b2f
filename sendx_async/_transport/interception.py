"""Methods of httpx and httpcore that somebody has replaced: recorders, mocks, tracing.

The library's own transport doesn't need these methods. But whoever replaces one wants to see every
request that httpx sends, and most of them to keep it from the network. So a request passes through
them as soon as one isn't the original any more; what they let through goes on in the library's own
connections, so that a tool which only watches costs no connection.
"""

from collections.abc import AsyncIterable, Awaitable, Callable
from types import FunctionType
from typing import cast

import httpcore
import httpx

from sendx_async._transport.borrowed import read_response
from sendx_async._transport.exchange import Exchange, RawAnswer

_SENDS = "handle_async_request"

Send = Callable[[httpx.Request, Exchange], Awaitable[RawAnswer]]


class HttpxMethods:
    """The methods by which httpx and httpcore send, and whether they are still theirs.

    Asked is where the code comes from that would run: names, modules and signatures are what a
    wrapper copies from what it wraps. So this knows no tool, and doesn't mind which was imported
    first. What isn't a plain function, such as a mock or a proxy of wrapt's, is a replacement.
    """

    def __init__(self) -> None:
        self._originals: tuple[object, object, object] = (None, None, None)

    def are_replaced(self) -> bool:
        """Return whether somebody has put a method of theirs in the place of one."""
        transport = httpx.AsyncHTTPTransport.handle_async_request
        pool = httpcore.AsyncConnectionPool.handle_async_request
        connection = httpcore.AsyncHTTPConnection.handle_async_request
        # By identity, since a proxy says that it equals what it wraps.
        a, b, c = self._originals
        if transport is a and pool is b and connection is c:
            return False  # as for the request before
        if not (
            is_method_of(httpx.AsyncHTTPTransport, _SENDS, transport)
            and is_method_of(httpcore.AsyncConnectionPool, _SENDS, pool)
            and is_method_of(httpcore.AsyncHTTPConnection, _SENDS, connection)
        ):
            return True
        self._originals = transport, pool, connection
        return False


def is_method_of(owner: type, name: str, method: object) -> bool:
    """Return whether a method's code was written in its class."""
    return (
        type(method) is FunctionType
        and method.__code__.co_qualname == f"{owner.__name__}.{name}"
        and method.__globals__["__name__"].startswith(f"{owner.__module__}.")
    )


async def send_intercepted(request: httpx.Request, exchange: Exchange, send: Send) -> RawAnswer:
    """Send a request through the methods that were replaced.

    Args:
        request: What to send.
        exchange: Its record.
        send: What sends it at last, if they let it through.
    """
    exchange.sent = True  # who answers in the server's place doesn't say when
    transport = _Transport(request, exchange, send)
    return await read_response(await transport.handle_async_request(request), most=exchange.most)


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's own, for one request, with the library's connections at its end."""

    def __init__(self, request: httpx.Request, exchange: Exchange, send: Send) -> None:
        # Not the original's __init__: it loads certificates, which takes longer than the request.
        self._pool = _Pool(_Connection(request, exchange, send))


class _Pool(httpcore.AsyncConnectionPool):
    def __init__(self, connection: "_Connection") -> None:
        super().__init__()
        self._connection = connection

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        connection = cast("httpcore.AsyncHTTPConnection", super().create_connection(origin))
        connection._connection = self._connection  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        return connection


class _Connection(httpcore.AsyncConnectionInterface):
    """Hands on what has come as far as a connection."""

    def __init__(self, request: httpx.Request, exchange: Exchange, send: Send) -> None:
        self._request = request
        self._exchange = exchange
        self._send = send

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, with the headers and the body that it has by now."""
        stream = cast("AsyncIterable[bytes]", request.stream)
        self._exchange.sent = False
        answer = await self._send(
            httpx.Request(
                self._request.method,
                self._request.url,
                headers=request.headers,
                stream=httpx.ByteStream(b"".join([piece async for piece in stream])),
                extensions=self._request.extensions,
            ),
            self._exchange,
        )
        return httpcore.Response(answer.status_code, headers=answer.headers, content=answer.body)

    def is_closed(self) -> bool:
        """Return True: it serves one request."""
        return True
