"""The library's own httpx client: a pool of connections in each event loop, behind a gate.

A stock pool looks at every connection for every request, and loses a place for good when a request
is cancelled (httpcore 1.0.9). Here a connection is taken from a stack and put back when its answer
is complete; one whose request failed or was cancelled is thrown away.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import NoReturn

import anyio
import httpcore
import httpx

from sendx_async._runtime.loops import current_loop
from sendx_async._runtime.real_time import monotonic
from sendx_async._transport.exchange import EXCHANGE, Exchange, OriginKey, RawAnswer, Target
from sendx_async._transport.http1 import Connection
from sendx_async._transport.interception import HttpxMethods, send_intercepted
from sendx_async._transport.production_guard import check_destination
from sendx_async._transport.proxies import Proxy, proxy_for
from sendx_async._transport.sockets import network_backend
from sendx_async._transport.tls_contexts import tls_contexts

_SECONDS_BETWEEN_SWEEPS = 1.0
_CORE_ERRORS = (httpcore.TimeoutException, httpcore.NetworkError)


class _LoopState:
    """What belongs to one event loop: the gate, and idle connections, the last used at the end."""

    def __init__(self, max_connections: int) -> None:
        self.gate = anyio.Semaphore(max_connections, fast_acquire=True)
        self.idle: dict[OriginKey, list[Connection]] = {}
        self.swept_at = monotonic()
        self.guard: AsyncGenerator[None, None] | None = None

    async def take(self, origin: OriginKey) -> Connection | None:
        """Return the connection that was used last and is still alive, or None."""
        connections = self.idle.get(origin)
        while connections:
            connection = connections.pop()
            if not connection.has_expired():
                return connection
            await _close(connection)
        return None

    async def put(self, origin: OriginKey, connection: Connection) -> None:
        """Keep a connection for the next request, and close the coldest if they have expired."""
        connections = self.idle.setdefault(origin, [])
        connections.append(connection)
        now = monotonic()
        if now - self.swept_at > _SECONDS_BETWEEN_SWEEPS:
            self.swept_at = now
            while len(connections) > 1 and connections[0].has_expired():
                await _close(connections.pop(0))

    async def close(self) -> None:
        for connections in self.idle.values():
            while connections:
                await _close(connections.pop())


async def _close(connection: Connection) -> None:
    # Closing is brief, and a cancelled caller must not leave a socket behind.
    with anyio.CancelScope(shield=True):
        await connection.aclose()


class PooledTransport(httpx.AsyncBaseTransport):
    """Sends requests over connections of its own, at most ``max_connections`` at a time per loop.

    Args:
        max_connections: How many requests may be under way at once in one event loop.
    """

    def __init__(self, *, max_connections: int) -> None:
        self._max_connections = max_connections
        # By event loop. An anyio RunVar would keep every loop alive, since its value leads to it.
        self._states: dict[object, _LoopState] = {}
        self._proxies: dict[OriginKey, Proxy | None] = {}
        self._httpx_methods = HttpxMethods()
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and put the whole answer into its `Exchange`."""
        exchange: Exchange = request.extensions[EXCHANGE]
        if self._httpx_methods.are_replaced():
            return exchange.complete(await send_intercepted(request, exchange, self._send))
        return exchange.complete(await self._send(request, exchange))

    async def _send(self, request: httpx.Request, exchange: Exchange) -> RawAnswer:
        target = exchange.target
        loop = current_loop()
        state = self._states.get(loop) or await self._new_state(loop)
        async with state.gate:
            connection = await state.take(target.origin) or await self._connect(target)
            try:
                answer = await connection.send(request, exchange)
            except BaseException as error:
                await _close(connection)
                if isinstance(error, _CORE_ERRORS):
                    # Each httpcore error has an httpx error of the same name.
                    raise getattr(httpx, type(error).__name__)(_reason(error)) from error
                raise
            if connection.make_reusable() and not self._closed:
                await state.put(target.origin, connection)
            else:
                await _close(connection)
        return answer

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

    async def _connect(self, target: Target) -> Connection:
        check_destination(target.host_name)
        if target.origin not in self._proxies:
            self._proxies[target.origin] = proxy_for(target)
        ssl_context = await tls_contexts.get() if target.url.scheme == "https" else None
        return Connection(target, self._proxies[target.origin], ssl_context, network_backend())

    async def aclose(self) -> None:
        """Close what is idle in this event loop; requests under way close theirs when they end."""
        self._closed = True
        state = self._states.get(current_loop())
        if state is not None and state.guard is not None:
            await state.guard.aclose()


def _reason(error: BaseException) -> str:
    """Return the first text along the causes of an error; trio's own have none."""
    cause: BaseException | None = error
    while cause is not None and not str(cause):
        cause = cause.__cause__ or cause.__context__
    return str(cause or "")


class _NoCookies(httpx.Cookies):
    """Keeps no cookies: the API sets none, and looking for them costs a tenth of a request."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave the cookies of a response alone."""


class _HttpClient(httpx.AsyncClient):
    @property
    def cookies(self) -> httpx.Cookies:
        """Cookies that nothing is ever added to."""
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: object) -> NoReturn:  # noqa: ARG002 - the name is httpx's
        raise AttributeError("this client keeps no cookies")


_NO_COOKIES = _NoCookies()


def new_http_client(*, max_connections: int) -> httpx.AsyncClient:
    """Return an httpx client with a pool of its own."""
    return _HttpClient(transport=PooledTransport(max_connections=max_connections))
