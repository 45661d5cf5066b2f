"""Requests that others send: the application's own client, of httpx or of httpx2."""

import re
import sys
import weakref
from typing import Any, Protocol

import httpx

from sendx_async._core.errors import ConfigurationError, SendXError
from sendx_async._core.wrong_types import type_name
from sendx_async._runtime.loops import current_loop
from sendx_async._transport.content_coding import decoded
from sendx_async._transport.exchange import (
    EXCHANGE,
    Exchange,
    RawAnswer,
    read_body,
)

_OF_LOOPS = re.compile("event loop|different loop", re.IGNORECASE)  # asyncio's words


class Httpx2Client(Protocol):
    """An `httpx2.AsyncClient`, for type checkers where httpx2 isn't installed."""

    @property
    def is_closed(self) -> bool:
        """Whether the client was closed."""
        ...

    async def send(
        self, request: Any, *, stream: bool = ..., auth: Any = ..., follow_redirects: Any = ...
    ) -> Any:
        """Send a request."""
        ...


class BorrowedClient:
    """The application's own client, of httpx or of httpx2.

    httpx2 has all that is needed here under httpx's names. What it raises becomes httpx's error of
    the same name, so that nobody else has to know of it.

    Args:
        client: An `httpx.AsyncClient` or an `httpx2.AsyncClient`.

    Raises:
        ConfigurationError: It is something else.
    """

    def __init__(self, client: httpx.AsyncClient | Httpx2Client) -> None:
        self._client = client
        self._library = _library_of(client)
        self._loops = _Loops()

    @property
    def is_closed(self) -> bool:
        """Whether the application has closed its client."""
        return self._client.is_closed

    async def send(self, request: httpx.Request) -> RawAnswer:
        """Send a request, and read its answer.

        Raises:
            httpx.RequestError: No answer came back.
            httpx.InvalidURL: The answer leads to what is no URL.
            ConfigurationError: The client's connections belong to another event loop.
        """
        exchange: Exchange = request.extensions[EXCHANGE]
        watch = request.extensions["trace"] = _Watch(exchange, self._loops)
        try:
            return await self._send(request, most=exchange.most)
        except (RuntimeError, TypeError) as error:
            # Some hook of the application may have raised it, with whatever else to say.
            if isinstance(error, SendXError) or not self._loops.is_meant_by(error):
                raise
        # Outside of the except block: the error's frames hold the request, and so the key.
        is_untold = self._loops.are_known and not watch.has_heard
        raise _elsewhere(maybe_delivered=exchange.sent and not is_untold)

    async def _send(self, request: httpx.Request, *, most: int) -> RawAnswer:
        library = self._library
        if library is not httpx:
            request = library.Request(
                request.method,
                str(request.url),
                headers=request.headers.raw,
                stream=library.ByteStream(request.read()),
                extensions=request.extensions,
            )
        try:
            return await read_response(
                await self._client.send(request, stream=True, auth=None, follow_redirects=False),
                most=most,
            )
        except library.HTTPStatusError as error:
            # A hook of the application calls raise_for_status.
            return await read_response(error.response, most=most)
        except (library.RequestError, library.InvalidURL) as error:
            raise _of_httpx(error, library) from error


def _library_of(client: object) -> Any:
    """Return the module that a client is of; only the application ever imports httpx2."""
    for library in (httpx, sys.modules.get("httpx2")):
        if isinstance(client, getattr(library, "AsyncClient", ())):
            return library
    wanted = "an httpx.AsyncClient or an httpx2.AsyncClient"
    raise ConfigurationError(f"http_client must be {wanted}, got {type_name(client)}")


def _of_httpx(error: Exception, library: Any) -> Exception:
    """Return httpx's error of the same name; an application may have made a subclass of it."""
    public = (kind for kind in type(error).__mro__ if kind.__module__ == library.__name__)
    known = [kind.__name__ for kind in public if hasattr(httpx, kind.__name__)]
    made: Exception = getattr(httpx, known[0])(str(error))
    return made


class _Loops:
    """The event loops in which a client is known to have connections."""

    def __init__(self) -> None:
        # Weakly, since loops come and go, and what they lead to may be large.
        self._loops = weakref.WeakSet[Any]()
        self.are_known = False

    def add(self) -> None:
        self._loops.add(current_loop())
        self.are_known = True

    def are_elsewhere(self) -> bool:
        return self.are_known and current_loop() not in self._loops

    def is_meant_by(self, error: Exception) -> bool:
        """Return whether an error comes from using connections of another event loop."""
        # Connections that the application made by itself tell nobody of their loop.
        return self.are_elsewhere() or _OF_LOOPS.search(str(error)) is not None


class _Watch:
    """What httpcore reports of one request.

    Attributes:
        has_heard: Whether it has reported anything.
    """

    def __init__(self, exchange: Exchange, loops: _Loops) -> None:
        self._exchange = exchange
        self._loops = loops
        self.has_heard = False

    async def __call__(self, name: str, info: dict[str, Any]) -> None:
        self.has_heard = True
        if ".connect_" in name or name.endswith(".receive_response_headers.complete"):
            self._loops.add()
        elif name.endswith(".send_request_headers.started") and self._loops.are_elsewhere():
            # It could be written to an idle connection of another loop, but never answered.
            self._exchange.sent = False
            raise _elsewhere(maybe_delivered=False)
        await self._exchange.trace(name, info)


def _elsewhere(*, maybe_delivered: bool) -> ConfigurationError:
    return ConfigurationError(
        "http_client was used in another event loop, and its connections belong there: make an "
        "http_client and a client in each event loop, or leave http_client out, since the "
        "library's own connections serve all",
        maybe_delivered=maybe_delivered,
    )


async def read_response(response: httpx.Response, *, most: int) -> RawAnswer:
    """Read the answer out of a response of httpx or httpx2, and close it.

    Args:
        response: The response.
        most: Bytes of the body that are read.
    """
    headers = response.headers.raw
    body: bytes | None
    try:
        if response.is_stream_consumed or response.is_closed:
            body = _what_was_read(response, most)
        else:
            raw = await read_body(response.aiter_raw(), most=most)
            body = decoded(raw, headers, most=most)
    finally:
        await response.aclose()
    return RawAnswer(response.status_code, headers, body)


def _what_was_read(response: httpx.Response, most: int) -> bytes | None:
    """Return the body that a mock has, or that a hook of the application has read, if any."""
    try:
        return response.content[:most]
    except RuntimeError:  # httpx.ResponseNotRead: it was closed, or read in pieces
        return None
