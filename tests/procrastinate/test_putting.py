"""Putting: in the caller's own transaction or without one, and what is refused at once."""

import asyncio
import hashlib
import logging
import time
import traceback
from typing import Any

import procrastinate
import psycopg
import pytest
from procrastinate.exceptions import AppNotOpen, ConnectorException, TaskAlreadyRegistered
from procrastinate.manager import JobManager

from sendx_async import (
    AsyncTrackingClient,
    ConfigurationError,
    CustomEventRequest,
    IdentifyRequest,
    InvalidRequestError,
    OutboxError,
    RevenueEventRequest,
    TrackRequest,
)
from sendx_async.procrastinate import Deliveries
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import MakeApp, Table, work_off

JANE = "jane@example.com"


def jane() -> dict[str, str]:
    return {"email": JANE}


@pytest.mark.asyncio
class TestTransactions:
    async def test_only_requests_that_are_committed_are_delivered(
        self, make_app: MakeApp, database: str, table: Table, fake_sendx: FakeSendX
    ) -> None:
        app, sendx = make_app()
        async with await psycopg.AsyncConnection.connect(database) as connection:
            async with connection.transaction():
                await sendx.put({"email": "kept@example.com"}, connection=connection)
            async with connection.transaction(force_rollback=True):
                await sendx.put({"email": "lost@example.com"}, connection=connection)
        await work_off(app)
        assert list(fake_sendx.contacts) == ["kept@example.com"]
        assert table.statuses() == ["succeeded"]

    async def test_only_requests_that_are_committed_are_delivered_with_a_synchronous_connection(
        self, make_app: MakeApp, database: str, table: Table, fake_sendx: FakeSendX
    ) -> None:
        app, sendx = make_app()
        with psycopg.connect(database) as connection:
            with connection.transaction():
                sendx.put_sync({"email": "kept@example.com"}, connection=connection)
            with connection.transaction(force_rollback=True):
                sendx.put_sync({"email": "lost@example.com"}, connection=connection)
        await work_off(app)
        assert list(fake_sendx.contacts) == ["kept@example.com"]
        assert table.statuses() == ["succeeded"]

    async def test_a_callers_connection_serves_however_the_app_was_opened(
        self, make_app: MakeApp, database: str, table: Table
    ) -> None:
        app, sendx = make_app()
        async with app.open_async():
            with psycopg.connect(database) as connection:
                await asyncio.to_thread(sendx.put_sync, {"email": JANE}, connection=connection)
        with app.open():
            async with await psycopg.AsyncConnection.connect(database) as other:
                await sendx.put({"email": JANE}, connection=other)
        assert table.statuses() == ["todo"] * 2

    async def test_without_a_connection_one_of_the_apps_is_taken(
        self, make_app: MakeApp, table: Table
    ) -> None:
        app, sendx = make_app()
        async with app.open_async():
            first = await sendx.put({"email": JANE})
        with app.open():
            second = sendx.put_sync({"email": JANE})
        assert [row["id"] for row in table.rows()] == [first, second]

    async def test_an_app_that_is_not_open_puts_nothing(
        self, make_app: MakeApp, table: Table
    ) -> None:
        _, sendx = make_app()
        with pytest.raises(AppNotOpen):
            await sendx.put({"email": JANE})
        with pytest.raises(AppNotOpen):
            sendx.put_sync({"email": JANE})
        assert table.rows() == []

    async def test_the_wrong_kind_of_connection_is_refused_and_the_right_one_named(
        self, sendx: Deliveries, database: str, table: Table
    ) -> None:
        with (
            psycopg.connect(database) as connection,
            pytest.raises(OutboxError, match="use put_sync"),
        ):
            await sendx.put({"email": JANE}, connection=connection)  # type: ignore[arg-type]
        async with await psycopg.AsyncConnection.connect(database) as other:
            with pytest.raises(OutboxError, match="use put with"):
                sendx.put_sync({"email": JANE}, connection=other)  # type: ignore[arg-type]
        with pytest.raises(OutboxError, match=r"a psycopg.AsyncConnection, got str: give the conn"):
            await sendx.put({"email": JANE}, connection="db")  # type: ignore[arg-type]
        with pytest.raises(OutboxError, match=r"a psycopg.Connection, got str: give the conn"):
            sendx.put_sync({"email": JANE}, connection="db")  # type: ignore[arg-type]
        assert table.rows() == []

    async def test_a_database_that_refuses_says_so(
        self, sendx: Deliveries, database: str, table: Table
    ) -> None:
        table.do("ALTER TABLE procrastinate_jobs ADD CHECK (queue_name <> 'sendx')")
        with pytest.raises(ConnectorException) as caught:
            await sendx.put(jane())
        assert isinstance(caught.value.__cause__, psycopg.errors.CheckViolation)
        with psycopg.connect(database) as connection, pytest.raises(ConnectorException) as again:
            sendx.put_sync(jane(), connection=connection)
        for error in (caught.value, again.value):
            assert "violates check constraint" in str(error.__cause__)
            # Crash reporters show the variables of all frames, and what PostgreSQL says.
            shown = traceback.TracebackException.from_exception(error, capture_locals=True)
            assert "CheckViolation" in "".join(shown.format())
            assert JANE not in "".join(shown.format())

    async def test_an_error_during_which_something_is_put_keeps_its_traceback(
        self, sendx: Deliveries, table: Table
    ) -> None:
        table.do("ALTER TABLE procrastinate_jobs ADD CHECK (queue_name <> 'sendx')")
        own = KeyError()
        try:
            raise own
        except KeyError:
            with pytest.raises(ConnectorException) as caught:
                await sendx.put(jane())
        assert caught.value.__cause__ is not None
        assert caught.value.__cause__.__context__ is own
        assert own.__traceback__ is not None

    async def test_a_connection_that_does_not_find_the_tables_is_told_of_its_search_path(
        self, sendx: Deliveries, database: str
    ) -> None:
        elsewhere = "SET search_path TO pg_catalog"
        async with await psycopg.AsyncConnection.connect(database) as connection:
            await connection.execute(elsewhere)
            with pytest.raises(ConnectorException, match="the connection's search_path"):
                await sendx.put({"email": JANE}, connection=connection)
        with psycopg.connect(database) as other:
            other.execute(elsewhere)
            with pytest.raises(ConnectorException, match="the connection's search_path"):
                sendx.put_sync({"email": JANE}, connection=other)


