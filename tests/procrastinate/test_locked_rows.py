"""Rows that a dead session keeps locked: a frozen worker's, or one whose machine is gone."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sendx_async import CustomEventRequest
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import (
    MakeApp,
    Table,
    give,
    put_contacts,
    until,
    work_off,
    worker_of,
    working,
)

pytestmark = pytest.mark.asyncio
LOCK = "SELECT FROM procrastinate_jobs WHERE id = %s FOR UPDATE"
LOCK_WORKER = "SELECT FROM procrastinate_workers WHERE id = %s FOR UPDATE"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = "SET LOCAL lock_timeout = '0.5s'; "
    monkeypatch.setattr("sendx_async.procrastinate._autocommit._LIMIT", limit)


@pytest.fixture
def dead_session(database: str) -> Iterator[psycopg.Connection]:
    """A session that says nothing more, in the midst of its transaction."""
    with psycopg.connect(database) as connection:
        yield connection
        connection.rollback()


async def test_a_row_that_a_dead_session_keeps_locked_holds_up_nothing_else(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, dead_session: psycopg.Connection
) -> None:
    app, sendx = make_app(rescue_after=1)
    dead = worker_of(table, 100)
    await put_contacts(app, sendx, 12)
    first, *others = (row["id"] for row in table.rows())
    for job_id in (first, *others[:5]):
        give(table, job_id, dead)
    dead_session.execute(LOCK, [first])
    async with working(app, update_heartbeat_interval=0.05):
        await table.until("status = 'succeeded'", 11)
        (locked,) = table.rows("status <> 'succeeded'")
        assert (locked["id"], locked["worker_id"]) == (first, dead)
        dead_session.rollback()
        await table.until("status = 'succeeded'", 12)


@pytest.mark.parametrize("status", ["todo", "doing"])
async def test_no_event_waits_for_something_safe_to_repeat_that_is_locked(
    make_app: MakeApp,
    table: Table,
    fake_sendx: FakeSendX,
    dead_session: psycopg.Connection,
    status: str,
) -> None:
    app, sendx = make_app()
    await put_contacts(app, sendx, 1)
    (row,) = table.rows()
    if status == "doing":
        give(table, row["id"], worker_of(table, 0))
    dead_session.execute(LOCK, [row["id"]])
    fake_sendx.respond(200, path="custom", times=None)
    async with working(app):
        event = await sendx.put(CustomEventRequest("joe@example.com", "visit"))
        await table.until(f"id = {event} AND status = 'succeeded'", 1)


async def test_what_became_of_a_delivery_is_written_down_when_its_row_is_free_again(  # noqa: PLR0917 - fixtures
    make_app: MakeApp,
    table: Table,
    fake_sendx: FakeSendX,
    dead_session: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # However long that takes.
    monkeypatch.setattr("sendx_async.procrastinate._job_manager._LONGEST_DATABASE_TROUBLE", 0.0)
    app, sendx = make_app()
    await put_contacts(app, sendx, 1)
    fake_sendx.latency = 0.3
    async with working(app):
        await fake_sendx.until(lambda: len(fake_sendx.requests) == 1)
        dead_session.execute(LOCK, [table.rows()[0]["id"]])
        await until(lambda: "what became of it can't be noted" in caplog.text)
        dead_session.rollback()
        await table.until("status = 'succeeded'", 1)
    assert len(fake_sendx.requests) == 1


async def test_a_worker_that_starts_forgets_dead_ones_but_not_those_that_are_locked(
    make_app: MakeApp, table: Table, dead_session: psycopg.Connection
) -> None:
    app, sendx = make_app()
    locked, gone, busy = (worker_of(table, 100) for _ in range(3))
    await put_contacts(app, sendx, 1)
    (row,) = table.rows()
    give(table, row["id"], busy)
    dead_session.execute(LOCK_WORKER, [locked])
    dead_session.execute(LOCK, [row["id"]])
    async with app.open_async():
        assert await app.job_manager.prune_stalled_workers(30) == [gone]


async def test_a_worker_stops_and_gives_signs_of_life_whatever_is_locked(
    make_app: MakeApp,
    table: Table,
    dead_session: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, _ = make_app()
    async with app.open_async():
        number = await app.job_manager.register_worker()
        dead_session.execute(LOCK_WORKER, [number])
        await app.job_manager.update_heartbeat(number)
        assert "no sign of life could be given: canceling statement due to lock" in caplog.text
        await app.job_manager.unregister_worker(number)
        assert "another one has to remove it" in caplog.text


async def test_a_table_that_is_locked_gives_a_worker_nothing_and_does_not_end_it(
    make_app: MakeApp,
    table: Table,
    fake_sendx: FakeSendX,
    dead_session: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, sendx = make_app()
    await put_contacts(app, sendx, 1)
    dead_session.execute("LOCK TABLE procrastinate_jobs IN SHARE ROW EXCLUSIVE MODE")
    async with working(app, update_heartbeat_interval=0.05) as worker:
        waits = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock' AND query ~ 'fetch_job'"
        )
        for is_waiting in (True, False):
            await until(lambda is_waiting=is_waiting: bool(table.do(waits)) is is_waiting)  # type: ignore[misc]
        await until(lambda: "what dead workers have left could not be taken over" in caplog.text)
        dead_session.rollback()
        await table.until("status = 'succeeded'", 1)
        assert not worker.done()


async def test_whenever_a_worker_is_frozen_it_keeps_nothing_locked(
    make_app: MakeApp, database: str, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    await put_contacts(app, sendx, 2)
    async with app.open_async():
        await sendx.put(CustomEventRequest("c0@example.com", "visit"))
    log = Path(table.do("SHOW data_directory")[0]["data_directory"], "log")
    before = len(log.read_text())  # noqa: ASYNC240 - nothing else runs here
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    table.do(f"ALTER DATABASE {name} SET log_statement = 'all'")
    await work_off(app, update_heartbeat_interval=0.001)
    statements = log.read_text()[before:]  # noqa: ASYNC240 - likewise
    assert table.statuses() == ["succeeded"] * 3
    for expected in ("fetch_job", "SET args = args ||", "SET status", "last_heartbeat", "DELETE"):
        assert expected in statements
    # Each was begun, ended and committed by the one message that brought it.
    assert "BEGIN" not in statements
