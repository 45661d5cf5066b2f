"""Requests and responses: frozen attrs classes that check themselves when they are made.

`None` means *not set* and is not sent; an empty string, list or mapping is sent as given, since
SendX documents nothing about what empty values do.

It is longer than other files because a third of it is the documentation of what is public.
"""

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, ClassVar, Generic, TypeVar, cast, final

import attrs

from sendx_async._core import addresses, validation
from sendx_async._core.checking import checked
from sendx_async._core.hashing import by_contents
from sendx_async._core.masking import HIDDEN, MaskedRepr, mask_address, mask_addresses, unshown

__all__ = [
    "ApiResponse",
    "CustomEventRequest",
    "EventResponse",
    "IdentifyRequest",
    "IdentifyResponse",
    "RevenueEventRequest",
    "TrackRequest",
    "TrackResponse",
]


def wire_name(field: str) -> str:
    """Return the name on the wire of a model's field: ``first_name`` becomes ``firstName``."""
    first, *others = field.split("_")
    return first + "".join(word.capitalize() for word in others)


@attrs.frozen(repr=False, field_transformer=unshown)
class _Request(MaskedRepr):
    """What all requests share: checking, and a repr that shows no personal data."""

    _checks: ClassVar[Mapping[str, validation.Check]] = {}
    _may_be_none: ClassVar[frozenset[str]] = frozenset()

    extra: Mapping[str, Any] = attrs.field(
        kw_only=True, factory=dict[str, Any], converter=validation.to_extra, eq=by_contents
    )

    def __init_subclass__(cls) -> None:
        if cls.__module__ != __name__:
            raise TypeError(
                "requests can't be subclassed: fields that this version doesn't know go in extra"
            )

    def _problems(self) -> list[str]:
        """Return what is wrong with the values."""
        problems: list[str] = []
        optional = self._may_be_none
        for name, check in self._checks.items():
            value = getattr(self, name)
            if value is None and name in optional:
                continue
            if problem := check(value):
                problems.extend(_named(name, problem))
        if type(extra := cast("object", self.extra)) is not dict or extra:
            problems.extend(self._problems_of_extra())
        return problems

    def _problems_of_extra(self) -> Iterator[str]:
        if problem := validation.check_json_object(self.extra):
            yield from _named("extra", problem)
            return
        for name in self._checks:
            for taken in {name, wire_name(name)} & self.extra.keys():
                yield f"extra: {taken!r} is a field of its own: pass it as {name}"

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        # One that could not be made may lack any of them, and a traceback shows it all the same.
        for name in self._checks:
            value = getattr(self, name, None)
            if value is not None:
                names_contact = name in {"email", "identifier"} and isinstance(value, str)
                yield name, mask_address(value) if names_contact else HIDDEN
        if getattr(self, "extra", None):
            yield "extra", HIDDEN


def _named(name: str, problems: str | list[str]) -> Iterator[str]:
    for problem in [problems] if isinstance(problems, str) else problems:
        yield f"{name}{problem}" if problem.startswith("[") else f"{name} {problem}"


