"""What dead workers have left is taken over, once; what living ones have is let alone."""

import asyncio
from typing import Any

import pytest

from sendx_async import CustomEventRequest
from sendx_async.procrastinate._job_manager import Jobs
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import (
    LIMIT,
    MakeApp,
    Table,
    give,
    until,
    work_off,
    worker_of,
    working,
)

pytestmark = pytest.mark.asyncio


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
        for job_id in (*ids[:3], foreign):
            give(table, job_id, dead)
        give(table, ids[3], None)
        give(table, ids[4], living)
        mark = """UPDATE procrastinate_jobs SET args = args || '{"sending": true}' WHERE id = %s"""
        table.do(mark, ids[1])
        table.do("UPDATE procrastinate_jobs SET abort_requested = true WHERE id = %s", ids[2])
        await asyncio.gather(
            *(jobs_of(app).rescue("sendx:deliver", seconds_since_heartbeat=50) for _ in range(5))
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


async def test_what_became_of_a_delivery_that_was_taken_over_meanwhile_is_left_to_the_other(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
) -> None:
    app, sendx = make_app()
    fake_sendx.black_hole()
    async with app.open_async():
        job_id = await sendx.put({"email": "jane@example.com"})
        async with working(app):
            await fake_sendx.until(lambda: len(fake_sendx.requests) == 1, LIMIT)
            other = worker_of(table, 0)
            give(table, job_id, other)
            fake_sendx.close_connections()
            await until(lambda: "another worker has taken it over" in caplog.text)
    (row,) = table.rows()
    assert (row["status"], row["worker_id"], row["attempts"]) == ("doing", other, 0)


async def test_workers_look_for_what_dead_ones_have_left_by_themselves(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app(rescue_after=1)
    async with app.open_async(), working(app, update_heartbeat_interval=0.05):
        await until(lambda: table.do("SELECT * FROM procrastinate_workers"))
        job_id = await sendx.put({"email": "jane@example.com"}, key="jane")
        await table.until("status = 'succeeded'", 1)
        await asyncio.to_thread(give, table, job_id, worker_of(table, 100))
        await table.until("status = 'succeeded'", 1)
    assert len(fake_sendx.requests) == 2


async def test_a_worker_that_starts_takes_over_at_once_what_dead_ones_have_left(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    async with app.open_async():
        give(table, await sendx.put({"email": "jane@example.com"}), worker_of(table, 100))
    await work_off(app)
    assert table.statuses() == ["succeeded"]
    assert table.do("SELECT * FROM procrastinate_workers") == []


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
            await jobs_of(app).rescue("sendx:deliver", seconds_since_heartbeat=LIMIT)
            assert table.statuses() == ["doing"]
    assert len(fake_sendx.requests) == 1


@pytest.mark.parametrize("silence, status", [(170.0, "doing"), (190.0, "todo")])
async def test_where_workers_seldom_give_a_sign_of_life_they_are_given_more_time(
    make_app: MakeApp, table: Table, silence: float, status: str
) -> None:
    app, sendx = make_app(rescue_after=60)
    other, itself = worker_of(table, silence), worker_of(table, 60)
    async with app.open_async():
        give(table, await sendx.put({"email": "jane@example.com"}), other)
        await app.job_manager.update_heartbeat(itself)
    assert table.statuses() == [status]


async def test_what_earlier_versions_have_left_in_the_queue_does_no_harm(
    make_app: MakeApp, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    app, _ = make_app()
    async with app.open_async():
        await app.configure_task("sendx:rescue", queue="sendx").defer_async(timestamp=1)
    await work_off(app, delete_jobs="successful")
    assert table.do("SELECT * FROM procrastinate_jobs") == []
