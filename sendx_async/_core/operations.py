"""The API as data: for each operation its path, what it takes and gives, and when it may repeat."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import attrs

from sendx_async._core.increments import is_increment
from sendx_async._core.models import (
    AnyRequest,
    CustomEventRequest,
    EventResponse,
    IdentifyRequest,
    IdentifyResponse,
    RevenueEventRequest,
    TrackRequest,
    TrackResponse,
)

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

MOST_OF_AN_ANSWER = 1024 * 1024
"""Bytes of an answer's body that are read; SendX's answers to a model have some hundreds."""

MOST_OF_ANY_ANSWER = 16 * 1024 * 1024
"""The same where an answer may be a list of what has pages of HTML in it."""

MOST_IN_BULK = 25
"""How many contacts one request to the bulk endpoint takes (documentation of SendX)."""


@attrs.frozen
class Operation(Generic[RequestT, ResponseT]):
    """One thing the API does.

    Attributes:
        name: The client's method for it.
        path: Where it is sent, below the base URL; names in braces stand for what varies.
        takes: The class of the request, or of each request if it takes several.
        gives: The class of the response; None for whatever JSON the answer holds.
        is_replay_safe: Whether repeating a given request after it may have been applied already
            leaves SendX as one application would.
        takes_several: Whether a request is a tuple of ``takes``.
        method: The HTTP method.
    """

    name: str
    path: str
    takes: type[Any]
    gives: type[ResponseT] | None
    is_replay_safe: Callable[[RequestT], bool]
    takes_several: bool = False
    method: str = "POST"

    @property
    def most_of_an_answer(self) -> int:
        """Bytes of an answer's body that are read."""
        return MOST_OF_ANY_ANSWER if self.gives is None else MOST_OF_AN_ANSWER


def _identify_is_replay_safe(request: IdentifyRequest) -> bool:
    # A rename that succeeded may create the old address again when repeated; "++5" and "--5"
    # are arithmetic on number fields.
    return (
        request.new_email is None
        and not _may_count(request.custom_fields)
        and not _may_count(request.extra)
    )


def _may_count(values: Mapping[str, object] | None) -> bool:
    # A plain loop, since a generator takes three times as long and streams ask for each contact.
    for value in values.values() if values else ():
        if (
            isinstance(value, str)
            and ("++" in value or "--" in value)  # quicker to tell, and nearly always enough
            and is_increment(value)
        ):
            return True
    return False


def _always(_request: object) -> bool:
    return True


def _never(_request: object) -> bool:
    return False


IDENTIFY: Operation[IdentifyRequest, IdentifyResponse] = Operation(
    "identify_contact",
    "/contact/identify",
    IdentifyRequest,
    IdentifyResponse,
    _identify_is_replay_safe,
)
IDENTIFY_BULK: Operation[tuple[IdentifyRequest, ...], IdentifyResponse] = Operation(
    "identify_contacts",
    "/contact/identify/bulk",
    IdentifyRequest,
    IdentifyResponse,
    lambda requests: all(map(_identify_is_replay_safe, requests)),
    takes_several=True,
)
TRACK: Operation[TrackRequest, TrackResponse] = Operation(
    "track_contact", "/contact/track", TrackRequest, TrackResponse, _always
)
CUSTOM_EVENT: Operation[CustomEventRequest, EventResponse] = Operation(
    "track_custom_event", "/events/custom", CustomEventRequest, EventResponse, _never
)
REVENUE_EVENT: Operation[RevenueEventRequest, EventResponse] = Operation(
    "track_revenue_event", "/events/revenue", RevenueEventRequest, EventResponse, _never
)


def contacts_of(request: AnyRequest) -> tuple[str, ...]:
    """Return the contacts that a request is about, case-folded; a rename is about two.

    Requests about the same contact have to be sent in order. An event may name its contact by
    SendX's id, and nothing here knows which address that is.
    """
    if isinstance(request, IdentifyRequest):
        email = request.email.casefold()
        return (email, request.new_email.casefold()) if request.new_email else (email,)
    if isinstance(request, TrackRequest):
        # Whoever SendX takes a request without an address for, it is always the same one.
        return ((request.email or "").casefold(),)
    return (request.identifier.casefold(),)


SINGLE_OPERATIONS: tuple[Operation[Any, Any], ...] = (IDENTIFY, TRACK, CUSTOM_EVENT, REVENUE_EVENT)
PATHS = (IDENTIFY_BULK.path, *(operation.path for operation in SINGLE_OPERATIONS))