@final
@checked
@attrs.frozen(repr=False, field_transformer=unshown)
class IdentifyRequest(_Request):
    """Create a contact, or update the one that has this address.

    A later request is additive: it never removes tags or fields, and what it carries overwrites.

    Args:
        email: The contact's address, the key of the update. Typing errors that are never right are
            refused: ``mailto:``, quotes around it, a comma, two dots or a dot at the end behind the
            @. SendX judges the rest: an address with an apostrophe or a tag, in a foreign alphabet
            or of a host without a dot passes, white space doesn't.
        first_name: First name.
        last_name: Last name.
        company: Company.
        tags: Names of tags to add; SendX creates those it doesn't know.
        custom_fields: Values by the field's human name, such as ``"Role"``; SendX creates fields
            it doesn't know. Numbers, truth values and dates become strings (``27``, ``true``,
            ``2026-11-23``). A field that is None is not set, and not sent. A string that begins
            with ``++`` or ``--`` and a digit (``++5``, ``-- 2``) adds to, or subtracts from, a
            number field, so such a request isn't safe to repeat. Any other ``--`` is text.
        lists: Identifiers of lists (``list_...``) to put the contact on.
        new_email: Renames the contact found under ``email``; not safe to repeat.
        extra: Fields of the API that this version doesn't know, by their wire names.

    Raises:
        InvalidRequestError: A value can't be sent; ``problems`` names each of them.
    """

    email: str = attrs.field(converter=validation.to_text)
    first_name: str | None = attrs.field(
        kw_only=True, default=None, converter=validation.to_optional_text
    )
    last_name: str | None = attrs.field(
        kw_only=True, default=None, converter=validation.to_optional_text
    )
    company: str | None = attrs.field(
        kw_only=True, default=None, converter=validation.to_optional_text
    )
    tags: tuple[str, ...] | None = attrs.field(
        kw_only=True, default=None, converter=validation.to_strings
    )
    custom_fields: Mapping[str, str] | None = attrs.field(
        kw_only=True, default=None, converter=validation.to_field_texts, eq=by_contents
    )
    lists: tuple[str, ...] | None = attrs.field(
        kw_only=True, default=None, converter=validation.to_strings
    )
    new_email: str | None = attrs.field(
        kw_only=True, default=None, converter=validation.to_optional_text
    )

    _checks: ClassVar[Mapping[str, validation.Check]] = {
        "email": addresses.check_address,
        "first_name": validation.check_text,
        "last_name": validation.check_text,
        "company": validation.check_text,
        "tags": validation.check_strings,
        "custom_fields": validation.check_field_texts,
        "lists": validation.check_strings,
        "new_email": addresses.check_optional_address,
    }
    _may_be_none: ClassVar[frozenset[str]] = frozenset(_checks) - {"email"}


@final
@checked
@attrs.frozen(repr=False, field_transformer=unshown)
class TrackRequest(_Request):
    """Add tags to a contact and remove others; SendX may start automations for them.

    Args:
        email: The contact's address. It has to be given, but may be None: the specification
            doesn't require it, and the official example leaves it out.
        add_tags: Names of tags to add.
        remove_tags: Names of tags to remove. What SendX does with a tag in both is undocumented.
        extra: Fields of the API that this version doesn't know, by their wire names.

    Raises:
        InvalidRequestError: A value can't be sent; ``problems`` names each of them.
    """

    email: str | None = attrs.field(converter=validation.to_optional_text)
    add_tags: tuple[str, ...] | None = attrs.field(
        kw_only=True, default=None, converter=validation.to_strings
    )
    remove_tags: tuple[str, ...] | None = attrs.field(
        kw_only=True, default=None, converter=validation.to_strings
    )

    _checks: ClassVar[Mapping[str, validation.Check]] = {
        "email": addresses.check_address,
        "add_tags": validation.check_strings,
        "remove_tags": validation.check_strings,
    }
    _may_be_none: ClassVar[frozenset[str]] = frozenset(_checks)


@final
@checked
@attrs.frozen(repr=False, field_transformer=unshown)
class CustomEventRequest(_Request):
    """Record that something happened to a contact. Sent twice, it counts twice.

    Args:
        identifier: The contact's id or address; the contact must exist. What has an @ is an
            address, and refused for typing errors as in `IdentifyRequest`.
        name: The event's name.
        data: What else is known of the event. The documentation shows string values only.
        time: When it happened: an aware datetime, or Unix seconds. Default: when SendX gets it.
        extra: Fields of the API that this version doesn't know, by their wire names.

    Raises:
        InvalidRequestError: A value can't be sent; ``problems`` names each of them.
    """

    identifier: str = attrs.field(converter=validation.to_text)
    name: str = attrs.field(converter=validation.to_text)
    data: Mapping[str, Any] | None = attrs.field(
        kw_only=True, default=None, converter=validation.to_json_object, eq=by_contents
    )
    time: int | None = attrs.field(kw_only=True, default=None, converter=validation.to_unix_seconds)

    _checks: ClassVar[Mapping[str, validation.Check]] = {
        "identifier": addresses.check_identifier,
        "name": validation.check_name,
        "data": validation.check_json_object,
        "time": validation.check_unix_seconds,
    }
    _may_be_none: ClassVar[frozenset[str]] = frozenset({"data", "time"})


