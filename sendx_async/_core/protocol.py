"""From what a caller gave to a request, to its operation, and to the bytes of its body."""

import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from sendx_async._core.converter import converter
from sendx_async._core.errors import InvalidRequestError
from sendx_async._core.models import AnyRequest
from sendx_async._core.operations import (
    CUSTOM_EVENT,
    IDENTIFY,
    MOST_IN_BULK,
    REVENUE_EVENT,
    SINGLE_OPERATIONS,
    TRACK,
    Operation,
)
from sendx_async._core.raw_request import RawRequest
from sendx_async._core.wrong_types import rows_of_frame, type_name, wrong_type

RequestT = TypeVar("RequestT")

_TO_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
# Models can't be subclassed, so their types tell.
_BY_MODEL = {operation.takes: operation for operation in SINGLE_OPERATIONS}
_KEYS_OF_TRACK = {"add_tags", "addTags", "remove_tags", "removeTags"}


def make_request(operation: Operation[RequestT, Any], given: Any) -> RequestT:
    """Make what the operation takes of what a caller gave: models or mappings.

    Raises:
        InvalidRequestError: It is something else, or a value in it can't be sent.
    """
    try:
        return _make_request(operation, given)
    except InvalidRequestError as error:
        # The frames that were left hold what was given, and so would the traceback.
        raise error.with_traceback(None)  # noqa: B904 - it is the same error
    finally:
        del given


def _make_request(operation: Operation[RequestT, Any], given: Any) -> RequestT:
    if not operation.takes_several:
        return cast("RequestT", _make_one(operation, given))
    rows = rows_of_frame(given)
    if rows or isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        problem = f"must be given an iterable of requests, got {type_name(cast('object', given))}"
        raise InvalidRequestError.of(
            operation.name, [f"{problem}: give {rows}" if rows else problem]
        )
    made: list[Any] = []
    problems: list[str] = []
    # One too many is enough to refuse them: the iterable may have no end.
    items = itertools.islice(cast("Iterable[object]", given), MOST_IN_BULK + 1)
    for index, item in enumerate(items):
        try:
            made.append(_make_one(operation, item))
        except InvalidRequestError as error:
            problems.extend(f"[{index}] {problem}" for problem in error.problems)
        del item  # the iterable may raise something of its own
    if not problems and not 1 <= len(made) <= MOST_IN_BULK:
        problems.append(f"takes 1 to {MOST_IN_BULK} contacts, got {'more' if made else 'none'}")
    if problems:
        raise InvalidRequestError.of(operation.name, problems)
    return cast("RequestT", tuple(made))


def _make_one(operation: Operation[Any, Any], given: Any) -> Any:
    if isinstance(given, operation.takes):
        return given
    if isinstance(given, Mapping):
        return converter().structure(given, operation.takes)
    name = operation.takes.__name__
    raise InvalidRequestError.of(operation.name, [_wrong_request(f"one {name}", given)])


def operation_for(request: object) -> Operation[Any, Any]:
    """Return the operation that takes a request: a model, or a mapping that is like one.

    A mapping with an ``amount`` is for `REVENUE_EVENT`, any other with an ``identifier`` for
    `CUSTOM_EVENT`, one with tags to add or remove for `TRACK`, and what is left for `IDENTIFY`.

    Raises:
        InvalidRequestError: It is neither a model nor a mapping.
    """
    operation = _BY_MODEL.get(type(request))
    if operation is not None:
        return operation
    if isinstance(request, Mapping):
        keys = cast("Mapping[object, object]", request).keys()
        if "amount" in keys:
            return REVENUE_EVENT
        if "identifier" in keys:
            return CUSTOM_EVENT
        return IDENTIFY if keys.isdisjoint(_KEYS_OF_TRACK) else TRACK
    names = ", ".join(operation.takes.__name__ for operation in SINGLE_OPERATIONS)
    problem = _wrong_request(f"one of {names}", request)
    del request  # tracebacks show the variables of a frame
    raise InvalidRequestError.of("send", [problem])


def _wrong_request(wanted: str, given: object) -> str:
    problem = wrong_type(f"given {wanted} or a mapping", given, has_parts=True)
    if type(given) is str:  # an address, as a column of them has it
        return problem + ': pass a mapping, such as {"email": address}'
    if type(given) is tuple:  # as cursors give them, and csv.reader
        row = cast("tuple[object, ...]", given)
        # DataFrame.iterrows gives the index with each row.
        is_indexed = bool(row) and type(row[-1]).__name__ == "Series"
        advice = "row.to_dict() for each (index, row)" if is_indexed else "dict(zip(names, row))"
        problem += f": pass {advice}"
    return problem


def is_replay_safe(request: AnyRequest) -> bool:
    """Return whether a request may be applied twice."""
    return bool(operation_for(request).is_replay_safe(request))


def encode(request: Any) -> bytes:
    """Return the body for a request, or for a tuple of requests; empty if it has none."""
    if isinstance(request, RawRequest):
        return b"" if request.json is None else _TO_JSON(request.json).encode("ascii")
    return _TO_JSON(converter().unstructure(request)).encode("ascii")
