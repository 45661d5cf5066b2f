"""Answers for the errors of SendX that a handler lets through."""

import logging
import math
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, get_args

import attrs
from fastapi import FastAPI
from fastapi.requests import HTTPConnection, Request
from fastapi.responses import JSONResponse

from sendx_async._core.errors import (
    ApiError,
    AttemptTimeout,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConflictError,
    ConnectError,
    DeadlineExceeded,
    InvalidRequestError,
    NotFoundError,
    NotSentError,
    OutageError,
    OutboxError,
    PermissionDeniedError,
    RateLimitError,
    ReportedFailureError,
    ResponseDecodeError,
    SendXError,
    ServerError,
    TransportError,
    UnprocessableEntityError,
)
from sendx_async._core.models import AnyRequest
from sendx_async._core.operations import IDENTIFY, IDENTIFY_BULK
from sendx_async._policy.failures import retry_after_of

logger = logging.getLogger("sendx_async")

_PLACE = re.compile(r"(?:\[(\d+)\] )?(\w+)")
_FIELDS = {field.name for model in get_args(AnyRequest) for field in attrs.fields(model)}


@attrs.frozen
class _Answer:
    status: int
    detail: str
    level: int = logging.WARNING


_INVALID = _Answer(422, "This can't be processed as it is.", logging.INFO)
_REFUSED = _Answer(422, "This was refused: it can't be processed as it is.")
_UNKNOWN = _Answer(404, "What this is about is not known.")
_CONFLICT = _Answer(409, "This was refused: it contradicts what is known already.")
_FAILED = _Answer(502, "A service that is needed for this has failed.")
_MISUSED = _Answer(502, "A service that is needed for this has failed.", logging.ERROR)
_AWAY = _Answer(503, "A service that is needed for this is not available. Try again later.")
_BROKEN = _Answer(503, "A service that is needed for this is not available.", logging.ERROR)
_LATE = _Answer(504, "A service that is needed for this did not answer in time.")

_ANSWERS: dict[type[SendXError], _Answer] = {
    InvalidRequestError: _INVALID,
    BadRequestError: _REFUSED,
    UnprocessableEntityError: _REFUSED,
    ConflictError: _CONFLICT,
    RateLimitError: _AWAY,
    ServerError: _FAILED,
    AuthenticationError: _MISUSED,
    PermissionDeniedError: _MISUSED,
    NotFoundError: _MISUSED,
    ApiError: _MISUSED,
    ConnectError: _AWAY,
    AttemptTimeout: _LATE,
    TransportError: _FAILED,
    DeadlineExceeded: _LATE,
    ResponseDecodeError: _FAILED,
    ReportedFailureError: _FAILED,
    OutageError: _AWAY,
    NotSentError: _AWAY,
    ClientClosedError: _AWAY,
    OutboxError: _BROKEN,
}

_CREATING = {IDENTIFY.name, IDENTIFY_BULK.name}


def add_sendx_error_handlers(app: FastAPI) -> None:
    """Let an application answer the errors of SendX that its handlers don't catch.

    Without this they are answered as any unforeseen error is, with 500.

    | error | status | |
    |---|---|---|
    | ``InvalidRequestError`` | 422 | ``detail`` lists the problems |
    | ``BadRequestError``, ``UnprocessableEntityError`` | 422 | SendX refuses the request |
    | ``NotFoundError`` | 404 | unknown to SendX; 502 if the call was to identify a contact |
    | ``ConflictError`` | 409 | |
    | ``RateLimitError``, ``ServerError`` with 503 | 503 | not 429: it isn't the visitor's fault |
    | ``ConnectError``, ``OutageError``, ``NotSentError`` | 503 | |
    | ``ClientClosedError`` | 503 | the application is stopping |
    | ``OutboxError``, ``OutboxFullError`` | 503 | nothing was stored |
    | ``AttemptTimeout``, ``DeadlineExceeded`` | 504 | |
    | other ``ServerError`` and ``TransportError``, ``ResponseLost`` | 502 | |
    | ``ResponseDecodeError``, ``ReportedFailureError`` | 502 | |
    | ``AuthenticationError``, ``PermissionDeniedError`` | 502 | logged as an error |
    | any other ``ApiError`` | 502 | logged as an error |
    | ``ConfigurationError``, ``SendXError`` itself | 500 | raised on, to be logged |

    The body is ``{"detail": ...}``: a sentence, or with 422 a list like that of FastAPI's own
    validation, whose ``loc`` is ``["sendx", FIELD]``. It holds nothing that SendX said, no key and
    no address. 503 and 504 have a ``Retry-After`` if SendX said when to come back. Whether the
    request may have been applied (``maybe_delivered``) is not in the answer: what would be repeated
    is the visitor's request to the application, and only the application knows what that does. It
    stands in the log record that is written for each answer (logger ``sendx_async``).

    To identify a contact creates it, so there a 404 can only mean a wrong ``base_url``. In other
    calls it can mean that, too; the log record says so.

    In a WebSocket's handler there is nothing to answer, so errors are raised on. Nor is there in a
    background task, which runs after the answer: Starlette raises a ``RuntimeError`` from the error
    ("Caught handled exception, but response already started"), the server logs both, and the tasks
    behind it don't run. So catch ``SendXError`` in the task. A mounted
    application has error handlers of its own: call this for it, too. For another answer to one of
    these errors add a handler for its class; the most exact class counts.

    Args:
        app: The application.
    """
    app.add_exception_handler(SendXError, _answer)


add_sendx_error_handlers.__module__ = "sendx_async.fastapi"


async def _answer(connection: HTTPConnection, error: Exception) -> JSONResponse:
    answer = _answer_for(error)
    if answer is None or not isinstance(connection, Request) or not isinstance(error, SendXError):
        raise error
    logger.log(
        answer.level,
        "answered %d, since %s failed (call %s, %d attempts, maybe delivered: %s): %s: %s",
        answer.status,
        error.operation or "a request",
        error.call_id or "-",
        error.attempts,
        error.maybe_delivered,
        type(error).__name__,
        error,
    )
    headers: dict[str, str] = {}
    seconds = retry_after_of(error)
    if seconds is not None and answer.status in {503, 504}:
        headers["Retry-After"] = str(math.ceil(seconds))
    return JSONResponse({"detail": _detail(answer, error)}, answer.status, headers)


def _answer_for(error: Exception) -> _Answer | None:
    if isinstance(error, ServerError) and error.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        return _AWAY
    if isinstance(error, NotFoundError) and error.operation not in _CREATING:
        return _UNKNOWN
    for kind in type(error).__mro__:
        if kind in _ANSWERS:
            return _ANSWERS[kind]
    return None


def _detail(answer: _Answer, error: SendXError) -> str | list[dict[str, Any]]:
    """Return the detail; with 422 in the shape that each FastAPI application documents for it."""
    if answer.status != HTTPStatus.UNPROCESSABLE_ENTITY:
        return answer.detail
    if not isinstance(error, InvalidRequestError) or not error.problems:
        return [{"type": "sendx_refused", "loc": ["sendx"], "msg": answer.detail}]
    return [
        {"type": "sendx_invalid", "loc": ["sendx", *_place_of(problem)], "msg": problem}
        for problem in error.problems
    ]


def _place_of(problem: str) -> Iterator[int | str]:
    """Return the field that a problem begins with, behind its place in a list if it has one."""
    found = _PLACE.match(problem)
    if found is not None:
        index, field = found.groups()
        if index is not None:
            yield int(index)
        if field in _FIELDS:
            yield field
