"""Methods of httpx and httpcore that somebody has replaced: each request passes through them.

Which tools do so is another matter, of `test_mocks_and_recorders`: here each kind of replacement is
made by hand, at each place, and lets the request through.
"""

import functools
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import httpcore
import httpx
import pytest
import wrapt

from sendx_async import (
    ApiError,
    AsyncTrackingClient,
    ConnectError,
    ResponseLost,
    RetryPolicy,
    TrackingClient,
)
from sendx_async.testing import FakeSendX

JANE = {"email": "jane@example.com"}
METHOD = "handle_async_request"
MOCKED = b'{"status":"200","message":"not SendX"}'

Seen = list[object]
Original = Callable[..., Any]


def wrapped_like_a_decorator(original: Original, seen: Seen) -> object:
    @functools.wraps(original)  # copies the module, the names and the annotations
    async def replacement(self: Any, request: Any) -> Any:
        seen.append(request)
        return await original(self, request)

    return replacement


def wrapped_without_await(original: Original, seen: Seen) -> object:
    @functools.wraps(original)
    def replacement(self: Any, request: Any) -> Any:
        seen.append(request)
        return original(self, request)

    return replacement


def proxied_by_wrapt(original: Original, seen: Seen) -> object:
    def replacement(wrapped: Original, _instance: object, args: Any, options: Any) -> Any:
        seen.append(args)
        return wrapped(*args, **options)

    # It hands on all attributes, the code and the globals too, and equals the original.
    return wrapt.FunctionWrapper(original, replacement)


def mocked(original: Original, seen: Seen) -> object:
    async def replacement(self: Any, request: Any) -> Any:
        seen.append(request)
        return await original(self, request)

    return mock.create_autospec(original, side_effect=replacement)


def partial(original: Original, seen: Seen) -> object:
    async def replacement(seen: Seen, self: Any, request: Any) -> Any:
        seen.append(request)
        return await original(self, request)

    class Method(functools.partial[Any]):
        def __get__(self, instance: object, owner: type) -> object:
            return functools.partial(self, instance)

    return Method(replacement, seen)


REPLACEMENTS = (
    wrapped_like_a_decorator, wrapped_without_await, proxied_by_wrapt, mocked, partial,
)  # fmt: skip
OWNERS = (httpx.AsyncHTTPTransport, httpcore.AsyncConnectionPool, httpcore.AsyncHTTPConnection)
each_owner = pytest.mark.parametrize("owner", OWNERS)


def client_of(fake: FakeSendX, **options: Any) -> AsyncTrackingClient:
    options = {"retry": RetryPolicy(max_retries=0), **options}
    return AsyncTrackingClient(fake.api_key, base_url=fake.url, **options)


@pytest.mark.asyncio
@pytest.mark.parametrize("replace", REPLACEMENTS)
@each_owner
async def test_who_only_watches_sees_each_request_and_costs_no_connection(
    owner: type, replace: Callable[[Original, Seen], object], fake_sendx: FakeSendX
) -> None:
    seen: Seen = []
    async with client_of(fake_sendx) as client:
        await client.identify_contact(JANE)
        with mock.patch.object(owner, METHOD, replace(getattr(owner, METHOD), seen)):
            await client.identify_contact(JANE)
            await client.identify_contact(JANE)
        await client.identify_contact(JANE)
    assert len(seen) == 2
    assert len(fake_sendx.requests) == 4
    assert fake_sendx.connections.accepted == 1


@pytest.mark.parametrize(
    "method",
    [
        httpx.MockTransport(lambda _: httpx.Response(200, content=MOCKED)).handle_async_request,
        mock.AsyncMock(return_value=httpx.Response(200, content=MOCKED)),
    ],
    ids=["a bound method of httpx's own", "a mock"],
)
def test_what_is_answered_in_the_servers_place_doesnt_reach_it(
    method: object, fake_sendx: FakeSendX
) -> None:
    with (
        mock.patch.object(httpx.AsyncHTTPTransport, METHOD, method),
        TrackingClient("k", base_url=fake_sendx.url) as client,
    ):
        assert client.identify_contact(JANE).message == "not SendX"
    assert fake_sendx.requests == []


def test_another_method_of_httpx_is_a_replacement(fake_sendx: FakeSendX) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=MOCKED)

    with (
        mock.patch.object(httpx.AsyncHTTPTransport, METHOD, vars(httpx.MockTransport)[METHOD]),
        mock.patch.object(httpx.AsyncHTTPTransport, "handler", staticmethod(answer), create=True),
        TrackingClient("k", base_url=fake_sendx.url) as client,
    ):
        assert client.identify_contact(JANE).message == "not SendX"
    assert fake_sendx.requests == []


