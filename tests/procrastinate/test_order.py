"""Each contact's deliveries in order, the others side by side."""

import asyncio

import psycopg
import pytest
from procrastinate.exceptions import UniqueViolation

from sendx_async import RetryPolicy
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import LIMIT, MakeApp, Table, all_is_well, until, working

pytestmark = pytest.mark.asyncio


def names(fake: FakeSendX, email: str, *, applied: bool = True) -> list[str]:
    """Give the first names that a contact was given, in the order in which they came."""
    return [
        request.json["firstName"]
        for request in fake.requests
        if request.json["email"].casefold() == email and request.applied >= applied
    ]


async def test_retries_keep_the_order_of_each_contact(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    expected = [str(number) for number in range(8)]
    async with app.open_async(), working(app):
        await all_is_well(sendx, table, fake_sendx)
        for _ in range(4):
            fake_sendx.respond(500, path="identify")
        for number in expected:
            for email in ("Jane@example.com", "bob@example.com"):  # too few for an outage
                await sendx.put({"email": email, "first_name": number})
        rows = await table.until("status = 'succeeded'", 16)
    assert sum(row["attempts"] for row in rows) == 16 + 4
    for email in ("jane@example.com", "bob@example.com"):
        assert names(fake_sendx, email) == expected
    assert len(fake_sendx.requests) == 16 + 4


async def test_a_delivery_that_waits_for_another_try_holds_up_its_contact_only(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app(retry=RetryPolicy(3, base=1e6, cap=1e6))
    async with app.open_async(), working(app):
        await all_is_well(sendx, table, fake_sendx)
        fake_sendx.respond(500)
        await sendx.put({"email": "jane@example.com", "first_name": "first"})
        await table.until("attempts = 1 AND status = 'todo'", 1)
        await sendx.put({"email": "jane@example.com", "first_name": "second"})
        await sendx.put({"email": "bob@example.com", "first_name": "other"})
        await table.until("status = 'succeeded'", 1)
        due = "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'"
        await asyncio.to_thread(table.do, due)
        await table.until("status = 'succeeded'", 3)
    assert names(fake_sendx, "jane@example.com") == ["first", "second"]


async def test_different_contacts_are_served_at_once(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    async with working(app, shutdown_graceful_timeout=0.01) as worker:
        await all_is_well(sendx, table, fake_sendx, answers=3)
        fake_sendx.black_hole(times=4)
        for number in range(5):
            await sendx.put({"email": f"visitor{number}@example.com"})
        await fake_sendx.until(lambda: len(fake_sendx.requests) == 4, LIMIT)
        assert table.statuses().count("doing") == 4
        worker.cancel()


async def test_the_next_one_of_a_contact_does_not_wait_for_a_look_at_the_queue(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    fake_sendx.latency = 0.05  # so that the worker finds nothing that is free, and goes to sleep
    async with app.open_async():
        for number in range(5):
            await sendx.put({"email": "jane@example.com", "first_name": str(number)})
    async with working(app, fetch_job_polling_interval=100 * LIMIT):
        await table.until("status = 'succeeded'", 5)


async def test_renames_keep_their_place_among_those_with_the_same_key(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    async with app.open_async():
        old, new = "jane@old.example", "jane@new.example"
        await sendx.put({"email": old, "first_name": "Jane"}, key="17")
        await sendx.put({"email": old, "new_email": new}, key="17")
        await sendx.put({"email": new, "add_tags": ["vip"]}, key="17")
    async with working(app):
        await table.until("status = 'succeeded'", 3)
    assert list(fake_sendx.contacts) == [new]
    assert fake_sendx.contact(new).tags == {"vip"}


async def test_workers_side_by_side_keep_the_order_and_send_everything_once(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    async with app.open_async():
        for number in range(30):
            await sendx.put({"email": f"c{number % 3}@example.com", "first_name": str(number)})
    async with working(app), working(make_app()[0]):
        await table.until("status = 'succeeded'", 30)
    for contact in range(3):
        expected = [str(number) for number in range(contact, 30, 3)]
        assert names(fake_sendx, f"c{contact}@example.com") == expected
    assert len(fake_sendx.requests) == 30


async def test_a_worker_that_takes_a_contacts_job_in_the_same_moment_as_another_gets_nothing(
    make_app: MakeApp, database: str, table: Table
) -> None:
    app, sendx = make_app()
    jane = {"email": "jane@example.com"}
    fetch = "SELECT id FROM procrastinate_fetch_job_v2(ARRAY['sendx'], %s)"
    worker = table.do("SELECT * FROM procrastinate_register_worker_v1()")[0]["worker_id"]
    with psycopg.connect(database) as slow, psycopg.connect(database) as quick:
        async with app.open_async():
            sendx.put_sync(jane, connection=slow)
            second = await sendx.put(jane)
            assert quick.execute(fetch, [worker]).fetchone() == (second,)
            slow.commit()  # now the first one is there as well, and its turn seems to have come
            fetching = asyncio.create_task(app.job_manager.fetch_job(["sendx"], worker))
            waits = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            await until(lambda: table.do(waits))
            quick.commit()
            assert await asyncio.wait_for(fetching, LIMIT) is None
    assert table.statuses() == ["todo", "doing"]


async def test_a_worker_that_collides_with_others_again_and_again_gets_nothing(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def execute(*_: object, **__: object) -> None:
        raise UniqueViolation(constraint_name="procrastinate_jobs_lock_idx_v1", queueing_lock=None)

    monkeypatch.setattr("sendx_async.procrastinate._autocommit.execute", execute)
    assert await make_app()[0].job_manager.fetch_job(["sendx"], 1) is None
