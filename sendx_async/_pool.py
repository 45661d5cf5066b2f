"""The httpx transport: one connection per shard, per event loop, behind a gate.

A stock pool looks at every connection for every request, and loses a place for good when a request
is cancelled (httpcore 1.0.9). Here a connection is taken from a stack and put back when its answer
is complete; one whose request failed or was cancelled is thrown away.
"""

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol, cast
from urllib.request import getproxies, proxy_bypass

import anyio
import anyio.lowlevel
import attrs
import httpcore
import httpx

from sendx_async._errors import ConfigurationError
from sendx_async._options import is_loopback

KEEP_ALIVE = 15.0
"""Seconds that a connection may be idle; servers commonly close it later than that."""

_MOST_OF_A_BODY = 1024 * 1024
_SECONDS_BETWEEN_SWEEPS = 1.0


OriginKey = tuple[bytes, bytes, int | None]


@attrs.frozen
class Target:
    """Where an operation is posted, taken apart once for all requests to it.

    Attributes:
        url: For httpx.
        core_url: For httpcore.
        host: The header.
        origin: What requests have in common that can share a connection.
    """

    url: httpx.URL
    core_url: httpcore.URL
    host: tuple[bytes, bytes]
    origin: OriginKey

    @classmethod
    def at(cls, address: str) -> "Target":
        """Take a URL apart."""
        url = httpx.URL(address)
        scheme, host, port = url.raw_scheme, url.raw_host, url.port
        core_url = httpcore.URL(scheme=scheme, host=host, port=port, target=url.raw_path)
        return cls(url, core_url, (b"Host", url.netloc), (scheme, host, port))


@attrs.define
class Delivery:
    """What the transport tells the caller about one request; travels in its extensions.

    Attributes:
        target: Where the request goes.
        sent: Whether any byte of the request may have left. A connection that is new says so
            by `trace`; an old one, or a mock, may send as soon as it has the request.
        body: The body of the answer, at most one MiB of it, once it is complete.
    """

    target: Target
    sent: bool = False
    body: bytes | None = None

    async def trace(self, name: str, info: dict[str, Any]) -> None:
        """Take httpcore's word for when the request, not its way through a proxy, is sent."""
        if name.endswith(".connect_tcp.started"):
            self.sent = False
        elif name.endswith(".send_request_headers.started"):
            self.sent = info["request"].method != b"CONNECT"


DELIVERY = "sendx_async.delivery"
"""The name of a request's extension that holds its `Delivery`."""


class _Connection(Protocol):
    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response: ...
    async def aclose(self) -> None: ...


@attrs.define(eq=False)
class _Shard:
    """One connection, and whether it is direct: a proxied one tells nothing about its state."""

    connection: _Connection
    is_direct: bool
    used: bool = False

    def is_idle(self) -> bool:
        return not self.is_direct or cast("httpcore.AsyncHTTPConnection", self.connection).is_idle()

    def has_expired(self) -> bool:
        return (
            self.is_direct and cast("httpcore.AsyncHTTPConnection", self.connection).has_expired()
        )


class _LoopState:
    """What belongs to one event loop: the gate and the idle shards, the last used at the end."""

    def __init__(self, max_connections: int) -> None:
        self.gate = anyio.Semaphore(max_connections, fast_acquire=True)
        self.idle: dict[OriginKey, list[_Shard]] = {}
        self.swept_at = time.monotonic()
        self.guard: AsyncGenerator[None, None] | None = None

    async def take(self, origin: OriginKey) -> _Shard | None:
        """Take the shard that was used last and is still alive."""
        shards = self.idle.get(origin)
        while shards:
            shard = shards.pop()
            if not shard.has_expired():
                return shard
            await _close(shard)
        return None

    async def put(self, origin: OriginKey, shard: _Shard) -> None:
        """Keep a shard for the next request, and close the coldest if they have expired."""
        shards = self.idle.setdefault(origin, [])
        shards.append(shard)
        now = time.monotonic()
        if now - self.swept_at > _SECONDS_BETWEEN_SWEEPS:
            self.swept_at = now
            while len(shards) > 1 and shards[0].has_expired():
                await _close(shards.pop(0))

    async def close(self) -> None:
        for shards in self.idle.values():
            while shards:
                await _close(shards.pop())


async def _close(shard: _Shard) -> None:
    # Closing is brief, and a cancelled caller must not leave a socket behind.
    with anyio.CancelScope(shield=True):
        await shard.connection.aclose()


async def _close_with_the_loop(state: _LoopState) -> AsyncGenerator[None, None]:
    """Wait in an asynchronous generator: event loops finish those before they close."""
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await state.close()