@pytest.mark.asyncio
async def test_what_a_tool_adds_to_a_request_is_sent(fake_sendx: FakeSendX) -> None:
    original = httpx.AsyncHTTPTransport.handle_async_request

    async def trace(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        request.headers["traceparent"] = "00-1-2-01"
        return await original(self, request)

    async with client_of(fake_sendx) as client:
        with mock.patch.object(httpx.AsyncHTTPTransport, METHOD, trace):
            await client.identify_contact(JANE)
    [request] = fake_sendx.requests
    assert request.headers["traceparent"] == "00-1-2-01"
    assert request.json == JANE


@pytest.mark.asyncio
async def test_a_refused_connection_is_told_as_ever(fake_sendx: FakeSendX) -> None:
    seen: Seen = []
    watched = wrapped_like_a_decorator(httpx.AsyncHTTPTransport.handle_async_request, seen)
    fake_sendx.stop()
    async with client_of(fake_sendx) as client:
        with (
            mock.patch.object(httpx.AsyncHTTPTransport, METHOD, watched),
            pytest.raises(ConnectError) as caught,
        ):
            await client.track_custom_event({"identifier": "jane@example.com", "name": "seen"})
    assert not caught.value.maybe_delivered
    assert len(seen) == 1


# Around `httpx.AsyncClient.send` stand Sentry, Datadog, New Relic and others.


@pytest.mark.asyncio
async def test_a_wrapper_around_send_can_read_the_answer(fake_sendx: FakeSendX) -> None:
    original = httpx.AsyncClient.send
    read: list[object] = []

    async def send(self: httpx.AsyncClient, *args: Any, **options: Any) -> httpx.Response:
        response = await original(self, *args, **options)
        read.append((response.headers["content-type"], await response.aread()))
        return response

    async with client_of(fake_sendx) as client:
        with mock.patch.object(httpx.AsyncClient, "send", send):
            response = await client.identify_contact_with_http_info(JANE)
    assert read == [("application/json", response.raw_data)]
    assert response.data.message == "OK"


@pytest.mark.asyncio
async def test_the_answer_of_a_wrapper_around_send_counts(fake_sendx: FakeSendX) -> None:
    original = httpx.AsyncClient.send

    async def send(self: httpx.AsyncClient, *args: Any, **options: Any) -> httpx.Response:
        await original(self, *args, **options)
        return httpx.Response(418, json={"message": "chaos"})

    async with client_of(fake_sendx) as client:
        with (
            mock.patch.object(httpx.AsyncClient, "send", send),
            pytest.raises(ApiError, match="418"),
        ):
            await client.identify_contact(JANE)


@pytest.mark.asyncio
async def test_httpx_isnt_shown_where_a_redirect_leads(fake_sendx: FakeSendX) -> None:
    fake_sendx.redirect("https://elsewhere.test:port/?jane@example.com")  # httpx fails on it
    seen: list[httpx.Response] = []
    original = httpx.AsyncClient.send

    async def send(self: httpx.AsyncClient, *args: Any, **options: Any) -> httpx.Response:
        seen.append(await original(self, *args, **options))
        return seen[0]

    async with client_of(fake_sendx) as client:
        with (
            mock.patch.object(httpx.AsyncClient, "send", send),
            pytest.raises(ApiError) as caught,
        ):
            await client.identify_contact(JANE)
    assert "location" in caught.value.headers
    assert "location" not in seen[0].headers
    assert seen[0].is_redirect


@pytest.mark.slow
def test_it_doesnt_matter_which_was_imported_first() -> None:
    code = f"""
import functools, httpx

original = httpx.AsyncHTTPTransport.handle_async_request

@functools.wraps(original)
async def answer(self, request):
    return httpx.Response(200, content={MOCKED!r})

httpx.AsyncHTTPTransport.handle_async_request = answer
import sendx_async

with sendx_async.TrackingClient("k", base_url="http://127.0.0.1:9") as client:
    assert client.identify_contact({JANE!r}).message == "not SendX"
    httpx.AsyncHTTPTransport.handle_async_request = original
    try:
        client.identify_contact({JANE!r}, retry=sendx_async.RetryPolicy(max_retries=0))
    except sendx_async.ConnectError:
        print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=150
    )
    assert done.stdout == "refused\n"


@pytest.mark.asyncio
async def test_a_tool_that_cant_reach_another_server_after_the_answer_sends_no_event_again(
    fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = httpx.AsyncClient.send

    async def send_and_report(self: httpx.AsyncClient, *args: Any, **options: Any) -> Any:
        await send(self, *args, **options)
        raise httpx.ConnectError("the collector is away")

    monkeypatch.setattr(httpx.AsyncClient, "send", send_and_report)
    async with AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url) as client:
        with pytest.raises(ResponseLost, match="the collector is away"):
            await client.track_revenue_event({"identifier": "jane@example.com", "amount": 1})
    assert len(fake_sendx.requests) == 1
