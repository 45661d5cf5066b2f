"""The synchronous client in one process: calls, threads, running loops, closing."""

import asyncio
import contextvars
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import pytest
import trio

from sendx_async import (
    AttemptTimeout,
    ClientClosedError,
    CustomEventRequest,
    Event,
    IdentifyRequest,
    NotFoundError,
    RetryPolicy,
    RevenueEventRequest,
    TrackingClient,
    TrackRequest,
)
from sendx_async.testing import FakeSendX, InstantClock

JANE = {"email": "jane@example.com"}
MakeClient = Callable[..., TrackingClient]


@pytest.fixture
def make(fake_sendx: FakeSendX) -> Iterator[MakeClient]:
    """Make clients of the fake server that are closed at the end."""
    made: list[TrackingClient] = []

    def make(
        *,
        on_event: Callable[[Event], object] | None = None,
        http_client: httpx.AsyncClient | None = None,
        timeout: float = 10.0,
    ) -> TrackingClient:
        client = TrackingClient(
            fake_sendx.api_key,
            base_url=fake_sendx.url,
            retry=RetryPolicy(0),
            on_event=on_event,
            http_client=http_client,
            timeout=timeout,
        )
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


def test_every_method_reaches_the_server(make: MakeClient, fake_sendx: FakeSendX) -> None:
    client = make()
    client.identify_contact(JANE)
    client.track_contact({**JANE, "add_tags": ["vip"]})
    client.track_custom_event(CustomEventRequest("jane@example.com", "Bought"))
    client.track_revenue_event(RevenueEventRequest("jane@example.com", 5))
    client.identify_contacts([IdentifyRequest("joe@example.com")])
    client.send(TrackRequest("joe@example.com", add_tags=["new"]))
    assert fake_sendx.contact("jane@example.com").tags == {"vip"}
    assert fake_sendx.contact("joe@example.com").tags == {"new"}
    assert len(fake_sendx.events) == 2


def test_every_method_with_http_info_gives_the_status(make: MakeClient) -> None:
    client = make()
    answers = [
        client.identify_contact_with_http_info(JANE),
        client.track_contact_with_http_info({**JANE, "add_tags": ["vip"]}),
        client.track_custom_event_with_http_info(CustomEventRequest("jane@example.com", "Bought")),
        client.track_revenue_event_with_http_info(RevenueEventRequest("jane@example.com", 5)),
        client.identify_contacts_with_http_info([IdentifyRequest("joe@example.com")]),
    ]
    assert [answer.status_code for answer in answers] == [200] * 5


def test_errors_are_those_of_the_asynchronous_client(make: MakeClient) -> None:
    with pytest.raises(NotFoundError) as caught:
        make().track_contact({"email": "nobody@example.com", "add_tags": ["x"]})
    assert caught.value.operation == "track_contact"
    assert caught.value.attempts == 1


