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
    from sendx_async._retry import RetryPolicy
    from sendx_async._settings import ClientOptions, PerCall
    from sendx_async._sync import TrackingClient

__all__ = [
    "ApiError",
    "ApiResponse",
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

_CLIENTS = {"AsyncTrackingClient": "_client", "TrackingClient": "_sync"}
_OTHERS = ("_errors", "_models", "_options", "_retry", "_events", "_settings")


if not TYPE_CHECKING:  # else type checkers would believe that every name exists

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used, so that the package costs little."""
        if name in __all__:
            from importlib import import_module  # noqa: PLC0415 - no work at import

            modules = (_CLIENTS[name],) if name in _CLIENTS else _OTHERS
            for module in modules:
                found = getattr(import_module(f"{__name__}.{module}"), name, None)
                if found is not None:
                    globals()[name] = found
                    return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
