"""A request as it is stored until it is delivered: JSON that a later version can still read."""

from collections.abc import Mapping
from typing import Any, cast

import attrs

from sendx_async._core.converter import converter, request_from_wire
from sendx_async._core.errors import InvalidRequestError, OutboxError
from sendx_async._core.models import AnyRequest, CustomEventRequest, RevenueEventRequest
from sendx_async._core.operations import SINGLE_OPERATIONS
from sendx_async._core.protocol import operation_for
from sendx_async._core.wrong_types import type_name

_VERSION = 1
_BY_NAME = {operation.name: operation for operation in SINGLE_OPERATIONS}
_SUBJECT = "stored request"


def stamped(request: AnyRequest, *, now: float) -> AnyRequest:
    """Return the request with the moment it was accepted, if it is an event that has no time.

    Without one SendX takes the time of arrival, which for a stored request may be hours later.

    Args:
        request: The request.
        now: Unix seconds.
    """
    if isinstance(request, (CustomEventRequest, RevenueEventRequest)) and request.time is None:
        return attrs.evolve(request, time=int(now))
    return request


def to_stored(request: AnyRequest) -> dict[str, Any]:
    """Return the JSON object that is stored for a request."""
    return {
        "version": _VERSION,
        "operation": operation_for(request).name,
        "request": converter().unstructure(request),
    }


def from_stored(payload: object) -> AnyRequest:
    """Return the request that a stored JSON object stands for.

    Raises:
        InvalidRequestError: It is no such object, or was damaged.
        OutboxError: It was stored by a later version of this library, which has to read it.
    """
    try:
        return _read(payload)
    except (InvalidRequestError, OutboxError) as error:
        # The frames that were left hold the request, and so would the traceback.
        raise error.with_traceback(None)  # noqa: B904 - it is the same error
    finally:
        del payload


def _read(payload: object) -> AnyRequest:
    if not isinstance(payload, Mapping):
        raise _unreadable(f"must be a JSON object, got {type_name(payload)}")
    stored = cast("Mapping[str, Any]", payload)
    version = stored.get("version")
    if isinstance(version, int) and version > _VERSION:
        raise OutboxError(
            f"a stored request has the form {version}, and this version of sendx-async reads "
            f"forms up to {_VERSION}: upgrade it; until then the request is kept"
        )
    if version != _VERSION:
        raise _unreadable(f"version must be {_VERSION}, got {type_name(version)}")
    operation = _BY_NAME.get(str(stored.get("operation")))
    if operation is None:
        raise _unreadable(f"operation must be one of {', '.join(_BY_NAME)}")
    wire = stored.get("request")
    if not isinstance(wire, Mapping):
        raise _unreadable(f"request must be a JSON object, got {type_name(wire)}")
    request: AnyRequest = request_from_wire(cast("Mapping[str, Any]", wire), operation.takes)
    return request


def _unreadable(problem: str) -> InvalidRequestError:
    return InvalidRequestError.of(_SUBJECT, [problem])
