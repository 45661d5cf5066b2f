"""The options of a client: what each may be, its default, and its environment variable."""

import ipaddress
import math
import os
from typing import cast
from urllib.parse import SplitResult, urlsplit

import attrs

from sendx_async._core.errors import ConfigurationError
from sendx_async._core.wrong_types import described, type_name

PRODUCTION = "https://api.sendx.io/api/v1/rest"
"""The base URL of the production server (OpenAPI document of SendX)."""

_LONGEST = 1e9


def make_seconds(name: str, value: object) -> float:
    """Return a number of seconds above 0."""
    return _positive(f"{name} must be a number of seconds", value)


def _positive(what: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _LONGEST:
        raise ConfigurationError(f"{what} above 0, at most {_LONGEST:g}, got {described(value)}")
    return float(value)


@attrs.frozen
class Timeout:
    """How long one attempt may take, in seconds.

    Args:
        total: The attempt as a whole, the wait for a free connection included. Default 10.
        connect: Making a connection, TLS included. Default 5: nothing has been sent yet, so
            another attempt is always safe.
        read: Waiting for the next piece of the answer. Default None: only ``total`` counts.
        write: Waiting to send the next piece of the request. Default None: only ``total`` counts.

    Raises:
        ConfigurationError: A value is not a number above 0 and at most 1e9 (seconds).
    """

    __module__ = "sendx_async"

    total: float = 10.0
    connect: float | None = attrs.field(default=5.0, kw_only=True)
    read: float | None = attrs.field(default=None, kw_only=True)
    write: float | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        make_seconds("Timeout: total", self.total)
        for name in ("connect", "read", "write"):
            value = getattr(self, name)
            if value is not None:
                make_seconds(f"Timeout: {name}", value)


@attrs.frozen
class Rate:
    """How many requests a client may begin.

    Args:
        per_second: Requests a second, on the average.
        burst: How many may begin at once after a quiet time. Default 1.

    Raises:
        ConfigurationError: ``per_second`` is not above 0 and at most 1e9, or ``burst`` is not a
            whole number from 1.
    """

    __module__ = "sendx_async"

    per_second: float
    burst: int = attrs.field(default=1, kw_only=True)

    def __attrs_post_init__(self) -> None:
        _positive("Rate: per_second must be a number of requests", self.per_second)
        _check_count("Rate: burst", self.burst)


def _check_count(name: str, value: object, *, most: float = _LONGEST) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigurationError(
            f"{name} must be an int of at least 1, at most {most:g}, got {described(value)}"
        )


def _check_amount(instance: object, attribute: "attrs.Attribute[float]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST:
        raise ConfigurationError(
            f"{type(instance).__name__}: {attribute.name} must be a number from 0 to {_LONGEST:g}, "
            f"got {described(value)}"
        )


def _check_reserve(instance: object, attribute: "attrs.Attribute[float]", value: object) -> None:
    if value != math.inf:
        _check_amount(instance, attribute, value)


def _check_retries(instance: object, attribute: "attrs.Attribute[int]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LONGEST:
        raise ConfigurationError(
            f"{type(instance).__name__}: {attribute.name} must be an int from 0 to {_LONGEST:g}, "
            f"got {described(value)}"
        )


@attrs.frozen
class RetryPolicy:
    """How often a call is repeated and how long it waits in between.

    The wait before retry *n* (1, 2, ...) is random between 0 and ``min(cap, base * 2**(n - 1))``
    seconds, unless the server says how long to wait. Only what is safe to repeat is repeated; the
    page *Guarantees* of the documentation has a table.

    Args:
        max_retries: How many times a call is repeated at most. Default 3; 0 for never.
        base: Seconds, the longest wait before the first retry. Default 0.5.
        cap: Seconds, the longest wait before any retry. Default 8.
        budget: How many retries all calls of a client together may have in reserve, so that an
            outage isn't multiplied by retries. Default 20; ``math.inf`` for no limit. A retry takes
            one from it, unless the server itself said when to come back; each second brings one
            back, and each call a fifth of one, up to ``budget``.

    Raises:
        ConfigurationError: A value is not from 0 to 1e9, or a number of retries is not whole.
    """

    __module__ = "sendx_async"

    max_retries: int = attrs.field(default=3, validator=_check_retries)
    base: float = attrs.field(default=0.5, validator=_check_amount, kw_only=True)
    cap: float = attrs.field(default=8.0, validator=_check_amount, kw_only=True)
    budget: float = attrs.field(default=20.0, validator=_check_reserve, kw_only=True)


def make_base_url(value: object) -> str:
    """Check and normalise the base URL; None means SENDX_BASE_URL, or production."""
    name = "base_url"
    if value is None:
        name = "SENDX_BASE_URL"
        value = os.environ.get(name) or PRODUCTION
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, got {type_name(value)}")
    parts = _split(value)
    if parts is None:
        raise ConfigurationError(f"{name} is not a URL such as {PRODUCTION}")
    host = parts.hostname or ""
    if not host or any(c.isspace() or not c.isprintable() for c in value):
        raise ConfigurationError(f"{name} must be a URL such as {PRODUCTION}")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(f"{name} must not hold a user name or password")
    if parts.query or parts.fragment or value.endswith(("?", "#")):
        raise ConfigurationError(f"{name} must end with the path: no query, no fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigurationError(
            f"{name} must begin with https://, since the API key is sent to it "
            "(http:// is for servers on this machine only, such as http://127.0.0.1:8025)"
        )
    return value.rstrip("/")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port  # they are looked at only when asked for
    except ValueError:
        return None
    return parts


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_timeout(value: object) -> Timeout:
    """Return the limits of an attempt, of a number of seconds or a Timeout."""
    return value if isinstance(value, Timeout) else Timeout(make_seconds("timeout", value))


def make_deadline(value: object) -> float:
    """Return the seconds for a call; None means no limit."""
    return math.inf if value is None else make_seconds("deadline", value)


def make_retry(value: object) -> RetryPolicy:
    """Return a RetryPolicy; nothing else is one."""
    if isinstance(value, RetryPolicy):
        return value
    raise ConfigurationError(f"retry must be a RetryPolicy, got {type_name(value)}")


def make_patience(value: object) -> float:
    """Return the seconds for an outage; None means no limit."""
    if value is None:
        return math.inf
    return _positive("patience must be None for no limit, or a number of seconds", value)


def make_count(name: str, value: object, *, most: float = _LONGEST) -> int:
    """Return a number of at least 1."""
    _check_count(name, value, most=most)
    return cast("int", value)


def make_flag(name: str, value: object) -> bool:
    """Return True or False; nothing else is a flag."""
    if isinstance(value, bool):
        return value
    raise ConfigurationError(f"{name} must be True or False, got {type_name(value)}")


def make_rate(value: object) -> Rate | None:
    """Return a Rate, or None for no limit."""
    if value is None or isinstance(value, Rate):
        return value
    raise ConfigurationError(f"rate must be a Rate, got {type_name(value)}")
