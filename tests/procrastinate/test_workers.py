"""Worker processes, started with Procrastinate's own command, stopped and killed."""

import itertools
import signal
import sys

import pytest

from sendx_async import CustomEventRequest
from sendx_async.procrastinate import Deliveries
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import LIMIT, MakeApp, StartWorker, Table, all_is_well

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows can't ask a process to end"),
]


async def test_procrastinates_own_command_delivers_and_shows_no_personal_data(
    sendx: Deliveries, table: Table, fake_sendx: FakeSendX, start_worker: StartWorker
) -> None:
    await sendx.put({"email": "jane.distinctive@example.com", "tags": ["new"]})
    worker = start_worker("--delete-jobs=never")
    await table.until("status = 'succeeded'", 1)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.ends() == 0
    assert fake_sendx.contact("jane.distinctive@example.com").tags == {"new"}
    assert "ended with status: Success" in worker.output
    for unwanted in ("distinctive", "Warning", "Exception ignored", fake_sendx.api_key):
        assert unwanted not in worker.output
    await fake_sendx.until(lambda: fake_sendx.connections.open == 0, LIMIT)


async def test_a_killed_worker_loses_nothing_keeps_the_order_and_sends_no_event_twice(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, start_worker: StartWorker
) -> None:
    contacts = [f"c{number}@example.com" for number in range(6)]
    app, sendx = make_app()
    first = start_worker()
    async with app.open_async():
        await all_is_well(sendx, table, fake_sendx, answers=3)
        fake_sendx.black_hole(applied=True, path="events/custom")
        fake_sendx.black_hole(applied=True, path="identify", times=3)
        event = await sendx.put(CustomEventRequest("c0@example.com", "visit"), key="event")
        for number in range(4):
            for contact in contacts:
                await sendx.put({"email": contact, "first_name": str(number)})
    await fake_sendx.until(lambda: len(fake_sendx.requests) >= 4, LIMIT)
    start_worker()
    await table.until("status = 'succeeded'", 3 * 4)  # what the first one doesn't block
    first.process.kill()
    first.ends()
    # It has given no sign of life for long.
    table.do("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '100 seconds' "
             "WHERE id = %s", table.rows(f"id = {event}")[0]["worker_id"])  # fmt: skip
    await table.until("status = 'succeeded'", 6 * 4)

    (failed,) = table.rows("status = 'failed'")
    assert failed["id"] == event
    assert failed["args"]["failure"]["kind"] == "uncertain"
    assert len([r for r in fake_sendx.requests if r.path.endswith("custom")]) == 1
    for contact in contacts:
        names = [
            request.json["firstName"]
            for request in fake_sendx.requests
            if request.json.get("email") == contact
        ]
        # What was under way is safe to send twice, one after the other.
        assert [name for name, _ in itertools.groupby(names)] == ["0", "1", "2", "3"]


async def test_a_worker_that_is_asked_to_stop_in_an_outage_gives_back_what_it_has(
    sendx: Deliveries, table: Table, fake_sendx: FakeSendX, start_worker: StartWorker
) -> None:
    for number in range(6):
        await sendx.put({"email": f"c{number}@example.com"})
    fake_sendx.respond(503, retry_after=300, times=None)
    worker = start_worker()
    await table.until("status = 'doing'", 4)
    await fake_sendx.until(lambda: any(r.status == 503 for r in fake_sendx.requests), LIMIT)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.ends() == 0
    assert "Exception ignored" not in worker.output
    assert {(row["status"], row["attempts"]) for row in table.rows()} == {("todo", 0)}
    fake_sendx.recover()
    start_worker()
    await table.until("status = 'succeeded'", 6)
