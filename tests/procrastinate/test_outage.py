"""SendX in trouble, or refusing the key: workers wait, nothing fails, no attempt is lost."""

import asyncio
import itertools

import attrs
import procrastinate
import psycopg
import pytest

from sendx_async import (
    AsyncTrackingClient,
    ConfigurationError,
    CustomEventRequest,
    RetryPolicy,
)
from sendx_async.procrastinate import Deliveries
from sendx_async.procrastinate._turns import Turns
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import (
    LIMIT,
    QUICK,
    MakeApp,
    Table,
    all_is_well,
    put_contacts,
    until,
    working,
)

pytestmark = pytest.mark.asyncio

WAITING_FOR_A_ROW = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def refuse(fake: FakeSendX, trouble: str) -> None:
    if trouble == "down":
        fake.stop()
    elif trouble == "page":
        fake.html(200, applied=False, times=None)
    elif trouble == "503":
        fake.respond(503, retry_after=0, times=None)
    else:
        fake.respond(int(trouble), times=None)


@pytest.mark.parametrize("trouble", ["down", "503", "429", "500", "302", "page"])
async def test_an_outage_costs_no_attempts_and_few_requests(
    make_app: MakeApp,
    table: Table,
    fake_sendx: FakeSendX,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    # Two contacts may fail many times before a third has its turn, on a busy machine.
    app, sendx = make_app(retry=attrs.evolve(QUICK, max_retries=1000))
    await put_contacts(app, sendx, 12)
    refuse(fake_sendx, trouble)

    def pauses() -> int:
        return caplog.text.count("all deliveries wait")

    async with working(app):
        await until(lambda: pauses() >= 1)
        pauses_before, requests_before = pauses(), len(fake_sendx.requests)
        await until(lambda: pauses() >= pauses_before + 5)
        # One for each pause, besides those that were under way when the first one began.
        in_vain = len(fake_sendx.requests) - requests_before
        assert in_vain <= pauses() - pauses_before + 4
        assert await table.until("attempts = 0 AND status IN ('todo', 'doing')", 12)
        fake_sendx.recover()
        if trouble == "down":
            fake_sendx.start()
        rows = await table.until("status = 'succeeded'", 12)
    assert [row["attempts"] for row in rows] == [1] * 12
    assert len(fake_sendx.contacts) == 12
    assert "SendX answers again" in caplog.text


async def test_an_outage_is_tried_by_one_at_a_time(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    await put_contacts(app, sendx, 8)
    fake_sendx.respond(503, retry_after=0, times=None)
    fake_sendx.latency = 0.05
    async with working(app):
        await fake_sendx.until(lambda: len(fake_sendx.requests) >= 10, LIMIT)
        # Those after the first of each that may be under way; and before SendX is well again.
        moments = [request.at for request in fake_sendx.requests[4:10]]
        fake_sendx.recover()
    assert min(b - a for a, b in itertools.pairwise(moments)) >= 0.05


async def test_an_outage_is_tried_with_what_may_be_sent_twice(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
) -> None:
    app, sendx = make_app()
    async with app.open_async(), working(app, concurrency=8):
        await sendx.put({"email": "jane@example.com"})
        await table.until("status = 'succeeded'", 1)
        fake_sendx.respond(503, retry_after=0)  # an outage at once
        fake_sendx.respond(500, times=None)
        for number in range(3):
            await sendx.put({"email": f"c{number}@example.com"})
        await until(lambda: "all deliveries wait" in caplog.text)
        for _ in range(3):
            await sendx.put(CustomEventRequest("jane@example.com", "visit"))
        await table.until("status = 'doing' AND args->>'operation' ~ 'event'", 1)
        seen = len(fake_sendx.requests)
        await fake_sendx.until(lambda: len(fake_sendx.requests) >= seen + 5, LIMIT)
        fake_sendx.recover()
        await table.until("status = 'succeeded'", 7)
    assert len([r for r in fake_sendx.requests if r.path.endswith("custom")]) == 3


async def test_no_event_tries_an_outage_while_the_failure_that_began_it_awaits_the_database(
    make_app: MakeApp,
    table: Table,
    fake_sendx: FakeSendX,
    database: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, sendx = make_app()
    async with app.open_async(), working(app):
        await all_is_well(sendx, table, fake_sendx)
        fake_sendx.respond(500, retry_after=3600, times=2)
        for number in range(2):
            await sendx.put({"email": f"c{number}@example.com"})
        first_two = await table.until("status = 'todo' AND attempts = 1", 2)
        with psycopg.connect(database) as other:
            lock = "SELECT id FROM procrastinate_jobs WHERE id = ANY(%s) FOR UPDATE"
            other.execute(lock, [[row["id"] for row in first_two]])
            fake_sendx.respond(500, times=None)
            await sendx.put({"email": "c2@example.com"})
            await until(lambda: "all deliveries wait" in caplog.text)
            # It takes attempts back from the other two now, for whose rows it has to wait.
            await until(lambda: table.do(WAITING_FOR_A_ROW))
            await sendx.put(CustomEventRequest("c2@example.com", "visit"), key="event")
            (event,) = await table.until("status = 'doing' AND args->>'operation' ~ 'event'", 1)
            for _ in range(10):  # as long as it would take to be marked and sent
                assert "sending" not in (await table.until(f"id = {event['id']}", 1))[0]["args"]
        fake_sendx.recover()
        await table.until("status = 'succeeded'", 2)
    assert [row["attempts"] for row in table.rows()] == [0, 0, 1, 1]


async def test_no_event_is_sent_if_an_outage_begins_while_it_is_marked(
    make_app: MakeApp,
    table: Table,
    fake_sendx: FakeSendX,
    database: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, sendx = make_app()
    async with app.open_async(), working(app):
        await all_is_well(sendx, table, fake_sendx)
        with psycopg.connect(database) as other:
            # A lock that lets a worker fetch the job, and keeps it from the mark.
            hold_up = (
                "CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$"
            )
            table.do(hold_up)
            table.do(
                "CREATE TRIGGER wait_for_test BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW "
                "WHEN (NEW.args ? 'sending' AND NOT OLD.args ? 'sending') "
                "EXECUTE FUNCTION wait_for_test()"
            )
            other.execute("SELECT pg_advisory_xact_lock(1)")
            event = await sendx.put(CustomEventRequest("jane@example.com", "visit"), key="event")
            fake_sendx.respond(503, retry_after=0, times=None)
            await until(lambda: table.do(WAITING_FOR_A_ROW))
            await sendx.put({"email": "jane@example.com"})
            await until(lambda: "all deliveries wait" in caplog.text)
            other.commit()
            await table.until(f"id = {event} AND status = 'doing' AND NOT args ? 'sending'", 1)
            seen = len(fake_sendx.requests)
            await fake_sendx.until(lambda: len(fake_sendx.requests) >= seen + 5, LIMIT)
            assert not any(r.path.endswith("custom") for r in fake_sendx.requests)
            fake_sendx.recover()
            await table.until("status = 'succeeded'", 2)
    assert len(fake_sendx.events) == 1


async def test_an_outage_is_waited_for_and_tried_by_events_if_there_is_nothing_else(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
) -> None:
    app, sendx = make_app()
    async with app.open_async(), working(app):
        await sendx.put({"email": "jane@example.com"})
        await table.until("status = 'succeeded'", 1)
        fake_sendx.stop()
        await sendx.put(CustomEventRequest("jane@example.com", "visit"))
        await sendx.put(CustomEventRequest("jane@example.com", "visit"), key="other")
        await until(lambda: caplog.text.count("all deliveries wait") >= 4)
        assert not any("sending" in row["args"] for row in table.rows("status = 'todo'"))
        fake_sendx.start()
        await table.until("status = 'succeeded'", 3)
    assert len(fake_sendx.events) == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_keeps_everything(  # noqa: PLR0917 - fixtures
    make_app: MakeApp,
    table: Table,
    fake_sendx: FakeSendX,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    monkeypatch.setattr("sendx_async._policy.admission.SHORTEST_HALT", 0.03)
    monkeypatch.setattr("sendx_async._policy.admission.LONGEST_HALT", 0.1)
    clients: list[AsyncTrackingClient] = []

    def make_client() -> AsyncTrackingClient:
        clients.append(AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url))
        return clients[-1]

    app, sendx = make_app(client=make_client)
    async with app.open_async():
        await sendx.put(CustomEventRequest("contact_1", "visit"))
    await put_contacts(app, sendx, 8)
    fake_sendx.respond(status, times=None)
    async with working(app):
        await fake_sendx.until(lambda: len(fake_sendx.requests) >= 8, LIMIT)
        assert [row["attempts"] for row in table.rows()] == [0] * 9
        assert "nothing can be delivered before somebody acts" in caplog.text
        assert f"HTTP {status}" in caplog.text
        fake_sendx.recover()
        await table.until("status = 'succeeded' OR args ? 'failure'", 9)
    assert len(clients) >= 4  # each try asks for the key anew
    assert all(client.is_closed for client in clients)


async def test_a_client_that_cannot_be_made_keeps_everything(
    make_app: MakeApp,
    table: Table,
    fake_sendx: FakeSendX,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("sendx_async._policy.admission.SHORTEST_HALT", 0.03)
    troubles: list[Exception] = [OSError("no vault for a@b.c"), ConfigurationError("no key")]

    def make_client() -> AsyncTrackingClient:
        if troubles:
            raise troubles.pop()
        return AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url)

    app, sendx = make_app(client=make_client)
    await put_contacts(app, sendx, 1)
    async with working(app):
        (row,) = await table.until("status = 'succeeded'", 1)
    assert row["attempts"] == 1
    assert "no client could be made: ConfigurationError: no key" in caplog.text
    assert "no client could be made: OSError: no vault for a***@b.c" in caplog.text


async def test_a_client_that_somebody_closed_is_replaced(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sendx_async._policy.admission.SHORTEST_HALT", 0.03)
    closed = AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url)
    await closed.aclose()
    clients = [AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url), closed]
    app, sendx = make_app(client=clients.pop)
    await put_contacts(app, sendx, 1)
    async with working(app):
        await table.until("status = 'succeeded'", 1)


async def test_no_more_failures_are_remembered_than_there_is_room_for(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sendx_async.procrastinate._experience._MOST_REMEMBERED", 1)
    app, sendx = make_app(retry=RetryPolicy(12, base=1e6, cap=1e6))
    async with app.open_async(), working(app):
        await all_is_well(sendx, table, fake_sendx)  # else the first failure begins an outage
        fake_sendx.respond(500, times=2)
        for number in range(2):
            await sendx.put({"email": f"c{number}@example.com"})
        await table.until("attempts = 1 AND status = 'todo'", 2)
        due = "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'"
        await asyncio.to_thread(table.do, due)
        await table.until("status = 'succeeded'", 2)


async def put_events(sendx: Deliveries, fake: FakeSendX, count: int) -> None:
    """Put events about contacts that SendX knows."""
    async with AsyncTrackingClient(fake.api_key, base_url=fake.url) as client:
        for number in range(count):
            await client.identify_contact({"email": f"known{number}@example.com"})
            await sendx.put(CustomEventRequest(f"known{number}@example.com", "visit"))


def events_of(fake: FakeSendX) -> list[object]:
    return [request for request in fake.requests if "/events/" in request.path]


async def restarts_in_an_outage(
    app: procrastinate.App, fake: FakeSendX, *, times: int, requests: int
) -> None:
    """Run so many workers, one after the other, each until it has made some more requests."""
    for _ in range(times):
        seen = len(fake.requests)
        async with working(app, concurrency=8):
            await fake.until(lambda seen=seen: len(fake.requests) >= seen + requests, LIMIT)  # type: ignore[misc]


async def test_events_alone_try_an_outage_seldom_however_often_workers_restart(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, sendx = make_app()
    async with app.open_async():
        await put_events(sendx, fake_sendx, 20)
    fake_sendx.respond(502, times=None)
    await restarts_in_an_outage(app, fake_sendx, times=1, requests=1)
    looked: list[float] = []
    put_off_events = Turns.put_off_events

    def put_off(turns: Turns, seconds: float) -> None:
        looked.append(seconds)
        put_off_events(turns, 0.05)  # so that it is asked for again soon

    monkeypatch.setattr(Turns, "put_off_events", put_off)
    for _ in range(3):
        seen = len(looked)
        async with working(app, concurrency=8):
            await until(lambda seen=seen: len(looked) >= seen + 5)  # type: ignore[misc]
    assert {*looked} == {30.0}
    assert len(events_of(fake_sendx)) == 1
    # As five minutes later.
    table.do("UPDATE procrastinate_events SET at = at - interval '300 seconds'")
    async with working(app, concurrency=8):
        await fake_sendx.until(lambda: len(events_of(fake_sendx)) >= 2, LIMIT)
        seen = len(looked)
        await until(lambda: len(looked) >= seen + 5)
    assert len(events_of(fake_sendx)) == 2
    assert table.statuses().count("failed") == 2


async def test_events_wait_for_what_is_safe_to_repeat_in_another_workers_hands(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    async with app.open_async():
        job_id = await sendx.put({"email": "jane@example.com"})
        await put_events(sendx, fake_sendx, 1)
        table.do("INSERT INTO procrastinate_workers(id) OVERRIDING SYSTEM VALUE VALUES (1000)")
        take = "UPDATE procrastinate_jobs SET status = 'doing', worker_id = 1000 WHERE id = %s"
        table.do(take, job_id)
        async with working(app):
            await table.until("status = 'doing'", 2)
            for _ in range(20):
                assert events_of(fake_sendx) == []
                await asyncio.sleep(0)
            table.do("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id = %s", job_id)
            await table.until("status = 'succeeded'", 2)


async def test_events_before_everything_else_try_no_outage_however_often_workers_restart(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    async with app.open_async():
        await put_events(sendx, fake_sendx, 20)
        # Neither is safe to repeat.
        await sendx.put({"email": "a@example.com", "new_email": "b@example.com"}, key="renamed")
        await sendx.put({"email": "counted@example.com", "custom_fields": {"visits": "++1"}})
        for number in range(20):
            await sendx.put({"email": f"c{number}@example.com"})
    fake_sendx.respond(502, times=None)
    await restarts_in_an_outage(app, fake_sendx, times=4, requests=4)
    assert events_of(fake_sendx) == []
    assert {*table.statuses()} == {"todo"}
    assert [row["attempts"] for row in table.rows()] == [0] * 42
    fake_sendx.recover()
    async with working(app):
        await table.until("status = 'succeeded'", 42)
    assert len(fake_sendx.events) == 20
