"""Where probes, trouble of the database and what people do by hand meet."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import procrastinate
import psycopg
import pytest
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.testing import InMemoryConnector

from sendx_async import AsyncTrackingClient, CustomEventRequest
from sendx_async._policy.admission import Admission
from sendx_async.procrastinate import Deliveries, _autocommit, _fetching, _job_manager
from sendx_async.procrastinate import _statements as sql
from sendx_async.procrastinate._delivery_job import DeliveryJob
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import (
    LIMIT,
    MakeApp,
    Table,
    all_is_well,
    until,
    worker_of,
    working,
)

WAITING_FOR_A_ROW = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

pytestmark = pytest.mark.asyncio


def break_after(
    monkeypatch: pytest.MonkeyPatch, is_meant: Callable[[str], bool], *, times: float
) -> list[str]:
    """Let statements be carried out whose answers never come; give those, as they come."""
    execute = _autocommit.execute
    broken: list[str] = []

    async def run(connector: BaseConnector, statement: Any, **arguments: Any) -> Any:
        rows = await execute(connector, statement, **arguments)
        if is_meant(statement) and rows and len(broken) < times:
            broken.append(statement)
            raise ConnectorException from psycopg.OperationalError("gone")
        return rows

    monkeypatch.setattr(_autocommit, "execute", run)
    return broken


async def test_an_outage_is_tried_though_something_safe_waits_for_what_tries_it(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    """As when somebody retries an earlier, failed delivery about the contact of an event."""
    app, sendx = make_app()
    async with app.open_async():
        earlier = await sendx.put({"email": "jane@example.com"})
        table.do("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = %s", earlier)
        event = await sendx.put(CustomEventRequest("jane@example.com", "visit"))
        fake_sendx.respond(503, retry_after=1)
        async with working(app):
            await fake_sendx.until(lambda: len(fake_sendx.requests) == 1, LIMIT)
            table.do("UPDATE procrastinate_jobs SET status = 'todo' WHERE id = %s", earlier)
            await fake_sendx.until(lambda: len(fake_sendx.requests) >= 2, LIMIT)
            await table.until(f"id = {event} AND status <> 'doing'", 1)


async def test_what_may_have_been_claimed_is_given_back(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the connection breaks before the database's answer is there."""
    app, sendx = make_app()
    async with app.open_async():
        await sendx.put(CustomEventRequest("jane@example.com", "visit"))
        fake_sendx.respond(503, retry_after=1)
        broken = break_after(monkeypatch, lambda statement: statement == sql.CLAIM, times=1)
        # It has no hand left for what it can only borrow.
        async with working(app, update_heartbeat_interval=0.2, concurrency=1):
            await fake_sendx.until(lambda: len(fake_sendx.requests) == 1, LIMIT)
            safe = await sendx.put({"email": "joe@example.com"})
            await until(lambda: broken)
            await table.until(f"id = {safe} AND status = 'succeeded'", 1)


async def test_what_could_not_be_settled_in_time_is_settled_later(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_job_manager, "_LONGEST_DATABASE_TROUBLE", 0.0)
    execute = _autocommit.execute
    refused: list[Any] = []

    async def run(connector: BaseConnector, statement: Any, **arguments: Any) -> Any:
        if arguments.get("status") == "succeeded" and not refused:
            refused.append(statement)
            raise ConnectorException from psycopg.OperationalError("gone")
        return await execute(connector, statement, **arguments)

    monkeypatch.setattr(_autocommit, "execute", run)
    app, sendx = make_app()
    async with app.open_async():
        await sendx.put({"email": "jane@example.com"})
        async with working(app, update_heartbeat_interval=0.2):
            await table.until("status = 'succeeded'", 1)
    assert len(refused) == len(fake_sendx.requests) == 1


