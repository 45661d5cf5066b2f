"""One HTTP/1.1 connection to SendX: h11 on a network stream, one request at a time.

httpcore's own connection takes about twice the processor time for the same exchange: it locks,
traces and streams for the general case, while here a request is one write and a body is small.
"""

import contextlib
import math
import re
import ssl
from collections.abc import Callable
from typing import Any, cast

import anyio.lowlevel
import h11
import httpcore
import httpx

from sendx_async._runtime.real_time import monotonic
from sendx_async._transport.content_coding import decoded
from sendx_async._transport.exchange import Exchange, RawAnswer, Target
from sendx_async._transport.heads import BYTES_PER_READ, NO_TRUST, AnswerFault, read_head
from sendx_async._transport.proxies import Proxy, open_tunnel

KEEP_ALIVE = 15.0
"""Seconds that a connection may be idle; servers commonly close it later than that."""

# Between the moment at which a server begins to count and that at which it has read another
# request lies a round trip: less than a second nearly everywhere, and more is a race as ever.
_MARGIN = 1.0
_ANNOUNCED = re.compile(rb"\nkeep-alive:[^\r]*\btimeout[ \t]*=[ \t]*(\d{1,9})")
_EVENTS_AT_A_TIME = 100


class Connection:
    """A connection that is made for its first request.

    Args:
        target: Where the first request goes; all others must have the same origin.
        proxy: What leads there; None for the direct way.
        ssl_context: How to verify the server, and a proxy that speaks TLS itself; None for plain
            HTTP, which is for the direct way only.
        backend: What opens sockets in this event loop.
    """

    def __init__(
        self,
        target: Target,
        proxy: Proxy | None,
        ssl_context: ssl.SSLContext | None,
        backend: httpcore.AsyncNetworkBackend,
    ) -> None:
        self._target = target
        self._proxy = proxy
        self._ssl_context = ssl_context
        self._backend = backend
        self._stream: httpcore.AsyncNetworkStream | None = None
        self._http = h11.Connection(h11.CLIENT)
        self._ends_clearly = True
        self._may_be_idle = math.inf
        self._idle_since = 0.0

    async def send(self, request: httpx.Request, exchange: Exchange) -> RawAnswer:
        """Send a request and read its whole answer.

        Raises:
            httpcore.NetworkError: The connection can't be made, or broke.
            ProxyFault: The proxy doesn't lead to the server.
            httpcore.TimeoutException: A phase took longer than the request's timeout for it.
            AnswerFault: The answer can't be trusted.
        """
        timeout: dict[str, float | None] = request.extensions["timeout"]
        stream = self._stream or await self._connect(timeout["connect"])
        # As a view, since tools that show the variables of a traceback would show the bytes.
        data = cast("bytes", memoryview(self._encode(request, exchange.target)))
        await exchange.begin()
        # A server may refuse a request before it has read it all, and say why: read that.
        with contextlib.suppress(httpcore.WriteError):
            await stream.write(data, timeout=timeout["write"])
        try:
            return await self._read_answer(stream, timeout["read"], most=exchange.most)
        except h11.RemoteProtocolError as error:
            _, has_ended = self._http.trailing_data
            if has_ended:
                raise httpcore.ReadError(
                    "the server closed before its answer was complete"
                ) from error
            # h11 quotes the line, which may echo the request.
            raise AnswerFault(f"{NO_TRUST}: it isn't valid HTTP") from error

    async def _connect(self, timeout: float | None) -> httpcore.AsyncNetworkStream:
        left = _count_down(timeout)
        proxy, tls = self._proxy, self._ssl_context
        host, port = self._target.host_and_port
        if proxy is None:
            stream = await self._backend.connect_tcp(host, port, timeout=left())
        else:
            stream = await self._backend.connect_tcp(proxy.host, proxy.port, timeout=left())
        self._stream = stream
        if proxy is not None:
            if proxy.speaks_tls:
                self._stream = stream = await stream.start_tls(
                    cast("ssl.SSLContext", tls), server_hostname=proxy.host, timeout=left()
                )
            await open_tunnel(stream, proxy, host, port, left)
        if tls is not None:
            self._stream = stream = await stream.start_tls(
                tls, server_hostname=host, timeout=left()
            )
        return stream

    def _encode(self, request: httpx.Request, target: Target) -> bytes:
        """Put head and body into one piece, so that sending them is one system call."""
        send = self._http.send
        path = target.url.raw_path  # the request's own URL is for who looks on
        head = h11.Request(method=request.method, target=path, headers=request.headers.raw)
        pieces = send(head), send(h11.Data(data=request.read())), send(h11.EndOfMessage())
        return b"".join(piece for piece in pieces if piece)

    async def _read_answer(
        self, stream: httpcore.AsyncNetworkStream, timeout: float | None, *, most: int
    ) -> RawAnswer:
        http = self._http
        head, text, data = await read_head(http, stream, timeout)
        if b"\nkeep-alive:" in text and (announced := _ANNOUNCED.search(text)):
            seconds = int(announced[1])
            self._may_be_idle = seconds - min(_MARGIN, seconds / 2)
        if data:
            http.receive_data(data)
        body = bytearray()
        events = 0
        while len(body) <= most:
            events += 1
            if not events % _EVENTS_AT_A_TIME:
                await anyio.lowlevel.checkpoint()  # for the deadline, and for others
            event: Any = http.next_event()
            if event is h11.NEED_DATA:
                data = await stream.read(BYTES_PER_READ, timeout=timeout)
                http.receive_data(data)
            elif isinstance(event, h11.EndOfMessage):
                # h11 takes a line feed for the end of chunks, and whatever comes as a trailer.
                is_clear = data.endswith(b"\r\n") and not event.headers
                self._ends_clearly = is_clear or b"\ntransfer-encoding:" not in text
                break
            else:
                body += event.data
        headers = cast("list[tuple[bytes, bytes]]", head.headers)
        content: bytes | None = bytes(body[:most])
        if content and b"\ncontent-encoding:" in text:
            content = decoded(content, headers, most=most)
        return RawAnswer(head.status_code, headers, content)

    def make_reusable(self) -> bool:
        """Prepare for the next request, and return whether there can be one."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        if self._http.trailing_data[0] or not self._ends_clearly:
            return False  # whatever that is, it must not be taken for the next answer
        self._http.start_next_cycle()
        self._idle_since = monotonic()
        return True

    def has_expired(self) -> bool:
        """Return whether the connection was idle for too long, or was closed by the server."""
        if monotonic() - self._idle_since > min(KEEP_ALIVE, self._may_be_idle):
            return True
        # An idle connection has nothing to say: what can be read is the end of it.
        stream = cast("httpcore.AsyncNetworkStream", self._stream)
        return bool(stream.get_extra_info("is_readable"))

    async def aclose(self) -> None:
        """Close the socket, if there is one."""
        if self._stream is not None:
            await self._stream.aclose()


def _count_down(seconds: float | None) -> Callable[[], float | None]:
    """Return what tells how much of a limit is left: None if there is none, and never 0."""
    if seconds is None:
        return lambda: None
    ends = monotonic() + seconds
    return lambda: max(0.001, ends - monotonic())
