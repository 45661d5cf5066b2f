"""The endpoints: what each demands of a body, what it changes, and what it answers.

Where the API's documents are silent the fake server has to choose, and chooses the stricter side so
that your mistake shows. These answers are guesses:

- The paths are served with and without the prefix ``/api/v1/rest``.
- A body that is no JSON is a 400; JSON of the wrong shape, ``null`` included, is a 422.
- Unknown keys of a body are ignored.
- One bad contact in a bulk request refuses the whole request, and the message names its index.
- ``track`` without an address is a 422. A tag that is in both lists ends up removed.
- An event for an unknown contact is a 422. A revenue event is not found by contact id.
- ``newEmail`` of another contact is a 422; with an unknown ``email`` it is ignored, and so is "".
- An increment counts from 0 where the field is empty, and is a 422 where it holds no number.
- Of contacts that are read, deleted and unsubscribed: see `_contacts`.
"""

import datetime as dt
import hmac
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qsl

import attrs

from sendx_async.testing import _contacts
from sendx_async.testing._body import Body, RefusedError, json_name, parse_json
from sendx_async.testing._state import Contact, Draft, Identify, ReceivedEvent, State

PREFIX = "/api/v1/rest"
_MOST_BULK_CONTACTS = 25
_SCALARS: Mapping[str, str] = {
    "firstName": "first_name",
    "lastName": "last_name",
    "company": "company",
}