def test_options_of_one_call_count(make: MakeClient, fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole()
    with pytest.raises(AttemptTimeout):
        make().identify_contact(JANE, timeout=0.05)


def test_with_options_gives_a_copy_that_shares_connections(
    make: MakeClient, fake_sendx: FakeSendX
) -> None:
    client = make()
    copy = client.with_options(headers={"X-Team": "blue"})
    client.identify_contact(JANE)
    copy.identify_contact(JANE)
    assert [r.headers.get("x-team") for r in fake_sendx.requests] == [None, "blue"]
    assert fake_sendx.connections.accepted == 1
    copy.close()
    assert not client.is_closed
    client.close()
    assert copy.is_closed
    with pytest.raises(ClientClosedError):
        copy.identify_contact(JANE)


def test_many_threads_share_one_client(make: MakeClient, fake_sendx: FakeSendX) -> None:
    client = make()
    with ThreadPoolExecutor(32) as threads:
        for number in range(320):
            threads.submit(client.identify_contact, {"email": f"c{number}@example.com"})
    assert len(fake_sendx.contacts) == 320
    assert fake_sendx.connections.accepted <= 20


def test_all_clients_share_one_thread(fake_sendx: FakeSendX) -> None:
    listening: set[int] = set()
    for _ in range(2):
        with TrackingClient(
            fake_sendx.api_key,
            base_url=fake_sendx.url,
            on_event=lambda _: listening.add(threading.get_ident()),
        ) as client:
            client.identify_contact(JANE)
    assert len(listening) == 1
    assert threading.get_ident() not in listening


def test_the_context_of_the_caller_holds_in_the_call(make: MakeClient) -> None:
    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")
    seen: set[str] = set()

    def listener(event: Event) -> None:
        seen.add(trace.get())

    client = make(on_event=listener)
    trace.set("of the caller")
    client.identify_contact(JANE)
    assert seen == {"of the caller"}


@pytest.mark.parametrize("outer", ["asyncio", "trio"])
def test_a_call_in_a_running_loop_works_and_warns_once(make: MakeClient, outer: str) -> None:
    client = make()

    async def call() -> None:
        with pytest.warns(RuntimeWarning, match="use AsyncTrackingClient") as caught:
            client.identify_contact(JANE)
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            client.identify_contact(JANE)
            client.with_options(timeout=20).identify_contact(JANE)

    # anyio.run sets variables that tell its kind of loop, which must not reach the other loop.
    anyio.run(call, backend=outer)


@pytest.mark.parametrize("outer", ["asyncio", "trio"])
def test_closing_in_a_running_loop_does_not_warn(make: MakeClient, outer: str) -> None:
    client = make()
    client.identify_contact(JANE)

    async def close() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            client.close()

    anyio.run(close, backend=outer)
    assert client.is_closed


def test_a_call_in_a_loop_started_without_anyio_works(make: MakeClient) -> None:
    async def call() -> None:
        with pytest.warns(RuntimeWarning, match="blocks it"):
            make().identify_contact(JANE)

    asyncio.run(call(), debug=True)
    trio.run(call)


def test_a_call_outside_of_a_loop_does_not_warn(make: MakeClient) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make().identify_contact(JANE)


def test_a_call_from_on_event_is_refused_not_deadlocked(make: MakeClient) -> None:
    errors: list[RuntimeError] = []

    def listener(event: Event) -> None:
        for misuse in (lambda: client.identify_contact(JANE), client.close):
            try:
                misuse()
            except RuntimeError as error:
                errors.append(error)

    client = make(on_event=listener)
    client.identify_contact(JANE)
    assert len(errors) == 6
    assert all("in another thread" in str(error) for error in errors)
    assert not client.is_closed


def test_a_listener_that_exits_ends_its_call_and_not_the_loop(make: MakeClient) -> None:
    def listener(event: Event) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        make(on_event=listener).identify_contact(JANE)
    make().identify_contact(JANE)


def test_a_call_after_close_is_refused(make: MakeClient, fake_sendx: FakeSendX) -> None:
    client = make()
    with client as entered:
        assert entered is client
        client.identify_contact(JANE)
    assert client.is_closed
    assert repr(client) == f"<TrackingClient for {fake_sendx.url} (closed)>"
    fake_sendx.wait_for(lambda: fake_sendx.connections.open == 0)
    client.close()
    with pytest.raises(ClientClosedError):
        client.identify_contact(JANE)
    with pytest.raises(ClientClosedError):
        client.__enter__()


def test_the_block_closes_the_client_after_an_error(make: MakeClient) -> None:
    client = make()
    with pytest.raises(ZeroDivisionError), client:
        raise ZeroDivisionError
    assert client.is_closed


def test_a_forgotten_client_warns(fake_sendx: FakeSendX) -> None:
    clients = [TrackingClient(fake_sendx.api_key, base_url=fake_sendx.url)]
    clients[0].identify_contact(JANE)
    with pytest.warns(ResourceWarning, match="never closed"):
        clients.clear()


def test_a_borrowed_client_is_used_and_stays_open(make: MakeClient, library: Any) -> None:
    async def answer(request: Any) -> Any:
        return library.Response(200, json={"status": "200", "message": "from the borrowed one"})

    borrowed = library.AsyncClient(transport=library.MockTransport(answer))
    with make(http_client=borrowed) as client:
        for _ in range(2):
            assert client.identify_contact(JANE).message == "from the borrowed one"
    assert not borrowed.is_closed


def test_nobody_waits_by_an_instant_clock(fake_sendx: FakeSendX) -> None:
    clock = InstantClock()
    fake_sendx.respond(429, retry_after=20)
    with TrackingClient(fake_sendx.api_key, base_url=fake_sendx.url, clock=clock) as client:
        began = clock.monotonic()
        assert client.identify_contact_with_http_info(JANE).attempts == 2
    assert clock.monotonic() - began >= 20
