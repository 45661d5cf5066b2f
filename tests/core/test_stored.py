"""What is stored for a request, and that it can be read again."""

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from sendx_async import (
    CustomEventRequest,
    IdentifyRequest,
    InvalidRequestError,
    OutboxError,
    RevenueEventRequest,
    TrackRequest,
)
from sendx_async._core.protocol import encode, make_request, operation_for
from sendx_async._core.stored import from_stored, stamped, to_stored

NOW = 1_764_000_000.9

REQUESTS: list[Any] = [
    IdentifyRequest("jane@example.com"),
    IdentifyRequest(
        "jane@example.com", first_name="Jané", last_name="", company=None, tags=["a", "b"],
        custom_fields={"Role": "Engineer", "Seats": "++2"}, lists=[], new_email="j@example.com",
        extra={"birthday": "2000-01-02"},
    ),
    TrackRequest(None),
    TrackRequest("jane@example.com", add_tags=["vip"], remove_tags=[], extra={"x": [1, None]}),
    CustomEventRequest("jane@example.com", "signup", data={"plan": {"seats": 2}}, time=17),
    RevenueEventRequest("jane@example.com", 12.5, source="shop", time=datetime.now(tz=UTC)),
]  # fmt: skip


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: type(each).__name__)
def test_a_request_is_read_as_it_was_stored(request_: Any) -> None:
    stored = json.loads(json.dumps(to_stored(request_), allow_nan=False))
    assert from_stored(stored) == request_
    assert type(from_stored(stored)) is type(request_)


def test_the_form_of_version_1_stays_readable() -> None:
    stored = {
        "version": 1,
        "operation": "identify_contact",
        "request": {"email": "jane@example.com", "firstName": "Jane", "tags": ["vip"]},
    }
    request = IdentifyRequest("jane@example.com", first_name="Jane", tags=["vip"])
    assert from_stored(stored) == request
    assert json.loads(json.dumps(to_stored(request))) == stored


@pytest.mark.parametrize(
    "operation,fields",
    [
        ("identify_contact", {"email": "jane@example,com", "newEmail": "mailto:jane@example.com"}),
        ("identify_contact", {"email": "jane@example.com", "newEmail": "jane@example..com"}),
        ("track_contact", {"email": "'jane@example.com'", "addTags": ["vip"]}),
        ("track_contact", {"addTags": ["vip"]}),
        ("track_custom_event", {"identifier": "<jane@example.com>", "name": "n", "time": 1}),
        ("track_revenue_event", {"identifier": "jane@example.com.", "amount": 1, "time": 1}),
    ],
)
def test_what_an_earlier_version_took_is_delivered_as_it_was_stored(
    operation: str, fields: dict[str, Any]
) -> None:
    stored = {"version": 1, "operation": operation, "request": fields}
    request = from_stored(stored)
    assert json.loads(json.dumps(to_stored(request))) == stored
    assert encode(request) == json.dumps(fields, separators=(",", ":")).encode()
    assert stamped(request, now=NOW) is request
    assert pickle.loads(pickle.dumps(request)) == request
    assert make_request(operation_for(request), request) is request


def test_what_is_wrong_with_the_rest_is_told_all_the_same() -> None:
    fields = {"email": "jane@example,com", "firstName": 7}
    stored = {"version": 1, "operation": "identify_contact", "request": fields}
    with pytest.raises(InvalidRequestError, match="first_name must be a str, got int"):
        from_stored(stored)


class TestTime:
    def test_an_event_gets_the_moment_it_was_stored(self) -> None:
        event = stamped(CustomEventRequest("jane@example.com", "signup"), now=NOW)
        assert event == CustomEventRequest("jane@example.com", "signup", time=1_764_000_000)
        revenue = stamped(RevenueEventRequest("jane@example.com", 1), now=NOW)
        assert revenue == RevenueEventRequest("jane@example.com", 1, time=1_764_000_000)

    def test_a_time_that_was_given_is_kept(self) -> None:
        event = CustomEventRequest("jane@example.com", "signup", time=0)
        assert stamped(event, now=NOW) is event

    def test_only_events_have_one(self) -> None:
        request = IdentifyRequest("jane@example.com")
        assert stamped(request, now=NOW) is request


@pytest.mark.parametrize(
    "stored,problem",
    [
        ([], "must be a JSON object, got list"),
        ({}, "version must be 1, got None"),
        ({"version": "1"}, "version must be 1, got str"),
        ({"version": 1}, "operation must be one of identify_contact, track_contact"),
        ({"version": 1, "operation": "drop"}, "operation must be one of"),
        (
            {"version": 1, "operation": "track_contact", "request": "x"},
            "request must be a JSON object, got str",
        ),
        ({"version": 1, "operation": "identify_contact", "request": {}}, "email is missing"),
    ],
)
def test_what_cannot_be_read_is_told(stored: object, problem: str) -> None:
    with pytest.raises(InvalidRequestError, match=problem):
        from_stored(stored)


def test_a_form_of_a_later_version_is_no_fault_of_the_request() -> None:
    with pytest.raises(OutboxError, match=r"form 2, .* reads forms up to 1: upgrade it"):
        from_stored({"version": 2, "something": "new"})
