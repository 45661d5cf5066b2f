"""What a client is configured with: settings, the secret key, and the environment."""

import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import NoReturn, TypedDict, cast
from urllib.parse import SplitResult, urlsplit

import attrs

from sendx_async._errors import ConfigurationError
from sendx_async._events import Event
from sendx_async._retry import RetryPolicy
from sendx_async._validation import described, type_name
from sendx_async._version import __version__

PRODUCTION = "https://api.sendx.io/api/v1/rest"
"""The base URL of the production server (OpenAPI document of SendX)."""

_KEY_HEADER = "X-Team-ApiKey"
_LONGEST = 1e9
_SHORTEST_TO_REDACT = 8
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = {
    "accept", "connection", "content-length", "content-type", "expect", "host",
    "transfer-encoding", "upgrade", _KEY_HEADER.lower(),
}  # fmt: skip


class Secret:
    """Holds the API key, and shows it to nobody by accident."""

    __slots__ = ("_header", "_key", "_prefix")

    def __init__(self, key: str, prefix: str | None) -> None:
        self._key = key
        self._prefix = prefix
        value = f"{prefix} {key}" if prefix else key
        self._header = (_KEY_HEADER.encode(), value.encode("latin-1"))

    def changed(self, **changes: object) -> "Secret":
        """Give the secret with another ``api_key``, another ``api_key_prefix``, or both."""
        return make_secret(
            changes.get("api_key", self._key), changes.get("api_key_prefix", self._prefix)
        )

    def header(self) -> tuple[bytes, bytes]:
        """Give the header to put on the wire."""
        return self._header

    def redact(self, answer: bytes) -> bytes:
        """Take the key out of what a server sent back.

        A key of a few characters stays: they stand in any text, and real keys are long.
        """
        if len(self._key) < _SHORTEST_TO_REDACT:
            return answer
        for encoding in ("latin-1", "utf-8"):
            answer = answer.replace(self._key.encode(encoding), b"***")
        return answer

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is never pickled: make a new client where it is needed")


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _LONGEST:
        raise ConfigurationError(
            f"{name} must be a number of seconds above 0, at most {_LONGEST:g}, "
            f"got {described(value)}"
        )
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
        ConfigurationError: A value is not a number above 0.
    """

    total: float = 10.0
    connect: float | None = attrs.field(default=5.0, kw_only=True)
    read: float | None = attrs.field(default=None, kw_only=True)
    write: float | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        _seconds("Timeout: total", self.total)
        for name in ("connect", "read", "write"):
            value = getattr(self, name)
            if value is not None:
                _seconds(f"Timeout: {name}", value)


@attrs.frozen
class Rate:
    """How many requests a client may begin.

    Args:
        per_second: Requests a second, on the average.
        burst: How many may begin at once after a quiet time. Default 1.

    Raises:
        ConfigurationError: ``per_second`` is not above 0, or ``burst`` is not at least 1.
    """

    per_second: float
    burst: int = attrs.field(default=1, kw_only=True)

    def __attrs_post_init__(self) -> None:
        _seconds("Rate: per_second", self.per_second)
        _check_count("Rate: burst", self.burst)


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be an int of at least 1, got {described(value)}")


class PerCall(TypedDict, total=False):
    """Options that every call takes; each replaces the client's own for this call."""

    timeout: float | Timeout
    deadline: float | None
    retry: RetryPolicy
    headers: Mapping[str, str]


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


def make_secret(api_key: object, prefix: object) -> Secret:
    """Check the key and its prefix and lock them away; without a key, SENDX_API_KEY is used."""
    name = "api_key"
    if api_key is None:
        name = "SENDX_API_KEY"
        api_key = os.environ.get(name)
        if api_key is None:
            raise ConfigurationError(
                "no API key: pass api_key, or set the environment variable SENDX_API_KEY"
            )
    key = _header_text(name, api_key)
    return Secret(key, None if prefix is None else _header_text("api_key_prefix", prefix))


def _header_text(name: str, value: object) -> str:
    """Check what goes into a header; the text of an error never shows it."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, got {type_name(value)}")
    if not value.strip():
        raise ConfigurationError(f"{name} is empty")
    if max(value) > "\xff":
        raise ConfigurationError(
            f"{name} has characters that a header can't carry (outside of latin-1)"
        )
    if value != value.strip() or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value):  # noqa: PLR2004 - the C0 and C1 control characters
        raise ConfigurationError(
            f"{name} has control characters or white space around it: strip it, a line break at "
            "the end often comes from reading a file"
        )
    return value


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
    """Tell whether a host is this machine itself."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_timeout(value: object) -> Timeout:
    """Take a number of seconds for an attempt, or a Timeout."""
    return value if isinstance(value, Timeout) else Timeout(_seconds("timeout", value))


def make_deadline(value: object) -> float:
    """Take a number of seconds for a call, or None for no limit."""
    return math.inf if value is None else _seconds("deadline", value)


def make_retry(value: object) -> RetryPolicy:
    """Take a RetryPolicy and nothing else."""
    if isinstance(value, RetryPolicy):
        return value
    raise ConfigurationError(f"retry must be a RetryPolicy, got {type_name(value)}")


def make_max_connections(value: object) -> int:
    """Take a number of connections."""
    _check_count("max_connections", value)
    return cast("int", value)


def make_rate(value: object) -> Rate | None:
    """Take a Rate, or None for no limit."""
    if value is None or isinstance(value, Rate):
        return value
    raise ConfigurationError(f"rate must be a Rate, got {type_name(value)}")


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
        text = _header_text(f"headers: {name}", value)
        merged[name.lower().encode()] = (name.encode(), text.encode("latin-1"))
    return tuple(merged.values())


def default_headers() -> tuple[tuple[bytes, bytes], ...]:
    """Give the headers that every request has, besides the key."""
    return (
        (b"Accept", b"application/json"),
        (b"Content-Type", b"application/json"),
        (b"User-Agent", f"sendx-async/{__version__}".encode()),
    )
