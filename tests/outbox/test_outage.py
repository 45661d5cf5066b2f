"""An outage of SendX, which nothing may try that must not be sent twice while anything else can."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from sendx_async import (
    AsyncTrackingClient,
    CustomEventRequest,
    IdentifyRequest,
    OutboxError,
    RetryPolicy,
    TrackRequest,
)
from sendx_async._policy.ordering import Message
from sendx_async._policy.recovery import Recovery
from sendx_async.outbox import Outbox
from sendx_async.outbox._journal import Journal
from sendx_async.testing import FakeSendX, InstantClock
from tests.waiting import until

from .waiting import drain

MakeClient = Callable[..., AsyncTrackingClient]
QUICK = RetryPolicy(2, base=0.001, cap=0.01)
HOURS = RetryPolicy(5, base=1.0, cap=60.0)


def events_of(fake: FakeSendX) -> list[object]:
    return [request for request in fake.requests if "/events/" in request.path]


def put_events(outbox: Outbox, client: AsyncTrackingClient, count: int) -> None:
    """Put events about contacts that SendX knows."""
    contacts = [f"known{number}@example.com" for number in range(count)]
    for contact in contacts:
        outbox.put_sync(IdentifyRequest(contact))
    drain(outbox, client)
    for contact in contacts:
        outbox.put_sync(CustomEventRequest(contact, "visit"))


def drain_until(
    outbox: Outbox,
    client: AsyncTrackingClient,
    is_so: Callable[[], object],
    *,
    backend: str = "asyncio",
    retry: RetryPolicy = QUICK,
) -> None:
    """Drain in a loop of its own until something is so, as a process that was started again."""

    async def main() -> None:
        async with client, outbox.draining(client, retry=retry):
            await until(is_so)

    anyio.run(main, backend=backend)


def test_events_before_everything_else_try_no_outage_however_often_a_process_restarts(
    outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
) -> None:
    put_events(outbox, make_client(), 300)
    for number in range(300):
        outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
    fake_sendx.respond(502, times=None)
    before = len(fake_sendx.requests)
    for _ in range(5):
        seen = len(fake_sendx.requests) + 5

        def has_tried(seen: int = seen) -> bool:
            return len(fake_sendx.requests) >= seen

        drain_until(outbox, make_client(), has_tried, backend=backend)
    assert events_of(fake_sendx) == []
    bodies = {str(request.json) for request in fake_sendx.requests[before:]}
    assert len(bodies) >= 5  # not always the same, which might be what SendX fails at
    fake_sendx.recover()
    drain(outbox, make_client(), backend)
    assert len(fake_sendx.events) == 300
    stats = outbox.stats()
    assert (stats.pending, stats.dead, stats.uncertain) == (0, 0, 0)


@pytest.mark.parametrize("others,most", [(0, 12), (1, 11), (3, 0)])
def test_an_hour_of_an_outage_costs_few_events_or_none(
    outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, others: int, most: int
) -> None:
    put_events(outbox, make_client(), 50)
    for number in range(others):
        outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
    fake_sendx.respond(502, times=None)
    clock = InstantClock()
    end = clock.monotonic() + 3600
    drain_until(outbox, make_client(clock=clock), lambda: clock.monotonic() > end, retry=HOURS)
    # A test that is late sees a part of the next hour.
    hours = (clock.monotonic() - end) / 3600 + 1
    assert len(events_of(fake_sendx)) <= most * hours + 1
    assert (len(events_of(fake_sendx)) > 0) == (most > 0)
    fake_sendx.recover()
    drain(outbox, make_client(clock=clock))
    assert outbox.stats().pending == 0


def test_events_alone_are_not_tried_again_by_each_process_that_starts(
    outbox: Outbox,
    path: Path,
    fake_sendx: FakeSendX,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_events(outbox, make_client(), 20)
    fake_sendx.respond(502, times=None)
    looks: list[list[Message]] = []
    take_event = Recovery.take_event

    def look(recovery: Recovery, now: float) -> list[Message]:
        looks.append(take_event(recovery, now))
        return looks[-1]

    monkeypatch.setattr(Recovery, "take_event", look)
    for _ in range(3):
        seen = len(looks)
        drain_until(outbox, make_client(), lambda seen=seen: looks[seen:])  # type: ignore[misc]
    assert len(events_of(fake_sendx)) == 1
    assert outbox.stats().uncertain == 1
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:  # five minutes later
        connection.execute("UPDATE failed SET failed_at = failed_at - 300")
    drain_until(outbox, make_client(), lambda: outbox.stats().uncertain == 2)
    assert len(events_of(fake_sendx)) == 2


def test_what_is_delivered_and_not_written_yet_tries_no_outage(
    path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
) -> None:
    """What follows it about the same contact may be delivered as well."""
    with Outbox(path) as outbox:
        for contact in ("tagged@example.com", "event@example.com"):
            outbox.put_sync(IdentifyRequest(contact))
        drain(outbox, make_client(), backend)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    before = len(fake_sendx.requests)

    def latency() -> float:
        """Keep the file locked from the first tag on; let the event fail after the second one."""
        path, count = fake_sendx.requests[-1].path, len(fake_sendx.requests) - before
        if path.endswith("track") and not other.in_transaction and count < 5:
            other.execute("BEGIN IMMEDIATE")
        return 0.3 if "/events/" in path and count < 5 else 0.0

    fake_sendx.latency = latency
    fake_sendx.respond(429, path="custom", retry_after=0)

    told: list[str] = []

    async def main() -> None:
        with Outbox(path, on_event=lambda event: told.append(event.error or "")) as outbox:
            outbox.put_sync(IdentifyRequest("first@example.com"))
            outbox.put_sync(CustomEventRequest("event@example.com", "visit"))
            outbox.put_sync(TrackRequest("tagged@example.com", add_tags=["vip"]))
            outbox.put_sync(TrackRequest("tagged@example.com", remove_tags=["vip"]))
            client = make_client()
            async with client, outbox.draining(client, concurrency=2, batch_size=1):
                # It has tried for a second to write: time for a probe, if there were one.
                await until(lambda: any("locked" in text for text in told))
                other.execute("ROLLBACK")
                await until(lambda: not outbox.stats().pending)

    anyio.run(main, backend=backend)
    other.close()
    assert fake_sendx.contact("tagged@example.com").tags == frozenset()


def test_what_was_not_read_yet_tries_an_outage_before_an_event(
    outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sendx_async._streams.rules._MOST_READ_FROM_AN_OUTBOX", 4)
    put_events(outbox, make_client(), 30)
    for number in range(3):
        outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
    fake_sendx.respond(502, times=8)
    before = len(fake_sendx.requests)

    async def main() -> None:
        async with make_client() as client:
            await outbox.drain(client, retry=QUICK, concurrency=1, batch_size=1)

    anyio.run(main)
    tried = [request.json for request in fake_sendx.requests[before : before + 8]]
    assert [each["email"] for each in tried] == [f"c{n % 3}@example.com" for n in range(8)]
    assert len(fake_sendx.events) == 30
    assert outbox.failed() == []


def test_what_cannot_be_written_down_at_once_stays_noted(
    path: Path, fake_sendx: FakeSendX, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_down = Journal.write_down
    refused: list[Journal] = []

    async def refuse(journal: Journal) -> None:
        if journal._notes.unsent and not refused:
            refused.append(journal)
            raise OutboxError("the file is locked")
        await write_down(journal)

    monkeypatch.setattr(Journal, "write_down", refuse)
    told: list[str | None] = []
    with Outbox(path, on_event=lambda event: told.append(event.error)) as outbox:
        put_events(outbox, make_client(), 1)
        fake_sendx.respond(429, path="custom")
        drain(outbox, make_client(clock=InstantClock()))
        assert outbox.failed() == []
    assert refused
    assert "OutboxError: the file is locked" in told
    assert len(fake_sendx.events) == 1
