"""One attempt of a call: the HTTP request, and what came of it as an answer or as an error."""

from typing import Any

import httpx

from sendx_async._core.errors import (
    AttemptTimeout,
    ConnectError,
    ResponseLost,
    SendXError,
    TransportError,
)
from sendx_async._core.operations import Operation
from sendx_async._core.settings import Settings
from sendx_async._runtime.real_time import monotonic
from sendx_async._runtime.time_limit import time_limit
from sendx_async._transport.borrowed import BorrowedClient, read_response
from sendx_async._transport.connect_failures import permanent_reason
from sendx_async._transport.exchange import EXCHANGE, Exchange, RawAnswer, Target
from sendx_async._transport.heads import NO_HTTP, AnswerFault
from sendx_async._transport.proxies import ProxyFault
from sendx_async._transport.shown_url import is_answered_by_url, logged_as_shown

# What h11 says of an answer that doesn't begin as one.
_NO_STATUS_LINE = ("illegal status line", "illegal request line", "no response line")
_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
_JSON = (b"Content-Type", b"application/json")
_WITHOUT_CONTENT = frozenset({"GET", "HEAD", "DELETE"})  # others say that there is none


async def attempt(
    http: httpx.AsyncClient | BorrowedClient,
    request: httpx.Request,
    *,
    limit: float,
    was_reached: bool,
) -> RawAnswer | SendXError:
    """Send a request once, and return what came of it.

    An error is given, not raised, so that it is raised outside of any except block: httpx's own
    exceptions hold the request with the key, and must not hang on to ours as context.

    Args:
        http: The client that sends.
        request: As `build_request` made it.
        limit: Seconds that everything may take, the wait for a free connection included; with none
            left nothing is sent.
        was_reached: Whether an answer has come from there before, so that whatever is wrong now
            has been right, and may be so again.
    """
    exchange: Exchange = request.extensions[EXCHANGE]
    exchange.ends = monotonic() + limit
    if limit <= 0:
        exchange.sent = False
        return _timed_out(exchange, "in time")
    try:
        # What was not sent can't have been answered, and is not to be sent that late.
        with time_limit(limit, may_have_ended=lambda: exchange.sent):
            sending = _send(http, request, exchange)
            if exchange.target.shown_url is exchange.target.url:
                return await sending
            return await logged_as_shown(sending, exchange.target)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        if exchange.head is not None and exchange.head.is_redirect():
            # httpx prepares to follow a redirect although it is told not to.
            return exchange.head
        return _transport_error(error, exchange, was_reached=was_reached)
    except TimeoutError:
        return _timed_out(exchange, f"within the timeout of {limit:g} s")
    except OSError as error:
        return ResponseLost(f"the connection broke: {error}", maybe_delivered=exchange.sent)
    except SendXError as error:
        return error.with_traceback(None)  # its frames hold the request, too
    except BaseException as error:
        if not isinstance(error, Exception):
            # Cancelled. The frames below, httpx's too, hold what was sent and what has come.
            here: Any = error.__traceback__
            here.tb_next = None
        raise


def build_request(
    settings: Settings,
    operation: Operation[Any, Any],
    target: Target,
    body: bytes,
    *,
    is_borrowed: bool,
) -> httpx.Request:
    """Make the HTTP request of an attempt; the key goes in last.

    Args:
        settings: Headers, timeouts and key.
        operation: What is asked for.
        target: Where to send.
        body: What to send: JSON, or nothing.
        is_borrowed: Whether the application's own httpx client will send it.
    """
    timeout = settings.timeout
    method = operation.method
    extensions: dict[str, Any] = {
        "timeout": {
            "connect": timeout.connect,
            "read": timeout.read,
            "write": timeout.write,
            "pool": timeout.total,
        },
        EXCHANGE: Exchange(target, operation.most_of_an_answer, sent=is_borrowed),
    }
    is_real = target.shown_url is target.url or is_borrowed or is_answered_by_url()
    headers = [target.host, *settings.headers]
    if body:
        headers.append(_JSON)
    if body or method not in _WITHOUT_CONTENT:
        headers.append((b"Content-Length", b"%d" % len(body)))
    headers.append(settings.secret.header())
    return httpx.Request(
        method,
        target.url if is_real else target.shown_url,
        headers=headers,
        stream=httpx.ByteStream(body),
        extensions=extensions,
    )


async def _send(
    http: httpx.AsyncClient | BorrowedClient, request: httpx.Request, exchange: Exchange
) -> RawAnswer:
    if isinstance(http, BorrowedClient):
        return await http.send(request)
    response = await http.send(request, stream=True, auth=None, follow_redirects=False)
    if exchange.answer is not None and response is exchange.response:
        return exchange.answer
    # Not our transport's, but of somebody who stands around or in the place of it.
    return await read_response(response, most=exchange.most)


def _timed_out(exchange: Exchange, when: str) -> AttemptTimeout:
    where = "was sent and not answered" if exchange.sent else "could not be sent"
    return AttemptTimeout(f"the request {where} {when}", maybe_delivered=exchange.sent)


def _transport_error(
    error: httpx.RequestError | httpx.InvalidURL, exchange: Exchange, *, was_reached: bool
) -> TransportError:
    """Translate httpx's error, and say whether the request may have been applied."""
    # After an answer it is the error of another request, which a hook or a tool has made.
    is_answered = exchange.answer is not None or exchange.head is not None
    if isinstance(error, _NOTHING_SENT) and not is_answered:
        exchange.sent = False
    text = _quotable(error)
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return _timed_out(exchange, f"in time ({reason})")
    if not exchange.sent and not was_reached and (why := permanent_reason(error)):
        failure = ConnectError(
            f"SendX can't be reached, and that does not pass by itself: {why} ({reason})"
        )
        failure.is_permanent = True
        return failure
    if not exchange.sent:
        return ConnectError(f"SendX can't be reached, so this attempt sent nothing ({reason})")
    if isinstance(error, httpx.RemoteProtocolError) and text:
        return ResponseLost(text, maybe_delivered=True)
    return ResponseLost(
        f"the connection was lost before the answer was complete ({reason})", maybe_delivered=True
    )


def _quotable(error: httpx.RequestError | httpx.InvalidURL) -> str:
    """Return what may be shown of an error's text: nothing that the other side has said."""
    text = str(error)
    if isinstance(error, (AnswerFault, ProxyFault)):
        return text
    if isinstance(error, httpx.ProxyError):
        return f"HTTP {text[:3]}" if text[:3].isdigit() else ""
    if isinstance(error, (httpx.ProtocolError, httpx.InvalidURL)):
        # It quotes the answer, which may echo the request.
        return NO_HTTP if text.startswith(_NO_STATUS_LINE) else ""
    return text
