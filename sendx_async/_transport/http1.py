"""One HTTP/1.1 connection to SendX: h11 on a network stream, one request at a time.

httpcore's own connection takes about twice the processor time for the same exchange: it locks,
traces and streams for the general case, while here a request is one write and a body is small.
"""

import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, cast

import anyio.lowlevel
import attrs
import h11
import httpcore
import httpx

KEEP_ALIVE = 15.0
"""Seconds that a connection may be idle; servers commonly close it later than that."""

MOST_OF_A_BODY = 1024 * 1024
"""Bytes of an answer's body that are read; SendX's own answers have some hundreds."""

_BYTES_PER_READ = 64 * 1024
_PIECES_AT_A_TIME = 500


OriginKey = tuple[bytes, bytes, int | None]


@attrs.frozen
class Target:
    """Where an operation is posted, taken apart once for all requests to it.

    Attributes:
        url: For httpx.
        core_url: For httpcore.
        host: The header.
        host_name: The host as a person writes it.
        origin: What requests have in common that can share a connection.
    """

    url: httpx.URL
    core_url: httpcore.URL
    host: tuple[bytes, bytes]
    host_name: str
    origin: OriginKey

    @classmethod
    def at(cls, address: str) -> "Target":
        """Take a URL apart."""
        url = httpx.URL(address)
        scheme, host, port = url.raw_scheme, url.raw_host, url.port
        core_url = httpcore.URL(scheme=scheme, host=host, port=port, target=url.raw_path)
        header = (b"Host", url.netloc)
        return cls(url, core_url, header, url.host, (scheme, host, port))


@attrs.frozen
class RawAnswer:
    """What came back.

    Attributes:
        status_code: The HTTP status.
        headers: Names and values as they came.
        body: The body, at most one MiB of it; None if it could not be decompressed.
    """

    status_code: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes | None

    def is_redirect(self) -> bool:
        """Return whether the answer sends the caller elsewhere."""
        return 300 <= self.status_code < 400  # noqa: PLR2004 - the definition of a 3xx

    def for_httpx(self) -> httpx.Response:
        """Return what httpx needs to know: the status; neither a reason to log nor a redirect."""
        return httpx.Response(self.status_code, stream=httpx.ByteStream(b""))

    def changed(self, change: Callable[[bytes], bytes]) -> "RawAnswer":
        """Return the answer with something changed in the body and the headers' values."""
        headers = [(name, change(value)) for name, value in self.headers]
        body = None if self.body is None else change(self.body)
        return RawAnswer(self.status_code, headers, body)

    def header_texts(self) -> dict[str, str]:
        """Return the headers with names in lower case; repeated ones are joined by commas."""
        texts: dict[str, str] = {}
        for name_bytes, value_bytes in self.headers:
            name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1")
            texts[name] = f"{texts[name]}, {value}" if name in texts else value
        return texts


@attrs.define
class Exchange:
    """What the transport tells the caller about one request; travels in its extensions.

    Attributes:
        target: Where the request goes.
        sent: Whether any byte of the request may have left.
        answer: The answer, once it is complete. httpx gets to see less of it, since it would take
            a strange Location for its own problem.
        head: What the trace has seen of an answer; its body is not in it.
    """

    target: Target
    sent: bool = False
    answer: RawAnswer | None = None
    head: RawAnswer | None = None

    async def trace(self, name: str, info: dict[str, Any]) -> None:
        """Take httpcore's word for when the request, not its way through a proxy, is sent."""
        if name.endswith(".connect_tcp.started"):
            self.sent = False
        elif name.endswith(".send_request_headers.started"):
            self.sent = info["request"].method != b"CONNECT"
        elif name.endswith(".receive_response_headers.complete"):
            # HTTP/1.1: version, status, reason, headers and more; HTTP/2: status and headers.
            value = info["return_value"]
            status_code, headers = value if name.startswith("http2.") else (value[1], value[3])
            self.head = RawAnswer(status_code, headers, b"")


EXCHANGE = "sendx_async.exchange"
"""The name of a request's extension that holds its `Exchange`."""


