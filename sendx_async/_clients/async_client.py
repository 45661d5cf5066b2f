"""The asynchronous client.

It is longer than other files since the manual of every method stands here, for both clients.
"""

import math
import warnings
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar, Unpack, cast

import httpx

from sendx_async._calls.batching import Batcher
from sendx_async._calls.call import Answer
from sendx_async._calls.factory import CallFactory
from sendx_async._calls.rate_limiter import RateLimiter
from sendx_async._calls.shared import Shared
from sendx_async._core import options
from sendx_async._core.errors import ClientClosedError, ConfigurationError, InvalidRequestError
from sendx_async._core.events import Event
from sendx_async._core.models import (
    AnyRequest,
    AnyResponse,
    ApiResponse,
    CustomEventRequest,
    EventResponse,
    IdentifyRequest,
    IdentifyResponse,
    RevenueEventRequest,
    TrackRequest,
    TrackResponse,
)
from sendx_async._core.operations import (
    CUSTOM_EVENT,
    IDENTIFY,
    IDENTIFY_BULK,
    MOST_IN_BULK,
    REVENUE_EVENT,
    TRACK,
    Operation,
)
from sendx_async._core.options import Rate, RetryPolicy, Timeout
from sendx_async._core.protocol import make_request, operation_for
from sendx_async._core.raw_request import Method, make_raw_request
from sendx_async._core.secret import make_secret
from sendx_async._core.settings import (
    ClientOptions,
    PerCall,
    Settings,
    default_headers,
    for_a_copy,
    for_this_call,
    make_headers,
    make_listener,
)
from sendx_async._core.wrong_types import type_name
from sendx_async._runtime.clock import Clock
from sendx_async._streams.dispatcher import Dispatcher
from sendx_async._streams.source import Source, check_source
from sendx_async._streams.stream import AsyncOutcomeStream, DispatchOptions, make_dispatcher
from sendx_async._transport.borrowed import BorrowedClient, Httpx2Client
from sendx_async._transport.pool import new_http_client

ResponseT = TypeVar("ResponseT")
RequestT = TypeVar("RequestT")

_Mapping = Mapping[str, Any]


