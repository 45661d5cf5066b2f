"""What becomes of a delivery that fails while others don't."""

import asyncio
import datetime as dt
import logging
from typing import Any

import httpx
import pytest
from psycopg.types.json import Jsonb

from sendx_async import (
    AsyncTrackingClient,
    CustomEventRequest,
    IdentifyRequest,
    RetryPolicy,
    Timeout,
)
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import (
    LIMIT,
    QUICK,
    MakeApp,
    Table,
    all_is_well,
    work_off,
    working,
)

pytestmark = pytest.mark.asyncio
JANE = "jane.distinctive@example.com"


def texts(caplog: pytest.LogCaptureFixture) -> str:
    """Give all that a log could write of its records, tracebacks included."""
    formatter = logging.Formatter()
    return "".join(f"{formatter.format(record)} {record.__dict__}" for record in caplog.records)


async def deliver(app: Any, sendx: Any, *requests: Any, **options: Any) -> None:
    async with app.open_async():
        for request in requests:
            await sendx.put(request, **options)
    await work_off(app)


async def test_a_refused_delivery_fails_at_once_and_keeps_the_servers_words(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
) -> None:
    app, sendx = make_app()
    fake_sendx.respond(422, message=f"{JANE} has unsubscribed")
    with caplog.at_level(logging.DEBUG):
        await deliver(app, sendx, {"email": JANE, "first_name": "Secretive"})
    (row,) = table.rows()
    assert row["status"] == "failed"
    assert row["args"]["failure"] == {
        "kind": "rejected",
        "error": "SendX answered with HTTP 422: j***@example.com has unsubscribed",
    }
    assert len(fake_sendx.requests) == 1
    log = texts(caplog)
    assert "has unsubscribed" in log
    assert "sendx:deliver[1](delivery='identify_contact')" in log
    for secret in ("jane.distinctive", "Secretive", fake_sendx.api_key):
        assert secret not in log