async def test_what_was_settled_though_nobody_heard_is_not_settled_again(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is back in the worker's hands by then, and under way."""
    monkeypatch.setattr(_job_manager, "_SECONDS_BETWEEN_TRIES", 0.5)
    execute = _autocommit.execute
    unheard: list[Any] = []

    async def run(connector: BaseConnector, statement: Any, **arguments: Any) -> Any:
        rows = await execute(connector, statement, **arguments)
        if arguments.get("status") == "todo" and not unheard:
            unheard.append(rows)
            raise ConnectorException from psycopg.OperationalError("gone")
        return rows

    monkeypatch.setattr(_autocommit, "execute", run)
    app, sendx = make_app()
    async with app.open_async():
        await sendx.put(CustomEventRequest("joe@example.com", "visit"))
        fake_sendx.respond(404)
        fake_sendx.black_hole(times=None)
        async with working(app, shutdown_graceful_timeout=0.1):
            await fake_sendx.until(lambda: len(fake_sendx.requests) == 2, LIMIT)
            for _ in range(100):
                assert [row["status"] for row in table.rows("args ? 'sending'")] == ["doing"]
                await asyncio.sleep(0.01)
    assert len(fake_sendx.requests) == 2


async def test_a_delivery_whose_row_is_locked_keeps_no_outage_from_being_tried(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, database: str
) -> None:
    """Its worker has delivered it, can't write that down, and has only events besides."""
    app, sendx = make_app()
    async with app.open_async(), working(app, concurrency=3):
        await all_is_well(sendx, table, fake_sendx)
        is_locked = threading.Event()
        fake_sendx.latency = lambda: 0.0 if is_locked.wait(LIMIT) else 1.0
        with psycopg.connect(database) as other:
            locked = await sendx.put({"email": "locked@example.com"})
            await table.until(f"id = {locked} AND status = 'doing'", 1)
            lock = "SELECT id FROM procrastinate_jobs WHERE id = %s FOR UPDATE"
            other.execute(lock, [locked])
            is_locked.set()
            await until(lambda: table.do(WAITING_FOR_A_ROW))
            fake_sendx.respond(503, retry_after=0, path="custom")
            for number in range(2):
                await sendx.put(CustomEventRequest(f"e{number}@example.com", "visit"))
            await sendx.put({"email": "safe@example.com"})
            await table.until("status IN ('succeeded', 'failed')", 3)
            assert table.rows(f"id = {locked}")[0]["status"] == "doing"
        await table.until("status IN ('succeeded', 'failed')", 4)


async def test_a_job_that_was_fetched_is_run_whatever_becomes_of_the_next_look(
    make_app: MakeApp, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_fetching, "SLOW", 0.0)
    app, sendx = make_app()
    broken = break_after(monkeypatch, lambda statement: "SELECT EXISTS" in statement[:20], times=1)
    async with app.open_async():
        await sendx.put({"email": "jane@example.com"})
        async with working(app):
            await table.until("status = 'succeeded'", 1)
    assert broken


async def test_a_slow_look_in_memory_is_one_that_procrastinates_stand_in_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_fetching, "SLOW", 0.0)
    app = procrastinate.App(connector=InMemoryConnector())
    Deliveries(app)
    ran: list[int] = []

    @app.task(name="own")
    async def own() -> None:
        ran.append(1)

    async with app.open_async():
        await own.defer_async()
        await own.defer_async()
        await app.run_worker_async(wait=False, install_signal_handlers=False)
    assert ran == [1, 1]


async def put_event_and_safe(sendx: Deliveries, fake: FakeSendX) -> tuple[int, int]:
    """Put an event about a contact that SendX knows, and then something that is safe to repeat."""
    async with AsyncTrackingClient(fake.api_key, base_url=fake.url) as client:
        await client.identify_contact({"email": "jane@example.com"})
    event = await sendx.put(CustomEventRequest("jane@example.com", "visit"))
    return event, await sendx.put({"email": "joe@example.com"})


