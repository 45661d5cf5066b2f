"""Opening, closing, forgetting, copying and borrowing: what a client does with its connections."""

import asyncio
import contextlib
import gc
import warnings
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest

from sendx_async import (
    AsyncTrackingClient,
    ClientClosedError,
    Clock,
    ConfigurationError,
    InvalidRequestError,
    Rate,
    RetryPolicy,
    SendXError,
)
from sendx_async.testing import FakeSendX

JANE = {"email": "jane@example.com"}

MakeClient = Callable[..., AsyncTrackingClient]


def client_of(fake: FakeSendX, **options: Any) -> AsyncTrackingClient:
    return AsyncTrackingClient(fake.api_key, base_url=fake.url, **options)


def warnings_when_forgotten(clients: list[AsyncTrackingClient]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clients.clear()
        gc.collect()
    return [str(each.message) for each in caught if each.category is ResourceWarning]


@pytest.mark.asyncio
async def test_a_block_opens_and_closes_the_client(fake_sendx: FakeSendX) -> None:
    client = client_of(fake_sendx)
    async with client as opened:
        assert opened is client
        assert "(closed)" not in repr(client)
        await client.identify_contact(JANE)
    assert client.is_closed
    assert "(closed)" in repr(client)
    await fake_sendx.until(lambda: fake_sendx.connections.open == 0)


@pytest.mark.asyncio
async def test_a_block_lets_errors_through_and_closes(fake_sendx: FakeSendX) -> None:
    client = client_of(fake_sendx)

    async def fail_in_a_block() -> None:
        async with client:
            await client.identify_contact(JANE)
            raise LookupError("of the application")

    with pytest.raises(LookupError, match="of the application"):
        await fail_in_a_block()
    assert client.is_closed
    await fake_sendx.until(lambda: fake_sendx.connections.open == 0)


@pytest.mark.asyncio
async def test_closing_twice_and_at_the_same_time_does_no_harm(fake_sendx: FakeSendX) -> None:
    client = client_of(fake_sendx)
    await client.identify_contact(JANE)
    await asyncio.gather(client.aclose(), client.aclose())
    await client.aclose()
    assert client.is_closed


@pytest.mark.asyncio
async def test_a_closed_client_refuses_every_use_before_sending(fake_sendx: FakeSendX) -> None:
    client = client_of(fake_sendx)
    copy = client.with_options(timeout=20)
    await client.aclose()
    calls: list[Callable[[], Any]] = [
        lambda: client.identify_contact(JANE),
        lambda: client.identify_contact_with_http_info(JANE),
        lambda: client.identify_contacts([JANE]),
        lambda: client.track_contact(JANE),
        lambda: client.track_custom_event({"identifier": "contact_1", "name": "signup"}),
        lambda: client.track_revenue_event({"identifier": "contact_1", "amount": 1}),
        lambda: copy.identify_contact(JANE),
        client.__aenter__,
        copy.__aenter__,
    ]
    for call in calls:
        with pytest.raises(ClientClosedError, match="closed") as caught:
            await call()
        assert isinstance(caught.value, RuntimeError)
        assert not caught.value.maybe_delivered
    assert fake_sendx.connections.accepted == 0


@pytest.mark.asyncio
async def test_a_used_client_that_is_forgotten_warns(fake_sendx: FakeSendX) -> None:
    clients = [client_of(fake_sendx)]
    await clients[0].identify_contact(JANE)
    (text,) = warnings_when_forgotten(clients)
    assert "never closed" in text
    assert fake_sendx.api_key not in text


@pytest.mark.asyncio
async def test_a_client_that_only_its_copy_used_warns_too(fake_sendx: FakeSendX) -> None:
    clients = [client_of(fake_sendx)]
    clients.append(clients[0].with_options(timeout=20))
    await clients[1].identify_contact(JANE)
    assert len(warnings_when_forgotten(clients)) == 1


@pytest.mark.asyncio
async def test_nothing_warns_where_nothing_is_left_open(
    fake_sendx: FakeSendX, make_client: MakeClient
) -> None:
    never_used, closed, borrowing = client_of(fake_sendx), client_of(fake_sendx), make_client()
    copy = closed.with_options(timeout=20)
    for client in (closed, copy, borrowing):
        await client.identify_contact(JANE)
    await closed.aclose()
    with pytest.raises(ConfigurationError):
        AsyncTrackingClient("bad\nkey")
    with pytest.raises(InvalidRequestError):
        await never_used.identify_contact({"email": ""})
    clients = [never_used, closed, copy, borrowing]
    del never_used, closed, copy, borrowing, client
    assert warnings_when_forgotten(clients) == []


@pytest.mark.asyncio
async def test_copies_share_connections_and_do_not_close_them(fake_sendx: FakeSendX) -> None:
    async with client_of(fake_sendx) as client:
        await client.identify_contact(JANE)
        async with client.with_options(timeout=20) as copy:
            await copy.with_options(timeout=6).identify_contact(JANE)
        await copy.aclose()
        assert not client.is_closed
        await client.identify_contact(JANE)
        await copy.identify_contact(JANE)
        assert fake_sendx.connections.accepted == 1
    assert copy.is_closed


@pytest.mark.asyncio
async def test_copies_share_the_pace(fake: FakeSendX, make_client: MakeClient) -> None:
    fake.respond(429, retry_after=60)
    async with make_client() as client:
        copy = client.with_options(deadline=5)
        with pytest.raises(SendXError, match="429"):
            await copy.identify_contact(JANE)
        for paused in (client, copy, client.with_options(deadline=4)):
            with pytest.raises(TimeoutError):
                await paused.identify_contact(JANE, deadline=3)
    assert len(fake.requests) == 1


@pytest.mark.asyncio
async def test_copies_share_the_rate(fake: FakeSendX, make_client: MakeClient) -> None:
    async with make_client(rate=Rate(0.01)) as client:
        await client.with_options(deadline=20).identify_contact(JANE)
        with pytest.raises(TimeoutError):
            await client.identify_contact(JANE, deadline=3)
    assert len(fake.requests) == 1


@pytest.mark.asyncio
async def test_copies_share_the_retry_budget(
    fake: FakeSendX, make_client: MakeClient, stopped_clock: Clock
) -> None:
    fake.respond(500, times=None)
    retry = RetryPolicy(max_retries=10, base=0, cap=0, budget=4)
    async with make_client(retry=retry, clock=stopped_clock) as client:
        for each in (client, client.with_options(deadline=20), client.with_options(retry=retry)):
            with pytest.raises(SendXError):
                await each.identify_contact(JANE)
    assert len(fake.requests) == 3 + 4


@pytest.mark.asyncio
async def test_a_borrowed_client_is_used_and_never_closed(
    fake_sendx: FakeSendX, library: Any
) -> None:
    async with library.AsyncClient() as http_client:
        async with client_of(fake_sendx, http_client=http_client) as client:
            await client.identify_contact(JANE)
        assert client.is_closed
        with pytest.raises(ClientClosedError):
            await client.identify_contact(JANE)
        assert not http_client.is_closed
        async with client_of(fake_sendx, http_client=http_client) as another:
            await another.identify_contact(JANE)
        assert fake_sendx.connections.accepted == 1


@pytest.mark.asyncio
async def test_settings_of_a_borrowed_client_do_not_interfere(
    fake_sendx: FakeSendX, library: Any
) -> None:
    fake_sendx.respond(200, headers={"Set-Cookie": "session=1"})
    async with library.AsyncClient(
        auth=("user", "password"),
        cookies={"of": "the-app"},
        headers={"X-Of-The-App": "1", "Accept": "text/html"},
        params={"of": "the-app"},
        follow_redirects=True,
        base_url="http://127.0.0.1:9/elsewhere",
        timeout=0.000001,
    ) as http_client:
        client = client_of(fake_sendx, http_client=http_client)
        await client.identify_contact(JANE)
        await client.identify_contact(JANE)
    for request in fake_sendx.requests:
        assert request.path == "/api/v1/rest/contact/identify"
        assert set(request.headers) == {
            "accept", "accept-encoding", "content-type", "content-length", "host", "user-agent",
            "x-team-apikey",
        }  # fmt: skip
        assert request.headers["accept"] == "application/json"
        assert request.headers["accept-encoding"] == "identity"


@pytest.mark.asyncio
async def test_a_borrowed_client_that_the_application_closed(
    fake_sendx: FakeSendX, library: Any
) -> None:
    async with library.AsyncClient() as http_client:
        client = client_of(fake_sendx, http_client=http_client)
    with pytest.raises(ClientClosedError, match="http_client"):
        await client.identify_contact(JANE)


@pytest.mark.asyncio
async def test_a_hook_of_a_borrowed_client_that_raises_for_a_status(
    fake_sendx: FakeSendX, library: Any
) -> None:
    async def raise_for_status(response: Any) -> None:
        response.raise_for_status()

    fake_sendx.respond(422)
    async with library.AsyncClient(event_hooks={"response": [raise_for_status]}) as http_client:
        client = client_of(fake_sendx, http_client=http_client)
        with pytest.raises(SendXError, match="422"):
            await client.identify_contact(JANE)


class AsyncClient:
    """Another library's client of the same name."""


@pytest.mark.parametrize(
    "wrong,name",
    [
        (httpx.Client, "httpx.Client"),
        (httpx2.Client, "httpx2.Client"),
        (AsyncClient, f"{__name__}.AsyncClient"),
        (httpx2.AsyncHTTPTransport, "httpx2.AsyncHTTPTransport"),
        (object, "object"),
        (lambda: "http", "str"),
        (lambda: httpx.AsyncClient, "type"),
    ],
)
def test_a_wrong_http_client_is_refused_by_its_full_name(
    wrong: Callable[[], Any], name: str
) -> None:
    with contextlib.ExitStack() as stack:
        http_client = wrong()
        if isinstance(http_client, (httpx.Client, httpx2.Client)):
            stack.enter_context(http_client)
        with pytest.raises(ConfigurationError) as caught:
            AsyncTrackingClient("team-key", http_client=http_client)
    expected = "http_client must be an httpx.AsyncClient or an httpx2.AsyncClient, got "
    assert str(caught.value) == expected + name


@pytest.mark.asyncio
async def test_a_call_under_way_ends_although_the_client_is_closed(fake_sendx: FakeSendX) -> None:
    fake_sendx.latency = 0.2
    client = client_of(fake_sendx)
    call = asyncio.create_task(client.identify_contact(JANE))
    await fake_sendx.until(lambda: fake_sendx.requests)
    await client.aclose()
    assert (await call).status == "200"
    await fake_sendx.until(lambda: fake_sendx.connections.open == 0)


@pytest.mark.asyncio
async def test_a_call_that_waits_for_its_retry_is_refused_when_the_client_is_closed(
    fake_sendx: FakeSendX,
) -> None:
    fake_sendx.respond(429, retry_after=0.3)
    client = client_of(fake_sendx)
    call = asyncio.create_task(client.identify_contact(JANE))
    await fake_sendx.until(lambda: fake_sendx.requests and fake_sendx.requests[0].status)
    await client.aclose()
    with pytest.raises(ClientClosedError) as caught:
        await call
    assert caught.value.attempts == 1
    assert not caught.value.maybe_delivered


@pytest.mark.asyncio
async def test_a_call_that_waits_for_its_pace_is_refused_when_the_client_is_closed(
    fake_sendx: FakeSendX,
) -> None:
    client = client_of(fake_sendx, rate=Rate(3))
    await client.identify_contact(JANE)
    call = asyncio.create_task(client.identify_contact(JANE))
    await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await call
    assert len(fake_sendx.requests) == 1


@pytest.mark.asyncio
async def test_a_call_that_waits_at_the_gate_leaves_no_connection_when_the_client_is_closed(
    fake_sendx: FakeSendX,
) -> None:
    fake_sendx.latency = 0.1
    client = client_of(fake_sendx, max_connections=1)
    calls = [asyncio.create_task(client.identify_contact(JANE)) for _ in range(3)]
    await fake_sendx.until(lambda: fake_sendx.requests)
    await client.aclose()
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert not isinstance(outcome, BaseException) or isinstance(outcome, ClientClosedError)
    await fake_sendx.until(lambda: fake_sendx.connections.open == 0)
