"""``client.request``: what arrives at the server, what its answers mean, when it is repeated."""

import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import respx

import sendx_async
from sendx_async import (
    ApiResponse,
    AsyncTrackingClient,
    ConfigurationError,
    DeadlineExceeded,
    Event,
    InvalidRequestError,
    NotFoundError,
    Rate,
    ReportedFailureError,
    ResponseDecodeError,
    ResponseLost,
    RetryPolicy,
    SendXError,
    ServerError,
    TrackingClient,
)
from sendx_async.testing import FakeSendX, InstantClock

JANE = "jane@example.com"
CONTACT = "/contact/{identifier}"
PREFIX = "/api/v1/rest"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

MakeClient = Callable[..., AsyncTrackingClient]
ServeRaw = Callable[..., int]


@pytest_asyncio.fixture(params=["own", "borrowed"])
async def client(
    request: pytest.FixtureRequest, fake_sendx: FakeSendX
) -> AsyncIterator[AsyncTrackingClient]:
    """A client of the fake server over a socket, of both kinds."""
    async with httpx.AsyncClient() as http_client:
        options: dict[str, Any] = {"base_url": fake_sendx.url, "retry": RetryPolicy(base=0, cap=0)}
        if request.param == "borrowed":
            options["http_client"] = http_client
        async with AsyncTrackingClient(fake_sendx.api_key, **options) as client:
            yield client


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.asyncio
async def test_method_path_and_query_arrive_and_headers_fit_the_body(
    client: AsyncTrackingClient, fake_sendx: FakeSendX, method: Any
) -> None:
    fake_sendx.respond(200, body=b"", times=None)
    takes_body = method not in {"GET", "HEAD"}
    await client.request(method, CONTACT, path_params={"identifier": JANE}, params={"a": [1, True]})
    if takes_body:
        await client.request(method, "/contact", json=["é"], headers={"X-Mine": "1"})
    bare, *others = fake_sendx.requests
    assert (bare.method, bare.path, bare.query) == (
        method, f"{PREFIX}/contact/{JANE}", "a=1&a=true",
    )  # fmt: skip
    usual = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "host": fake_sendx.url.split("/")[2],
        "user-agent": f"sendx-async/{sendx_async.__version__}",
        "x-team-apikey": fake_sendx.api_key,
    }
    says_nothing = {"content-length": "0"} if method in {"POST", "PUT", "PATCH"} else {}
    assert (bare.headers, bare.raw) == (usual | says_nothing, b"")
    if takes_body:
        (full,) = others
        about_body = {"content-type": "application/json", "content-length": str(len(full.raw))}
        assert full.headers == usual | about_body | {"x-mine": "1"}
        assert (full.method, full.path, full.json) == (method, f"{PREFIX}/contact", ["é"])


@pytest.mark.asyncio
async def test_what_is_quoted_is_on_the_wire(serve_raw: ServeRaw) -> None:
    lines: list[bytes] = []

    def answer(_bodies: Iterator[bytes], connection: socket.socket) -> None:
        while head := connection.recv(65536):
            lines.append(head.partition(b"\r\n")[0])
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnull")

    url = f"http://127.0.0.1:{serve_raw(answer)}/rest"
    async with (
        httpx.AsyncClient() as http_client,
        AsyncTrackingClient("key", base_url=url) as own,
        AsyncTrackingClient("key", base_url=url, http_client=http_client) as borrowed,
    ):
        for client in (own, borrowed):
            answered = await client.request(
                "GET", CONTACT, path_params={"identifier": "é /?#%2e@x"}, params={"q": "a b@c"}
            )
            assert answered.data is None
    assert lines == [b"GET /rest/contact/%C3%A9%20%2F%3F%23%252e%40x?q=a%20b%40c HTTP/1.1"] * 2


