"""From what a caller gives to models, from models to the JSON on the wire, and back."""

import difflib
import json
from collections import UserDict
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from sendx_async import (
    CustomEventRequest,
    EventResponse,
    IdentifyRequest,
    IdentifyResponse,
    InvalidRequestError,
    RevenueEventRequest,
    TrackRequest,
    TrackResponse,
)
from sendx_async._core.converter import converter, request_from_wire
from sendx_async._core.operations import CUSTOM_EVENT, IDENTIFY, IDENTIFY_BULK, REVENUE_EVENT, TRACK
from sendx_async._core.protocol import encode, make_request

JANE = IdentifyRequest(
    "jane.smith@company.com",
    first_name="Jane",
    last_name="Smith",
    company="Tech Solutions Inc",
    custom_fields={"Role": "Engineering", "Plan": "Premium"},
    tags=["new_user", "vip"],
    new_email="jane@new.co",
)
JANE_ON_THE_WIRE = (
    '{"email":"jane.smith@company.com","firstName":"Jane","lastName":"Smith",'
    '"company":"Tech Solutions Inc","customFields":{"Role":"Engineering","Plan":"Premium"},'
    '"tags":["new_user","vip"],"newEmail":"jane@new.co"}'
)
EMPTIES_ON_THE_WIRE = (
    '{"email":"a@b.co","firstName":"","lastName":"","company":"","customFields":{},'
    '"tags":[],"newEmail":""}'
)


def problems_of(kind: type, given: Mapping[Any, Any]) -> list[str]:
    with pytest.raises(InvalidRequestError) as raised:
        converter().structure(given, kind)
    assert str(raised.value).startswith(f"{kind.__name__}: ")
    return list(raised.value.problems)


