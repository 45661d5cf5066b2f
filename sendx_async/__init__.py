"""Async-first Python client for SendX contact tracking: honest about what was delivered, and fast.

Start with `AsyncTrackingClient`, or with `TrackingClient` where nothing is awaited.
"""

import sys
from typing import TYPE_CHECKING, Any

from sendx_async._version import __version__

if TYPE_CHECKING:
    from sendx_async._clients.async_client import AsyncTrackingClient
    from sendx_async._clients.sync_client import TrackingClient
    from sendx_async._clients.sync_stream import OutcomeStream
    from sendx_async._core.errors import (
        ApiError,
        AttemptTimeout,
        AuthenticationError,
        BadRequestError,
        ClientClosedError,
        ConfigurationError,
        ConflictError,
        ConnectError,
        DeadlineExceeded,
        InvalidRequestError,
        NotFoundError,
        NotSentError,
        OutageError,
        OutboxError,
        OutboxFullError,
        PermissionDeniedError,
        RateLimitError,
        ReportedFailureError,
        ResponseDecodeError,
        ResponseLost,
        SendXError,
        ServerError,
        TransportError,
        UnprocessableEntityError,
    )
    from sendx_async._core.events import Event
    from sendx_async._core.models import (
        ApiResponse,
        CustomEventRequest,
        EventResponse,
        IdentifyRequest,
        IdentifyResponse,
        RevenueEventRequest,
        TrackRequest,
        TrackResponse,
    )
    from sendx_async._core.options import Rate, RetryPolicy, Timeout
    from sendx_async._core.settings import ClientOptions, PerCall
    from sendx_async._runtime.clock import Clock
    from sendx_async._streams.outcomes import Outcome
    from sendx_async._streams.stream import AsyncOutcomeStream

__all__ = [
    "ApiError",
    "ApiResponse",
    "AsyncOutcomeStream",
    "AsyncTrackingClient",
    "AttemptTimeout",
    "AuthenticationError",
    "BadRequestError",
    "ClientClosedError",
    "ClientOptions",
    "Clock",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "CustomEventRequest",
    "DeadlineExceeded",
    "Event",
    "EventResponse",
    "IdentifyRequest",
    "IdentifyResponse",
    "InvalidRequestError",
    "NotFoundError",
    "NotSentError",
    "OutageError",
    "OutboxError",
    "OutboxFullError",
    "Outcome",
    "OutcomeStream",
    "PerCall",
    "PermissionDeniedError",
    "Rate",
    "RateLimitError",
    "ReportedFailureError",
    "ResponseDecodeError",
    "ResponseLost",
    "RetryPolicy",
    "RevenueEventRequest",
    "SendXError",
    "ServerError",
    "Timeout",
    "TrackRequest",
    "TrackResponse",
    "TrackingClient",
    "TransportError",
    "UnprocessableEntityError",
    "__version__",
]

# Every other public name is an error.
_MODULES = {
    "ApiResponse": "_core.models",
    "AsyncOutcomeStream": "_streams.stream",
    "AsyncTrackingClient": "_clients.async_client",
    "ClientOptions": "_core.settings",
    "Clock": "_runtime.clock",
    "CustomEventRequest": "_core.models",
    "Event": "_core.events",
    "EventResponse": "_core.models",
    "IdentifyRequest": "_core.models",
    "IdentifyResponse": "_core.models",
    "Outcome": "_streams.outcomes",
    "OutcomeStream": "_clients.sync_stream",
    "PerCall": "_core.settings",
    "Rate": "_core.options",
    "RetryPolicy": "_policy.retry",
    "RevenueEventRequest": "_core.models",
    "Timeout": "_core.options",
    "TrackRequest": "_core.models",
    "TrackResponse": "_core.models",
    "TrackingClient": "_clients.sync_client",
}


if not TYPE_CHECKING:  # else type checkers would believe that every name exists

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used, so that the package costs little."""
        if name not in __all__ and name != "_restored":  # which older pickles of errors call
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - no work at import

        module = import_module(f"{__name__}.{_MODULES.get(name, '_core.errors')}")
        globals()[name] = found = getattr(module, name)
        return found


# Pickles that were made before the modules lay in packages name these.
for _moved in (
    "_client", "_errors", "_events", "_models", "_options", "_outcome", "_retry", "_settings",
    "_stream", "_sync", "_sync_stream",
):  # fmt: skip
    sys.modules[f"{__name__}.{_moved}"] = sys.modules[__name__]


def __dir__() -> list[str]:
    return sorted(__all__)
