"""What is put: a caller's request, made into what an outbox stores of it."""

import hashlib
import json
import time

import attrs

from sendx_async._core.errors import InvalidRequestError
from sendx_async._core.protocol import make_request, operation_for
from sendx_async._core.stored import stamped, to_stored
from sendx_async._core.wrong_types import type_name
from sendx_async.outbox._contact_index import IndexKey, key_of

_TO_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_TO_SORTED_JSON = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
_LONGEST_ID = 200


@attrs.frozen
class Entry:
    """A request that is put into an outbox.

    Attributes:
        put_at: When, in Unix seconds.
        stored_request: The request as JSON.
        key: What the contact index finds it by.
        given_id: The caller's own delivery id, if any.
        digest: Of the request that came with it.
    """

    put_at: float
    stored_request: str = attrs.field(repr=False)  # a tool that shows locals would print it
    key: IndexKey
    given_id: str | None = None
    digest: bytes | None = None


def make_entry(given: object, delivery_id: object) -> Entry:
    """Make what is stored of what a caller gave.

    Args:
        given: A model or a mapping.
        delivery_id: The caller's own id, or None.

    Raises:
        InvalidRequestError: It can't be sent, or the id is none.
    """
    request = make_request(operation_for(given), given)
    now = time.time()
    stored_request = _TO_JSON(to_stored(stamped(request, now=now)))
    key = key_of(request)
    if delivery_id is None:
        return Entry(now, stored_request, key)
    if not isinstance(delivery_id, str):
        problem = f"delivery_id must be a str, got {type_name(delivery_id)}"
        raise InvalidRequestError.of("put", [problem])
    if not 0 < len(delivery_id) <= _LONGEST_ID or not delivery_id.isprintable():
        problem = f"delivery_id must have 1 to {_LONGEST_ID} printable characters"
        raise InvalidRequestError.of("put", [problem])
    # Of what was asked for, without the moment: the same again is the same.
    asked = _TO_SORTED_JSON(to_stored(request)).encode()
    digest = hashlib.blake2b(asked, digest_size=16).digest()
    return Entry(now, stored_request, key, delivery_id, digest)