@attrs.frozen
class Answer:
    """An HTTP answer, and whether the request changed the server's state."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    applied: bool = False


def json_answer(
    status: int,
    body: object,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    applied: bool = False,
) -> Answer:
    """An answer with a JSON body."""
    content = json.dumps(body).encode()
    return Answer(status, content, (("content-type", "application/json"), *headers), applied)


def error_answer(
    status: int, message: str | None = None, *, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """A refusal in the documented shape; 401 has one of its own, with an integer status."""
    if status == HTTPStatus.UNAUTHORIZED:
        text = message or "The Team ID or API Key specified is not valid"
        return json_answer(status, {"status": status, "message": text}, headers=headers)
    text = message or _phrase(status)
    return json_answer(status, {"status": "error", "message": text}, headers=headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _is_date(text: str) -> bool:
    try:
        # The round trip refuses the other ISO forms, such as 20260131.
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _read_contact(value: object, *, where: str = "") -> Identify:
    body = Body.of(value, where=where)
    email = body.address("email")
    new_email = body.address("newEmail") if body.text("newEmail") else None
    scalars = {
        attribute: text
        for name, attribute in _SCALARS.items()
        if (text := body.text(name)) is not None
    }
    birthday = body.text("birthday")
    if birthday is not None:
        if not _is_date(birthday):
            raise body.refuse("birthday must be a date, YYYY-MM-DD")
        scalars["birthday"] = birthday
    return Identify(
        email=email,
        new_email=new_email,
        scalars=scalars,
        tags=body.texts("tags"),
        lists=body.texts("lists"),
        custom_fields=body.text_mapping("customFields"),
    )


def _identify(state: State, value: object) -> Mapping[str, object]:
    draft = Draft(state)
    draft.identify(_read_contact(value))
    draft.keep()
    return {"status": "200", "message": "OK"}


def _identify_bulk(state: State, value: object) -> Mapping[str, object]:
    if not isinstance(value, list):
        raise RefusedError(422, f"the body must be an array of contacts, not {json_name(value)}")
    items = cast("list[object]", value)
    if not 1 <= len(items) <= _MOST_BULK_CONTACTS:
        raise RefusedError(422, f"the array must hold 1 to 25 contacts, not {len(items)}")
    draft = Draft(state)
    for index, item in enumerate(items):
        where = f"contact {index}: "
        contact = _read_contact(item, where=where)
        try:
            draft.identify(contact)
        except RefusedError as refused:
            raise RefusedError(refused.status, where + refused.message) from None
    draft.keep()
    return {"status": "success", "message": "All contacts processed successfully"}


def _track(state: State, value: object) -> Mapping[str, object]:
    body = Body.of(value)
    email = body.address("email")
    added, removed = body.texts("addTags"), body.texts("removeTags")
    contact = state.find(email)
    if contact is None:
        raise RefusedError(404, "The contact was not found")
    state.put(attrs.evolve(contact, tags=contact.tags.union(added).difference(removed)))
    return {"status": "200", "message": "OK"}


def _known_contact(contact: Contact | None, body: Body) -> Contact:
    if contact is None:
        raise body.refuse("identifier names no known contact")
    return contact


def _custom_event(state: State, value: object) -> Mapping[str, object]:
    body = Body.of(value)
    identifier, name = body.required_text("identifier"), body.required_text("name")
    data, time = body.mapping("data"), body.whole_number("time")
    contact = _known_contact(state.find(identifier) or state.find_by_id(identifier), body)
    state.events.append(
        ReceivedEvent(
            kind="custom",
            contact_id=contact.id,
            identifier=identifier,
            name=name,
            data=data,
            time=time,
        )
    )
    return {"status": "success", "message": "Custom event tracked successfully"}


def _revenue_event(state: State, value: object) -> Mapping[str, object]:
    body = Body.of(value)
    identifier = body.required_text("identifier")
    amount, source, time = body.number("amount"), body.text("source"), body.whole_number("time")
    if amount is None:
        raise body.refuse("amount is required")
    contact = _known_contact(state.find(identifier), body)
    state.events.append(
        ReceivedEvent(
            kind="revenue",
            contact_id=contact.id,
            identifier=identifier,
            amount=amount,
            source=source,
            time=time,
        )
    )
    return {"status": "success", "message": "Revenue event tracked successfully"}


@attrs.frozen
class _Asked:
    """What is asked of an endpoint: the end of its path, the query, and the body."""

    identifier: str
    query: Mapping[str, str]
    raw: bytes


_Endpoint = Callable[[State, _Asked], object]


def _with_body(function: Callable[[State, object], object]) -> _Endpoint:
    def endpoint(state: State, asked: _Asked) -> object:
        try:
            value = parse_json(asked.raw)
        except ValueError:
            raise RefusedError(400, "The body is not valid JSON") from None
        return function(state, value)

    return endpoint


ENDPOINTS: Mapping[str, Mapping[str, _Endpoint]] = {
    "/contact/identify": {"POST": _with_body(_identify)},
    "/contact/identify/bulk": {"POST": _with_body(_identify_bulk)},
    "/contact/track": {"POST": _with_body(_track)},
    "/events/custom": {"POST": _with_body(_custom_event)},
    "/events/revenue": {"POST": _with_body(_revenue_event)},
    "/contact": {"GET": lambda state, asked: _contacts.listed(state, asked.query)},
    "/contact/{identifier}": {
        "GET": lambda state, asked: _contacts.read(state, asked.identifier),
        "DELETE": lambda state, asked: _contacts.delete(state, asked.identifier),
    },
    "/contact/unsubscribe/{identifier}": {
        "POST": lambda state, asked: _contacts.unsubscribe(state, asked.identifier)
    },
}


def endpoint_of(path: str) -> str:
    """The endpoint that a path is of; if it is of none, the path without the API's prefix."""
    path = path.removeprefix(PREFIX)
    of_an_identifier = path.rpartition("/")[0] + "/{identifier}"
    is_known = path in ENDPOINTS or of_an_identifier not in ENDPOINTS
    return path if is_known else of_an_identifier


def handle(
    state: State,
    *,
    method: str,
    path: str,
    query: str,
    key: str | None,
    accepted: tuple[str, ...],
    raw: bytes,
) -> Answer:
    """Answers one request as SendX would, changing the state if it is a good one.

    Args:
        state: What the server holds.
        method: The HTTP method.
        path: The path, with or without the API's prefix.
        query: The query.
        key: The value of ``X-Team-ApiKey``, or None if it wasn't sent.
        accepted: The values of that header that are let in.
        raw: The body.
    """
    methods = ENDPOINTS.get(endpoint_of(path), {})
    endpoint = methods.get(method)
    if endpoint is None and "POST" not in methods:
        return error_answer(404, f"There is no {path}")
    if endpoint is None:
        return error_answer(405, f"{path} takes POST, not {method}", headers=(("allow", "POST"),))
    if key is None or not any(
        hmac.compare_digest(key.encode(), each.encode()) for each in accepted
    ):
        return error_answer(401)
    asked = _Asked(path.rpartition("/")[2], dict(parse_qsl(query, keep_blank_values=True)), raw)
    try:
        return json_answer(200, endpoint(state, asked), applied=True)
    except RefusedError as refused:
        return error_answer(refused.status, refused.message)
