"""The database in trouble while an outcome has to be written down."""

import asyncio
from typing import Any

import procrastinate
import psycopg
import pytest
from procrastinate.connector import BaseAsyncConnector, BaseConnector

from sendx_async.procrastinate._job_manager import Jobs
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


def unreachable(times: int, error: type[psycopg.Error]) -> Any:
    real = Jobs._change
    left = [error] * times

    async def change(jobs: Any, statement: str, **arguments: Any) -> Any:
        if left and "status" in arguments:
            try:
                raise left.pop()
            except psycopg.Error as cause:
                raise procrastinate.exceptions.ConnectorException from cause
        return await real(jobs, statement, **arguments)

    return change


async def test_an_outcome_is_written_when_the_database_is_back(
    make_app: MakeApp, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "sendx_async.procrastinate._job_manager"
    monkeypatch.setattr(f"{name}._SECONDS_BETWEEN_TRIES", 0.01)
    monkeypatch.setattr(f"{name}.Jobs._change", unreachable(3, psycopg.OperationalError))
    app, sendx = make_app()
    await put_contacts(app, sendx, 1)
    await work_off(app)
    assert table.statuses() == ["succeeded"]


@pytest.mark.parametrize("error", [psycopg.OperationalError, psycopg.ProgrammingError])
async def test_an_outcome_that_cannot_be_written_is_left_for_another_worker_to_take_over(
    make_app: MakeApp,
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
    error: type[psycopg.Error],
) -> None:
    name = "sendx_async.procrastinate._job_manager"
    monkeypatch.setattr(f"{name}._SECONDS_BETWEEN_TRIES", 0.01)
    if error is psycopg.OperationalError:
        monkeypatch.setattr(f"{name}._LONGEST_DATABASE_TROUBLE", 0.0)
    monkeypatch.setattr(f"{name}.Jobs._change", unreachable(1000, error))
    app, sendx = make_app()
    await put_contacts(app, sendx, 1)
    await work_off(app)
    assert table.statuses() == ["doing"]  # until others find that its worker is gone
    monkeypatch.undo()
    async with app.open_async():
        await app.job_manager.rescue("sendx:deliver", seconds_since_heartbeat=30)  # type: ignore[attr-defined]
    assert table.statuses() == ["todo"]


async def test_a_worker_whose_connection_is_dropped_ends(
    make_app: MakeApp, database: str, table: Table
) -> None:
    app, _ = make_app()
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock' AND query ~ 'fetch'"
    )
    refused = pytest.raises(procrastinate.exceptions.ConnectorException)
    with psycopg.connect(database) as other, refused:
        async with working(app) as worker:
            await until(lambda: table.do("SELECT * FROM procrastinate_workers"))
            other.execute("LOCK TABLE procrastinate_jobs IN SHARE ROW EXCLUSIVE MODE")
            await until(lambda: table.do(waiting))
            table.do("SELECT pg_terminate_backend(%s)", table.do(waiting)[0]["pid"])
            other.rollback()
            await asyncio.wait_for(worker, LIMIT)
    assert table.do("SELECT * FROM procrastinate_workers") == []


async def test_a_worker_hears_of_new_jobs_again_when_the_database_is_back(  # noqa: PLR0917 - fixtures
    make_app: MakeApp,
    server: str,
    database: str,
    table: Table,
    fake_sendx: FakeSendX,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sendx_async.procrastinate._job_manager._SECONDS_BETWEEN_TRIES", 0.01)
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    listening = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND query ~ '^LISTEN'"
    app, sendx = make_app()
    with psycopg.connect(server, autocommit=True) as admin:
        async with working(app, fetch_job_polling_interval=100 * LIMIT):
            await until(lambda: table.do(listening, name))
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            table.do("SELECT pg_terminate_backend(%s)", table.do(listening, name)[0]["pid"])
            await until(lambda: "new jobs can't be listened for" in caplog.text)
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await until(lambda: table.do(listening, name))
            await sendx.put({"email": "jane@example.com"})
            await table.until("status = 'succeeded'", 1)


async def test_a_worker_that_cannot_be_forgotten_says_so(make_app: MakeApp, table: Table) -> None:
    app, _ = make_app()
    table.do("DROP TABLE procrastinate_workers CASCADE")
    async with app.open_async():
        with pytest.raises(procrastinate.exceptions.ConnectorException):
            await app.job_manager.unregister_worker(1)


class _Wrapped(BaseAsyncConnector):
    """A connector that isn't Procrastinate's own, as for another library."""

    def __init__(self, connector: procrastinate.PsycopgConnector) -> None:
        self._connector = connector

    def get_sync_connector(self) -> BaseConnector:
        return self._connector.get_sync_connector()

    async def execute_query_all_async(self, query: Any, **arguments: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]]
        rows = await self._connector.execute_query_all_async(query, **arguments)
        return rows


async def test_another_connector_serves_as_well(
    make_app: MakeApp, table: Table, fake_sendx: FakeSendX
) -> None:
    app, sendx = make_app()
    await put_contacts(app, sendx, 1)
    async with app.open_async():
        with app.replace_connector(_Wrapped(app.connector)):  # type: ignore[arg-type]
            await app.run_worker_async(
                wait=False, listen_notify=False, install_signal_handlers=False
            )
    assert table.statuses() == ["succeeded"]