async def read_body(pieces: AsyncIterator[bytes]) -> bytes:
    """Read a body piece by piece, but not without end: an answer must not fill the memory."""
    body = bytearray()
    async with contextlib.aclosing(cast("AsyncGenerator[bytes, None]", pieces)) as open_pieces:
        async for piece in open_pieces:
            body += piece[: MOST_OF_A_BODY - len(body)]
    return bytes(body)


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

    async def exchange(self, request: httpx.Request, exchange: Exchange) -> httpx.Response:
        """Send a request and read its whole answer.

        Raises:
            httpcore.NetworkError: The connection can't be made, or broke.
            httpcore.TimeoutException: A phase took longer than the request's timeout for it.
            httpcore.RemoteProtocolError: The answer isn't HTTP, or ended too soon.
        """
        timeout: dict[str, float | None] = request.extensions["timeout"]
        stream = self._stream or await self._connect(timeout["connect"])
        exchange.sent = True
        # A server may refuse a request before it has read it all, and say why: read that.
        with contextlib.suppress(httpcore.WriteError):
            # As a view, since tools that show the variables of a traceback would show the bytes.
            data = cast("bytes", memoryview(self._encode(request)))
            await stream.write(data, timeout=timeout["write"])
        try:
            return await self._read_answer(stream, timeout["read"], exchange)
        except h11.RemoteProtocolError as error:
            # h11 quotes the line, which may echo the request.
            raise httpcore.RemoteProtocolError("the answer is not valid HTTP") from error

    async def _connect(self, timeout: float | None) -> httpcore.AsyncNetworkStream:
        began = time.monotonic()
        url = self._target.url
        port = url.port or (443 if self._ssl_context else 80)
        # As it stands in the Host header: httpx and the socket module disagree on some names.
        host = url.raw_host.decode("ascii")
        stream = await self._backend.connect_tcp(host, port, timeout=timeout)
        self._stream = stream
        if self._ssl_context is not None:
            if timeout is not None:
                timeout = max(0.001, timeout - (time.monotonic() - began))
            self._stream = stream = await stream.start_tls(
                self._ssl_context, server_hostname=host, timeout=timeout
            )
        return stream

    def _encode(self, request: httpx.Request) -> bytes:
        """Put head and body into one piece, so that sending them is one system call."""
        send = self._http.send
        head = h11.Request(method="POST", target=request.url.raw_path, headers=request.headers.raw)
        pieces = send(head), send(h11.Data(data=request.read())), send(h11.EndOfMessage())
        return b"".join(piece for piece in pieces if piece)

    async def _read_answer(
        self, stream: httpcore.AsyncNetworkStream, timeout: float | None, exchange: Exchange
    ) -> httpx.Response:
        http = self._http
        answer: h11.Response | None = None
        body = bytearray()
        pieces = 0
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                data = await stream.read(_BYTES_PER_READ, timeout=timeout)
                if not data and answer is None:
                    raise httpcore.ReadError("the server closed without an answer")
                http.receive_data(data)
            elif isinstance(event, h11.Response):
                answer = event
            elif isinstance(event, h11.Data):
                body += event.data
                pieces += 1
                if len(body) > MOST_OF_A_BODY:
                    break
                if not pieces % _PIECES_AT_A_TIME:
                    await anyio.lowlevel.checkpoint()  # for the deadline, and for others
            elif isinstance(event, h11.EndOfMessage):
                break
        head = cast("h11.Response", answer)
        headers = cast("Sequence[tuple[bytes, bytes]]", head.headers)
        exchange.answer = RawAnswer(head.status_code, headers, bytes(body[:MOST_OF_A_BODY]))
        return exchange.answer.for_httpx()

    def make_reusable(self) -> bool:
        """Get ready for the next request; tells whether there can be one."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        if self._http.trailing_data[0]:
            return False  # whatever that is, it must not be taken for the next answer
        self._http.start_next_cycle()
        self._idle_since = time.monotonic()
        return True

    def has_expired(self) -> bool:
        """Return whether the connection was idle for too long, or was closed by the server."""
        if time.monotonic() - self._idle_since > KEEP_ALIVE:
            return True
        # An idle connection has nothing to say: what can be read is the end of it.
        stream = cast("httpcore.AsyncNetworkStream", self._stream)
        return bool(stream.get_extra_info("is_readable"))

    async def aclose(self) -> None:
        """Close the socket, if there is one."""
        if self._stream is not None:
            await self._stream.aclose()
