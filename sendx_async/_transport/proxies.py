"""Proxies: the one that the environment names for a target, and a connection through it."""

import ssl
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from sendx_async._core.errors import ConfigurationError
from sendx_async._core.options import is_loopback
from sendx_async._transport.exchange import Exchange, RawAnswer, Target, read_body
from sendx_async._transport.http1 import KEEP_ALIVE
from sendx_async._transport.sockets import network_backend


def proxy_for(target: Target) -> httpx.Proxy | None:
    """Return the proxy that the environment names for a target, or None."""
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


class ProxiedConnection:
    """A connection through a proxy, which httpcore runs.

    Args:
        proxy: Where the proxy is.
        ssl_context: How to verify the server, and a proxy that speaks TLS itself.
    """

    def __init__(self, proxy: httpx.Proxy, ssl_context: ssl.SSLContext) -> None:
        url = proxy.url
        self._proxy = httpcore.AsyncHTTPProxy(
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            proxy_auth=proxy.raw_auth,
            ssl_context=ssl_context,
            proxy_ssl_context=ssl_context if url.scheme == "https" else None,
            max_connections=1,
            keepalive_expiry=KEEP_ALIVE,
            network_backend=network_backend(),
        )

    async def send(self, request: httpx.Request, exchange: Exchange) -> RawAnswer:
        """Send a request and read its whole answer; errors are httpcore's."""
        exchange.sent = True  # until the trace knows better
        answer = await self._proxy.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=exchange.target.core_url,
                headers=request.headers.raw,
                content=_Body(request.read()),
                extensions={"timeout": request.extensions["timeout"], "trace": exchange.trace},
            )
        )
        try:
            body = await read_body(answer.aiter_stream(), most=exchange.most)
        finally:
            await answer.aclose()
        return RawAnswer(answer.status, answer.headers, body)

    def make_reusable(self) -> bool:
        """Return True: httpcore sees to it."""
        return True

    def has_expired(self) -> bool:
        """Return False: httpcore looks for itself, and connects anew."""
        return False

    async def aclose(self) -> None:
        """Close the tunnel, if there is one."""
        await self._proxy.aclose()


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