@pytest.mark.asyncio
class TestWhatIsStored:
    async def test_a_request_is_stored_as_json_without_api_key_or_code(
        self, sendx: Deliveries, table: Table
    ) -> None:
        await sendx.put(IdentifyRequest(JANE, custom_fields={"Seats": 27}))
        await sendx.put({"email": JANE, "addTags": ["vip"]})
        assert [row["args"] for row in table.rows()] == [
            {
                "version": 1,
                "operation": "identify_contact",
                "request": {"email": JANE, "customFields": {"Seats": "27"}},
            },
            {
                "version": 1,
                "operation": "track_contact",
                "request": {"email": JANE, "addTags": ["vip"]},
            },
        ]

    async def test_an_event_gets_the_time_at_which_it_is_put(
        self, sendx: Deliveries, table: Table
    ) -> None:
        before = int(time.time())
        await sendx.put(CustomEventRequest(JANE, "visit"))
        await sendx.put(RevenueEventRequest(JANE, 49, time=1))
        first, second = (row["args"]["request"]["time"] for row in table.rows())
        assert before <= first <= time.time()
        assert second == 1

    @pytest.mark.parametrize(
        "request_, lock",
        [
            (IdentifyRequest("Jane@Example.com"), "sendx:jane@example.com"),
            (TrackRequest("JANE@example.com", add_tags=["vip"]), "sendx:jane@example.com"),
            (CustomEventRequest("contact_17", "visit"), "sendx:contact_17"),
            (TrackRequest(None, add_tags=["vip"]), "sendx:"),
            (
                CustomEventRequest("x" * 5000, "visit"),
                f"sendx:{hashlib.sha256(b'sendx:' + b'x' * 5000).hexdigest()}",
            ),
        ],
        ids=["address", "case", "id", "nobody", "long"],
    )
    async def test_the_lock_is_the_contact(
        self, sendx: Deliveries, table: Table, request_: Any, lock: str
    ) -> None:
        await sendx.put(request_)
        (row,) = table.rows()
        assert row["lock"] == lock
        assert row["queue_name"] == "sendx"

    async def test_a_rename_needs_a_key(self, sendx: Deliveries, table: Table) -> None:
        rename = IdentifyRequest(JANE, new_email="jane@new.example")
        with pytest.raises(InvalidRequestError, match="new_email makes this a rename"):
            await sendx.put(rename)
        await sendx.put(rename, key="user 17")
        await sendx.put(TrackRequest("jane@new.example", add_tags=["vip"]), key="user 17")
        assert [row["lock"] for row in table.rows()] == ["sendx:user 17"] * 2

    async def test_nothing_tells_a_log_whom_it_is_about(
        self, sendx: Deliveries, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            await sendx.put({"email": JANE})
        assert JANE not in "".join(str(record.__dict__) for record in caplog.records)


@pytest.mark.asyncio
class TestBadInput:
    @pytest.mark.parametrize(
        "given, problem",
        [
            ({"email": "jane"}, "email must be one e-mail address"),
            ({"email": JANE, "frist_name": "Jane"}, "frist_name"),
            ({"email": JANE, "first_name": "\ud800"}, "first_name has half of a surrogate pair"),
            ({"email": JANE, "first_name": "a\0"}, "first_name has the character U.0000"),
            ({"email": JANE, "tags": ["a", "b\0"]}, r"tags\[1\] has the character"),
            (
                {"email": JANE, "custom_fields": {"Role": "\0"}},
                r"custom_fields\['Role'\] has the character",
            ),
            ({"email": JANE, "custom_fields": {"R\0": "x"}}, "custom_fields has a name that has"),
            (
                {"identifier": JANE, "name": "x", "data": {"a": [{"b": "\0"}, 1e308]}},
                r"data\['a'\]\[0\]\['b'\] has the .*data\['a'\]\[1\] is too large a number",
            ),
            (17, "must be given one of"),
        ],
        ids=[
            "address", "unknown", "surrogate", "nul", "list", "value", "name", "nested", "type",
        ],
    )  # fmt: skip
    async def test_a_bad_request_is_refused_and_the_field_is_named(
        self, sendx: Deliveries, table: Table, given: Any, problem: str
    ) -> None:
        with pytest.raises(InvalidRequestError, match=problem):
            await sendx.put(given)
        with pytest.raises(InvalidRequestError, match=problem):
            sendx.put_sync(given)
        assert table.rows() == []

    @pytest.mark.parametrize("key", ["", "\0", "\ud800", 17])
    async def test_a_bad_key_is_refused(self, sendx: Deliveries, key: Any) -> None:
        with pytest.raises(InvalidRequestError, match="IdentifyRequest: key "):
            await sendx.put({"email": JANE}, key=key)

    async def test_the_largest_and_smallest_numbers_come_back_from_the_database(
        self, make_app: MakeApp, fake_sendx: FakeSendX, table: Table
    ) -> None:
        app, sendx = make_app()
        fake_sendx.respond(422, times=None)
        async with app.open_async():
            await sendx.put({"identifier": JANE, "amount": 8.9e307})
            await sendx.put({"identifier": JANE, "amount": 1e-300})
        await work_off(app)
        amounts = [float(request.json["amount"]) for request in fake_sendx.requests]
        assert amounts == [8.9e307, 1e-300]


class TestOptions:
    @pytest.mark.parametrize(
        "options, problem",
        [
            ({"client": 17}, "client must be a function"),
            ({"queue": "send x"}, "queue must be a name"),
            ({"queue": "ü"}, "queue must be a name"),
            ({"queue": 17}, "queue must be a name"),
            ({"queue": "x" * 41}, "queue must have at most 40"),
            ({"retry": 3}, "retry must be"),
            ({"rescue_after": 0.5}, "rescue_after must be at least 1"),
            ({"rescue_after": "60"}, "rescue_after must be a number"),
        ],
    )
    def test_a_bad_option_is_refused(self, make_app: MakeApp, options: Any, problem: str) -> None:
        with pytest.raises(ConfigurationError, match=problem):
            make_app(**options)

    def test_something_that_is_no_app_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match=r"app must be a procrastinate\.App, got int"):
            Deliveries(17)  # type: ignore[arg-type]

    def test_an_app_with_a_job_manager_of_its_own_is_refused(self) -> None:
        class Special(JobManager):
            pass

        app = procrastinate.App(connector=procrastinate.PsycopgConnector())
        app.job_manager = Special(app.connector)
        with pytest.raises(ConfigurationError, match="of its own, Special"):
            Deliveries(app)

    def test_a_queue_can_be_had_once(self, make_app: MakeApp) -> None:
        app, _ = make_app()
        with pytest.raises(TaskAlreadyRegistered):
            Deliveries(app)

    @pytest.mark.asyncio
    async def test_two_accounts_have_a_queue_each(
        self, make_app: MakeApp, fake_sendx: FakeSendX
    ) -> None:
        app, first = make_app()
        other = FakeSendX()
        with other.serving() as url:
            second = Deliveries(
                app,
                client=lambda: AsyncTrackingClient(other.api_key, base_url=url),
                queue="other",
            )
            async with app.open_async():
                await first.put({"email": "first@example.com"})
                await second.put({"email": "second@example.com"})
                await app.run_worker_async(wait=False, install_signal_handlers=False)
            assert list(fake_sendx.contacts) == ["first@example.com"]
            assert list(other.contacts) == ["second@example.com"]
