"""A listener that makes spans and durations of what a client tells of its calls."""

import functools
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import attrs
from opentelemetry.context import Context, attach, get_current
from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    TracerProvider,
    get_tracer,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from sendx_async._core.errors import ConfigurationError
from sendx_async._core.events import Event
from sendx_async._core.settings import make_listener
from sendx_async._core.wrong_types import type_name
from sendx_async._version import __version__

_SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
# What the conventions advise for http.client.request.duration, in seconds.
_BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_MOST_ENDPOINTS = 128  # SendX has about sixty
_FIRST_ERROR = 400  # among the statuses of HTTP


class Telemetry:
    """A listener for ``on_event`` that makes one client span and one measurement of each call.

    Use it as ``AsyncTrackingClient(on_event=Telemetry())``, and likewise with `TrackingClient`. Any
    number of clients, threads and event loops may share one. It follows the semantic conventions
    for HTTP clients, version 1.44.

    **The span** is named after method and path, such as ``POST /api/v1/rest/contact/identify``, or
    ``GET /api/v1/rest/contact/{identifier}`` with the braces as they were given to ``request``. It
    has ``http.request.method``, ``server.address``, ``server.port``, ``url.full`` and
    ``url.template``; ``http.response.status_code`` if the call ended with an answer;
    ``http.request.resend_count`` if there was more than one attempt; and after a failure the status
    *Error* and ``error.type``: the HTTP status if it tells of the error, else the name of the
    error's class. Besides ``sendx.operation`` and ``sendx.call_id``, which the error and the log
    have too, and after a failure ``sendx.maybe_delivered``. Retries and pauses are events of the
    span, with ``sendx.delay`` in seconds. Nothing holds an address, a body, the key or the text of
    an error.

    **The duration** goes into the histogram ``http.client.request.duration``, in seconds, by
    method, server, ``url.template``, status and ``error.type``.

    Both are about a whole call, with its waits and all its attempts. The span is the current one
    while the call runs, so what is logged meanwhile belongs to it. Its parent is the span that was
    current when the method was called; a `TrackingClient`, which runs calls in another thread,
    takes that over. For what ``send_many`` sends it is the one that was current when the stream was
    opened, and for an outbox when draining began; each request of theirs is a call, and what they
    repeat is a new one. Callers of ``identify_contact`` who share a request by ``batch_identify``
    have one span together, whose parent is that of the caller who has waited longest.

    No ``traceparent`` is sent to SendX: it is somebody else's service, which won't continue the
    trace, and needs to know nothing of it. (An instrumentation of httpx, if the application uses
    one, makes a span for each attempt, below this one, and sends the header.)

    As long as the application has set up no OpenTelemetry SDK, all this costs next to nothing.

    Args:
        tracer_provider: What spans are made with. Default: the global one, also if that is set
            later.
        meter_provider: What durations are measured with. Default: the global one, likewise.
        then: Another listener, told of each event after this one, but of a call's end before it,
            since it may make a span of its own within this one. What it raises is logged, as for
            ``on_event``.

    Raises:
        ConfigurationError: An argument is of the wrong kind.
    """

    __module__ = "sendx_async.otel"

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        then: Callable[[Event], object] | None = None,
    ) -> None:
        _check("tracer_provider", tracer_provider, "get_tracer")
        _check("meter_provider", meter_provider, "get_meter")
        try:
            self._then = make_listener(then)
        except ConfigurationError:
            raise ConfigurationError(
                "then must be a plain function: nobody awaits its result"
            ) from None
        self._tracer = get_tracer("sendx_async", __version__, tracer_provider, _SCHEMA)
        meter = get_meter("sendx_async", __version__, meter_provider, _SCHEMA)
        self._duration = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_BOUNDARIES,
        )
        self._endpoint = functools.lru_cache(_MOST_ENDPOINTS)(_Endpoint.at)
        # By call. Each step on it is a single operation of the dictionary, so threads can share it.
        self._under_way: dict[str, _UnderWay] = {}

    def __call__(self, event: Event) -> None:
        """Record an event.

        Args:
            event: What a client tells.
        """
        first: Callable[[Event], object] | None = self._listen
        second = self._then
        if event.kind == "call_finished":
            # What was begun last ends first: the other may have made a span current as well.
            first, second = second, first
        try:
            if first is not None:
                first(event)
        finally:
            if second is not None:
                second(event)

    def _listen(self, event: Event) -> None:
        if event.url is not None:  # else a stream tells of itself, and that is no call
            self._note(event, event.method or "_OTHER", event.url)

    def _note(self, event: Event, method: str, url: str) -> None:
        if event.kind == "call_started":
            self._begin(event, self._endpoint(method, url))
        elif event.kind == "call_finished":
            self._end(event, self._endpoint(method, url))
        elif event.kind != "attempt_finished":
            call = self._under_way.get(event.call_id)
            if call is not None and call.span.is_recording():
                call.span.add_event(f"sendx.{event.kind}", _outcome(event) | _delay(event))

    def _begin(self, event: Event, endpoint: "_Endpoint") -> None:
        began = time.time_ns() - _nanoseconds(event)
        span = self._tracer.start_span(
            endpoint.span_name,
            kind=SpanKind.CLIENT,
            attributes={
                **endpoint.of_a_span,
                "sendx.operation": event.operation,
                "sendx.call_id": event.call_id,
            },
            start_time=began,
        )
        if not span.get_span_context().is_valid:
            return  # nobody has set up tracing
        outside = get_current()
        inside = set_span_in_context(span, outside)
        self._under_way[event.call_id] = _UnderWay(span, began, outside, inside)
        attach(inside)

    def _end(self, event: Event, endpoint: "_Endpoint") -> None:
        call = self._under_way.pop(event.call_id, None)
        # A coroutine that nobody awaits any more is ended by the garbage collector, in any context,
        # even in another thread: what is current there is none of our business. For the same reason
        # no token is kept, which could be given back in one context only.
        if call is not None and get_current() is call.inside:
            attach(call.outside)
        outcome = _outcome(event)
        try:
            self._duration.record(
                event.elapsed,
                {**endpoint.of_a_duration, **outcome},
                None if call is None else call.inside,
            )
        finally:
            if call is not None:
                if call.span.is_recording():
                    call.span.set_attributes(outcome | _of_the_call(event))
                    if event.error is not None:
                        call.span.set_status(StatusCode.ERROR)
                # So the span takes as long as was measured.
                call.span.end(call.began + _nanoseconds(event))


