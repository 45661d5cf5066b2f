"""What the official SDKs get wrong, rows 1 to 8 and 10: the network and the answers."""

import datetime as dt
import math
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sendx_async import (
    ApiError,
    AsyncTrackingClient,
    AttemptTimeout,
    AuthenticationError,
    ConnectError,
    DeadlineExceeded,
    RateLimitError,
    ResponseDecodeError,
    ResponseLost,
    RetryPolicy,
    SendXError,
    Timeout,
    TransportError,
)
from sendx_async.testing import FakeSendX

pytestmark = pytest.mark.slow

JANE = {"email": "jane@example.com"}
REVENUE = {"identifier": "jane@example.com", "amount": 5}
AT_ONCE = RetryPolicy(base=0, cap=0)


@pytest.fixture
def elsewhere() -> Iterator[FakeSendX]:
    """Another host, which must never hear of the key."""
    fake = FakeSendX()
    with fake.serving():
        yield fake


def client_of(fake: FakeSendX, retry: RetryPolicy = AT_ONCE) -> AsyncTrackingClient:
    return AsyncTrackingClient(fake.api_key, base_url=fake.url, retry=retry)


@pytest.mark.asyncio
async def test_row_01_a_silent_server_blocks_nobody_for_ever(fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole(times=None)
    async with client_of(fake_sendx) as client:
        with pytest.raises(AttemptTimeout) as attempt:
            await client.track_revenue_event(REVENUE, timeout=Timeout(30, read=0.1))
        with pytest.raises(DeadlineExceeded) as call:
            await client.identify_contact(JANE, deadline=1)
    assert attempt.value.maybe_delivered
    assert call.value.maybe_delivered
    assert isinstance(call.value, TimeoutError)


@pytest.mark.asyncio
async def test_row_01_a_dripping_server_is_cut_off_at_the_deadline(fake_sendx: FakeSendX) -> None:
    fake_sendx.drip(interval=0.05)
    async with client_of(fake_sendx) as client:
        with pytest.raises(DeadlineExceeded):
            await client.identify_contact(JANE, timeout=Timeout(1000, read=100), deadline=0.4)


def test_row_01_there_are_limits_by_default() -> None:
    timeout = Timeout()
    assert math.isfinite(timeout.total)
    assert timeout.connect is not None
    defaults = AsyncTrackingClient.__init__.__kwdefaults__
    assert defaults is not None
    assert 0 < defaults["timeout"] <= defaults["deadline"] <= 60


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.asyncio
async def test_row_02_passing_trouble_is_retried(fake_sendx: FakeSendX, status: int) -> None:
    fake_sendx.respond(status)
    async with client_of(fake_sendx) as client:
        answer = await client.identify_contact_with_http_info(JANE)
    assert answer.attempts == 2
    assert [request.status for request in fake_sendx.requests] == [status, 200]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.asyncio
async def test_row_02_retry_after_is_honoured(fake_sendx: FakeSendX, status: int) -> None:
    fake_sendx.respond(status, retry_after=0.4)
    async with client_of(fake_sendx) as client:
        await client.identify_contact(JANE)
    first, second = fake_sendx.requests
    assert second.at - first.at >= 0.4


@pytest.mark.asyncio
async def test_row_02_a_date_in_retry_after_is_understood(fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(429, retry_after=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    async with client_of(fake_sendx) as client:
        with pytest.raises(RateLimitError) as caught:
            await client.identify_contact(JANE)  # a wait beyond the deadline is not begun
    assert caught.value.retry_after == pytest.approx(3600, abs=30)
    assert caught.value.attempts == 1


@pytest.mark.asyncio
async def test_row_02_what_may_count_twice_is_not_retried(fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(500)
    async with client_of(fake_sendx) as client:
        with pytest.raises(ApiError) as caught:
            await client.track_revenue_event(REVENUE)
    assert caught.value.maybe_delivered
    assert len(fake_sendx.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.asyncio
async def test_row_03_redirects_are_never_followed(
    fake_sendx: FakeSendX, elsewhere: FakeSendX, status: int, lend: Any
) -> None:
    fake_sendx.redirect(elsewhere.url + "/contact/identify", status=status)
    async with (
        lend(follow_redirects=True) as borrowed,
        AsyncTrackingClient(
            fake_sendx.api_key,
            base_url=fake_sendx.url,
            http_client=borrowed,
        ) as client,
    ):
        with pytest.raises(ApiError, match="never followed") as caught:
            await client.identify_contact(JANE)
    assert caught.value.status_code == status
    assert caught.value.headers["location"].startswith(elsewhere.url)
    assert not caught.value.maybe_delivered
    assert elsewhere.requests == []
    assert elsewhere.connections.accepted == 0
    assert len(fake_sendx.requests) == 1


@pytest.mark.parametrize("location", ["http://[bad", "http://host:port/", "mailto:a@b.co", "", "/"])
@pytest.mark.asyncio
async def test_row_03_a_bad_location_is_a_redirect_all_the_same(
    fake_sendx: FakeSendX, location: str, lend: Any
) -> None:
    fake_sendx.redirect(location, times=None)
    async with (
        lend(follow_redirects=True) as borrowed,
        AsyncTrackingClient(
            fake_sendx.api_key,
            base_url=fake_sendx.url,
            http_client=borrowed,
        ) as client,
    ):
        with pytest.raises(ApiError) as caught:
            await client.identify_contact(JANE)
    assert caught.value.status_code == 307
    assert len(fake_sendx.requests) == 1


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.asyncio
async def test_row_04_a_lost_connection_re_sends_only_what_is_safe(
    fake_sendx: FakeSendX, reset: bool
) -> None:
    async with client_of(fake_sendx) as client:
        await client.identify_contact(JANE)
        fake_sendx.drop(applied=True, reset=reset)
        with pytest.raises(ResponseLost) as caught:
            await client.track_revenue_event(REVENUE)
        assert caught.value.maybe_delivered
        assert len(fake_sendx.events) == 1
        assert len(fake_sendx.requests) == 2
        fake_sendx.drop(applied=True, reset=reset)
        answer = await client.identify_contact_with_http_info(JANE)
    assert answer.attempts == 2
    assert len(fake_sendx.requests) == 4


@pytest.mark.asyncio
async def test_row_04_a_connection_that_idled_out_costs_no_event(fake_sendx: FakeSendX) -> None:
    async with client_of(fake_sendx, RetryPolicy(max_retries=0)) as client:
        await client.identify_contact(JANE)
        fake_sendx.close_connections()
        # Whoever has this answer has also heard that the other connection was closed before.
        async with httpx.AsyncClient() as bystander:
            await bystander.get(fake_sendx.url)
        answer = await client.track_revenue_event_with_http_info(REVENUE)
    assert answer.attempts == 1
    assert len(fake_sendx.events) == 1


@pytest.mark.asyncio
async def test_row_05_odd_successes_are_successes(fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(200, body={"status": 200, "message": "OK"})
    fake_sendx.empty(200)
    async with client_of(fake_sendx) as client:
        assert (await client.identify_contact(JANE)).status == "200"
        assert (await client.identify_contact(JANE)).status is None


@pytest.mark.asyncio
async def test_row_05_an_unreadable_success_is_no_proof_of_anything(
    fake_sendx: FakeSendX, lend: Any
) -> None:
    fake_sendx.html(200)
    fake_sendx.respond(200, body=b"\x1f\x8bnot gzip", headers={"Content-Encoding": "gzip"})
    async with (
        lend() as borrowed,
        AsyncTrackingClient(
            fake_sendx.api_key,
            base_url=fake_sendx.url,
            http_client=borrowed,
        ) as client,
    ):
        for what in ("can't be SendX", "can't be read, since it is encoded"):
            with pytest.raises(ResponseDecodeError, match=what) as caught:
                await client.identify_contact(JANE)
            assert caught.value.maybe_delivered
            assert caught.value.status_code == 200
            assert caught.value.attempts == 1
    assert len(fake_sendx.requests) == 2


@pytest.mark.parametrize("status", [201, 202, 204])
@pytest.mark.asyncio
async def test_row_06_every_2xx_gives_a_response(fake_sendx: FakeSendX, status: int) -> None:
    fake_sendx.respond(status)
    async with client_of(fake_sendx) as client:
        data, status_code, _ = await client.identify_contact_with_http_info(JANE)
    assert data is not None
    assert status_code == status


@pytest.mark.asyncio
async def test_row_07_the_documented_401_is_decoded(fake_sendx: FakeSendX) -> None:
    async with AsyncTrackingClient("another-key", base_url=fake_sendx.url) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.identify_contact(JANE)
    assert caught.value.message == "The Team ID or API Key specified is not valid"
    assert len(fake_sendx.requests) == 1


@pytest.mark.asyncio
async def test_row_08_data_and_unknown_answer_fields_are_kept(fake_sendx: FakeSendX) -> None:
    contact = {"id": "contact_1", "tags": ["a"]}
    fake_sendx.respond(200, body={"status": "200", "data": contact, "requestId": "r1", "new": None})
    async with client_of(fake_sendx) as client:
        response = await client.identify_contact(JANE)
    assert response.data == contact
    assert response.extra == {"requestId": "r1", "new": None}


@pytest.mark.asyncio
async def test_row_10_network_failures_are_one_hierarchy(fake_sendx: FakeSendX, lend: Any) -> None:
    options = {"retry": RetryPolicy(max_retries=0)}
    async with (
        lend() as borrowed,
        AsyncTrackingClient(
            fake_sendx.api_key,
            base_url=fake_sendx.url,
            http_client=borrowed,
            **options,  # type: ignore[arg-type]
        ) as client,
    ):
        with_tls = client.with_options(base_url=fake_sendx.url.replace("http:", "https:"))
        with pytest.raises(ConnectError) as tls:
            await with_tls.identify_contact(JANE)
        fake_sendx.drop()
        with pytest.raises(ResponseLost) as closed:
            await client.identify_contact(JANE)
        fake_sendx.drop(reset=True)
        with pytest.raises(ResponseLost) as reset:
            await client.identify_contact(JANE)
        fake_sendx.black_hole()
        with pytest.raises(AttemptTimeout) as silent:
            await client.identify_contact(JANE, timeout=Timeout(30, read=0.1))
        fake_sendx.stop()
        with pytest.raises(ConnectError) as refused:
            await client.identify_contact(JANE)
    errors: list[SendXError] = [each.value for each in (tls, refused, closed, reset, silent)]
    assert [error.maybe_delivered for error in errors] == [False, False, True, True, True]
    for error in errors:
        assert isinstance(error, TransportError)
        assert not isinstance(error, httpx.HTTPError)
        assert (error.__cause__, error.__context__) == (None, None)
        assert (error.operation, error.attempts) == ("identify_contact", 1)