@final
@checked
@attrs.frozen(repr=False, field_transformer=unshown)
class RevenueEventRequest(_Request):
    """Record revenue that a contact brought. Sent twice, it counts twice.

    Args:
        identifier: The contact's address; the contact must exist.
        amount: How much; SendX documents no currency. A Decimal is sent as the same number.
        source: Where the revenue comes from.
        time: When it happened: an aware datetime, or Unix seconds. Default: when SendX gets it.
        extra: Fields of the API that this version doesn't know, by their wire names.

    Raises:
        InvalidRequestError: A value can't be sent; ``problems`` names each of them.
    """

    identifier: str = attrs.field(converter=validation.to_text)
    amount: int | float = attrs.field(converter=validation.to_number)
    source: str | None = attrs.field(
        kw_only=True, default=None, converter=validation.to_optional_text
    )
    time: int | None = attrs.field(kw_only=True, default=None, converter=validation.to_unix_seconds)

    _checks: ClassVar[Mapping[str, validation.Check]] = {
        "identifier": addresses.check_identifier,
        "amount": validation.check_number,
        "source": validation.check_text,
        "time": validation.check_unix_seconds,
    }
    _may_be_none: ClassVar[frozenset[str]] = frozenset({"source", "time"})


@attrs.frozen(repr=False, field_transformer=unshown)
class _Response(MaskedRepr):
    """What SendX says to a request that it accepted.

    Attributes:
        status: The ``status`` of the body as a string, such as ``"200"`` or ``"success"``.
        message: The ``message`` of the body.
        data: The ``data`` of the body, whatever it is; some answers carry the contact.
        extra: Every other key of the body.
    """

    status: str | None = None
    message: str | None = None
    data: Any = attrs.field(default=None, eq=by_contents)  # pyright: ignore[reportUnknownVariableType]
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any], eq=by_contents)

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        yield "status", self.status and mask_addresses(self.status)
        yield "message", self.message and mask_addresses(self.message)
        if self.data is not None:
            yield "data", HIDDEN
        if self.extra:
            yield "extra", HIDDEN


@attrs.frozen(repr=False, field_transformer=unshown)
class IdentifyResponse(_Response):
    __doc__ = _Response.__doc__


@attrs.frozen(repr=False, field_transformer=unshown)
class TrackResponse(_Response):
    __doc__ = _Response.__doc__


@attrs.frozen(repr=False, field_transformer=unshown)
class EventResponse(_Response):
    __doc__ = _Response.__doc__


AnyRequest = IdentifyRequest | TrackRequest | CustomEventRequest | RevenueEventRequest
AnyResponse = IdentifyResponse | TrackResponse | EventResponse
ResponseT_co = TypeVar("ResponseT_co", covariant=True)


@attrs.frozen(repr=False, field_transformer=unshown)
class ApiResponse(MaskedRepr, Generic[ResponseT_co]):
    """A response with what HTTP said; unpacks as ``data, status_code, headers``.

    Attributes:
        data: The response; of a client's ``request`` the JSON value as it came, None for an empty
            body.
        status_code: The HTTP status.
        headers: The answer's headers, names in lower case; repeated ones joined by commas.
        raw_data: The body as it came.
        call_id: The call's identifier, as in log records and events.
        attempts: How many requests the call took.
        elapsed: Seconds that the call took, waits included.
    """

    data: ResponseT_co = attrs.field(eq=by_contents)
    status_code: int
    headers: Mapping[str, str] = attrs.field(eq=by_contents)
    raw_data: bytes
    call_id: str
    attempts: int
    elapsed: float

    def __iter__(self) -> Iterator[Any]:
        return iter((self.data, self.status_code, self.headers))

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        # Whatever else there is came from ``request``, and may be a contact.
        yield "data", self.data if isinstance(self.data, (_Response, NoneType)) else HIDDEN
        yield "status_code", self.status_code
        yield "call_id", self.call_id
        yield "attempts", self.attempts
        yield "elapsed", round(self.elapsed, 3)


# Tracebacks and pickles name them as users import them.
for _model in (ApiResponse, *_Request.__subclasses__(), *_Response.__subclasses__()):
    _model.__module__ = "sendx_async"
