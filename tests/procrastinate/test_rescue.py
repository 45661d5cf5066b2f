"""What dead workers have left is taken over, once; what living ones have is let alone."""

import asyncio
from typing import Any

import pytest
from procrastinate.jobs import Job

from sendx_async import CustomEventRequest
from sendx_async.procrastinate._job_manager import Jobs
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import LIMIT, MakeApp, Table, until, work_off, working

pytestmark = pytest.mark.asyncio


def worker_of(table: Table, seconds: float) -> int:
    """Add a worker whose last sign of life is so old; give its id."""
    statement = (
        "INSERT INTO procrastinate_workers(last_heartbeat) "
        "VALUES (now() - make_interval(secs => %s)) RETURNING id"
    )
    (row,) = table.do(statement, seconds)
    number: int = row["id"]
    return number


def give(table: Table, job_id: int, worker: int | None) -> None:
    table.do(
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s",
        worker, job_id,
    )  # fmt: skip


def jobs_of(app: Any) -> Jobs:
    jobs: Jobs = app.job_manager
    return jobs


async def test_a_dead_workers_deliveries_go_back_or_fail_once_and_others_are_let_alone(
    make_app: MakeApp, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    app, sendx = make_app()
    dead, living = worker_of(table, 100), worker_of(table, 10)
    async with app.open_async():
        ids = [await sendx.put(CustomEventRequest(f"c{n}", "visit")) for n in range(5)]
        foreign = await app.configure_task("users", queue="sendx").defer_async()
        itself = await app.configure_task("sendx:rescue", queue="sendx").defer_async(timestamp=1)
        for job_id in (*ids[:3], foreign, itself):
            give(table, job_id, dead)
        give(table, ids[3], None)
        give(table, ids[4], living)
        mark = """UPDATE procrastinate_jobs SET args = args || '{"sending": true}' WHERE id = %s"""
        table.do(mark, ids[1])
        table.do("UPDATE procrastinate_jobs SET abort_requested = true WHERE id = %s", ids[2])
        await asyncio.gather(
            *(jobs_of(app).rescue("sendx", seconds_since_heartbeat=50) for _ in range(5))
        )
    rows = table.rows()
    assert [row["status"] for row in rows] == ["todo", "failed", "aborted", "todo", "doing"]
    assert [row["attempts"] for row in rows] == [0] * 5
    assert rows[1]["args"]["failure"]["kind"] == "uncertain"
    assert "sending" not in rows[1]["args"]
    others = table.do("SELECT id, status FROM procrastinate_jobs WHERE task_name !~ 'deliver'")
    assert others == [{"id": foreign, "status": "doing"}]
    retry_after = [record.getMessage() for record in caplog.records if record.name == "sendx_async"]
    assert len(retry_after) == 4  # each once


async def test_a_delivery_that_another_worker_has_fetched_meanwhile_is_let_alone(
    make_app: MakeApp, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, sendx = make_app()
    dead, living = worker_of(table, 100), worker_of(table, 0)
    async with app.open_async():
        job_id = await sendx.put({"email": "jane@example.com"})
        give(table, job_id, dead)
        seen = list(await app.job_manager.get_stalled_jobs())
        assert len(seen) == 1

        async def stalled(*_: object, **__: object) -> list[Job]:
            return seen

        monkeypatch.setattr(app.job_manager, "get_stalled_jobs", stalled)
        give(table, job_id, living)
        await jobs_of(app).rescue("sendx", seconds_since_heartbeat=30)
    (row,) = table.rows()
    assert (row["status"], row["worker_id"]) == ("doing", living)


async def test_a_worker_that_comes_back_sends_and_changes_nothing(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
) -> None:
    app, sendx = make_app()
    async with app.open_async():
        await sendx.put(CustomEventRequest("contact_1", "visit"))
        fake_sendx.stop()
        async with working(app):
            await table.until("status = 'doing'", 1)
            await until(lambda: "all deliveries wait" in caplog.text)
            other = worker_of(table, 0)
            # As if it had seemed dead for a while. In a thread, since the worker may hold the row.
            await asyncio.to_thread(give, table, table.rows()[0]["id"], other)
            fake_sendx.start()
            await until(lambda: "another worker has taken it over" in caplog.text)
    (row,) = table.rows()
    assert (row["status"], row["worker_id"], row["attempts"]) == ("doing", other, 0)
    assert fake_sendx.requests == []


async def test_workers_look_for_what_dead_ones_have_left_by_themselves(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app(rescue_after=1)
    async with app.open_async():
        give(table, await sendx.put({"email": "jane@example.com"}), worker_of(table, 100))
        async with working(app, update_heartbeat_interval=0.2):
            await table.until("status = 'succeeded'", 1)
    left = table.do(
        "SELECT * FROM procrastinate_jobs WHERE task_name = 'sendx:rescue' AND status <> 'todo'"
    )
    assert left == []


async def test_a_worker_that_only_waits_gives_signs_of_life(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
) -> None:
    app, sendx = make_app()
    fake_sendx.respond(503, retry_after=300, times=None)
    heartbeat = "SELECT last_heartbeat AS at FROM procrastinate_workers"
    async with app.open_async():
        await sendx.put({"email": "jane@example.com"})
        async with working(app, update_heartbeat_interval=0.05):
            await until(lambda: "all deliveries wait" in caplog.text)
            for _ in range(3):
                (seen,) = table.do(heartbeat)
                await until(lambda seen=seen: table.do(heartbeat)[0]["at"] > seen["at"])  # type: ignore[misc]
            await jobs_of(app).rescue("sendx", seconds_since_heartbeat=LIMIT)
            assert table.statuses() == ["doing"]
    assert len(fake_sendx.requests) == 1


async def test_a_worker_that_seldom_gives_a_sign_of_life_is_given_more_time(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def rescue(_: Jobs, __: str, *, seconds_since_heartbeat: float) -> None:
        asked.append(seconds_since_heartbeat)

    monkeypatch.setattr(Jobs, "rescue", rescue)
    app, _ = make_app(rescue_after=60)
    for interval in (10.0, 50.0):
        task = app.configure_task("sendx:rescue", queueing_lock=f"every {interval} s")
        async with app.open_async():
            await task.defer_async(timestamp=1)
        await work_off(app, update_heartbeat_interval=interval)
    assert {*asked} == {60.0, 150.0}
