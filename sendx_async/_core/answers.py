"""What an answer means: the response that it carries, or the error that it stands for."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast

from sendx_async._core.converter import converter
from sendx_async._core.errors import ReportedFailureError, ResponseDecodeError, api_error_class
from sendx_async._core.operations import Operation

ResponseT = TypeVar("ResponseT")

_MULTI_STATUS = 207
_UNAVAILABLE = 503
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HINTS: Mapping[int, str] = {
    401: "Check the API key: Settings, then Team API Key, in SendX.",
    404: "The contact is unknown to SendX, or base_url is wrong.",
    429: "Send less at a time, or set rate.",
}
_NOT_FOUND = 404
_HINT_OF_A_PATH = "SendX knows no such thing, or no such path: check path, path_params, base_url."
_EMPTY: dict[str, Any] = {}  # what a body without content is read as
_UNREADABLE = object()
_UNIX_TIME = 1e9  # was in 2001
_REDIRECTS = {301, 302, 303, 307, 308}
_ENCODINGS = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"}
# What an answer of success says that isn't one. SendX's own words for success are "200", "OK" and
# "success"; everything that isn't listed here is left alone.
_FAILED_STATUS = re.compile(r"error|fail(?:ed|ure)?|partial|[45]\d\d", re.IGNORECASE)
_FAILURES = ("error", "errors", "failed", "failures")


def decode(
    operation: Operation[Any, ResponseT],
    status_code: int,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    now: float,
) -> ResponseT:
    """Return the response that an answer carries.

    Args:
        operation: What was asked for.
        status_code: The HTTP status; every 2xx is a success, since documents disagree on which,
            unless the body says otherwise.
        headers: The answer's headers, names in lower case.
        body: The answer's body; None if it is encoded (compressed) and nobody could undo that.
        now: Unix seconds, to make sense of a ``Retry-After`` that is a date.

    Raises:
        ResponseDecodeError: A success with a body that can't be decompressed, or is neither empty
            nor a JSON object, or nor JSON if the operation gives any.
        ReportedFailureError: A success whose body reports a failure.
        ApiError: Any other status; the class says which.
    """
    answer = _parsed(body)
    encoded = _encoded(headers) if body is None else ""
    body = body or b""
    gives = operation.gives
    if 200 <= status_code < 300:  # noqa: PLR2004 - the definition of a 2xx
        if gives is None and answer is not _UNREADABLE and not isinstance(answer, dict):
            return cast("ResponseT", answer)
        if not isinstance(answer, dict):
            raise ResponseDecodeError(
                f"the body of an answer with HTTP {status_code} {encoded}"
                if encoded
                else _unreadable(operation, status_code, body),
                status_code=status_code,
                headers=headers,
                body=body,
                maybe_delivered=True,
            )
        fields = cast("dict[str, Any]", answer)
        if not _reports_failure(operation, status_code, fields):
            if gives is None:
                return cast("ResponseT", None if fields is _EMPTY else fields)
            return converter().structure(fields, gives)
        raise ReportedFailureError(
            _message_of(fields, "error", "errors", "message"),
            status_code=status_code,
            headers=headers,
            body=body,
            maybe_delivered=True,
            hint="The answer reports a failure, of all or of a part of the request.",
        )
    retry_after = parse_retry_after(headers.get("retry-after"), headers.get("date"), now=now)
    refused = status_code < 500 or (status_code == _UNAVAILABLE and retry_after is not None)  # noqa: PLR2004 - the definition of a 5xx
    hint = _HINT_OF_A_PATH if gives is None and status_code == _NOT_FOUND else _hint(status_code)
    raise api_error_class(status_code)(
        _message_of(answer, "message", "error", "errors"),
        status_code=status_code,
        headers=headers,
        body=body,
        retry_after=retry_after,
        maybe_delivered=not refused,
        hint=" ".join(filter(None, [hint, encoded and f"Its message {encoded}."])),
    )


def _unreadable(operation: Operation[Any, Any], status_code: int, body: bytes) -> str:
    most = operation.most_of_an_answer
    if operation.gives is None and len(body) >= most:
        return f"the answer's body has more than {most:,} bytes: ask for less, such as a page of it"
    what = "JSON" if operation.gives is None else "JSON object"
    return (
        f"what answered with HTTP {status_code} can't be SendX, since the body is no {what}: check "
        "base_url, and what is between you and SendX"
    )


def _hint(status_code: int) -> str:
    if status_code in _REDIRECTS:
        return "Redirects are never followed, they would hand on the API key: check base_url."
    if 300 <= status_code < 400:  # noqa: PLR2004 - the definition of a 3xx
        return "Nothing was asked that has such an answer: check what is between you and SendX."
    return _HINTS.get(status_code, "")


def _encoded(headers: Mapping[str, str]) -> str:
    """Return why a body can't be read, and who may be the reason."""
    if "content-encoding" not in headers:
        return "can't be read, since a hook of http_client has done so"
    named = headers["content-encoding"].lower().replace(" ", "").split(",")
    # No others, since a server may write there what it likes.
    encodings = ", ".join(name for name in named if name in _ENCODINGS) or "in some way"
    return (
        f"can't be read, since it is encoded ({encodings}), which this client never asks for: look "
        "for a proxy or a CDN between you and SendX that does so"
    )


