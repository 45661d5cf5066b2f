"""Silence, refusals, lost connections, redirects: what a call by hand and the official SDK do."""

import asyncio
import http.client
from typing import Any

import httpcore
import httpx
import pytest
import urllib3
import urllib3.util.connection
from sendx_python_sdk.exceptions import ApiException

from sendx_async import DeadlineExceeded, TrackingClient
from sendx_async.testing import FakeSendX

from .callers import JANE, Official, by_hand, httpx_client, post, unanswered


@pytest.mark.asyncio
async def test_httpx_waits_five_seconds_for_each_read(
    fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float | None] = []
    twenty_reads = asyncio.Event()
    connect = httpcore.AnyIOBackend.connect_tcp

    async def connecting(backend: Any, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        stream = await connect(backend, *args, **options)
        read = stream.read

        async def reading(max_bytes: int, timeout: float | None = None) -> bytes:
            limits.append(timeout)
            if len(limits) == 20:
                twenty_reads.set()
            return await read(max_bytes, timeout)

        monkeypatch.setattr(stream, "read", reading)
        return stream

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connecting)
    fake_sendx.drip(interval=0.01)
    call = asyncio.create_task(by_hand(fake_sendx))
    await asyncio.wait_for(twenty_reads.wait(), 50)
    assert not call.done()  # no limit holds for the whole
    assert set(limits) == {5.0}
    call.cancel()
    await asyncio.wait([call])


@pytest.mark.asyncio
async def test_httpx_ends_a_silence(fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole()
    async with httpx_client(fake_sendx) as client:
        assert client.timeout == httpx.Timeout(5)
        timeout = httpx.Timeout(30, read=0.1)
        with pytest.raises(httpx.ReadTimeout):
            await client.post(f"{fake_sendx.url}/contact/identify", json=JANE, timeout=timeout)


def test_the_official_sdk_waits_without_a_limit(
    fake_sendx: FakeSendX, official: Official, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float | None] = []
    get = http.client.HTTPConnection.getresponse

    def getting(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        limits.append(connection.sock.gettimeout())
        return get(connection)

    monkeypatch.setattr(http.client.HTTPConnection, "getresponse", getting)
    with unanswered(official, fake_sendx) as call:
        fake_sendx.black_hole()
        with (
            TrackingClient(fake_sendx.api_key, base_url=fake_sendx.url, deadline=0.2) as ours,
            pytest.raises(DeadlineExceeded),
        ):
            ours.identify_contact(JANE)
        assert not call.done()
        assert limits == [None]  # of the socket on which it waits
    assert isinstance(call.exception(), urllib3.exceptions.ProtocolError)


def test_the_official_sdk_takes_a_limit_for_a_call(
    fake_sendx: FakeSendX, official: Official
) -> None:
    fake_sendx.black_hole()
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        official.identify(_request_timeout=(30, 0.1))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.asyncio
async def test_httpx_repeats_nothing(fake_sendx: FakeSendX, status: int) -> None:
    fake_sendx.respond(status, retry_after=1)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        await by_hand(fake_sendx)
    assert caught.value.response.headers["retry-after"] == "1"
    assert len(fake_sendx.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_the_official_sdk_repeats_nothing(
    fake_sendx: FakeSendX, official: Official, status: int
) -> None:
    fake_sendx.respond(status, retry_after=1)
    with pytest.raises(ApiException) as caught:
        official.identify()
    assert caught.value.status == status
    headers: Any = caught.value.headers
    assert headers["retry-after"] == "1"
    assert len(fake_sendx.requests) == 1


@pytest.mark.asyncio
async def test_errors_of_httpx_differ_in_type_only(
    fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_sendx.drop(applied=True)
    with pytest.raises(httpx.RemoteProtocolError) as closed:
        await by_hand(fake_sendx)
    fake_sendx.drop(applied=True, reset=True)
    with pytest.raises(httpx.ReadError) as reset:
        await by_hand(fake_sendx)
    assert len(fake_sendx.requests) == 2
    fake_sendx.stop()
    tries = counted(monkeypatch, httpcore.AnyIOBackend, "connect_tcp")
    with pytest.raises(httpx.ConnectError) as refused:
        await by_hand(fake_sendx)
    assert len(tries) == 1
    for error in (closed.value, reset.value, refused.value):
        assert set(vars(error)) == {"_request"}


def test_errors_of_the_official_sdk_are_those_of_urllib3(
    fake_sendx: FakeSendX, official: Official, monkeypatch: pytest.MonkeyPatch
) -> None:
    for reset in (False, True):
        fake_sendx.drop(applied=True, reset=reset)
        with pytest.raises(urllib3.exceptions.ProtocolError) as lost:
            official.identify()
        assert vars(lost.value) == {}
    assert len(fake_sendx.requests) == 2
    fake_sendx.stop()
    tries = counted(monkeypatch, urllib3.util.connection, "create_connection")
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        official.identify()
    assert len(tries) == 4


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[object]:
    """Let a function note each of its calls, and return the list of them."""
    calls: list[object] = []
    original: Any = getattr(owner, name)

    def noting(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return original(*args, **options)

    monkeypatch.setattr(owner, name, noting)
    return calls


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.asyncio
async def test_httpx_follows_no_redirect(
    fake_sendx: FakeSendX, elsewhere: FakeSendX, status: int
) -> None:
    fake_sendx.redirect(f"{elsewhere.url}/contact/identify", status=status)
    with pytest.raises(httpx.HTTPStatusError):
        await by_hand(fake_sendx)
    assert elsewhere.connections.accepted == 0


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_official_sdk_takes_key_and_contact_to_another_host(
    fake_sendx: FakeSendX, elsewhere: FakeSendX, official: Official, status: int
) -> None:
    fake_sendx.redirect(f"{elsewhere.url}/contact/identify", status=status)
    assert official.identify().status == "200"
    (received,) = elsewhere.requests
    assert received.headers["x-team-apikey"] == fake_sendx.api_key
    assert received.json == JANE


@pytest.mark.asyncio
async def test_a_cancelled_call_can_cost_httpx_a_connection(fake_sendx: FakeSendX) -> None:
    options = {
        "limits": httpx.Limits(max_connections=1),
        "timeout": httpx.Timeout(30, pool=0.2),  # a free place is had at once
    }
    lost = 0
    for turns in range(60):
        async with httpx_client(fake_sendx, **options) as client:
            calls = [asyncio.create_task(post(client, fake_sendx, JANE)) for _ in range(4)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
            try:
                await post(client, fake_sendx, JANE)
            except httpx.PoolTimeout:
                lost += 1
                break
    assert lost


@pytest.mark.asyncio
async def test_a_call_of_the_official_sdk_goes_on_when_it_is_cancelled(
    fake_sendx: FakeSendX, official: Official
) -> None:
    with unanswered(official, fake_sendx) as call:
        awaited = asyncio.wrap_future(call)
        awaited.cancel()
        await asyncio.wait([awaited])
        # Whoever has this answer would also have heard that the other one had gone away.
        await by_hand(fake_sendx)
        assert call.running()
        assert not fake_sendx.requests[0].disconnected
