"""Async-first Python client for SendX contact tracking: honest about what was delivered, and fast.

Start with `AsyncTrackingClient`, or with `TrackingClient` where nothing is awaited.
"""

from typing import TYPE_CHECKING, Any

from sendx_async._version import __version__

if TYPE_CHECKING:
    from sendx_async._client import AsyncTrackingClient
    from sendx_async._errors import (
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
        ResponseDecodeError,
        ResponseLost,
        SendXError,
        ServerError,
        TransportError,
        UnprocessableEntityError,
    )
    from sendx_async._events import Event
    from sendx_async._models import (
        ApiResponse,
        CustomEventRequest,
        EventResponse,
        IdentifyRequest,
        IdentifyResponse,
        RevenueEventRequest,
        TrackRequest,
        TrackResponse,
    )
    from sendx_async._options import Rate, Timeout
    from sendx_async._outcome import Outcome
    from sendx_async._retry import RetryPolicy
    from sendx_async._settings import ClientOptions, PerCall
    from sendx_async._stream import AsyncOutcomeStream
    from sendx_async._sync import TrackingClient
    from sendx_async._sync_stream import OutcomeStream

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

# Every public name that isn't here is an error.
_MODULES = {
    "ApiResponse": "_models",
    "AsyncOutcomeStream": "_stream",
    "AsyncTrackingClient": "_client",
    "ClientOptions": "_settings",
    "CustomEventRequest": "_models",
    "Event": "_events",
    "EventResponse": "_models",
    "IdentifyRequest": "_models",
    "IdentifyResponse": "_models",
    "Outcome": "_outcome",
    "OutcomeStream": "_sync_stream",
    "PerCall": "_settings",
    "Rate": "_options",
    "RetryPolicy": "_retry",
    "RevenueEventRequest": "_models",
    "Timeout": "_options",
    "TrackRequest": "_models",
    "TrackResponse": "_models",
    "TrackingClient": "_sync",
}


if not TYPE_CHECKING:  # else type checkers would believe that every name exists

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used, so that the package costs little."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - no work at import

        module = import_module(f"{__name__}.{_MODULES.get(name, '_errors')}")
        globals()[name] = found = getattr(module, name)
        return found


def __dir__() -> list[str]:
    return sorted(__all__)