class ShardedTransport(httpx.AsyncBaseTransport):
    """Sends requests over connections of its own, at most ``max_connections`` at a time per loop.

    Args:
        max_connections: How many requests may be under way at once in one event loop.
    """

    def __init__(self, *, max_connections: int) -> None:
        self._max_connections = max_connections
        self._state: anyio.lowlevel.RunVar[_LoopState] = anyio.lowlevel.RunVar("sendx_async.pool")
        self._ssl_context: ssl.SSLContext | None = None
        self._ssl_lock = threading.Lock()
        self._connectors: dict[OriginKey, Callable[[], _Shard]] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the whole answer, which stands in the request's `Delivery`."""
        delivery: Delivery = request.extensions[DELIVERY]
        target = delivery.target
        try:
            state = self._state.get()
        except LookupError:
            state = await self._new_state()
        async with state.gate:
            shard = await state.take(target.origin) or self._connect(target)
            try:
                response = await self._send(shard, request, delivery)
            except BaseException as error:
                await _close(shard)
                if isinstance(error, _CORE_ERRORS):
                    raise _as_httpx(error, delivery) from error
                raise
            shard.used = True
            if shard.is_idle() and not self._closed:
                await state.put(target.origin, shard)
            else:
                await _close(shard)
        return response

    async def _send(
        self, shard: _Shard, request: httpx.Request, delivery: Delivery
    ) -> httpx.Response:
        extensions: dict[str, Any] = {"timeout": request.extensions["timeout"]}
        delivery.sent = True
        if not (shard.used and shard.is_direct):
            extensions["trace"] = delivery.trace
        answer = await shard.connection.handle_async_request(
            httpcore.Request(
                method=b"POST",
                url=delivery.target.core_url,
                headers=request.headers.raw,
                content=cast("Any", request.stream),
                extensions=extensions,
            )
        )
        body = bytearray()
        async with contextlib.aclosing(
            cast("AsyncGenerator[bytes]", answer.aiter_stream())
        ) as pieces:
            async for piece in pieces:
                body += piece
                if len(body) > _MOST_OF_A_BODY:
                    break
        await answer.aclose()
        delivery.body = bytes(body[:_MOST_OF_A_BODY])
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=httpx.ByteStream(delivery.body),
            extensions=cast("dict[str, Any]", answer.extensions),
        )

    async def _new_state(self) -> _LoopState:
        state = _LoopState(self._max_connections)
        self._state.set(state)
        state.guard = _close_with_the_loop(state)
        await anext(state.guard)
        return state

    def _connect(self, target: Target) -> _Shard:
        connector = self._connectors.get(target.origin)
        if connector is None:
            connector = self._connectors[target.origin] = self._connector(target)
        return connector()

    def _connector(self, target: Target) -> Callable[[], _Shard]:
        """Choose how an origin is reached: directly, or through the environment's proxy."""
        origin = target.core_url.origin
        host = target.url.host
        proxies = getproxies()
        proxy = proxies.get(target.url.scheme) or proxies.get("all")
        # A proxy elsewhere would look for a loopback address on itself.
        if not proxy or is_loopback(host) or proxy_bypass(host):
            return lambda: _Shard(self._direct(origin), is_direct=True)
        address = httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
        if address.url.scheme not in {"http", "https"}:
            raise ConfigurationError(
                f"the environment names a {address.url.scheme} proxy, which this client can't use "
                "itself: pass http_client=httpx.AsyncClient(proxy=...)"
            )
        return lambda: _Shard(self._proxied(address), is_direct=False)

    def _direct(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        return httpcore.AsyncHTTPConnection(
            origin,
            ssl_context=self._tls() if origin.scheme == b"https" else None,
            keepalive_expiry=KEEP_ALIVE,
            network_backend=_network_backend(),
        )

    def _proxied(self, proxy: httpx.Proxy) -> httpcore.AsyncHTTPProxy:
        return httpcore.AsyncHTTPProxy(
            httpcore.URL(
                scheme=proxy.url.raw_scheme,
                host=proxy.url.raw_host,
                port=proxy.url.port,
                target=proxy.url.raw_path,
            ),
            proxy_auth=proxy.raw_auth,
            ssl_context=self._tls(),
            proxy_ssl_context=self._tls() if proxy.url.scheme == "https" else None,
            max_connections=1,
            keepalive_expiry=KEEP_ALIVE,
            network_backend=_network_backend(),
        )

    def _tls(self) -> ssl.SSLContext:
        with self._ssl_lock:
            if self._ssl_context is None:
                self._ssl_context = httpx.create_ssl_context()
            return self._ssl_context

    async def aclose(self) -> None:
        """Close what is idle in this event loop; requests under way close theirs when they end."""
        self._closed = True
        state = self._state.get(None)
        if state is not None and state.guard is not None:
            await state.guard.aclose()
            await state.close()


def _network_backend() -> httpcore.AsyncNetworkBackend | None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return None  # httpcore's own, for trio
    from sendx_async._network import AsyncioBackend  # noqa: PLC0415 - not needed on trio

    return AsyncioBackend()


_CORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


def _as_httpx(error: Exception, delivery: Delivery) -> httpx.TransportError:
    """Give the httpx error that has the name of an httpcore error."""
    if not delivery.sent and not isinstance(error, httpcore.TimeoutException):
        # On the way through a proxy httpcore speaks of reading and writing before it is connected.
        return httpx.ConnectError(f"{type(error).__name__}: {error}")
    kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
    return kind(str(error))
