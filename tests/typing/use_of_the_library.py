"""Typical code of users, for type checkers to read: it is never run.

A line with ``type: ignore[code]`` is a mistake that the checkers have to find; that they find it is
checked by `warn_unused_ignores`.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, assert_type

import httpx
import httpx2
import procrastinate
import psycopg

import sendx_async
from sendx_async import (
    ApiResponse,
    AsyncOutcomeStream,
    AsyncTrackingClient,
    CustomEventRequest,
    Event,
    EventResponse,
    IdentifyRequest,
    IdentifyResponse,
    InvalidRequestError,
    Outcome,
    OutcomeStream,
    Rate,
    RateLimitError,
    RetryPolicy,
    RevenueEventRequest,
    SendXError,
    Timeout,
    TrackingClient,
    TrackRequest,
    TrackResponse,
)
from sendx_async.fastapi import sendx_lifespan
from sendx_async.otel import Telemetry
from sendx_async.outbox import FailedDelivery, Outbox, OutboxEvent
from sendx_async.procrastinate import Deliveries


def models() -> None:
    request = IdentifyRequest(
        "jane@example.com",
        first_name="Jane",
        tags=["new"],
        lists={"list_1"},
        custom_fields={
            "Role": "Boss", "Age": 27, "Vip": True, "Since": date(2026, 1, 1), "Due": Decimal(1),
        },
        extra={"newField": [1, None]},
    )  # fmt: skip
    IdentifyRequest("jane@example.com", tags=(tag for tag in "ab"), first_name=None)
    assert_type(request.email, str)
    assert_type(request.tags, tuple[str, ...] | None)
    assert_type(request.custom_fields, Mapping[str, str] | None)
    assert_type(TrackRequest(None).email, str | None)
    event = CustomEventRequest("jane@example.com", "bought", time=datetime.now(UTC), data={"n": 1})
    assert_type(event.time, int | None)
    RevenueEventRequest("jane@example.com", 5, time=1_700_000_000)
    assert_type(RevenueEventRequest("jane@example.com", Decimal("19.90")).amount, int | float)

    IdentifyRequest()  # type: ignore[call-arg]
    TrackRequest()  # type: ignore[call-arg]
    IdentifyRequest("jane@example.com", "Jane")  # type: ignore[call-arg, arg-type]
    IdentifyRequest("jane@example.com", frist_name="Jane")  # type: ignore[call-arg]
    IdentifyRequest("jane@example.com", first_name=7)  # type: ignore[arg-type]
    IdentifyRequest("jane@example.com", tags=[7])  # type: ignore[list-item]
    IdentifyRequest(None)  # type: ignore[arg-type]
    CustomEventRequest("jane@example.com", "bought", time="today")  # type: ignore[arg-type]
    RevenueEventRequest("jane@example.com", "19.90")  # type: ignore[arg-type]
    request.email = "other@example.com"  # type: ignore[misc]


def clients_to_borrow(either: httpx.AsyncClient | httpx2.AsyncClient | None) -> None:
    AsyncTrackingClient(http_client=httpx2.AsyncClient())
    TrackingClient(http_client=httpx2.AsyncClient())
    AsyncTrackingClient(http_client=either)
    sendx_lifespan(http_client=either)

    AsyncTrackingClient(http_client=httpx.Client())  # type: ignore[arg-type]
    AsyncTrackingClient(http_client=httpx2.Client())  # type: ignore[arg-type]
    TrackingClient(http_client=httpx2.AsyncHTTPTransport())  # type: ignore[arg-type]


async def asynchronously(api_key: str, http_client: httpx.AsyncClient) -> None:
    def listen(event: Event) -> None:
        assert_type(event.delay, float | None)

    async with AsyncTrackingClient(
        api_key,
        base_url="http://127.0.0.1:8025",
        timeout=Timeout(5, connect=1, read=None),
        deadline=None,
        retry=RetryPolicy(5, base=1, cap=10),
        rate=Rate(10, burst=5),
        headers={"X-Trace": "1"},
        http_client=http_client,
        on_event=listen,
    ) as client:
        assert_type(client, AsyncTrackingClient)
        wire = {"email": "jane@example.com", "firstName": "Jane", "customFields": {"Age": 27}}
        response = await client.identify_contact(wire, timeout=2, headers={"X-Trace": "2"})
        assert_type(response, IdentifyResponse)
        assert_type(response.status, str | None)
        assert_type(response.extra, Mapping[str, Any])
        assert_type(
            await client.track_contact(TrackRequest("a@b.co"), deadline=None), TrackResponse
        )
        assert_type(
            await client.track_custom_event({"identifier": "i", "name": "n"}), EventResponse
        )
        assert_type(await client.track_revenue_event(RevenueEventRequest("i", 5)), EventResponse)
        several: list[IdentifyRequest | Mapping[str, Any]] = [IdentifyRequest("a@b.co"), wire]
        assert_type(await client.identify_contacts(several), IdentifyResponse)
        assert_type(await client.identify_contacts([wire]), IdentifyResponse)
        assert_type(await client.identify_contacts(generated()), IdentifyResponse)
        any_response = await client.send(TrackRequest("a@b.co"), retry=RetryPolicy(0))
        assert_type(any_response.message, str | None)

        answer = await client.identify_contact_with_http_info(wire)
        assert_type(answer, ApiResponse[IdentifyResponse])
        assert_type(answer.data, IdentifyResponse)
        data, status, headers = answer
        _ = (data.status, status, headers["content-type"])

        contact = await client.request(
            "GET", "/contact/{identifier}", path_params={"identifier": "jane@example.com"}
        )
        assert_type(contact, ApiResponse[Any])
        await client.request("POST", "/tag", json={"name": "vip"}, replay_safe=True, timeout=2)
        await client.request("GET", "/contact", params={"limit": 5, "search": None})
        await client.request("get", "/contact")  # type: ignore[arg-type]
        await client.request("GET", "/contact", path_params=["a"])  # type: ignore[arg-type]
        await client.request("GET", "/contact", query={"limit": 5})  # type: ignore[call-arg]

        other = client.with_options(api_key="other", timeout=3, on_event=None)
        assert_type(other, AsyncTrackingClient)
        await other.aclose()

        await client.identify_contact("jane@example.com")  # type: ignore[arg-type]
        await client.identify_contact(TrackRequest(None))  # type: ignore[arg-type]
        await client.identify_contact(wire, timout=1)  # type: ignore[call-arg]
        await client.identify_contact(wire, timeout="1")  # type: ignore[arg-type]
        await client.identify_contact(wire, retry=3)  # type: ignore[arg-type]
        client.with_options(max_connections=3)  # type: ignore[call-arg]
        with client:  # type: ignore[attr-defined]
            pass
    AsyncTrackingClient(b"key")  # type: ignore[arg-type]
    AsyncTrackingClient(api_key, "http://127.0.0.1:8025")  # type: ignore[call-arg]
    AsyncTrackingClient(api_key, rate=10)  # type: ignore[arg-type]


def generated() -> Iterator[IdentifyRequest]:
    yield IdentifyRequest("a@b.co")


def synchronously() -> None:
    with TrackingClient(retry=RetryPolicy(0)) as client:
        assert_type(client, TrackingClient)
        assert_type(client.identify_contact({"email": "a@b.co"}), IdentifyResponse)
        assert_type(
            client.track_contact_with_http_info(TrackRequest("a@b.co")), ApiResponse[TrackResponse]
        )
        data, status, headers = client.track_contact_with_http_info({"email": None})
        _ = (data, status, headers)
        assert_type(client.with_options(deadline=5), TrackingClient)
        assert_type(client.request("GET", "/contact"), ApiResponse[Any])
        client.track_contact([])  # type: ignore[arg-type]


def errors(client: TrackingClient) -> None:
    try:
        client.track_custom_event(CustomEventRequest("i", "n"))
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
        assert_type(error.message, str | None)
        assert_type(error.body, bytes)
    except InvalidRequestError as error:
        assert_type(error.problems, tuple[str, ...])
    except sendx_async.DeadlineExceeded as error:
        assert_type(error.last, SendXError | None)
    except SendXError as error:
        assert_type(error.maybe_delivered, bool)
        assert_type(error.call_id, str | None)
    _ = sendx_async.TrakcingClient  # type: ignore[attr-defined]


async def streams(client: AsyncTrackingClient) -> None:
    async def source() -> AsyncIterator[TrackRequest | Mapping[str, Any]]:
        yield TrackRequest("jane@example.com")
        yield {"email": "jane@example.com"}

    async with client.send_many(source(), concurrency=2, patience=None) as outcomes:
        assert_type(outcomes, AsyncOutcomeStream)
        async for outcome in outcomes:
            assert_type(outcome, Outcome)
            assert_type(outcome.index, int)
            assert_type(outcome.error, SendXError | None)
            assert_type(outcome.is_retryable, bool)
            assert_type(SendXError().is_retryable, bool)
    assert_type(outcomes.unsent, tuple[Outcome, ...])
    client.send_many(TrackRequest("jane@example.com"))  # type: ignore[arg-type]
    client.send_many([7])  # type: ignore[list-item]
    client.send_many([], timeout=5)  # type: ignore[call-arg]
    client.with_options(batch_identify=True)


def streams_without_await(
    client: TrackingClient, async_source: AsyncIterator[TrackRequest]
) -> None:
    with client.send_many([IdentifyRequest("jane@example.com")]) as outcomes:
        assert_type(outcomes, OutcomeStream)
        for outcome in outcomes:
            assert_type(outcome, Outcome)
    client.send_many(async_source)  # type: ignore[arg-type]


async def stored(client: AsyncTrackingClient) -> None:
    def listen(event: OutboxEvent) -> None:
        assert_type(event.delivery_id, str | None)

    async with Outbox("outbox.db", synchronous="NORMAL", on_event=listen) as outbox:
        assert_type(await outbox.put(IdentifyRequest("jane@example.com")), str)
        assert_type(outbox.put_sync({"email": "jane@example.com"}, delivery_id="1"), str)
        async with outbox.draining(client, concurrency=4, retry=RetryPolicy(9)):
            stats = outbox.stats()
            assert_type(stats.trouble, str | None)
            assert_type(stats.silent_for, float | None)
        await outbox.drain(client)
        for failed in outbox.failed("dead"):
            assert_type(failed, FailedDelivery)
            outbox.retry([failed.delivery_id])
        assert_type(outbox.purge("jane@example.com"), int)
        outbox.failed("lost")  # type: ignore[arg-type]
        await outbox.put("jane@example.com")  # type: ignore[arg-type]
    Outbox("outbox.db", synchronous="OFF")  # type: ignore[arg-type]


async def deliveries(app: procrastinate.App, own: psycopg.AsyncConnection[Any]) -> None:
    sendx = Deliveries(app, queue="sendx", rescue_after=60)
    assert_type(await sendx.put({"email": "jane@example.com"}, connection=own, key="17"), int)
    assert_type(sendx.put_sync(IdentifyRequest("jane@example.com")), int)
    sendx.put_sync(IdentifyRequest("jane@example.com"), connection=own)  # type: ignore[arg-type]


def telemetry() -> None:
    AsyncTrackingClient(on_event=Telemetry(then=print))
    TrackingClient(on_event=Telemetry())
    Telemetry(then=telemetry)  # type: ignore[arg-type]
