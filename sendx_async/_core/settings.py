"""Everything that one call can look up about its client, and how a copy or a call differs."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar, cast

import attrs

from sendx_async._core import options
from sendx_async._core.errors import ConfigurationError
from sendx_async._core.events import Event
from sendx_async._core.options import RetryPolicy, Timeout
from sendx_async._core.secret import KEY_HEADER, Secret, header_text
from sendx_async._core.wrong_types import type_name
from sendx_async._version import __version__

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = {
    "accept", "accept-encoding", "connection", "content-length", "content-type", "expect", "host",
    "transfer-encoding", "upgrade", KEY_HEADER.lower(),
}  # fmt: skip

EventT = TypeVar("EventT")


class PerCall(TypedDict, total=False):
    """Options that every call takes; each replaces the client's own for this call.

    For functions that pass them on: ``def signup(email: str, **per_call: Unpack[PerCall])``.

    Attributes:
        timeout: Seconds that one attempt may take, or a `Timeout`.
        deadline: Seconds that the call may take, waits and retries included; None for no limit.
        retry: How often and when it is repeated.
        headers: Headers to add to those of the client.
    """

    timeout: float | Timeout
    deadline: float | None
    retry: RetryPolicy
    headers: Mapping[str, str]


PerCall.__module__ = "sendx_async"


class ClientOptions(TypedDict, total=False):
    """What `with_options` can change; what isn't named stays.

    Attributes:
        api_key: Another key; None for the one in SENDX_API_KEY.
        api_key_prefix: What is sent before the key.
        base_url: Where the API is.
        timeout: Seconds that one attempt may take, or a `Timeout`.
        deadline: Seconds that a call may take, waits and retries included; None for no limit.
        retry: How often and when a call is repeated.
        headers: Headers to add to those of the client.
        on_event: Called with an `Event` for each thing that happens to a call.
        batch_identify: Whether concurrent calls of `identify_contact` share requests.
    """

    api_key: str | None
    api_key_prefix: str | None
    base_url: str
    timeout: float | Timeout
    deadline: float | None
    retry: RetryPolicy
    headers: Mapping[str, str]
    on_event: Callable[[Event], object] | None
    batch_identify: bool


ClientOptions.__module__ = "sendx_async"


@attrs.frozen
class Settings:
    """Everything about a client that one call can look up, checked."""

    secret: Secret
    base_url: str
    timeout: Timeout
    deadline: float
    retry: RetryPolicy
    headers: tuple[tuple[bytes, bytes], ...] = attrs.field(repr=False)  # may hold a token
    on_event: Callable[[Event], object] | None
    batch_identify: bool


def for_this_call(settings: Settings, changes: PerCall) -> Settings:
    """Return the settings of one call.

    Raises:
        ConfigurationError: A setting is wrong.
        TypeError: It is none that a call can have of its own.
    """
    try:
        return _changed(settings, changes, PerCall, "a call has no option")
    except (ConfigurationError, TypeError) as error:
        # The frames that were left hold headers, and so would the traceback.
        raise error.with_traceback(None)  # noqa: B904 - it is the same error
    finally:
        del changes


def for_a_copy(settings: Settings, changes: ClientOptions) -> Settings:
    """Return the settings of a client's copy; errors as `for_this_call`."""
    try:
        return _changed(settings, changes, ClientOptions, "with_options can't change")
    except (ConfigurationError, TypeError) as error:
        raise error.with_traceback(None)  # noqa: B904 - it is the same error
    finally:
        del changes


def _changed(
    settings: Settings, given: PerCall | ClientOptions, options_: Any, refusal: str
) -> Settings:
    changes = cast("ClientOptions", given)
    known = options_.__optional_keys__
    if unknown := set(changes) - known:
        raise TypeError(f"{refusal} {min(unknown)!r}: it takes {', '.join(sorted(known))}")
    made: dict[str, Any] = {}
    if "api_key" in changes or "api_key_prefix" in changes:
        made["secret"] = settings.secret.changed(**changes)
    if "base_url" in changes:
        made["base_url"] = options.make_base_url(changes["base_url"])
    if "timeout" in changes:
        made["timeout"] = options.make_timeout(changes["timeout"])
    if "deadline" in changes:
        made["deadline"] = options.make_deadline(changes["deadline"])
    if "retry" in changes:
        made["retry"] = options.make_retry(changes["retry"])
    if "headers" in changes:
        made["headers"] = make_headers(changes["headers"], settings.headers)
    if "on_event" in changes:
        made["on_event"] = make_listener(changes["on_event"])
    if "batch_identify" in changes:
        made["batch_identify"] = options.make_flag("batch_identify", changes["batch_identify"])
    return attrs.evolve(settings, **made)


def make_listener(on_event: Callable[[EventT], object] | None) -> Callable[[EventT], object] | None:
    if on_event is None:
        return None
    function: object = on_event
    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    if not callable(function) or any(
        inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)
        for called in (function, type(function).__call__)
    ):
        raise ConfigurationError("on_event must be a plain function: nobody awaits its result")
    return on_event


def make_headers(
    given: object, defaults: tuple[tuple[bytes, bytes], ...]
) -> tuple[tuple[bytes, bytes], ...]:
    """Add a caller's headers to the defaults, replacing those of the same name."""
    if given is None:
        return defaults
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"headers must be a mapping, got {type_name(given)}")
    merged = {name.lower(): (name, value) for name, value in defaults}
    for name, value in cast("Mapping[object, object]", given).items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ConfigurationError("headers: a name must be a str of letters, digits and dashes")
        if name.lower() in _OWN_HEADERS:
            raise ConfigurationError(f"headers: {name} is set by the client itself")
        text = header_text(f"headers: {name}", value)
        merged[name.lower().encode()] = (name.encode(), text.encode("latin-1"))
    return tuple(merged.values())


def default_headers() -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that every request has, besides the key and those of its body."""
    return (
        (b"Accept", b"application/json"),
        (b"Accept-Encoding", b"identity"),  # to leave it out allows any
        (b"User-Agent", f"sendx-async/{__version__}".encode()),
    )
