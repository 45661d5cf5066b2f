"""What a client tells of its calls, to ``on_event`` and to the log: no personal data, no key."""

import logging
from collections.abc import Callable
from typing import Literal

import attrs

from sendx_async._core.older_pickles import reads_older_pickles

# Without a NullHandler: it would also keep warnings and errors from stderr, where Python writes
# them if an application configures no logging, as under plain uvicorn. Nobody would hear of a wrong
# key.
logger = logging.getLogger("sendx_async")

EventKind = Literal[
    "call_started", "attempt_finished", "retry_scheduled", "paused", "resumed", "call_finished"
]


@reads_older_pickles
@attrs.frozen(kw_only=True)
class Event:
    """Something that happened to a call. It never holds an address, a body or the key.

    Attributes:
        kind: ``"call_started"``; ``"attempt_finished"``, after each request; ``"retry_scheduled"``,
            when the call will be repeated after ``delay`` seconds; ``"paused"``, when the server
            made the whole client pause for ``delay`` seconds; ``"call_finished"``. A stream
            tells of its own pauses, ``"paused"``, and of their end, ``"resumed"``, as operation
            ``"send_many"``; its requests tell what all calls do.
        operation: The client's method, such as ``"identify_contact"``.
        call_id: The identifier of the call or stream, the same in all its events and in its error.
        attempt: How many requests the call or stream has begun so far.
        elapsed: Seconds since the call or stream began.
        status_code: The HTTP status of the attempt or call, or None if no answer came.
        error: The name of the error's class, or None after a success.
        delay: Seconds to wait, or None.
        url: Where the request goes; it has neither credentials nor a query, and names in braces
            stay what they are: ``https://api.sendx.io/api/v1/rest/contact/{identifier}``. None if a
            stream tells of itself, which is no request.
        maybe_delivered: Whether SendX may have applied the request by now, in any attempt; after
            a success it has. None if a stream tells of itself.
        method: The HTTP method, such as ``"POST"``. None if a stream tells of itself.
    """

    __module__ = "sendx_async"

    kind: EventKind
    operation: str
    call_id: str
    attempt: int
    elapsed: float
    status_code: int | None = None
    error: str | None = None
    delay: float | None = None
    url: str | None = None
    maybe_delivered: bool | None = None
    method: str | None = None


def tell(listener: Callable[[Event], object] | None, event: Event) -> None:
    """Log an event and hand it to the listener; a listener that raises disturbs no call."""
    if event.kind == "paused":
        logger.warning(
            "SendX: pausing for %.3f s, after %s (call %s) got status %s, error %s",
            event.delay, event.operation, event.call_id, event.status_code, event.error,
        )  # fmt: skip
    elif event.kind == "resumed":
        # As loud as the pause, or whoever reads only warnings would wait for the end of it.
        logger.warning("SendX answers again (%s, call %s)", event.operation, event.call_id)
    elif logger.isEnabledFor(logging.DEBUG):
        logger.debug(
            "%s %s: %s, attempt %d after %.3f s, status %s, error %s, delay %s",
            event.operation, event.call_id, event.kind, event.attempt, event.elapsed,
            event.status_code, event.error, event.delay,
        )  # fmt: skip
    if listener is not None:
        try:
            listener(event)
        except Exception:
            logger.exception("on_event raised; the call goes on")
