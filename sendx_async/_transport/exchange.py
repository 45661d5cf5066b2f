"""One exchange with SendX: where a request goes, what came back, and the record of both."""

import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, cast

import anyio
import attrs
import httpx

from sendx_async._core.errors import AttemptTimeout
from sendx_async._runtime.real_time import monotonic
from sendx_async._transport.production_guard import check_destination

EXCHANGE = "sendx_async.exchange"
"""The name of a request's extension that holds its `Exchange`."""

OriginKey = tuple[bytes, bytes, int | None]


@attrs.frozen
class Target:
    """Where a request goes, taken apart once for all that go there.

    Attributes:
        url: For httpx.
        shown_url: The same for who only looks on: what fills the path, and the query, left out.
        host: The header.
        host_name: The host as a person writes it.
        host_and_port: Where to connect to.
        origin: What requests have in common that can share a connection.
    """

    url: httpx.URL
    shown_url: httpx.URL
    host: tuple[bytes, bytes]
    host_name: str
    host_and_port: tuple[str, int]
    origin: OriginKey

    @classmethod
    def at(cls, address: str, *, shown: str | None = None) -> "Target":
        """Return the target at a URL; ``shown`` is the URL to show if that isn't the same."""
        url = httpx.URL(address)
        shown_url = url if shown is None else httpx.URL(shown)
        # As it stands in the Host header: httpx and the socket module disagree on some names.
        host = url.raw_host.decode("ascii")
        host_and_port = host, url.port or (443 if url.scheme == "https" else 80)
        origin = url.raw_scheme, url.raw_host, url.port
        return cls(url, shown_url, (b"Host", url.netloc), url.host, host_and_port, origin)


@attrs.frozen
class RawAnswer:
    """What came back.

    Attributes:
        status_code: The HTTP status.
        headers: Names and values as they came.
        body: The body, or the beginning of one that is too long; None if it is encoded and can't be
            read.
    """

    status_code: int
    # Tools that show local variables would print them.
    headers: Sequence[tuple[bytes, bytes]] = attrs.field(repr=False)
    body: bytes | None = attrs.field(repr=False)

    def is_redirect(self) -> bool:
        """Return whether the answer sends the caller elsewhere."""
        return 300 <= self.status_code < 400  # noqa: PLR2004 - the definition of a 3xx

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
    """The record of one request, which travels in the request's extensions.

    Every request passes through `httpx.AsyncClient.send`, so that tools which watch httpx see it.
    But httpx acts on the response it is given: it parses a redirect's Location although it is told
    not to follow it, fails on a strange one, and logs the reason. So our own transport puts the
    answer here, and httpx gets a response without that header, which recorders can read.

    Attributes:
        target: Where the request goes.
        most: Bytes of the answer's body that are read.
        ends: When the time for it is over, by `monotonic`.
        sent: Whether any byte of the request may have left.
        answer: The complete answer, from our own transport.
        response: What httpx was given for it. If a call ends with another one, that is the answer:
            it comes from another transport, or from a tool around `send`.
        head: An answer's status and headers, from httpcore's trace: all that is left of a redirect
            on which httpx failed.
        before_write: Awaited when the request is about to leave; what it raises keeps it back.
    """

    target: Target
    most: int
    ends: float = attrs.field(default=math.inf, kw_only=True)
    sent: bool = False
    answer: RawAnswer | None = None
    response: httpx.Response | None = None
    head: RawAnswer | None = None
    before_write: Callable[[], Awaitable[None]] | None = None

    async def begin(self) -> None:
        """Note that the request leaves now, if it may.

        Raises:
            AttemptTimeout: Its time is over, since the event loop was blocked, so nobody would
                wait for the answer.
        """
        self.sent = False
        if self.before_write is not None:
            await self.before_write()
        if monotonic() > self.ends:
            raise AttemptTimeout("the event loop was blocked, so nothing was sent in time")
        self.sent = True

    def complete(self, answer: RawAnswer) -> httpx.Response:
        """Keep the answer, and return the response for httpx."""
        headers = answer.headers
        if answer.is_redirect():
            headers = [each for each in headers if each[0].lower() != b"location"]
        self.answer = answer
        self.response = httpx.Response(
            answer.status_code, headers=headers, stream=httpx.ByteStream(answer.body or b"")
        )
        return self.response

    async def trace(self, name: str, info: dict[str, Any]) -> None:
        """Note what httpcore reports of the request; its way through a proxy doesn't count."""
        if name.endswith(".connect_tcp.started"):
            self.sent = False
            check_destination(self.target.host_name)
        elif name.endswith(".send_request_headers.started"):
            self.sent = False
            if info["request"].method != b"CONNECT":
                await self.begin()
        elif name.endswith(".receive_response_headers.complete"):
            # HTTP/1.1: version, status, reason, headers and more; HTTP/2: status and headers.
            value = info["return_value"]
            status_code, headers = value if name.startswith("http2.") else (value[1], value[3])
            self.head = RawAnswer(status_code, headers, b"")


async def read_body(pieces: AsyncIterator[bytes], *, most: int) -> bytes:
    """Read a body piece by piece, but not without end: an answer must not fill the memory.

    Args:
        pieces: The body.
        most: Bytes of it that are read.
    """
    body = bytearray()
    came = 0
    # httpx's and httpcore's generators end properly when a read is cancelled. When they are left
    # in the middle they don't, and trio says so.
    with anyio.CancelScope() as rest:
        async with contextlib.aclosing(cast("AsyncGenerator[bytes, None]", pieces)) as open_pieces:
            async for piece in open_pieces:
                body += piece[: most - len(body)]
                came += len(piece)
                if came > most:
                    rest.cancel()
                if came > 2 * most:
                    break  # it comes out of memory, where nothing waits and can be cancelled
    return bytes(body)