@attrs.frozen
class _UnderWay:
    """A call that has not ended.

    Attributes:
        span: Of the call.
        began: When it began, in nanoseconds since 1970.
        outside: The context in which it was made.
        inside: The same with the span as the current one.
    """

    span: Span
    began: int
    outside: Context
    inside: Context


@attrs.frozen
class _Endpoint:
    """What is the same for all calls to an endpoint: the name and the attributes."""

    span_name: str
    of_a_span: Mapping[str, AttributeValue]
    of_a_duration: Mapping[str, AttributeValue]

    @classmethod
    def at(cls, method: str, url: str) -> "_Endpoint":
        parts = urlsplit(url)
        attributes: dict[str, AttributeValue] = {
            "http.request.method": method,
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
            "url.template": parts.path,  # names in braces are not filled in, so it names nobody
        }
        return cls(f"{method} {parts.path}", {**attributes, "url.full": url}, attributes)


def _nanoseconds(event: Event) -> int:
    return int(event.elapsed * 1e9)


def _outcome(event: Event) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {}
    status = event.status_code
    if status is not None:
        attributes["http.response.status_code"] = status
    if event.error is not None:
        is_told = status is not None and status >= _FIRST_ERROR
        attributes["error.type"] = str(status) if is_told else event.error
    return attributes


def _of_the_call(event: Event) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {}
    if event.attempt > 1:
        attributes["http.request.resend_count"] = event.attempt - 1
    if event.error is not None:
        attributes["sendx.maybe_delivered"] = bool(event.maybe_delivered)
    return attributes


def _delay(event: Event) -> dict[str, AttributeValue]:
    return {} if event.delay is None else {"sendx.delay": event.delay}


def _check(name: str, provider: object, method: str) -> None:
    if provider is not None and not callable(getattr(provider, method, None)):
        raise ConfigurationError(
            f"{name} must be an OpenTelemetry provider with {method}(), got {type_name(provider)}"
        )