@pytest.mark.parametrize("is_borrowed", [False, True])
@pytest.mark.asyncio
async def test_an_answer_to_head_has_no_body_and_leaves_the_connection_usable(
    serve_raw: ServeRaw, is_borrowed: bool
) -> None:
    connections: list[socket.socket] = []

    def answer(_bodies: Iterator[bytes], connection: socket.socket) -> None:
        connections.append(connection)
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\nx-total: 7\r\n\r\n")

    async with httpx.AsyncClient() as http_client:
        options: dict[str, Any] = {"http_client": http_client} if is_borrowed else {}
        base_url = f"http://127.0.0.1:{serve_raw(answer)}"
        async with AsyncTrackingClient("key", base_url=base_url, **options) as client:
            for _ in range(3):
                answered = await client.request("HEAD", "/contact")
                assert (answered.data, answered.headers["x-total"]) == (None, "7")
    assert len(connections) == 1


@pytest.mark.parametrize(
    "status, body, data",
    [
        (200, b'[{"id": "list_1"}]', [{"id": "list_1"}]),
        (200, b'{"id": 7, "status": 3, "data": null}', {"id": 7, "status": 3, "data": None}),
        (201, b'"created"', "created"),
        (200, b"17", 17),
        (200, b"null", None),
        (200, b"{}", {}),
        (200, b"[]", []),
        (200, b"", None),
        (202, b" \r\n", None),
        (204, b"", None),
        (200, b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    ],
)
@pytest.mark.asyncio
async def test_any_json_is_an_answer_and_an_empty_one_is_none(
    fake: FakeSendX, make_client: MakeClient, status: int, body: bytes, data: object
) -> None:
    fake.respond(status, body=body, headers={"X-Via": "proxy"})
    async with make_client() as client:
        answer = await client.request("GET", "/contact")
    assert isinstance(answer, ApiResponse)
    assert type(answer.data) is type(data)
    assert tuple(answer)[:2] == (data, status)
    assert (answer.headers["x-via"], answer.raw_data, answer.attempts) == ("proxy", body, 1)


def answering(body: bytes) -> Callable[[Iterator[bytes], socket.socket], None]:
    def answer(_bodies: Iterator[bytes], connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    return answer


@pytest.mark.parametrize("is_borrowed", [False, True])
@pytest.mark.asyncio
async def test_a_long_list_is_read_and_one_without_end_is_not(
    serve_raw: ServeRaw, is_borrowed: bool
) -> None:
    html = "x" * 3_000_000
    long, endless = json.dumps([html] * 3).encode(), b"[" + b" " * 17_000_000
    async with httpx.AsyncClient() as http_client:
        options: dict[str, Any] = {"http_client": http_client} if is_borrowed else {}
        for body in (long, endless):
            base_url = f"http://127.0.0.1:{serve_raw(answering(body))}"
            async with AsyncTrackingClient("key", base_url=base_url, **options) as client:
                if body is long:
                    answered = await client.request("GET", "/template/email")
                    assert answered.data == [html] * 3
                    with pytest.raises(ResponseDecodeError, match="can't be SendX") as caught:
                        await client.identify_contact({"email": JANE})
                    assert len(caught.value.body) == 1024 * 1024
                else:
                    with pytest.raises(ResponseDecodeError, match="more than 16,777,216 bytes"):
                        await client.request("GET", "/template/email")


# What successes look like in the OpenAPI document of SendX, September 2025: none reports a failure.
DOCUMENTED_ANSWERS: list[Any] = [
    {"status": "success", "message": "contact  (jane@example.com) has been deleted successfully"},
    {"status": "success", "message": "Revenue postback processed successfully."},
    {"id": "contact_BnKjkbBBS500CoBCP0oChQ", "bounced": False, "dropped": False, "spam": False},
    {"id": "campaign_6h8DnYrHt4KktCnG8PDO5Z", "status": 6, "scheduleType": 0},
    {"id": "post_XyZ123aBc456DeF789GhI", "status": 0, "isPublished": True},
    {"campaignId": "campaign_6h8DnYrHt4KktCnG8PDO5Z", "bounceContactCount": 3, "linkStats": []},
    [{"to": "jane@example.com", "errorCode": 6, "messageId": "m", "message": "no"}],
]


@pytest.mark.parametrize("body", DOCUMENTED_ANSWERS)
@pytest.mark.asyncio
async def test_documented_answers_are_taken_as_they_are(
    fake: FakeSendX, make_client: MakeClient, body: Any
) -> None:
    fake.respond(200, body=body)
    async with make_client() as client:
        assert (await client.request("GET", "/contact")).data == body


@pytest.mark.asyncio
async def test_a_page_is_no_answer(fake: FakeSendX, make_client: MakeClient) -> None:
    fake.html(200)
    async with make_client() as client:
        with pytest.raises(ResponseDecodeError, match="the body is no JSON:") as caught:
            await client.request("DELETE", "/tag/{id}", path_params={"id": 1})
    assert (caught.value.operation, caught.value.maybe_delivered) == ("request", True)


@pytest.mark.asyncio
async def test_a_success_that_reports_a_failure_is_one(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    fake.respond(200, body={"status": "error", "message": "no such plan"})
    async with make_client() as client:
        with pytest.raises(ReportedFailureError, match="no such plan"):
            await client.request("PUT", "/tag/{id}", path_params={"id": 1}, json={"name": "a"})
        # What is inside of a list is the caller's to judge.
        fake.respond(200, body=json.dumps([{"status": "error"}]).encode())
        assert (await client.request("GET", "/tag")).data == [{"status": "error"}]


@pytest.mark.asyncio
async def test_a_refusal_speaks_of_the_path(fake: FakeSendX, make_client: MakeClient) -> None:
    async with make_client() as client:
        with pytest.raises(NotFoundError, match="check path, path_params, base_url") as caught:
            await client.request("GET", CONTACT, path_params={"identifier": JANE})
    assert (caught.value.operation, caught.value.message) == ("request", "Resource not found")


REPEATED = ["GET", "HEAD", "PUT", "DELETE"]


@pytest.mark.parametrize("replay_safe", [None, True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.asyncio
async def test_what_may_have_been_applied_is_repeated_only_where_that_is_safe(
    fake: FakeSendX, make_client: MakeClient, method: Any, replay_safe: bool | None
) -> None:
    fake.respond(500)
    fake.respond(200, body=b"{}")
    is_repeated = method in REPEATED if replay_safe is None else replay_safe
    async with make_client() as client:
        if is_repeated:
            answer = await client.request(method, "/tag", replay_safe=replay_safe)
            assert answer.attempts == 2
        else:
            with pytest.raises(ServerError) as caught:
                await client.request(method, "/tag", replay_safe=replay_safe)
            assert caught.value.maybe_delivered
    assert len(fake.requests) == (2 if is_repeated else 1)


@pytest.mark.asyncio
async def test_what_was_refused_for_now_is_repeated_whatever_it_is(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    fake.respond(429, retry_after=2)
    fake.respond(200, body=b"{}")
    clock = InstantClock()
    events: list[Event] = []
    async with make_client(clock=clock, on_event=events.append) as client:
        answer = await client.request("POST", "/tag", json={"name": "a"})
    assert answer.attempts == 2
    assert [event.kind for event in events if event.delay] == ["paused", "retry_scheduled"]


@pytest.mark.asyncio
async def test_a_lost_answer_to_a_post_is_an_error_that_says_so(
    client: AsyncTrackingClient, fake_sendx: FakeSendX
) -> None:
    fake_sendx.drop(applied=True)
    await client.identify_contact({"email": JANE})
    unsubscribe = ("POST", "/contact/unsubscribe/{identifier}")
    fake_sendx.drop(applied=True)
    with pytest.raises(ResponseLost) as caught:
        await client.request(*unsubscribe, path_params={"identifier": JANE})  # type: ignore[arg-type]
    assert caught.value.maybe_delivered
    assert fake_sendx.contact(JANE).unsubscribed
    fake_sendx.drop(applied=True)
    with pytest.raises(NotFoundError) as missing:
        await client.request("DELETE", CONTACT, path_params={"identifier": JANE})
    assert (missing.value.attempts, missing.value.maybe_delivered) == (2, True)
    assert fake_sendx.contacts == {}


@pytest.mark.asyncio
async def test_options_of_the_call_and_of_the_client_hold(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    fake.respond(503, times=None)
    clock = InstantClock()
    async with make_client(clock=clock, rate=Rate(1)) as client:
        slow = RetryPolicy(9, base=10, cap=10)
        with pytest.raises((DeadlineExceeded, ServerError)) as caught:
            await client.request("GET", "/tag", deadline=20, retry=slow)
        assert isinstance(caught.value, SendXError)
        with pytest.raises(ServerError) as once:
            await client.with_options(retry=RetryPolicy(0)).request("GET", "/tag")
        assert once.value.attempts == 1
        with pytest.raises(TypeError, match="a call has no option 'timout'"):
            await client.request("GET", "/tag", timout=1)  # type: ignore[call-arg]
        with pytest.raises(ConfigurationError, match="replay_safe"):
            await client.request("GET", "/tag", replay_safe=1)  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_what_is_refused_sends_nothing(fake: FakeSendX, make_client: MakeClient) -> None:
    async with make_client() as client:
        with pytest.raises(InvalidRequestError, match=r"request: path_params\['id'\] is missing"):
            await client.request("DELETE", "/tag/{id}")
    assert fake.requests == []


@pytest.mark.asyncio
async def test_events_name_method_and_template(fake: FakeSendX, make_client: MakeClient) -> None:
    events: list[Event] = []
    base_url = "https://sendx.test/api/v1/rest"
    async with make_client(on_event=events.append) as client:
        await client.identify_contact({"email": JANE})
        await client.request("GET", CONTACT, path_params={"identifier": JANE}, params={"q": JANE})
    told = [(event.kind, event.operation, event.method, event.url) for event in events]
    assert told == [
        ("call_started", "identify_contact", "POST", f"{base_url}/contact/identify"),
        ("attempt_finished", "identify_contact", "POST", f"{base_url}/contact/identify"),
        ("call_finished", "identify_contact", "POST", f"{base_url}/contact/identify"),
        ("call_started", "request", "GET", f"{base_url}/contact/{{identifier}}"),
        ("attempt_finished", "request", "GET", f"{base_url}/contact/{{identifier}}"),
        ("call_finished", "request", "GET", f"{base_url}/contact/{{identifier}}"),
    ]


def test_the_synchronous_client_does_the_same(fake_sendx: FakeSendX) -> None:
    with TrackingClient(fake_sendx.api_key, base_url=fake_sendx.url) as client:
        client.identify_contact({"email": JANE, "first_name": "Jane"})
        (found,) = client.request("GET", "/contact", params={"search": JANE}).data
        read = client.request("GET", CONTACT, path_params={"identifier": found["id"]})
        assert (read.data["firstName"], read.status_code) == ("Jane", 200)
        client.request("DELETE", CONTACT, path_params={"identifier": found["id"]})
        with pytest.raises(NotFoundError):
            client.request("GET", CONTACT, path_params={"identifier": found["id"]})


@pytest.mark.parametrize("using", ["httpx", "httpcore"])
@pytest.mark.asyncio
async def test_respx_sees_the_real_request(using: str) -> None:
    async with AsyncTrackingClient("key", base_url="https://sendx.test/rest") as client:
        with respx.mock(using=using) as router:
            route = router.delete(f"https://sendx.test/rest/contact/{JANE}", params={"a": "1"})
            route.respond(200, json={"status": "success"})
            answer = await client.request(
                "DELETE", CONTACT, path_params={"identifier": JANE}, params={"a": 1}
            )
    assert answer.data == {"status": "success"}
    assert route.calls[0].request.content == b""


@pytest.mark.asyncio
async def test_a_mock_transport_sees_the_real_request() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[])

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http_client:
        client = AsyncTrackingClient(
            "key", base_url="https://sendx.test/rest", http_client=http_client
        )
        await client.request("PATCH", CONTACT, path_params={"identifier": JANE}, json={"a": 1})
    (request,) = seen
    assert (request.method, request.url.path) == ("PATCH", f"/rest/contact/{JANE}")
    assert json.loads(request.content) == {"a": 1}
