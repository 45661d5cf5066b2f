"""What is made of each documented answer, and of what proxies and mocks say."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx

import sendx_async
from sendx_async import (
    ApiError,
    AsyncTrackingClient,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ReportedFailureError,
    RetryPolicy,
    ServerError,
    UnprocessableEntityError,
)
from sendx_async.testing import FakeSendX

BASE_URL = "https://sendx.test/api/v1/rest"

MakeClient = Callable[..., AsyncTrackingClient]

CALLS: dict[str, Any] = {
    "identify_contact": {"email": "jane@example.com"},
    "identify_contacts": [{"email": "jane@example.com"}],
    "track_contact": {"email": "jane@example.com"},
    "track_custom_event": {"identifier": "jane@example.com", "name": "signup"},
    "track_revenue_event": {"identifier": "jane@example.com", "amount": 1},
}


@pytest.mark.parametrize(
    "answer, expected",
    [
        ((200, {"status": "200", "message": "OK"}), ("200", "OK", None, {})),
        (
            (200, {"status": "200", "message": "OK", "data": "success"}),
            ("200", "OK", "success", {}),
        ),
        (
            (201, {"status": 201, "message": "OK", "data": {"id": "contact_1"}, "requestId": 7}),
            ("201", "OK", {"id": "contact_1"}, {"requestId": 7}),
        ),
        (
            (200, {"status": "success", "message": "All contacts processed successfully"}),
            ("success", "All contacts processed successfully", None, {}),
        ),
        ((204, b""), (None, None, None, {})),
        ((299, b" \r\n"), (None, None, None, {})),
        ((200, b'\xef\xbb\xbf{"status": "200"}'), ("200", None, None, {})),
    ],
)
@pytest.mark.parametrize("method", CALLS)
@pytest.mark.asyncio
async def test_documented_successes(
    fake: FakeSendX, make_client: MakeClient, method: str, answer: tuple[int, Any], expected: Any
) -> None:
    status, body = answer
    fake.respond(status, body=body)
    async with make_client() as client:
        data = await getattr(client, method)(CALLS[method])
    assert (data.status, data.message, data.data, data.extra) == expected


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.asyncio
async def test_a_success_that_reports_a_failure_is_an_error_with_all_that_came(
    fake: FakeSendX, make_client: MakeClient, method: str
) -> None:
    body = {"status": "error", "message": "quota exceeded"}
    fake.respond(200, body=body, headers={"X-Via": "proxy"})
    async with make_client() as client:
        with pytest.raises(ReportedFailureError, match="quota exceeded") as caught:
            await getattr(client, method)(CALLS[method])
    error = caught.value
    assert (error.status_code, error.headers["x-via"]) == (200, "proxy")
    assert (error.operation, error.attempts, error.maybe_delivered) == (method, 1, True)


async def failure(fake: FakeSendX, make_client: MakeClient, status: int, body: Any) -> ApiError:
    fake.respond(status, body=body, headers={"X-Via": "proxy"})
    async with make_client(retry=RetryPolicy(max_retries=0)) as client:
        with pytest.raises(ApiError) as caught:
            await client.track_contact({"email": "jane@example.com"})
    return caught.value


@pytest.mark.parametrize(
    "status, kind",
    [
        (300, ApiError),
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, ApiError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, ApiError),
        (409, ConflictError),
        (413, ApiError),
        (422, UnprocessableEntityError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
    ],
)
@pytest.mark.asyncio
async def test_each_status_has_its_error(
    fake: FakeSendX, make_client: MakeClient, status: int, kind: type[ApiError]
) -> None:
    error = await failure(fake, make_client, status, {"status": "error", "message": "No"})
    assert type(error) is kind
    assert (error.status_code, error.message) == (status, "No")
    assert error.headers["x-via"] == "proxy"
    assert (error.operation, error.attempts) == ("track_contact", 1)
    assert error.maybe_delivered is (status >= 500)
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize(
    "body, message",
    [
        ({"status": "error", "message": "No such thing"}, "No such thing"),
        ({"status": 401, "message": "The key is not valid"}, "The key is not valid"),
        ({"error": "No such thing"}, "No such thing"),
        ({"error": {"code": 123, "message": "No such thing"}}, "No such thing"),
        (b"<html><body>Bad gateway</body></html>", None),
        (b"upstream connect error", None),
        (b"", None),
        (b'{"message": ', None),
        (b"\xff\xfe\x00", None),
        ({"message": {"email": ["is bad"]}}, None),
    ],
)
@pytest.mark.parametrize("status", [422, 502])
@pytest.mark.asyncio
async def test_each_error_body_is_read(
    fake: FakeSendX, make_client: MakeClient, status: int, body: Any, message: str | None
) -> None:
    error = await failure(fake, make_client, status, body)
    assert (error.status_code, error.message) == (status, message)
    assert error.body == (body if isinstance(body, bytes) else json.dumps(body).encode())
    assert (message or "") in str(error)


@pytest.mark.asyncio
async def test_respx_intercepts_the_own_transport() -> None:
    with respx.mock(base_url="https://api.sendx.io/api/v1/rest") as router:
        route = router.post("/contact/identify").respond(200, json={"status": "200"})
        async with AsyncTrackingClient("team-key") as client:
            response = await client.identify_contact({"email": "jane@example.com"})
            assert response.status == "200"
            route.mock(side_effect=httpx.ConnectError)
            with pytest.raises(sendx_async.ConnectError) as caught:
                await client.identify_contact(
                    {"email": "jane@example.com"}, retry=RetryPolicy(max_retries=0)
                )
            assert not caught.value.maybe_delivered
    sent = route.calls[0].request
    assert json.loads(sent.content) == {"email": "jane@example.com"}
    assert sorted(name.decode() for name, _ in sent.headers.raw) == [
        "Accept",
        "Accept-Encoding",
        "Content-Length",
        "Content-Type",
        "Host",
        "User-Agent",
        "X-Team-ApiKey",
    ]


@pytest.mark.asyncio
async def test_respx_intercepts_a_client_that_has_connections_already(
    fake_sendx: FakeSendX,
) -> None:
    async with AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url) as client:
        await client.identify_contact({"email": "jane@example.com"})
        with respx.mock(base_url=fake_sendx.url) as router:
            route = router.post("/contact/identify").respond(json={"message": "mocked"})
            answer = await client.identify_contact({"email": "ann@example.com"})
            assert answer.message == "mocked"
            assert route.call_count == 1
        await client.identify_contact({"email": "bob@example.com"})
    assert set(fake_sendx.contacts) == {"jane@example.com", "bob@example.com"}


@pytest.mark.asyncio
async def test_respx_intercepts_at_the_level_of_httpx_too() -> None:
    with respx.mock(using="httpx") as router:
        router.post(f"{BASE_URL}/contact/track").respond(404, json={"error": "unknown"})
        async with AsyncTrackingClient("team-key", base_url=BASE_URL) as client:
            with pytest.raises(NotFoundError, match="unknown"):
                await client.track_contact({"email": "jane@example.com"})


@pytest.mark.asyncio
async def test_a_mock_transport_answers_for_the_server(library: Any) -> None:
    seen: list[Any] = []

    def answer(request: Any) -> Any:
        seen.append(request)
        return library.Response(200, json={"status": "200", "message": "OK"})

    async with library.AsyncClient(transport=library.MockTransport(answer)) as http_client:
        client = AsyncTrackingClient("team-key", base_url=BASE_URL, http_client=http_client)
        response = await client.identify_contact({"email": "jane@example.com"})
    assert (response.status, response.message) == ("200", "OK")
    assert str(seen[0].url) == f"{BASE_URL}/contact/identify"
    assert json.loads(seen[0].content) == {"email": "jane@example.com"}
