"""Who sees the real URL of a request whose path is filled in: it may name a person.

Our own transport asks the `Exchange` where to go, so httpx and who looks on (tracers, crash
reporters, its log) get a URL with the path's names still in braces, and without the query. The
real one is needed by an application's own client and by who answers in the server's place, such as
mocks and recorders.
"""

import contextvars
import logging
from collections.abc import Awaitable
from types import FunctionType
from typing import Any, TypeVar, cast

import httpcore
import httpx

from sendx_async._transport.exchange import Target
from sendx_async._transport.interception import is_method_of

ResultT = TypeVar("ResultT")

_METHODS: tuple[tuple[type, str], ...] = (
    (httpx.AsyncClient, "_transport_for_url"),
    (httpx.AsyncClient, "_send_single_request"),
    (httpx.AsyncHTTPTransport, "handle_async_request"),
    (httpcore.AsyncConnectionPool, "handle_async_request"),
    (httpcore.AsyncHTTPConnection, "handle_async_request"),
)
_LOGGERS = ("httpx", "httpx2")
_SENT_TO: contextvars.ContextVar[Target | None] = contextvars.ContextVar(
    "sendx_async.sent_to", default=None
)


def is_answered_by_url() -> bool:
    """Return whether somebody has replaced a method by which httpx finds who answers.

    Tracers put a proxy around the method, which leads to it: they look on.
    """
    return any(
        not is_method_of(owner, name, _looked_on(getattr(owner, name)))
        for owner, name in _METHODS
        if hasattr(owner, name)  # some are httpx's own affair
    )


def _looked_on(method: object) -> object:
    while type(method) is not FunctionType and hasattr(method, "__wrapped__"):
        method = cast("Any", method).__wrapped__
    return method


class _Filter(logging.Filter):
    """Puts the URL to show in the place of the real one, in the lines about what we send."""

    def filter(self, record: logging.LogRecord) -> bool:
        target = _SENT_TO.get()
        if target is not None and isinstance(record.args, tuple):
            real = str(target.url)
            record.args = tuple(
                target.shown_url if str(each) == real else each for each in record.args
            )
        return True


_FILTER = _Filter()


async def logged_as_shown(sending: Awaitable[ResultT], target: Target) -> ResultT:
    """Await what sends a request, and keep the real URL out of the line that httpx logs of it."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # a second time it does nothing
    _SENT_TO.set(target)
    try:
        return await sending
    finally:
        # Not by a token: a coroutine that nobody awaits any more may be ended in any context.
        _SENT_TO.set(None)
