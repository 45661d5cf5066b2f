"""The database in trouble while an outcome has to be written down."""

from typing import Any

import procrastinate
import psycopg
import pytest

from sendx_async.procrastinate._job_manager import Jobs
from tests.procrastinate.conftest import MakeApp, Table, put_contacts, work_off

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
        await app.job_manager.rescue("sendx", seconds_since_heartbeat=30)  # type: ignore[attr-defined]
    assert table.statuses() == ["todo"]