class AsyncTrackingClient:
    """Identifies and tracks SendX contacts; awaited, on asyncio or trio.

    Open it once and share it: ``async with AsyncTrackingClient() as client: ...``. Calls may be
    made from any number of tasks, threads and event loops.

    Args:
        api_key: The Team API Key. Default: the environment variable SENDX_API_KEY.
        base_url: Where the API is. Default: the environment variable SENDX_BASE_URL, or SendX's
            production server. ``http://`` is accepted for this machine only.
        api_key_prefix: Sent before the key with a blank between, as the official SDKs can do.
        timeout: Seconds that one attempt may take, or a `Timeout`. Default 10.
        deadline: Seconds that a whole call may take, its waits and retries included; None for no
            limit. Default 30.
        retry: How often and when a call is repeated. Default ``RetryPolicy()``.
        max_connections: How many requests may be under way at once in one event loop; others
            wait. Default 20.
        rate: How many requests may begin in a second. Default: no limit.
        headers: Headers to add to every request, or to replace ``User-Agent``.
        http_client: An `httpx.AsyncClient` or `httpx2.AsyncClient` to use instead of an own one. It
            is never closed, belongs to one event loop, and its own limits count instead of
            ``max_connections``.
        on_event: Called with an `Event` for each thing that happens to a call;
            `sendx_async.otel.Telemetry` is one that makes traces. It is called in
            the event loop, so it must not block.
        batch_identify: Whether concurrent calls of `identify_contact` share requests to the bulk
            endpoint, up to 25 contacts in each. A call on an idle client leaves at once, those
            that come while requests are under way leave together; each has its own result, error,
            cancellation and deadline. ``on_event`` is told of the requests that they share. What
            isn't safe to repeat, or has options of its own besides ``deadline``, goes alone. It
            pays where there are more callers than connections; otherwise a call may take twice as
            long, since it waits for the one before. Default False.
        clock: What rates, pauses, retries and deadlines go by; for tests, which need not wait with
            a `sendx_async.testing.InstantClock`. Default ``Clock()``.

    Raises:
        ConfigurationError: A setting is missing or wrong.
    """

    __module__ = "sendx_async"

    _owner: "AsyncTrackingClient | None" = None

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        api_key_prefix: str | None = None,
        timeout: float | Timeout = 10.0,
        deadline: float | None = 30.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen, so safe to share
        max_connections: int = 20,
        rate: Rate | None = None,
        headers: Mapping[str, str] | None = None,
        http_client: httpx.AsyncClient | Httpx2Client | None = None,
        on_event: Callable[[Event], object] | None = None,
        batch_identify: bool = False,
        clock: Clock | None = None,
    ) -> None:
        try:
            settings = Settings(
                secret=make_secret(api_key, api_key_prefix),
                base_url=options.make_base_url(base_url),
                timeout=options.make_timeout(timeout),
                deadline=options.make_deadline(deadline),
                retry=options.make_retry(retry),
                headers=make_headers(headers, default_headers()),
                on_event=make_listener(on_event),
                batch_identify=options.make_flag("batch_identify", batch_identify),
            )
        except ConfigurationError as error:
            # The frames that were left hold the key and headers, and so would the traceback.
            raise error.with_traceback(None)  # noqa: B904 - it is the same error
        finally:
            del api_key, api_key_prefix, base_url, headers
        max_connections = options.make_count("max_connections", max_connections)
        rate_limiter = RateLimiter(options.make_rate(rate))
        borrowed = None if http_client is None else BorrowedClient(http_client)
        if clock is not None and not isinstance(clock, Clock):
            raise ConfigurationError(f"clock must be a Clock, got {type_name(clock)}")
        self._shared = Shared(
            borrowed or new_http_client(max_connections=max_connections),
            rate_limiter=rate_limiter,
            clock=Clock() if clock is None else clock,
            most_at_once=max_connections if borrowed is None else math.inf,
        )
        self._go_by(CallFactory(self._shared, settings))
        self._is_owner = True

    def _go_by(self, calls: CallFactory) -> None:
        self._calls = calls
        self._settings = calls.settings
        self._batcher = Batcher(calls) if calls.settings.batch_identify else None

    async def identify_contact(
        self, identify_request: IdentifyRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> IdentifyResponse:
        """Create a contact, or update the one that has this address.

        Args:
            identify_request: The contact, as a model or as a mapping with the model's names or
                those on the wire.
            **per_call: ``timeout``, ``deadline`` (seconds), ``retry``, ``headers`` for this call.

        Returns:
            What SendX said.

        Raises:
            InvalidRequestError: The request can't be sent; nothing was.
            ApiError: SendX refused it, or failed; the class says which.
            TransportError: No answer came back.
            DeadlineExceeded: The call took too long.
            ResponseDecodeError: What answered with success can't be SendX.
            ClientClosedError: The client is closed.
            ConfigurationError: A value for this call is out of range.
            TypeError: An option for this call has no such name.
        """
        call = self._call(IDENTIFY, identify_request, per_call)
        del identify_request, per_call  # see _call
        return (await call).data

    async def track_contact(
        self, track_request: TrackRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> TrackResponse:
        """Add tags to a contact and remove others; arguments and errors as `identify_contact`."""
        call = self._call(TRACK, track_request, per_call)
        del track_request, per_call  # see _call
        return (await call).data

    async def track_custom_event(
        self, custom_event_request: CustomEventRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> EventResponse:
        """Record an event of a contact; arguments and errors as `identify_contact`.

        It is never sent again once it may have been delivered, since SendX would count it twice.
        """
        call = self._call(CUSTOM_EVENT, custom_event_request, per_call)
        del custom_event_request, per_call  # see _call
        return (await call).data

    async def track_revenue_event(
        self, revenue_event_request: RevenueEventRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> EventResponse:
        """Record revenue from a contact; as `track_custom_event`."""
        call = self._call(REVENUE_EVENT, revenue_event_request, per_call)
        del revenue_event_request, per_call  # see _call
        return (await call).data

    async def identify_contacts(
        self,
        identify_requests: Iterable[IdentifyRequest | _Mapping],
        **per_call: Unpack[PerCall],
    ) -> IdentifyResponse:
        """Create or update 1 to 25 contacts in one request; errors as `identify_contact`.

        What SendX does with the others when some of them are bad is undocumented.
        """
        call = self._call(IDENTIFY_BULK, identify_requests, per_call)
        del identify_requests, per_call  # see _call
        return (await call).data

    async def send(
        self, request: AnyRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> AnyResponse:
        """Do what the request's type asks for; errors as `identify_contact`.

        A mapping with an ``amount`` is a revenue event, any other with an ``identifier`` a custom
        event, one with tags to add or to remove is tracked, and any other identifies a contact.
        """
        call: Coroutine[Any, Any, Answer[AnyResponse]]
        call = self._call(None, request, per_call)
        del request, per_call  # see _call
        return (await call).data

    def send_many(
        self,
        source: Iterable[AnyRequest | _Mapping] | AsyncIterable[AnyRequest | _Mapping],
        *,
        concurrency: int = 8,
        batch_size: int = MOST_IN_BULK,
        patience: float | None = 300.0,
    ) -> AsyncOutcomeStream:
        """Send any number of requests, each contact's in order, and wait out outages.

        Use it as ``async with client.send_many(source) as outcomes: async for outcome in
        outcomes: ...``. The source is read only as fast as outcomes are taken, so iterate to the
        end; leaving early stops everything, and ``outcomes.unsent`` tells what wasn't sent.

        Requests about the same contact (the same address in any case, either address of a rename)
        are never under way at once, and are sent in the source's order. Contacts that are safe to
        identify twice share requests to the bulk endpoint; if SendX refuses such a request its
        contacts are sent one by one. What isn't safe to repeat travels alone, and is never sent
        again once it may have been applied.

        When SendX can't be reached, asks to slow down or fails for three different contacts in a
        row, everything pauses until it answers again, and ``on_event`` is told. A request that
        fails while others succeed is repeated as often as the client's ``retry`` allows, then it
        fails alone. The client's ``timeout`` holds for each attempt, ``deadline`` not at all; for
        other values use ``client.with_options(timeout=...).send_many(...)``.

        Args:
            source: Requests of all kinds, models or mappings as for `send`: an iterable, which is
                read in the event loop and must not block it, or an asynchronous one. Where rows may
                be bad give mappings: what raises in your generator, as a model does, ends it and
                so the stream, once all before is sent. When you leave early it is not closed, and
                an iterator can be read on; but an asynchronous generator that is waiting then is
                cancelled, which finishes it. Read ahead are at most two batches for each request
                that may be under way.
            concurrency: How many requests may be under way at once. Default 8; more than
                ``max_connections`` is taken for that.
            batch_size: How many contacts may share a request, 1 to 25. Default 25.
            patience: Seconds that an outage may last; None for no limit. Default 300. A pause that
                another call of the client was asked to make is one, too.

        Returns:
            An asynchronous context manager that gives an `AsyncOutcomeStream`; see there for the
            errors. A request that can't be sent is an `Outcome` with an error, and ends nothing.

        Raises:
            ConfigurationError: An option is out of range.
            InvalidRequestError: ``source`` can't be read.
        """
        try:
            dispatcher = self._make_dispatcher(
                check_source(source, Iterable, AsyncIterable),
                concurrency=concurrency,
                batch_size=batch_size,
                patience=patience,
            )
        except (ConfigurationError, InvalidRequestError) as error:
            raise error.with_traceback(None)  # noqa: B904 - it is the same error
        finally:
            del source  # see _call
        return AsyncOutcomeStream(dispatcher)

    def _make_dispatcher(self, source: Source, **options: Unpack[DispatchOptions]) -> Dispatcher:
        """Return what sends a source with this client's settings; an outbox has one, too."""
        return make_dispatcher(self._calls, source, **options)

    async def _send_checked(
        self,
        request: AnyRequest,
        check: Callable[[], Awaitable[None]],
        **per_call: Unpack[PerCall],
    ) -> None:
        """As `send`, if a check allows it at the last moment; what the check raises is raised."""
        operation: Operation[Any, AnyResponse]
        operation = operation_for(request)
        settings = for_this_call(self._settings, per_call)
        call = self._calls.begin(
            operation, request, settings=settings, before_attempt=check, before_write=check
        )
        await call.run()

    async def identify_contact_with_http_info(
        self, identify_request: IdentifyRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> ApiResponse[IdentifyResponse]:
        """As `identify_contact`, with the status and headers of the answer."""
        call = self._call(IDENTIFY, identify_request, per_call)
        del identify_request, per_call  # see _call
        return (await call).with_http_info()

    async def track_contact_with_http_info(
        self, track_request: TrackRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> ApiResponse[TrackResponse]:
        """As `track_contact`, with the status and headers of the answer."""
        call = self._call(TRACK, track_request, per_call)
        del track_request, per_call  # see _call
        return (await call).with_http_info()

    async def track_custom_event_with_http_info(
        self, custom_event_request: CustomEventRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> ApiResponse[EventResponse]:
        """As `track_custom_event`, with the status and headers of the answer."""
        call = self._call(CUSTOM_EVENT, custom_event_request, per_call)
        del custom_event_request, per_call  # see _call
        return (await call).with_http_info()

    async def track_revenue_event_with_http_info(
        self, revenue_event_request: RevenueEventRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> ApiResponse[EventResponse]:
        """As `track_revenue_event`, with the status and headers of the answer."""
        call = self._call(REVENUE_EVENT, revenue_event_request, per_call)
        del revenue_event_request, per_call  # see _call
        return (await call).with_http_info()

    async def identify_contacts_with_http_info(
        self,
        identify_requests: Iterable[IdentifyRequest | _Mapping],
        **per_call: Unpack[PerCall],
    ) -> ApiResponse[IdentifyResponse]:
        """As `identify_contacts`, with the status and headers of the answer."""
        call = self._call(IDENTIFY_BULK, identify_requests, per_call)
        del identify_requests, per_call  # see _call
        return (await call).with_http_info()

    async def request(
        self,
        method: Method,
        path: str,
        *,
        path_params: Mapping[str, object] | None = None,
        params: Mapping[str, object] | None = None,
        json: Any = None,
        replay_safe: bool | None = None,
        **per_call: Unpack[PerCall],
    ) -> ApiResponse[Any]:
        """Call any endpoint of SendX, such as one that this library has no method for.

        ``await client.request("GET", "/contact/{identifier}", path_params={"identifier": id})``
        reads a contact. Limits of time, retries, rate, pauses, errors and events are those of all
        calls. Errors, events, log records and spans show the path with its braces, and no query:
        so put whatever names somebody into ``path_params`` or ``params``. Only an ``http_client``
        of your own gets the real URL, and so does what instruments it, such as Sentry.

        Args:
            method: The HTTP method, in capitals.
            path: The path below ``base_url``, with names in braces for what varies.
            path_params: What stands for each of those names: strings, numbers, dates. They are
                quoted, ``/`` and ``?`` too. Empty ones are refused, since the path would be
                another.
            params: The query. ``True`` becomes ``true``, a list repeats its name, None is left out.
            json: The body: what JSON can carry, dates and Decimals as strings. None for no body.
            replay_safe: Whether to repeat it after it may have been applied. Default: GET, HEAD,
                PUT and DELETE are repeated, POST and PATCH are not. A DELETE that is repeated may
                end in a `NotFoundError` with ``maybe_delivered``: the first one has done it.
            **per_call: ``timeout``, ``deadline`` (seconds), ``retry``, ``headers`` for this call.

        Returns:
            The answer; its ``data`` is the JSON value as it came, or None for an empty body.

        Raises:
            InvalidRequestError: It can't be sent as it is; nothing was.
            ResponseDecodeError: What answered with success is no JSON.
            SendXError: As for `identify_contact`.
        """
        try:
            settings = for_this_call(self._settings, per_call) if per_call else self._settings
            operation, request = make_raw_request(
                method,
                path,
                path_params=path_params,
                params=params,
                json=json,
                replay_safe=replay_safe,
            )
        except (InvalidRequestError, ConfigurationError) as error:
            raise error.with_traceback(None)  # noqa: B904 - it is the same error
        finally:
            # See _call. Of the method, too: it holds the path if they change places.
            del method, path, path_params, params, json, replay_safe, per_call
        answer = await self._calls.begin(operation, request, settings=settings).run()
        return answer.with_http_info()

    async def _call(
        self, operation: Operation[Any, ResponseT] | None, given: object, per_call: PerCall
    ) -> Answer[ResponseT]:
        """Make a call.

        Crash reporters show the variables of each frame, so none keeps what the caller gave while
        anything may be raised or awaited; of a request only the model, which masks itself.

        Args:
            operation: What is asked for; None if the request is to say.
            given: The request, as the caller gave it.
            per_call: The options of this call.
        """
        try:
            operation = operation or operation_for(given)
            settings = for_this_call(self._settings, per_call) if per_call else self._settings
            may_share = operation is IDENTIFY and per_call.keys() <= {"deadline"}
            request = make_request(operation, given)
        finally:
            del given, per_call
        if self._batcher is not None and may_share and operation.is_replay_safe(request):
            shared = await self._batcher.identify(request, deadline=settings.deadline)
            return cast("Answer[ResponseT]", shared)
        return await self._calls.begin(operation, request, settings=settings).run()

    def with_options(self, **changes: Unpack[ClientOptions]) -> Self:
        """Return a copy with other settings that shares connections, rate and retry budget.

        The copy needs no closing: it ends with the client that it was made from. When SendX asks
        to slow down, they all do, whichever key or address they use.

        Args:
            **changes: ``api_key``, ``api_key_prefix``, ``base_url``, ``timeout``, ``deadline``,
                ``retry``, ``headers``, ``on_event``, ``batch_identify``; as for the client itself.
                ``headers`` are added to those of the client.

        Raises:
            ConfigurationError: A setting is wrong.
            TypeError: It is none that a copy can have of its own.
        """
        try:
            settings = for_a_copy(self._settings, changes)
        finally:
            del changes  # see _call
        calls = self._calls.with_settings(settings)
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)  # whatever else a subclass keeps
        copy._is_owner = False
        copy._owner = self  # which is what gets closed, so it lives as long
        copy._go_by(calls)
        return copy

    @property
    def is_closed(self) -> bool:
        """Whether the client, or the one it was copied from, is closed."""
        return self._shared.is_closed

    async def aclose(self) -> None:
        """Close the client and its connections; calls under way may end, new ones are refused.

        Closing it again does nothing; neither does closing a copy. A borrowed ``http_client``
        stays open.
        """
        if self._is_owner:
            self._close_without_a_loop()
            http = self._shared.http
            if not isinstance(http, BorrowedClient):
                await http.aclose()

    def _close_without_a_loop(self) -> None:
        """Refuse further calls; enough where there is no event loop that could hold sockets."""
        self._shared.is_closed = self._shared.is_closed or self._is_owner

    def _refuse_if_closed(self) -> None:
        if self._shared.is_closed:
            raise ClientClosedError("the client is closed: make a new one")

    async def __aenter__(self) -> Self:
        self._refuse_if_closed()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} can't be pickled or copied: share it, use with_options(), or "
            "make a new one in the other process"
        )

    def __repr__(self) -> str:
        if not hasattr(self, "_settings"):
            return f"<{type(self).__name__}, incomplete>"
        state = " (closed)" if self._shared.is_closed else ""
        return f"<{type(self).__name__} for {self._settings.base_url}{state}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        # A client that was never used has nothing to close, so it may be forgotten.
        if (
            getattr(self, "_is_owner", False)
            and self._shared.is_used
            and not (self._shared.is_closed or self._shared.is_borrowed)
        ):
            _warn(
                f"a client for {self._settings.base_url} was never closed: open it in a "
                "`with` or `async with` statement",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
