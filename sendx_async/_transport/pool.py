"""The httpx transport: one connection per shard, per event loop, behind a gate.

A stock pool looks at every connection for every request, and loses a place for good when a request
is cancelled (httpcore 1.0.9). Here a connection is taken from a stack and put back when its answer
is complete; one whose request failed or was cancelled is thrown away.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator
from typing import Protocol, cast
from urllib.request import getproxies, proxy_bypass

import anyio
import httpcore
import httpx

from sendx_async._core.errors import ConfigurationError
from sendx_async._core.options import is_loopback
from sendx_async._runtime.loops import current_loop, is_asyncio
from sendx_async._transport.http1 import (
    EXCHANGE,
    KEEP_ALIVE,
    Connection,
    Exchange,
    OriginKey,
    RawAnswer,
    Target,
    read_body,
)
from sendx_async._transport.sockets import AsyncioBackend

_SECONDS_BETWEEN_SWEEPS = 1.0


class _Shard(Protocol):
    """One connection, or what stands for one."""

    async def exchange(self, request: httpx.Request, exchange: Exchange) -> httpx.Response: ...
    def make_reusable(self) -> bool: ...
    def has_expired(self) -> bool: ...
    async def aclose(self) -> None: ...


class _Body:
    """A body in one piece; unlike httpcore's own, a generator, it may be left unfinished."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._is_sent = False

    def __aiter__(self) -> "_Body":
        return _Body(self._data)

    async def __anext__(self) -> bytes:
        if self._is_sent:
            raise StopAsyncIteration
        self._is_sent = True
        return self._data


class _ProxiedShard:
    """A connection through a proxy, which httpcore runs."""

    def __init__(self, proxy: httpcore.AsyncHTTPProxy) -> None:
        self._proxy = proxy

    async def exchange(self, request: httpx.Request, exchange: Exchange) -> httpx.Response:
        exchange.sent = True  # until the trace knows better
        answer = await self._proxy.handle_async_request(
            httpcore.Request(
                method=b"POST",
                url=exchange.target.core_url,
                headers=request.headers.raw,
                content=_Body(request.read()),
                extensions={"timeout": request.extensions["timeout"], "trace": exchange.trace},
            )
        )
        try:
            body = await read_body(answer.aiter_stream())
        finally:
            await answer.aclose()
        exchange.answer = RawAnswer(answer.status, answer.headers, body)
        return exchange.answer.for_httpx()

    def make_reusable(self) -> bool:
        return True

    def has_expired(self) -> bool:
        return False  # httpcore looks for itself, and connects anew

    async def aclose(self) -> None:
        await self._proxy.aclose()


async def _exchange_by_stock(
    request: httpx.Request, exchange: Exchange, ssl_context: ssl.SSLContext
) -> httpx.Response:
    """Send by httpx's own transport: tests put mocks in its place, or of the httpcore below it."""
    exchange.sent = True
    async with httpx.AsyncHTTPTransport(verify=ssl_context) as transport:
        response = await transport.handle_async_request(request)
        try:
            body = await read_body(response.aiter_bytes())
        finally:
            await response.aclose()
    exchange.answer = RawAnswer(response.status_code, response.headers.raw, body)
    return exchange.answer.for_httpx()


