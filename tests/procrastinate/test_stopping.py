"""A worker that has to stop: what waits goes back, what is under way may end, nothing is lost."""

import asyncio

import pytest
from procrastinate.connector import BaseConnector
from procrastinate.jobs import Job
from procrastinate.worker import Worker

from sendx_async import AsyncTrackingClient, CustomEventRequest, RetryPolicy
from sendx_async.procrastinate._fetching import JobFetcher
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import (
    LIMIT,
    MakeApp,
    Table,
    all_is_well,
    put_contacts,
    until,
    work_off,
    working,
)

pytestmark = pytest.mark.asyncio


async def test_deliveries_that_wait_for_an_outage_go_back_at_once(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app(retry=RetryPolicy(12, base=1e6, cap=60.0))
    await put_contacts(app, sendx, 6)
    fake_sendx.respond(503, retry_after=300, times=None)
    async with working(app) as worker:
        await table.until("status = 'doing'", 4)
        await fake_sendx.until(lambda: len(fake_sendx.requests) >= 1, LIMIT)
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(worker, LIMIT)
    rows = table.rows()
    assert {(row["status"], row["attempts"]) for row in rows} == {("todo", 0)}
    assert table.do("SELECT * FROM procrastinate_workers") == []
    await fake_sendx.until(lambda: fake_sendx.connections.open == 0, LIMIT)
    fake_sendx.recover()
    await work_off(make_app()[0])
    assert table.statuses() == ["succeeded"] * 6


async def test_a_delivery_that_is_fetched_when_all_has_gone_back_goes_back_too(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be the first one of a sender that knows nothing of the outage."""
    app, sendx = make_app()
    fetch = JobFetcher.fetch
    looks = 0

    async def fetch_late(self: JobFetcher, connector: BaseConnector, worker_id: int) -> Job | None:
        nonlocal looks
        looks += 1
        if looks > 1:
            await table.until("status = 'todo'", 1)
            await fake_sendx.until(lambda: fake_sendx.connections.open == 0, LIMIT)
        return await fetch(self, connector, worker_id)

    await put_contacts(app, sendx, 1)
    fake_sendx.respond(503, retry_after=300, times=None)
    monkeypatch.setattr(JobFetcher, "fetch", fetch_late)
    async with working(app):
        await fake_sendx.until(lambda: len(fake_sendx.requests) == 1, LIMIT)
        await until(lambda: looks > 1)
    assert [(row["status"], row["attempts"]) for row in table.rows()] == [("todo", 0)]
    assert len(fake_sendx.requests) == 1


async def test_a_delivery_that_is_cut_off_goes_back_if_that_is_safe_and_is_uncertain_if_not(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    async with app.open_async(), working(app, shutdown_graceful_timeout=0.05):
        await all_is_well(sendx, table, fake_sendx)
        fake_sendx.black_hole(applied=True, times=None)
        await sendx.put({"email": "jane@example.com"})
        await sendx.put(CustomEventRequest("contact_1", "visit"))
        await fake_sendx.until(lambda: len(fake_sendx.requests) == 2, LIMIT)
    safe, event = table.rows()
    assert (safe["status"], safe["attempts"]) == ("todo", 0)
    assert event["status"] == "failed"
    assert event["args"]["failure"]["kind"] == "uncertain"
    fake_sendx.recover()
    await work_off(app)
    assert table.statuses() == ["succeeded", "failed"]
    assert len([r for r in fake_sendx.requests if r.path.endswith("custom")]) == 1


async def test_a_delivery_that_is_under_way_may_end(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    fake_sendx.latency = 0.2
    await put_contacts(app, sendx, 1)
    async with working(app):
        await fake_sendx.until(lambda: len(fake_sendx.requests) == 1, LIMIT)
    assert table.statuses() == ["succeeded"]


@pytest.mark.parametrize("under_way", [False, True])
async def test_an_abort_that_somebody_asks_for_is_an_uncertain_failure_if_the_event_is_under_way(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, under_way: bool
) -> None:
    app, sendx = make_app(retry=RetryPolicy(12, base=1e6, cap=60.0))
    if under_way:
        fake_sendx.black_hole(times=None)
    else:
        fake_sendx.respond(503, retry_after=300, times=None)
    async with app.open_async():
        job_id = await sendx.put(CustomEventRequest("contact_1", "visit"))
        async with working(app):
            await fake_sendx.until(lambda: len(fake_sendx.requests) == 1, LIMIT)
            if not under_way:
                await table.until("NOT args ? 'sending' AND status = 'doing'", 1)
            await app.job_manager.cancel_job_by_id_async(job_id, abort=True)
            status = "failed" if under_way else "aborted"
            (row,) = await table.until(f"status = '{status}'", 1)
    assert ("failure" in row["args"]) is under_way


async def test_a_worker_that_has_stopped_may_run_again(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    async with app.open_async():
        worker = Worker(app, queues=["sendx"], wait=False, install_signal_handlers=False)
        for number in range(2):
            await sendx.put({"email": f"c{number}@example.com"})
            await worker.run()  # type: ignore[no-untyped-call]
            await fake_sendx.until(lambda: fake_sendx.connections.open == 0, LIMIT)
    assert table.statuses() == ["succeeded"] * 2


async def test_the_client_is_closed_with_the_event_loop(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, sendx = make_app()
    await put_contacts(app, sendx, 1)
    clients: list[AsyncTrackingClient] = []

    def run() -> None:
        async def main() -> None:
            app, _ = make_app(client=make_client)
            async with app.open_async():
                worker = asyncio.create_task(
                    app.run_worker_async(queues=["sendx"], install_signal_handlers=False)
                )
                await table.until("status = 'succeeded'", 1)
                del worker  # and nobody stops it

        asyncio.run(main())

    def make_client() -> AsyncTrackingClient:
        clients.append(AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url))
        return clients[-1]

    await asyncio.to_thread(run)
    assert [client.is_closed for client in clients] == [True]
