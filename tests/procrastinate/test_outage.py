"""SendX in trouble, or refusing the key: workers wait, nothing fails, no attempt is lost."""

import asyncio
import itertools
import math

import pytest

from sendx_async import (
    AsyncTrackingClient,
    AuthenticationError,
    ConfigurationError,
    CustomEventRequest,
    RetryPolicy,
)
from sendx_async._policy.failures import FailureClass
from sendx_async.procrastinate._admission import Admission
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import (
    LIMIT,
    MakeApp,
    Table,
    put_contacts,
    until,
    work_off,
    working,
)

pytestmark = pytest.mark.asyncio


def refuse(fake: FakeSendX, trouble: str) -> None:
    if trouble == "down":
        fake.stop()
    elif trouble == "503":
        fake.respond(503, retry_after=0, times=None)
    else:
        fake.respond(int(trouble), times=None)


@pytest.mark.parametrize("trouble", ["down", "503", "429", "500", "302"])
async def test_an_outage_costs_no_attempts_and_few_requests(
    make_app: MakeApp,
    table: Table,
    fake_sendx: FakeSendX,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    app, sendx = make_app()
    await put_contacts(app, sendx, 12)
    refuse(fake_sendx, trouble)
    async with working(app):
        await until(lambda: caplog.text.count("all deliveries wait") >= 6)
        assert [row["attempts"] for row in table.rows()] == [0] * 12
        assert set(table.statuses()) == {"todo", "doing"}
        in_vain = len(fake_sendx.requests)
        # Those that were under way, or begun before three had failed; then one for each pause.
        assert in_vain <= 8 + caplog.text.count("all deliveries wait")
        fake_sendx.recover()
        if trouble == "down":
            fake_sendx.start()
        rows = await table.until("status = 'succeeded'", 12)
    assert [row["attempts"] for row in rows] == [1] * 12
    assert len(fake_sendx.contacts) == 12
    assert "SendX answers again" in caplog.text


async def test_it_is_tried_by_one_at_a_time(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    await put_contacts(app, sendx, 8)
    fake_sendx.respond(503, retry_after=0, times=None)
    fake_sendx.latency = 0.05
    async with working(app):
        await fake_sendx.until(lambda: len(fake_sendx.requests) >= 10, LIMIT)
        fake_sendx.recover()
    moments = [request.at for request in fake_sendx.requests[4:]]
    assert min(b - a for a, b in itertools.pairwise(moments)) >= 0.05


async def test_it_is_tried_with_what_may_be_sent_twice(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    await put_contacts(app, sendx, 3)
    fake_sendx.respond(500, times=None)
    async with app.open_async(), working(app, concurrency=8):
        await fake_sendx.until(lambda: len(fake_sendx.requests) >= 5, LIMIT)
        for number in range(3):
            await sendx.put(CustomEventRequest(f"c{number}@example.com", "visit"), key="x")
        await table.until("status = 'doing'", 4)
        seen = len(fake_sendx.requests)
        await fake_sendx.until(lambda: len(fake_sendx.requests) >= seen + 5, LIMIT)
        fake_sendx.recover()
        await table.until("status = 'succeeded'", 6)
    assert len([r for r in fake_sendx.requests if r.path.endswith("custom")]) == 3


async def test_what_must_not_be_sent_twice_waits_as_well(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
) -> None:
    app, sendx = make_app()
    async with app.open_async():
        await sendx.put({"email": "jane@example.com"})
    await work_off(app)
    async with app.open_async():
        await sendx.put(CustomEventRequest("jane@example.com", "visit"))
        await sendx.put(CustomEventRequest("jane@example.com", "visit"), key="other")
    fake_sendx.stop()
    async with working(app):
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
    monkeypatch.setattr("sendx_async.procrastinate._admission.SHORTEST_HALT", 0.03)
    monkeypatch.setattr("sendx_async.procrastinate._admission.LONGEST_HALT", 0.1)
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
    monkeypatch.setattr("sendx_async.procrastinate._admission.SHORTEST_HALT", 0.03)
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
    monkeypatch.setattr("sendx_async.procrastinate._admission.SHORTEST_HALT", 0.03)
    closed = AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url)
    await closed.aclose()
    clients = [AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url), closed]
    app, sendx = make_app(client=clients.pop)
    await put_contacts(app, sendx, 1)
    async with working(app):
        await table.until("status = 'succeeded'", 1)


async def test_the_waits_for_a_key_grow_to_five_minutes() -> None:
    gate = Admission(RetryPolicy(), most_at_once=4)
    pauses = []
    for _ in range(5):
        begun = await enter_at_once(gate)
        error = AuthenticationError(status_code=401)
        pauses.append(gate.fail(Nobody(), FailureClass.HALT, error, begun))
        assert gate.fail(Nobody(), FailureClass.HALT, error, begun) is None  # had begun as well
    assert pauses == [60.0, 120.0, 240.0, 300.0, 300.0]
    assert gate.succeed(math.inf)
    begun = await enter_at_once(gate)
    assert gate.fail(Nobody(), FailureClass.HALT, AuthenticationError(), begun) == 60.0


async def enter_at_once(gate: Admission) -> float:
    """Enter as if all waits were over."""
    gate._breaker.resumes_at = -math.inf
    begun = await gate.enter(replay_safe=True)
    gate.leave()
    return begun


class Nobody:
    contact = ""
    failures = streaks = 0
    streak = -1


async def test_no_more_suspects_are_remembered_than_there_is_room_for(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sendx_async.procrastinate._sender._MOST_REMEMBERED", 1)
    app, sendx = make_app(retry=RetryPolicy(12, base=1e6, cap=1e6))
    await put_contacts(app, sendx, 2)
    fake_sendx.respond(500, times=2)
    async with working(app):
        await table.until("attempts = 1", 2)
        due = "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'"
        await asyncio.to_thread(table.do, due)
        await table.until("status = 'succeeded'", 2)