def _parsed(body: bytes | None) -> object:
    """Return the JSON value of a body, or that it is empty, or can't be read."""
    if body is None:
        return _UNREADABLE
    try:
        text = body.removeprefix(_BYTE_ORDER_MARK).decode()
        return _EMPTY if not text or text.isspace() else json.loads(text)
    except (ValueError, RecursionError):
        return _UNREADABLE


def _reports_failure(
    operation: Operation[Any, Any], status_code: int, fields: Mapping[str, Any]
) -> bool:
    """Return whether an answer of success says that the request, or a part of it, has failed."""
    if _says_failure(fields):
        return True
    if not operation.takes_several:
        return False
    # Nothing is known of how an answer names each contact's result, and 207 is for when they
    # differ. A batch that is sent again one by one costs little; a lost contact can't be seen.
    return status_code == _MULTI_STATUS or any(
        isinstance(part, dict) and _says_failure(cast("dict[str, Any]", part))
        for value in fields.values()
        for part in (cast("Sequence[Any]", value) if isinstance(value, list) else [value])
    )


def _says_failure(fields: Mapping[str, Any]) -> bool:
    status = fields.get("status")
    return (
        (isinstance(status, (str, int)) and _FAILED_STATUS.fullmatch(str(status)) is not None)
        or fields.get("success") is False
        or any(map(fields.get, _FAILURES))
    )


def _message_of(answer: object, *names: str) -> str | None:
    """Return the server's words, in any of the shapes that SendX is known to use for errors."""
    if not isinstance(answer, Mapping):
        return None
    fields = cast("Mapping[str, Any]", answer)
    for value in map(fields.get, names):
        first = cast("Sequence[Any]", value)[0] if value and isinstance(value, list) else value
        text = cast("dict[str, Any]", first).get("message") if isinstance(first, dict) else first
        if isinstance(text, str) and text:
            return text
    return None


def parse_retry_after(value: str | None, date: str | None, *, now: float) -> float | None:
    """Return the seconds to wait that a ``Retry-After`` header asks for, or None.

    Args:
        value: The header: seconds, or an HTTP date. Unix time, which some servers write there,
            counts as the date that it is: as seconds it would be more than 31 years.
        date: The answer's ``Date``; against it a date is free of the difference between clocks.
        now: Unix seconds here, used when there is no ``Date``.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
        until = seconds if seconds >= _UNIX_TIME else None
    except ValueError:
        seconds, until = math.nan, _timestamp(value)
    if until is not None:
        start = _timestamp(date)
        seconds = until - (now if start is None else start)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _timestamp(value: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(value or "")
        # Whatever it says of zones, an HTTP date is in UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