@pytest.mark.parametrize(
    "request_, body",
    [
        (JANE, JANE_ON_THE_WIRE),
        (IdentifyRequest("john.doe@example.com"), '{"email":"john.doe@example.com"}'),
        (
            IdentifyRequest("a@b.co", first_name=None, last_name=None, company=None,
                            custom_fields=None, tags=None, new_email=None, lists=None),
            '{"email":"a@b.co"}',
        ),
        (
            IdentifyRequest("a@b.co", first_name="", last_name="", company="", custom_fields={},
                            tags=[], new_email=""),
            EMPTIES_ON_THE_WIRE,
        ),
        (IdentifyRequest("a@b.co", lists=["list_1"]), '{"email":"a@b.co","lists":["list_1"]}'),
        (
            TrackRequest("test@example.com", add_tags=["new", "cool"], remove_tags=["old", "bad"]),
            '{"email":"test@example.com","addTags":["new","cool"],"removeTags":["old","bad"]}',
        ),
        (TrackRequest("test@example.com"), '{"email":"test@example.com"}'),
        (
            TrackRequest("test@example.com", add_tags=[], remove_tags=[]),
            '{"email":"test@example.com","addTags":[],"removeTags":[]}',
        ),
        (TrackRequest(None), "{}"),
        (TrackRequest(None, add_tags=["a"], extra={"email2": 1}), '{"addTags":["a"],"email2":1}'),
        (
            CustomEventRequest("a@b.co", "bought", data={"n": [1, None]},
                               time=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
            '{"identifier":"a@b.co","name":"bought","data":{"n":[1,null]},"time":1700000000}',
        ),
        (CustomEventRequest("c1", "n", data={}, time=0),
         '{"identifier":"c1","name":"n","data":{},"time":0}'),
        (RevenueEventRequest("a@b.co", Decimal("19.90"), source="shop", time=1),
         '{"identifier":"a@b.co","amount":19.9,"source":"shop","time":1}'),
        (RevenueEventRequest("a@b.co", 0), '{"identifier":"a@b.co","amount":0}'),
        (IdentifyRequest("a@b.co", extra={"newField": {"a": True}}),
         '{"email":"a@b.co","newField":{"a":true}}'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_golden_requests(request_: Any, body: str) -> None:
    assert json.loads(encode(request_)) == json.loads(body)


def test_the_bulk_body_is_an_array() -> None:
    body = encode((JANE, IdentifyRequest("a@b.co")))
    assert json.loads(body) == [json.loads(JANE_ON_THE_WIRE), {"email": "a@b.co"}]


def test_a_body_is_ascii_without_blanks() -> None:
    body = encode(IdentifyRequest("a@b.co", first_name="Zoë 🎉"))
    assert body == b'{"email":"a@b.co","firstName":"Zo\\u00eb \\ud83c\\udf89"}'


@pytest.mark.parametrize("kind", [dict, UserDict, MappingProxyType], ids=lambda k: k.__name__)
def test_wire_names_and_model_names_make_the_same_model(kind: Any) -> None:
    wire = json.loads(JANE_ON_THE_WIRE)
    snake = {
        "email": wire["email"], "first_name": "Jane", "last_name": "Smith",
        "company": wire["company"], "custom_fields": wire["customFields"],
        "tags": ("new_user", "vip"), "new_email": "jane@new.co",
    }  # fmt: skip
    assert converter().structure(kind(wire), IdentifyRequest) == JANE
    assert converter().structure(kind(snake), IdentifyRequest) == JANE


@pytest.mark.parametrize(
    "kind, given, key, nearest",
    [
        (IdentifyRequest, {"email": "a@b.co"}, "frist_name", "first_name"),
        (IdentifyRequest, {"email": "a@b.co"}, "firsName", "firstName"),
        (IdentifyRequest, {"email": "a@b.co"}, "Tags", "tags"),
        (IdentifyRequest, {"email": "a@b.co"}, "First Name", "first_name"),
        (IdentifyRequest, {"email": "a@b.co"}, "E-Mail", "email"),
        (TrackRequest, {"email": "a@b.co"}, "add_tag", "add_tags"),
        (CustomEventRequest, {"identifier": "i", "name": "n"}, "dato", "data"),
        (RevenueEventRequest, {"identifier": "i", "amount": 1}, "sorce", "source"),
        (RevenueEventRequest, {"identifier": "i", "amount": 1}, "email", "identifier"),
    ],
)
def test_an_unknown_key_is_refused_naming_the_nearest(
    kind: type, given: dict[str, Any], key: str, nearest: str
) -> None:
    (problem,) = problems_of(kind, {**given, key: "x"})
    assert problem.startswith(f"{key!r} is not a field: did you mean {nearest!r}?")
    assert "extra" in problem


@pytest.mark.parametrize("key", ["zzz", 1, None, ("a",)])
def test_an_unknown_key_that_is_near_to_nothing_lists_the_fields(key: object) -> None:
    (problem,) = problems_of(TrackRequest, {"email": "a@b.co", key: "x"})
    assert "the fields are add_tags, email, extra, remove_tags" in problem


@pytest.mark.parametrize(
    "kind, given, place",
    [
        (IdentifyRequest, {"email": "a@b.co"}, "; fields of your own go in custom_fields; "),
        (CustomEventRequest, {"identifier": "i", "name": "n"}, "; what else belongs to the event"),
        (TrackRequest, {"email": "a@b.co"}, "; fields that this version doesn't know"),
        (RevenueEventRequest, {"identifier": "i", "amount": 1}, "; fields that this version"),
    ],
)
def test_keys_that_are_near_to_nothing_are_named_together_with_where_they_go(
    kind: type, given: dict[str, Any], place: str
) -> None:
    columns = ["seats", "Umsatz", "jane@example.com"]
    (problem,) = problems_of(kind, {**given, **dict.fromkeys(columns, 1)})
    assert problem.startswith("'seats', 'Umsatz', 'j***@example.com' are not fields: the fields")
    assert place in problem


def test_an_unknown_key_shows_no_address_and_not_all_of_itself() -> None:
    (problem,) = problems_of(TrackRequest, {"email": "a@b.co", "jane@example.com": "x"})
    assert "jane" not in problem
    (problem,) = problems_of(TrackRequest, {"email": "a@b.co", "x" * 100_000: "x"})
    assert len(problem) < 1000


def test_both_spellings_of_a_field_are_refused() -> None:
    given = {"email": "a@b.co", "first_name": "Jane", "firstName": "Jane"}
    expected = ["first_name is given twice, as 'first_name' and 'firstName'"]
    assert problems_of(IdentifyRequest, given) == expected
    assert problems_of(IdentifyRequest, dict(reversed(given.items()))) == expected


@pytest.mark.parametrize(
    "kind, missing",
    [
        (IdentifyRequest, ["email"]),
        (TrackRequest, ["email"]),
        (CustomEventRequest, ["identifier", "name"]),
        (RevenueEventRequest, ["identifier", "amount"]),
    ],
)
def test_missing_fields_are_named(kind: type, missing: list[str]) -> None:
    assert problems_of(kind, {}) == [f"{name} is missing" for name in missing]


def test_wrong_keys_missing_fields_and_wrong_values_are_reported_together() -> None:
    problems = problems_of(IdentifyRequest, {"frist_name": "J", "tags": "vip", "lists": [1]})
    assert [problem.split()[0] for problem in problems] == [
        "'frist_name'", "email", "tags", "lists[0]",
    ]  # fmt: skip


def test_what_is_said_of_a_column_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for: list[str] = []
    find = difflib.get_close_matches

    def count(word: str, *given: Any, **options: Any) -> list[str]:
        looked_for.append(word)
        return find(word, *given, **options)

    monkeypatch.setattr(difflib, "get_close_matches", count)
    columns = ["First Nmae", "a column that nobody has read before", "x" * 10_000]
    for number in range(100):
        row = {"email": f"c{number}@example.com", **dict.fromkeys(columns, number)}
        assert len(problems_of(IdentifyRequest, row)) == 2  # one like a field, two like none
    assert looked_for == [column[:40] for column in columns]


def test_a_mapping_carries_extra_too() -> None:
    request = converter().structure({"email": "a@b.co", "extra": {"newField": 1}}, IdentifyRequest)
    assert request == IdentifyRequest("a@b.co", extra={"newField": 1})
    assert problems_of(IdentifyRequest, {"email": "a@b.co", "extra": None}) == [
        "extra must be a mapping, got None"
    ]


def test_none_on_purpose_is_kept_in_a_mapping() -> None:
    assert converter().structure({"email": None}, TrackRequest) == TrackRequest(None)
    given = {"email": "a@b.co", "tags": None}
    assert converter().structure(given, IdentifyRequest) == IdentifyRequest("a@b.co")


@pytest.mark.parametrize(
    "wire, request_",
    [
        (JANE_ON_THE_WIRE, JANE),
        ('{"email":"a@b.co","newField":[1]}', IdentifyRequest("a@b.co", extra={"newField": [1]})),
        ("{}", TrackRequest(None)),
        ('{"extra":{"a":1}}', TrackRequest(None, extra={"extra": {"a": 1}})),
        ('{"identifier":"i","amount":1.5}', RevenueEventRequest("i", 1.5)),
    ],
)
def test_what_went_over_the_wire_comes_back(wire: str, request_: Any) -> None:
    assert request_from_wire(json.loads(wire), type(request_)) == request_
    assert request_from_wire(json.loads(encode(request_)), type(request_)) == request_


def test_what_comes_from_the_wire_is_checked() -> None:
    with pytest.raises(InvalidRequestError, match="email is missing"):
        request_from_wire({}, IdentifyRequest)


@pytest.mark.parametrize("kind", [IdentifyResponse, TrackResponse, EventResponse])
def test_responses_keep_everything(kind: Any) -> None:
    answer = {"status": 200, "message": "OK", "data": {"id": 1}, "score": 7, "_more": [1]}
    assert converter().structure(answer, kind) == kind(
        status="200", message="OK", data={"id": 1}, extra={"score": 7, "_more": [1]}
    )
    assert converter().structure({}, kind) == kind()
    assert converter().structure({"status": None, "message": ["a"]}, kind) == kind(message="['a']")
    assert "status" in answer  # the caller's own object is left alone


def test_the_operations_say_what_is_safe_to_repeat() -> None:
    safe, arithmetic = (
        IdentifyRequest("a@b.co"),
        IdentifyRequest("a@b.co", custom_fields={"a": "++1"}),
    )
    assert IDENTIFY.is_replay_safe(safe)
    assert IDENTIFY.is_replay_safe(IdentifyRequest("a@b.co", custom_fields={"a": "+1", "b": "-1"}))
    assert not IDENTIFY.is_replay_safe(arithmetic)
    assert not IDENTIFY.is_replay_safe(IdentifyRequest("a@b.co", custom_fields={"a": "--1"}))
    for new_email in ("b@b.co", ""):
        assert not IDENTIFY.is_replay_safe(IdentifyRequest("a@b.co", new_email=new_email))
    assert IDENTIFY_BULK.is_replay_safe((safe, safe))
    assert not IDENTIFY_BULK.is_replay_safe((safe, arithmetic))
    assert TRACK.is_replay_safe(TrackRequest("a@b.co", add_tags=["a"], remove_tags=["b"]))
    assert not CUSTOM_EVENT.is_replay_safe(CustomEventRequest("i", "n"))
    assert not REVENUE_EVENT.is_replay_safe(RevenueEventRequest("i", 1))


def test_a_negative_number_is_not_taken_for_arithmetic() -> None:
    request = make_request(IDENTIFY, {"email": "a@b.co", "custom_fields": {"Balance": -5}})
    assert IDENTIFY.is_replay_safe(request)
