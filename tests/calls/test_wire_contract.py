"""What each operation sends: path, headers and body, however it is called."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

import sendx_async
from sendx_async import (
    ApiResponse,
    AsyncTrackingClient,
    CustomEventRequest,
    EventResponse,
    IdentifyRequest,
    IdentifyResponse,
    InvalidRequestError,
    RevenueEventRequest,
    TrackRequest,
    TrackResponse,
)
from sendx_async.testing import FakeSendX

PREFIX = "/api/v1/rest"

MakeClient = Callable[..., AsyncTrackingClient]


class Case(NamedTuple):
    """One operation: how it is called, and what must be sent."""

    method: str
    parameter: str
    path: str
    gives: type[Any]
    request: Any
    mapping: Any
    body: Any


# The fields of an event have the same names in the models and on the wire.
_SIGN_UP = {
    "identifier": "jane@example.com",
    "name": "signup",
    "data": {"plan": "pro"},
    "time": 1_790_000_000,
}
_SALE = {
    "identifier": "jane@example.com",
    "amount": 19.99,
    "source": "shop",
    "time": 1_790_000_000,
}

CASES = [
    Case(
        "identify_contact",
        "identify_request",
        "/contact/identify",
        IdentifyResponse,
        IdentifyRequest("jane@example.com", first_name="Jane", lists=["list_1"], tags=["a"]),
        {"email": "jane@example.com", "first_name": "Jane", "lists": ["list_1"], "tags": ["a"]},
        {"email": "jane@example.com", "firstName": "Jane", "lists": ["list_1"], "tags": ["a"]},
    ),
    Case(
        "track_contact",
        "track_request",
        "/contact/track",
        TrackResponse,
        TrackRequest("jane@example.com", add_tags=["new"], remove_tags=("old",)),
        {"email": "jane@example.com", "add_tags": ["new"], "remove_tags": ("old",)},
        {"email": "jane@example.com", "addTags": ["new"], "removeTags": ["old"]},
    ),
    Case(
        "track_custom_event",
        "custom_event_request",
        "/events/custom",
        EventResponse,
        CustomEventRequest("jane@example.com", "signup", data={"plan": "pro"}, time=1_790_000_000),
        _SIGN_UP,
        _SIGN_UP,
    ),
    Case(
        "track_revenue_event",
        "revenue_event_request",
        "/events/revenue",
        EventResponse,
        RevenueEventRequest("jane@example.com", 19.99, source="shop", time=1_790_000_000),
        _SALE,
        _SALE,
    ),
    Case(
        "identify_contacts",
        "identify_requests",
        "/contact/identify/bulk",
        IdentifyResponse,
        [IdentifyRequest("jane@example.com"), IdentifyRequest("joe@example.com", company="")],
        [{"email": "jane@example.com"}, {"email": "joe@example.com", "company": ""}],
        [{"email": "jane@example.com"}, {"email": "joe@example.com", "company": ""}],
    ),
]

operations = pytest.mark.parametrize("case", CASES, ids=lambda case: case.method)

GOLDEN: dict[str, tuple[Any, str]] = {
    "identify, all fields": (
        IdentifyRequest(
            "jane.smith@company.com",
            first_name="Jane",
            last_name="Smith",
            company="Tech Solutions Inc",
            custom_fields={"Role": "Engineering", "Plan": "Premium"},
            tags=["new_user", "vip"],
            new_email="jane@new.co",
        ),
        (
            '{"email":"jane.smith@company.com","firstName":"Jane","lastName":"Smith",'
            '"company":"Tech Solutions Inc","customFields":{"Role":"Engineering","Plan":"Premium"},'
            '"tags":["new_user","vip"],"newEmail":"jane@new.co"}'
        ),
    ),
    "identify, minimal": (
        IdentifyRequest("john.doe@example.com"),
        '{"email":"john.doe@example.com"}',
    ),
    "identify, optionals None": (
        IdentifyRequest(
            "a@b.co",
            first_name=None,
            last_name=None,
            company=None,
            custom_fields=None,
            tags=None,
            lists=None,
            new_email=None,
        ),
        '{"email":"a@b.co"}',
    ),
    "identify, empties": (
        IdentifyRequest(
            "a@b.co",
            first_name="",
            last_name="",
            company="",
            custom_fields={},
            tags=[],
            new_email="",
        ),
        (
            '{"email":"a@b.co","firstName":"","lastName":"","company":"","customFields":{},"tags":[],'
            '"newEmail":""}'
        ),
    ),
    "track, all": (
        TrackRequest("test@example.com", add_tags=["new", "cool"], remove_tags=["old", "bad"]),
        '{"email":"test@example.com","addTags":["new","cool"],"removeTags":["old","bad"]}',
    ),
    "track, email only": (TrackRequest("test@example.com"), '{"email":"test@example.com"}'),
    "track, empty lists": (
        TrackRequest("test@example.com", add_tags=[], remove_tags=[]),
        '{"email":"test@example.com","addTags":[],"removeTags":[]}',
    ),
    "track, the official example": (TrackRequest(None), "{}"),
}


@operations
@pytest.mark.parametrize("form", ["model", "snake_case", "wire names"])
@pytest.mark.asyncio
async def test_each_operation_posts_its_body_to_its_path(
    fake: FakeSendX, make_client: MakeClient, case: Case, form: str
) -> None:
    fake.respond(200)
    given = {"model": case.request, "snake_case": case.mapping, "wire names": case.body}[form]
    async with make_client() as client:
        response = await getattr(client, case.method)(**{case.parameter: given})
    (request,) = fake.requests
    assert (request.method, request.path) == ("POST", PREFIX + case.path)
    assert request.json == case.body
    assert isinstance(response, case.gives)


@operations
@pytest.mark.asyncio
async def test_each_twin_sends_the_same_and_unpacks(
    fake: FakeSendX, make_client: MakeClient, case: Case
) -> None:
    fake.respond(201, body={"status": "201", "message": "Done"}, headers={"X-Served-By": "a"})
    async with make_client() as client:
        twin = getattr(client, f"{case.method}_with_http_info")
        answer: ApiResponse[Any] = await twin(**{case.parameter: case.request})
    data, status_code, headers = answer
    assert isinstance(data, case.gives)
    assert (data.status, data.message) == ("201", "Done")
    assert status_code == answer.status_code == 201
    assert headers["x-served-by"] == "a"
    assert headers["content-type"] == "application/json"
    assert json.loads(answer.raw_data) == {"status": "201", "message": "Done"}
    assert answer.attempts == 1
    assert answer.elapsed > 0
    assert fake.requests[0].json == case.body


@operations
def test_parameters_are_named_as_in_the_official_documentation(case: Case) -> None:
    for method in (case.method, f"{case.method}_with_http_info"):
        parameters = list(inspect.signature(getattr(AsyncTrackingClient, method)).parameters)
        assert parameters == ["self", case.parameter, "per_call"]


@operations
@pytest.mark.asyncio
async def test_exactly_these_headers_arrive_over_a_socket(
    fake_sendx: FakeSendX, library: Any, case: Case
) -> None:
    fake_sendx.respond(200, times=None)
    options: dict[str, Any] = {"base_url": fake_sendx.url}
    async with AsyncTrackingClient(fake_sendx.api_key, **options) as own:
        await getattr(own, case.method)(case.request)
    async with library.AsyncClient(headers={"X-Of-The-App": "1"}) as borrowed:
        client = AsyncTrackingClient(fake_sendx.api_key, http_client=borrowed, **options)
        await getattr(client, case.method)(case.request)
    for request in fake_sendx.requests:
        assert request.headers == {
            "accept": "application/json",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "x-team-apikey": fake_sendx.api_key,
            "user-agent": f"sendx-async/{sendx_async.__version__}",
            "host": fake_sendx.url.split("/")[2],
            "content-length": str(len(request.raw)),
        }
        assert request.json == case.body


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.asyncio
async def test_golden_requests(fake: FakeSendX, make_client: MakeClient, name: str) -> None:
    model, body = GOLDEN[name]
    fake.respond(200)
    async with make_client() as client:
        await client.send(model)
    assert fake.requests[0].json == json.loads(body)


@pytest.mark.asyncio
async def test_text_outside_of_ascii_arrives_as_it_was(fake_sendx: FakeSendX) -> None:
    name = 'Zoë "Ω" \\ 😀 \u2028'
    async with AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url) as client:
        await client.identify_contact({"email": "zoë@exämple.com", "first_name": name})
    assert fake_sendx.requests[0].json == {"email": "zoë@exämple.com", "firstName": name}


@pytest.mark.asyncio
async def test_extra_fields_travel_beside_the_known_ones(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    async with make_client() as client:
        await client.identify_contact(
            {"email": "jane@example.com", "extra": {"birthday": "1990-05-17"}}
        )
    assert fake.requests[0].json == {"email": "jane@example.com", "birthday": "1990-05-17"}


@pytest.mark.parametrize("case", CASES[:4], ids=lambda case: case.method)
@pytest.mark.asyncio
async def test_send_goes_by_the_type(fake: FakeSendX, make_client: MakeClient, case: Case) -> None:
    fake.respond(200)
    async with make_client() as client:
        response = await client.send(request=case.request)
    assert isinstance(response, case.gives)
    assert fake.requests[0].path == PREFIX + case.path


@pytest.mark.parametrize("given", [None, "jane@example.com", [IdentifyRequest("a@b.co")]])
@pytest.mark.asyncio
async def test_send_refuses_what_has_no_type_of_its_own(
    fake: FakeSendX, make_client: MakeClient, given: Any
) -> None:
    async with make_client() as client:
        with pytest.raises(InvalidRequestError, match="IdentifyRequest, TrackRequest") as caught:
            await client.send(given)
    assert type(given).__name__.replace("NoneType", "None") in str(caught.value)
    assert fake.requests == []


@pytest.mark.parametrize(
    "given,path",
    [
        ({"email": "jane@example.com"}, "/contact/identify"),
        ({"email": "jane@example.com", "tags": ["a"], "extra": {}}, "/contact/identify"),
        ({"email": "jane@example.com", "add_tags": ["a"]}, "/contact/track"),
        ({"email": "jane@example.com", "addTags": ["a"]}, "/contact/track"),
        ({"email": "jane@example.com", "remove_tags": ["a"]}, "/contact/track"),
        ({"email": None, "removeTags": ["a"]}, "/contact/track"),
        ({"identifier": "jane@example.com", "name": "bought"}, "/events/custom"),
        ({"identifier": "jane@example.com", "amount": 5, "source": "a"}, "/events/revenue"),
    ],
)
@pytest.mark.asyncio
async def test_send_tells_mappings_apart_by_their_names(
    fake: FakeSendX, make_client: MakeClient, given: Mapping[str, Any], path: str
) -> None:
    fake.respond(200)
    async with make_client() as client:
        await client.send(given)
    assert fake.requests[0].path == PREFIX + path


@pytest.mark.parametrize(
    "given,words",
    [
        ({"email": "jane@example.com", "amount": 5}, "RevenueEventRequest.*identifier is missing"),
        ({"identifier": "jane"}, "CustomEventRequest.*name is missing"),
        ({"email": "jane@example.com", "add_tags": "a"}, "TrackRequest: add_tags"),
        ({"email": "jane@example.com", "frist_name": "J"}, "did you mean 'first_name'"),
        ({}, "IdentifyRequest: email is missing"),
    ],
)
@pytest.mark.asyncio
async def test_send_names_what_is_wrong_with_a_mapping(
    fake: FakeSendX, make_client: MakeClient, given: Mapping[str, Any], words: str
) -> None:
    async with make_client() as client:
        with pytest.raises(InvalidRequestError, match=words):
            await client.send(given)
    assert fake.requests == []


@pytest.mark.parametrize("case", CASES[:4], ids=lambda case: case.method)
@pytest.mark.parametrize("given", [None, "jane@example.com", 7, [], object()])
@pytest.mark.asyncio
async def test_what_is_no_request_is_refused_before_sending(
    fake: FakeSendX, make_client: MakeClient, case: Case, given: Any
) -> None:
    async with make_client() as client:
        with pytest.raises(InvalidRequestError, match="or a mapping"):
            await getattr(client, case.method)(given)
        wrong = next(other.request for other in CASES[:4] if other.method != case.method)
        with pytest.raises(InvalidRequestError, match=f"got sendx_async.{type(wrong).__name__}$"):
            await getattr(client, case.method)(wrong)
    assert fake.requests == []