async def test_an_outage_is_tried_with_the_same_again_where_nothing_else_is_left(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    async with app.open_async():
        damaged = await sendx.put({"email": "damaged@example.com"})
        table.do("UPDATE procrastinate_jobs SET args = args - 'request' WHERE id = %s", damaged)
        table.do("UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 day'")
        await put_event_and_safe(sendx, fake_sendx)
        fake_sendx.reset()
        fake_sendx.respond(502, times=None)
        async with working(app, concurrency=1):  # so it has the event only in its hand
            await fake_sendx.until(lambda: len(fake_sendx.requests) >= 3, LIMIT)
        assert {request.json["email"] for request in fake_sendx.requests} == {"joe@example.com"}


async def test_an_event_is_preferred_to_what_sendx_may_always_fail_at(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Admission, "prefers_event", lambda *_: True)  # as after five minutes
    app, sendx = make_app()
    async with app.open_async():
        event, _ = await put_event_and_safe(sendx, fake_sendx)
        async with working(app, concurrency=1):
            await table.until("status = 'succeeded'", 2)
    assert [row["attempts"] for row in table.rows(f"id = {event}")] == [1]
    assert [request.path.rsplit("/")[-1] for request in fake_sendx.requests] == [
        "identify", "custom", "identify",
    ]  # fmt: skip


@pytest.mark.parametrize("is_lost", [True, False])
async def test_what_others_take_at_the_same_moment_tries_no_outage(
    make_app: MakeApp,
    table: Table,
    fake_sendx: FakeSendX,
    monkeypatch: pytest.MonkeyPatch,
    is_lost: bool,
) -> None:
    """Either when it is claimed, or when it is about to be sent."""
    taken: list[int] = []
    execute, confirm = _autocommit.execute, _job_manager.Jobs.confirm

    async def run(connector: BaseConnector, statement: Any, **arguments: Any) -> Any:
        if statement == sql.CLAIM and not is_lost and not taken:
            taken.append(arguments["id"])
            raise UniqueViolation(constraint_name="lock", queueing_lock=None)
        return await execute(connector, statement, **arguments)

    async def confirm_it(jobs: _job_manager.Jobs, delivery: DeliveryJob) -> None:
        if delivery == "identify_contact" and is_lost and not taken:
            taken.append(delivery.job_id)
            back = "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL WHERE id = %s"
            await asyncio.to_thread(table.do, back, delivery.job_id)
            raise delivery.lose()
        await confirm(jobs, delivery)

    monkeypatch.setattr(_autocommit, "execute", run)
    monkeypatch.setattr(_job_manager.Jobs, "confirm", confirm_it)
    app, sendx = make_app()
    async with app.open_async():
        _, safe = await put_event_and_safe(sendx, fake_sendx)
        async with working(app, concurrency=1):
            await table.until("status = 'succeeded'", 2)
    assert taken == [safe]


async def test_a_sign_of_life_in_memory_is_procrastinates_own() -> None:
    app = procrastinate.App(connector=InMemoryConnector())
    Deliveries(app)
    async with app.open_async():
        worker = await app.job_manager.register_worker()
        await app.job_manager.update_heartbeat(worker)
        assert await app.job_manager.prune_stalled_workers(1000) == []
        await app.job_manager.unregister_worker(worker)


async def test_a_probe_that_another_worker_fetches_in_the_same_moment_is_left_to_it(
    make_app: MakeApp, table: Table, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one fetches a later one about the contact: both at once can't be."""
    monkeypatch.setattr(_autocommit, "_LIMIT", f"SET LOCAL lock_timeout = '{LIMIT}s'; ")
    app, sendx = make_app()
    waiting = (
        "SELECT pid FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with app.open_async():
        first, later = [await sendx.put({"email": "jane@example.com"}) for _ in range(2)]
        jobs: Any = app.job_manager
        worker = worker_of(table, 0)
        with psycopg.connect(database) as other:
            fetch = "UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s"
            other.execute(fetch, [later])
            claiming = asyncio.create_task(jobs.claim(first, worker))
            await until(lambda: table.do(waiting))
        assert await claiming is None
        assert await jobs.claim(later, worker) is None
