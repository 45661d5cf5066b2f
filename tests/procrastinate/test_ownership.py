"""Whose a delivery is, asked again before it is sent if much time has passed: frozen workers."""

import asyncio
from typing import Any

import psycopg
import pytest

from sendx_async import CustomEventRequest
from sendx_async.procrastinate import Deliveries, _moment
from sendx_async.procrastinate._delivery_job import DeliveryJob, DeliveryLostError
from sendx_async.procrastinate._moment import Moment
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import MakeApp, Table, give, until, worker_of, working

JANE = {"email": "jane@example.com"}
EVENT = CustomEventRequest("jane@example.com", "visit")


@pytest.mark.parametrize("clock", ["monotonic", "system_time"])
def test_time_has_passed_by_the_clock_that_says_most(
    monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    moment = Moment()
    assert moment.elapsed() < 1000
    real = getattr(_moment, clock)
    for shift in (5000.0, -5000.0):
        monkeypatch.setattr(_moment, clock, lambda shift=shift: real() + shift)
        assert (moment.elapsed() > 1000) is (shift > 0)


@pytest.mark.asyncio
async def test_an_event_that_nobody_has_is_not_marked_and_stays_safe_to_take_over(
    make_app: MakeApp, table: Table
) -> None:
    app, sendx = make_app()
    jobs: Any = app.job_manager
    async with app.open_async():
        job_id = await sendx.put(EVENT)
        job = await jobs.fetch_job(["sendx"], await jobs.register_worker())
        give(table, job_id, None)  # as when another app's worker has removed this one
        with pytest.raises(DeliveryLostError):
            await jobs.mark(DeliveryJob.hidden_in(job))
    (row,) = table.rows()
    assert "sending" not in row["args"]


async def until_uncertain(table: Table) -> None:
    """Wait until the worker, which has only given a sign of life when it began, has to ask."""
    silence = "SELECT FROM procrastinate_workers WHERE last_heartbeat < now() - interval '0.6 s'"
    await until(lambda: table.do(f"SELECT EXISTS ({silence}) AS it")[0]["it"])


@pytest.mark.asyncio
class TestAfterHalfOfRescueAfter:
    async def test_a_delivery_that_is_still_its_own_is_sent(
        self, make_app: MakeApp, sendx: Deliveries, table: Table, fake_sendx: FakeSendX
    ) -> None:
        async with working(make_app(rescue_after=1)[0]):
            await until_uncertain(table)
            await sendx.put(JANE)
            await table.until("status = 'succeeded'", 1)
            # It has asked, and that was a sign of life.
            (asked,) = table.do(
                "SELECT last_heartbeat > at AS it FROM procrastinate_workers, procrastinate_events "
                "WHERE type = 'started'"
            )
        assert asked["it"]
        assert len(fake_sendx.requests) == 1

    @pytest.mark.parametrize("is_event", [False, True])
    @pytest.mark.parametrize("new_owner", ["another worker", "nobody"])
    async def test_a_delivery_that_was_taken_over_is_neither_sent_nor_touched(  # noqa: PLR0917 - fixtures
        self,
        make_app: MakeApp,
        sendx: Deliveries,
        table: Table,
        fake_sendx: FakeSendX,
        caplog: pytest.LogCaptureFixture,
        new_owner: str,
        is_event: bool,
    ) -> None:
        fake_sendx.stop()
        job_id = await sendx.put(EVENT if is_event else JANE)
        async with working(make_app(rescue_after=1)[0]):
            await until(lambda: "all deliveries wait" in caplog.text)
            owner = worker_of(table, 0) if new_owner == "another worker" else None
            # In a thread, since the worker may hold the row.
            await asyncio.to_thread(give, table, job_id, owner)
            await until(lambda: "another worker has taken it over" in caplog.text)
            fake_sendx.start()
        (row,) = table.rows()
        assert (row["status"], row["worker_id"], row["attempts"]) == ("doing", owner, 0)
        assert fake_sendx.requests == []

    @pytest.mark.parametrize("is_event", [False, True])
    async def test_a_delivery_is_kept_if_the_database_does_not_say_whose_it_is(  # noqa: PLR0917 - fixtures
        self,
        make_app: MakeApp,
        sendx: Deliveries,
        database: str,
        table: Table,
        fake_sendx: FakeSendX,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
        is_event: bool,
    ) -> None:
        limit = "SET LOCAL lock_timeout = '0.1s'; "
        monkeypatch.setattr("sendx_async.procrastinate._autocommit._LIMIT", limit)
        with psycopg.connect(database) as other:
            async with working(make_app(rescue_after=1)[0]):
                await until_uncertain(table)
                other.execute("SELECT FROM procrastinate_workers FOR NO KEY UPDATE")
                await sendx.put(EVENT if is_event else JANE)
                await until(lambda: "was not sent and is kept" in caplog.text)
                (row,) = await table.until("status = 'todo'", 1)
                other.rollback()
        assert row["attempts"] == 0
        assert "sending" not in row["args"]
        assert fake_sendx.requests == []