async def test_a_failed_delivery_can_be_tried_again_by_hand(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    fake_sendx.respond(422)
    await deliver(app, sendx, {"email": JANE})
    (row,) = table.rows("status = 'failed'")
    table.do("SELECT procrastinate_retry_job_v2(%s, now(), null, null, null)", row["id"])
    await work_off(app)
    (row,) = table.rows("status = 'succeeded'")
    assert "failure" not in row["args"]


async def test_a_contact_that_is_not_known_yet_is_found_later(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app(retry=RetryPolicy(12, base=1e6, cap=1e6))
    async with app.open_async():
        await sendx.put({"email": JANE, "add_tags": ["vip"]})
        async with working(app):
            await table.until("status = 'todo' AND attempts = 1", 1)
            await sendx.put({"email": JANE}, key="somebody else")
            await table.until("status = 'succeeded'", 1)
            due = "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'"
            await asyncio.to_thread(table.do, due)
            await table.until("status = 'succeeded'", 2)
    assert fake_sendx.contact(JANE).tags == {"vip"}


async def test_a_contact_that_stays_unknown_is_asked_for_six_times(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    async with app.open_async():
        await sendx.put({"email": JANE, "add_tags": ["vip"]})
        async with working(app):
            (row,) = await table.until("status = 'failed'", 1)
    assert row["args"]["failure"]["kind"] == "rejected"
    assert "HTTP 404" in row["args"]["failure"]["error"]
    assert len(fake_sendx.requests) == 6


async def test_a_delivery_that_fails_too_often_by_its_own_fault_is_given_up(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app(retry=RetryPolicy(2, base=0.01, cap=0.05))
    async with app.open_async(), working(app):
        await all_is_well(sendx, table, fake_sendx)
        fake_sendx.respond(500, path="contact/track", times=None)
        failing = await sendx.put({"email": JANE, "add_tags": ["vip"]})
        while table.rows(f"id = {failing} AND status <> 'failed'"):
            other = await sendx.put({"email": "joe@example.com"})  # others succeed
            await table.until(f"id = {other} AND status = 'succeeded'", 1)
    (row,) = table.rows(f"id = {failing}")
    assert row["args"]["failure"] == {
        "kind": "exhausted",
        "error": "3 tries failed: SendX answered with HTTP 500: Internal Server Error",
    }
    assert row["attempts"] == 3


async def test_a_delivery_that_is_told_when_to_come_back_waits_so_long(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    async with app.open_async(), working(app):
        await all_is_well(sendx, table, fake_sendx)
        fake_sendx.respond(425, retry_after=3600)
        before = dt.datetime.now(dt.UTC)
        await sendx.put(CustomEventRequest("contact_1", "visit"))
        (row,) = await table.until("status = 'todo' AND attempts = 1", 1)
    assert "sending" not in row["args"]
    assert before <= row["scheduled_at"] - dt.timedelta(hours=1) <= dt.datetime.now(dt.UTC)


async def test_a_report_of_a_failure_is_kept_with_the_words_of_sendx(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    fake_sendx.respond(200, body={"status": "error", "message": f"{JANE} is full"}, times=None)
    await deliver(app, sendx, {"email": JANE}, CustomEventRequest("contact_1", "visit"))
    said = "SendX answered with HTTP 200: j***@example.com is full. The answer reports a failure"
    rows = table.rows("status = 'failed'")
    kinds = {row["args"]["operation"]: row["args"]["failure"]["kind"] for row in rows}
    assert kinds == {"identify_contact": "rejected", "track_custom_event": "uncertain"}
    for row in rows:
        assert said in row["args"]["failure"]["error"]
    assert len(fake_sendx.requests) == 2


async def test_an_event_that_something_else_has_answered_is_uncertain_and_the_rest_waits(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
) -> None:
    app, sendx = make_app()
    fake_sendx.html(200, applied=False)
    await deliver(app, sendx, CustomEventRequest("contact_1", "visit"))
    (row,) = table.rows()
    assert row["args"]["failure"]["kind"] == "uncertain"
    assert "HTTP 200 can't be SendX" in row["args"]["failure"]["error"]
    assert "SendX is in trouble, all deliveries wait" in caplog.text


@pytest.mark.parametrize("fault", ["500", "silence", "dropped"])
async def test_an_event_that_may_have_been_applied_is_never_sent_twice(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX, fault: str
) -> None:
    key, url = fake_sendx.api_key, fake_sendx.url
    timeout = Timeout(total=3 * LIMIT, read=0.2 if fault == "silence" else None)
    app, sendx = make_app(client=lambda: AsyncTrackingClient(key, base_url=url, timeout=timeout))
    if fault == "500":
        fake_sendx.respond(500, times=None)
    elif fault == "silence":
        fake_sendx.black_hole(applied=True, times=None)
    else:
        fake_sendx.drop(applied=True, times=None)
    await deliver(app, sendx, CustomEventRequest("contact_1", "visit"))
    (row,) = table.rows()
    assert row["status"] == "failed"
    assert row["args"]["failure"]["kind"] == "uncertain"
    assert "it may have been applied" in row["args"]["failure"]["error"]
    assert "sending" not in row["args"]
    assert len(fake_sendx.requests) == 1


async def test_an_event_is_uncertain_if_a_hook_meets_another_event_loop_after_the_answer(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    async def hook(_: httpx.Response) -> None:
        raise RuntimeError("got Future attached to a different loop")  # asyncio's words

    http = httpx.AsyncClient(event_hooks={"response": [hook]})
    app, sendx = make_app(
        client=lambda: AsyncTrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, http_client=http
        )
    )
    await deliver(app, sendx, CustomEventRequest("contact_1", "visit"))
    await http.aclose()
    (row,) = table.rows("status = 'failed'")
    assert row["args"]["failure"]["kind"] == "uncertain"
    assert len(fake_sendx.requests) == 1


async def test_an_error_of_the_applications_hook_makes_an_event_uncertain_and_repeats_the_rest(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    broken = [True, False, True]

    async def hook(_: httpx.Request) -> None:
        if broken and broken.pop():
            raise RuntimeError(f"no luck with {JANE}")

    http = httpx.AsyncClient(event_hooks={"request": [hook]})
    app, sendx = make_app(
        client=lambda: AsyncTrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, http_client=http
        )
    )
    async with app.open_async():
        await sendx.put(IdentifyRequest(JANE), key="same")
        await sendx.put(CustomEventRequest("contact_1", "visit"), key="same")
        async with working(app, concurrency=1):
            await table.until("status <> 'todo' AND status <> 'doing'", 2)
    assert table.rows()[0]["status"] == "succeeded"
    (row,) = table.rows("status = 'failed'")
    assert row["args"]["failure"] == {
        "kind": "uncertain",
        "error": "it may have been applied: sending failed with RuntimeError: no luck with "
        "j***@example.com",
    }
    await http.aclose()


class TestWhatIsStored:
    async def test_a_damaged_request_is_rejected_and_not_sent(
        self, make_app: MakeApp, table: Table, fake_sendx: FakeSendX
    ) -> None:
        app, sendx = make_app()
        async with app.open_async():
            await sendx.put({"email": JANE})
            table.do("UPDATE procrastinate_jobs SET args = args - 'request'")
        await work_off(app)
        (row,) = table.rows("status = 'failed'")
        assert row["args"]["failure"]["error"].startswith("stored request: request must be")
        assert fake_sendx.requests == []

    async def test_a_request_of_a_later_version_is_kept_until_the_worker_is_upgraded(
        self,
        make_app: MakeApp,
        table: Table,
        fake_sendx: FakeSendX,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        app, sendx = make_app()
        async with app.open_async():
            await sendx.put({"email": JANE})
            table.do("UPDATE procrastinate_jobs SET args = args || %s", Jsonb({"version": 2}))
        await work_off(app)
        (row,) = table.rows()
        assert (row["status"], row["attempts"]) == ("todo", 0)
        assert "upgrade it; until then the request is kept" in caplog.text


async def test_a_worker_of_another_app_keeps_what_it_cannot_read(
    make_app: MakeApp, table: Table
) -> None:
    app, sendx = make_app()
    app.job_manager = type(app.job_manager)(app.connector)  # as one that was made anew
    await deliver(app, sendx, {"email": JANE})
    assert table.statuses() == ["todo"]


async def test_a_failure_of_the_database_costs_no_attempt_and_keeps_the_delivery(
    make_app: MakeApp,
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, sendx = make_app(retry=RetryPolicy(0))

    async def mark(_: object, __: object) -> None:
        raise RuntimeError(f"as a database that refuses {JANE}")

    monkeypatch.setattr("sendx_async.procrastinate._job_manager.Jobs.mark", mark)
    await deliver(app, sendx, CustomEventRequest("contact_1", "visit"))
    (row,) = table.rows()
    assert (row["status"], row["attempts"]) == ("todo", 0)
    assert "was not sent and is kept: RuntimeError: as a database that refuses j***@" in caplog.text


async def test_a_failed_delivery_is_kept_by_a_worker_that_deletes_all_jobs(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    fake_sendx.respond(422, times=1)
    async with app.open_async():
        for number in range(2):
            await sendx.put({"email": f"c{number}@example.com"})
    await work_off(app, delete_jobs="always")
    assert table.statuses() == ["failed"]


async def test_a_worker_that_deletes_successful_jobs_keeps_the_order(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app(retry=QUICK)
    async with app.open_async():
        await sendx.put({"email": JANE, "first_name": "1"})
        await sendx.put({"email": JANE, "first_name": "2"})
    await work_off(app, delete_jobs="successful", concurrency=4)
    async with working(app, delete_jobs="successful"):
        await table.until("true", 0)
    assert [request.json["firstName"] for request in fake_sendx.requests] == ["1", "2"]