def _is_mocked() -> bool:
    """Return whether a test has replaced how httpx sends: respx and pytest-httpx do."""
    return not (
        httpx.AsyncHTTPTransport.handle_async_request.__module__.startswith("httpx.")
        and httpcore.AsyncConnectionPool.handle_async_request.__module__.startswith("httpcore.")
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
        await shard.aclose()


class ShardedTransport(httpx.AsyncBaseTransport):
    """Sends requests over connections of its own, at most ``max_connections`` at a time per loop.

    Args:
        max_connections: How many requests may be under way at once in one event loop.
    """

    def __init__(self, *, max_connections: int) -> None:
        self._max_connections = max_connections
        # By event loop. An anyio RunVar would keep every loop alive, since its value leads to it.
        self._states: dict[object, _LoopState] = {}
        self._ssl_context: ssl.SSLContext | None = None
        self._proxies: dict[OriginKey, httpx.Proxy | None] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the whole answer, which stands in the request's `Exchange`."""
        exchange: Exchange = request.extensions[EXCHANGE]
        if _is_mocked():
            return await _exchange_by_stock(request, exchange, self._tls())
        target = exchange.target
        loop = current_loop()
        state = self._states.get(loop) or await self._new_state(loop)
        async with state.gate:
            shard = await state.take(target.origin) or self._connect(target)
            try:
                response = await shard.exchange(request, exchange)
            except BaseException as error:
                await _close(shard)
                if isinstance(error, _CORE_ERRORS):
                    # Each httpcore error has an httpx error of the same name.
                    raise getattr(httpx, type(error).__name__)(_reason(error)) from error
                raise
            if shard.make_reusable() and not self._closed:
                await state.put(target.origin, shard)
            else:
                await _close(shard)
        return response

    async def _new_state(self, loop: object) -> _LoopState:
        for other in list(self._states):
            if isinstance(other, asyncio.AbstractEventLoop) and other.is_closed():
                self._states.pop(other, None)  # it ended without finishing its generators
        state = self._states[loop] = _LoopState(self._max_connections)
        state.guard = self._close_with_the_loop(loop, state)
        await anext(state.guard)
        return state

    async def _close_with_the_loop(
        self, loop: object, state: _LoopState
    ) -> AsyncGenerator[None, None]:
        """Wait in an asynchronous generator: event loops finish those before they close."""
        try:
            yield
        finally:
            self._states.pop(loop, None)
            with anyio.CancelScope(shield=True):
                await state.close()

    def _connect(self, target: Target) -> _Shard:
        if target.origin not in self._proxies:
            self._proxies[target.origin] = _proxy_for(target)
        proxy = self._proxies[target.origin]
        if proxy is not None:
            return _ProxiedShard(self._proxied(proxy))
        ssl_context = self._tls() if target.url.scheme == "https" else None
        return Connection(target, ssl_context, _network_backend())

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
        # Without a lock: two threads may both make one, and either serves.
        if self._ssl_context is None:
            try:
                self._ssl_context = httpx.create_ssl_context()
            except OSError as error:  # ssl.SSLError is one
                raise ConfigurationError(
                    "the certificates to verify servers with can't be read: check "
                    f"SSL_CERT_FILE and SSL_CERT_DIR ({error})"
                ) from error
        return self._ssl_context

    async def aclose(self) -> None:
        """Close what is idle in this event loop; requests under way close theirs when they end."""
        self._closed = True
        state = self._states.get(current_loop())
        if state is not None and state.guard is not None:
            await state.guard.aclose()


def _proxy_for(target: Target) -> httpx.Proxy | None:
    """Return the proxy that the environment names for an origin, or None."""
    host = target.host_name
    proxies = getproxies()
    proxy = proxies.get(target.url.scheme) or proxies.get("all")
    # A proxy elsewhere would look for a loopback address on itself.
    if not proxy or is_loopback(host) or proxy_bypass(host):
        return None
    try:
        address = httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
    except (ValueError, httpx.InvalidURL):
        address = None
    if address is None or not address.url.host or address.url.scheme not in {"http", "https"}:
        # The URL itself may hold a password.
        raise ConfigurationError(
            f"the environment's proxy for {target.url.scheme} is none that this client can use "
            "itself: set an http:// proxy, or pass http_client=httpx.AsyncClient(proxy=...)"
        )
    return address


def _reason(error: BaseException) -> str:
    """Return the first text along the causes of an error; trio's own have none."""
    cause: BaseException | None = error
    while cause is not None and not str(cause):
        cause = cause.__cause__ or cause.__context__
    return str(cause or "")


def _network_backend() -> httpcore.AsyncNetworkBackend:
    if is_asyncio():
        return AsyncioBackend()
    return cast("httpcore.AsyncNetworkBackend", httpcore.TrioBackend())


_CORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
