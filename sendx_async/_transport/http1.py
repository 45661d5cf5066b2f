"""One HTTP/1.1 connection to SendX: h11 on a network stream, one request at a time.

httpcore's own connection takes about twice the processor time for the same exchange: it locks,
traces and streams for the general case, while here a request is one write and a body is small.
"""

import contextlib
import ssl
from typing import Any, cast

import anyio.lowlevel
import h11
import httpcore
import httpx

from sendx_async._runtime.real_time import monotonic
from sendx_async._transport.exchange import Exchange, RawAnswer, Target

KEEP_ALIVE = 15.0
"""Seconds that a connection may be idle; servers commonly close it later than that."""

_BYTES_PER_READ = 64 * 1024
_PIECES_AT_A_TIME = 500


class Connection:
    """A connection that is made for its first request.

    Args:
        target: Where the first request goes; all others must have the same origin.
        ssl_context: How to verify the server, or None for plain HTTP.
        backend: What opens sockets in this event loop.
    """

    def __init__(
        self,
        target: Target,
        ssl_context: ssl.SSLContext | None,
        backend: httpcore.AsyncNetworkBackend,
    ) -> None:
        self._target = target
        self._ssl_context = ssl_context
        self._backend = backend
        self._stream: httpcore.AsyncNetworkStream | None = None
        self._http = h11.Connection(h11.CLIENT)
        self._idle_since = 0.0

    async def send(self, request: httpx.Request, exchange: Exchange) -> RawAnswer:
        """Send a request and read its whole answer.

        Raises:
            httpcore.NetworkError: The connection can't be made, or broke.
            httpcore.TimeoutException: A phase took longer than the request's timeout for it.
            httpcore.RemoteProtocolError: The answer isn't HTTP, or ended too soon.
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
            # h11 quotes the line, which may echo the request.
            raise httpcore.RemoteProtocolError("the answer is not valid HTTP") from error

    async def _connect(self, timeout: float | None) -> httpcore.AsyncNetworkStream:
        began = monotonic()
        url = self._target.url
        port = url.port or (443 if self._ssl_context else 80)
        # As it stands in the Host header: httpx and the socket module disagree on some names.
        host = url.raw_host.decode("ascii")
        stream = await self._backend.connect_tcp(host, port, timeout=timeout)
        self._stream = stream
        if self._ssl_context is not None:
            if timeout is not None:
                timeout = max(0.001, timeout - (monotonic() - began))
            self._stream = stream = await stream.start_tls(
                self._ssl_context, server_hostname=host, timeout=timeout
            )
        return stream

    def _encode(self, request: httpx.Request, target: Target) -> bytes:
        """Put head and body into one piece, so that sending them is one system call."""
        send = self._http.send
        path = target.core_url.target  # the request's own URL is for who looks on
        head = h11.Request(method=request.method, target=path, headers=request.headers.raw)
        pieces = send(head), send(h11.Data(data=request.read())), send(h11.EndOfMessage())
        return b"".join(piece for piece in pieces if piece)

    async def _read_answer(
        self, stream: httpcore.AsyncNetworkStream, timeout: float | None, *, most: int
    ) -> RawAnswer:
        http = self._http
        answer: h11.Response | None = None
        body = bytearray()
        pieces = 0
        event: Any = None
        data = b""
        try:
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    data = await stream.read(_BYTES_PER_READ, timeout=timeout)
                    if not data and answer is None:
                        raise httpcore.ReadError("the server closed without an answer")  # noqa: TRY301 - that clears them, too
                    http.receive_data(data)
                elif isinstance(event, h11.Response):
                    answer = event
                elif isinstance(event, h11.Data):
                    body += event.data
                    pieces += 1
                    if len(body) > most:
                        break
                    if not pieces % _PIECES_AT_A_TIME:
                        await anyio.lowlevel.checkpoint()  # for the deadline, and for others
                elif isinstance(event, h11.EndOfMessage):
                    break
        except BaseException:
            del answer, body, event, data  # tracebacks show the variables of a frame
            raise
        head = cast("h11.Response", answer)
        headers = cast("list[tuple[bytes, bytes]]", head.headers)
        return RawAnswer(head.status_code, headers, bytes(body[:most]))

    def make_reusable(self) -> bool:
        """Prepare for the next request, and return whether there can be one."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        if self._http.trailing_data[0]:
            return False  # whatever that is, it must not be taken for the next answer
        self._http.start_next_cycle()
        self._idle_since = monotonic()
        return True

    def has_expired(self) -> bool:
        """Return whether the connection was idle for too long, or was closed by the server."""
        if monotonic() - self._idle_since > KEEP_ALIVE:
            return True
        # An idle connection has nothing to say: what can be read is the end of it.
        stream = cast("httpcore.AsyncNetworkStream", self._stream)
        return bool(stream.get_extra_info("is_readable"))

    async def aclose(self) -> None:
        """Close the socket, if there is one."""
        if self._stream is not None:
            await self._stream.aclose()
