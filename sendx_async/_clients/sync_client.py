"""The synchronous client: the same coroutines, run in an event loop that all of them share.

It is longer than other files since each call stands here with its twin, and with its parameters.
"""

import os
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._clients.sync_stream import OutcomeStream
from sendx_async._core import options
from sendx_async._core.errors import ClientClosedError, ConfigurationError
from sendx_async._core.events import Event
from sendx_async._core.masking import MaskedCall
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
from sendx_async._core.operations import MOST_IN_BULK
from sendx_async._core.options import Rate, RetryPolicy, Timeout
from sendx_async._core.raw_request import Method
from sendx_async._core.settings import ClientOptions, PerCall
from sendx_async._runtime.clock import Clock
from sendx_async._runtime.loops import is_in_a_loop
from sendx_async._runtime.shared_loop import shared_loop
from sendx_async._streams.source import ThreadedSource, check_source
from sendx_async._transport.borrowed import Httpx2Client

ResultT = TypeVar("ResultT")

_Mapping = Mapping[str, Any]


class TrackingClient:
    """Identifies and tracks SendX contacts, for code that awaits nothing.

    It has the methods of `AsyncTrackingClient`, with the same arguments, results and errors; their
    documentation is there. It may be shared by threads, and used after a fork. All synchronous
    clients of a process run in one event loop, in a thread that is started at the first call and
    ended when the interpreter exits.

    Args:
        api_key: As for `AsyncTrackingClient`, like all that follow.
        base_url: See there.
        api_key_prefix: See there.
        timeout: See there.
        deadline: See there.
        retry: See there.
        max_connections: See there.
        rate: See there.
        headers: See there.
        http_client: See there; it is used in the common event loop, so nobody else may use it.
        on_event: See there; it is called in the common event loop's thread.
        batch_identify: See there; calls made by several threads at once share requests.
        clock: See there.

    Raises:
        ConfigurationError: A setting is missing or wrong.
    """

    __module__ = "sendx_async"

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
        self._has_warned = False
        self._first_use = None if http_client is None else _FirstUse()
        try:
            self._client = AsyncTrackingClient(
                api_key,
                base_url=base_url,
                api_key_prefix=api_key_prefix,
                timeout=timeout,
                deadline=deadline,
                retry=retry,
                max_connections=max_connections,
                rate=rate,
                headers=headers,
                http_client=http_client,
                on_event=on_event,
                batch_identify=batch_identify,
                clock=clock,
            )
        finally:
            del api_key, api_key_prefix, base_url, headers  # tracebacks show variables

    def identify_contact(
        self, identify_request: IdentifyRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> IdentifyResponse:
        """As `AsyncTrackingClient.identify_contact`, without ``await``."""
        call = MaskedCall(self._client.identify_contact, identify_request, **per_call)
        del identify_request, per_call  # tracebacks show the variables of a frame
        return self._run(call)

    def track_contact(
        self, track_request: TrackRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> TrackResponse:
        """As `AsyncTrackingClient.track_contact`, without ``await``."""
        call = MaskedCall(self._client.track_contact, track_request, **per_call)
        del track_request, per_call  # tracebacks show the variables of a frame
        return self._run(call)

    def track_custom_event(
        self, custom_event_request: CustomEventRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> EventResponse:
        """As `AsyncTrackingClient.track_custom_event`, without ``await``."""
        call = MaskedCall(self._client.track_custom_event, custom_event_request, **per_call)
        del custom_event_request, per_call  # tracebacks show the variables of a frame
        return self._run(call)

    def track_revenue_event(
        self, revenue_event_request: RevenueEventRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> EventResponse:
        """As `AsyncTrackingClient.track_revenue_event`, without ``await``."""
        call = MaskedCall(self._client.track_revenue_event, revenue_event_request, **per_call)
        del revenue_event_request, per_call  # tracebacks show the variables of a frame
        return self._run(call)

    def identify_contacts(
        self,
        identify_requests: Iterable[IdentifyRequest | _Mapping],
        **per_call: Unpack[PerCall],
    ) -> IdentifyResponse:
        """As `AsyncTrackingClient.identify_contacts`, without ``await``."""
        call = MaskedCall(self._client.identify_contacts, identify_requests, **per_call)
        del identify_requests, per_call  # tracebacks show the variables of a frame
        return self._run(call)

    def send(self, request: AnyRequest | _Mapping, **per_call: Unpack[PerCall]) -> AnyResponse:
        """As `AsyncTrackingClient.send`, without ``await``."""
        call = MaskedCall(self._client.send, request, **per_call)
        del request, per_call  # tracebacks show the variables of a frame
        return self._run(call)

    def send_many(
        self,
        source: Iterable[AnyRequest | _Mapping],
        *,
        concurrency: int = 8,
        batch_size: int = MOST_IN_BULK,
        patience: float | None = 300.0,
    ) -> OutcomeStream:
        """Send any number of requests, as `AsyncTrackingClient.send_many`, without ``await``.

        ``with client.send_many(source) as outcomes: for outcome in outcomes: ...``. The source is
        read in a thread of its own, so it may block; what belongs to a thread, such as a database
        connection, is best opened in the generator itself.

        Args:
            source: An iterable of requests of all kinds, models or mappings.
            concurrency: How many requests may be under way at once. Default 8; more than
                ``max_connections`` is taken for that.
            batch_size: How many contacts may share a request, 1 to 25. Default 25.
            patience: Seconds that an outage may last; None for no limit. Default 300.

        Returns:
            A context manager that gives an `OutcomeStream`.

        Raises:
            ConfigurationError: An option is out of range.
            InvalidRequestError: ``source`` can't be read.
        """
        try:
            ahead = 2 * options.make_count("batch_size", batch_size, most=MOST_IN_BULK)
            call_soon = shared_loop.call_soon
            threaded = ThreadedSource(check_source(source, Iterable), call_soon, limit=ahead)
        finally:
            del source  # tracebacks show the variables of a frame
        stream = self._client.send_many(
            threaded, concurrency=concurrency, batch_size=batch_size, patience=patience
        )
        return OutcomeStream(stream, source=threaded, run=self._run)

    def identify_contact_with_http_info(
        self, identify_request: IdentifyRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> ApiResponse[IdentifyResponse]:
        """As `AsyncTrackingClient.identify_contact_with_http_info`, without ``await``."""
        call = MaskedCall(
            self._client.identify_contact_with_http_info, identify_request, **per_call
        )
        del identify_request, per_call  # tracebacks show the variables of a frame
        return self._run(call)

    def track_contact_with_http_info(
        self, track_request: TrackRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> ApiResponse[TrackResponse]:
        """As `AsyncTrackingClient.track_contact_with_http_info`, without ``await``."""
        call = MaskedCall(self._client.track_contact_with_http_info, track_request, **per_call)
        del track_request, per_call  # tracebacks show the variables of a frame
        return self._run(call)

    def track_custom_event_with_http_info(
        self, custom_event_request: CustomEventRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> ApiResponse[EventResponse]:
        """As `AsyncTrackingClient.track_custom_event_with_http_info`, without ``await``."""
        call = MaskedCall(
            self._client.track_custom_event_with_http_info, custom_event_request, **per_call
        )
        del custom_event_request, per_call  # tracebacks show the variables of a frame
        return self._run(call)

    def track_revenue_event_with_http_info(
        self, revenue_event_request: RevenueEventRequest | _Mapping, **per_call: Unpack[PerCall]
    ) -> ApiResponse[EventResponse]:
        """As `AsyncTrackingClient.track_revenue_event_with_http_info`, without ``await``."""
        call = MaskedCall(
            self._client.track_revenue_event_with_http_info, revenue_event_request, **per_call
        )
        del revenue_event_request, per_call  # tracebacks show the variables of a frame
        return self._run(call)

    def identify_contacts_with_http_info(
        self,
        identify_requests: Iterable[IdentifyRequest | _Mapping],
        **per_call: Unpack[PerCall],
    ) -> ApiResponse[IdentifyResponse]:
        """As `AsyncTrackingClient.identify_contacts_with_http_info`, without ``await``."""
        call = MaskedCall(
            self._client.identify_contacts_with_http_info, identify_requests, **per_call
        )
        del identify_requests, per_call  # tracebacks show the variables of a frame
        return self._run(call)

    def request(
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
        """As `AsyncTrackingClient.request`, without ``await``."""
        call = MaskedCall(
            self._client.request,
            method,
            path,
            path_params=path_params,
            params=params,
            json=json,
            replay_safe=replay_safe,
            **per_call,
        )
        del method, path, path_params, params, json, replay_safe, per_call
        return self._run(call)

    def with_options(self, **changes: Unpack[ClientOptions]) -> Self:
        """Return a copy with other settings, as `AsyncTrackingClient.with_options`."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        try:
            copy._client = self._client.with_options(**changes)
        finally:
            del changes
        return copy

    @property
    def is_closed(self) -> bool:
        """Whether the client, or the one it was copied from, is closed."""
        return self._client.is_closed

    def close(self) -> None:
        """Close the client and its connections, as `AsyncTrackingClient.aclose`."""
        if shared_loop.is_running():
            # Often in the loop of a program that has made its calls in threads: no use to warn.
            self._run(self._client.aclose, may_block=True)
        else:
            # Both clients are one implementation, and users have no need of this half of aclose.
            self._client._close_without_a_loop()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    def _run(
        self, function: Callable[[], Awaitable[ResultT]], *, may_block: bool = False
    ) -> ResultT:
        if shared_loop.is_current():
            raise RuntimeError(
                "a TrackingClient can't be used in the thread of its own event loop, where "
                "on_event is called: make the call in another thread"
            )
        if self._first_use is not None:
            self._first_use.refuse_after_fork()
        if not (may_block or self._has_warned) and is_in_a_loop():
            self._has_warned = True
            warnings.warn(
                "TrackingClient is called in a running event loop and blocks it: use "
                "AsyncTrackingClient there",
                RuntimeWarning,
                stacklevel=3,
            )
        return shared_loop.run(function)

    def __enter__(self) -> Self:
        if self.is_closed:
            raise ClientClosedError("the client is closed: make a new one")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if not hasattr(self, "_client"):
            return f"<{type(self).__name__}, incomplete>"
        return repr(self._client).replace("AsyncTrackingClient", type(self).__name__)


class _FirstUse:
    """The process that used a borrowed ``http_client`` first: its connections are there."""

    def __init__(self) -> None:
        self._process: int | None = None

    def refuse_after_fork(self) -> None:
        # A child that took one of the parent's connections would mix its bytes with the parent's.
        process = os.getpid()
        self._process = self._process or process
        if self._process != process:
            raise ConfigurationError(
                "http_client was used before the process was forked, so its connections belong to "
                "the parent: make an http_client and a TrackingClient in each process"
            )
