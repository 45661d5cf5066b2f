"""A PostgreSQL of the test run's own, a database for each test, and workers for it."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import procrastinate
import psycopg
import pytest
import pytest_asyncio
from procrastinate.schema import SchemaManager
from psycopg import sql
from psycopg.rows import dict_row

from sendx_async import AsyncTrackingClient, RetryPolicy
from sendx_async.procrastinate import Deliveries
from sendx_async.testing import FakeSendX
from tests.faults.frozen_workers.run import wait_for
from tests.postgresql import postgresql

LIMIT = 120.0  # seconds, for whatever is waited for; pytest ends a test after 300
QUICK = RetryPolicy(12, base=0.01, cap=0.05)
EMPTY = "sendx_empty"

Row = dict[str, Any]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Start PostgreSQL, with a database to copy; give how to connect to it."""
    with postgresql() as address:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(EMPTY)))
        with psycopg.connect(address, dbname=EMPTY, autocommit=True) as connection:
            connection.execute(SchemaManager.get_schema().encode())
        yield address


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """Give how to connect to a database that has Procrastinate's tables, and no jobs."""
    name = f"test_{uuid.uuid4().hex}"
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(copy.format(sql.Identifier(name), sql.Identifier(EMPTY)))
    yield psycopg.conninfo.make_conninfo(server, dbname=name)
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(drop.format(sql.Identifier(name)))


async def until(predicate: Callable[[], object]) -> None:
    """Wait until something is true."""
    await asyncio.to_thread(wait_for, predicate)


class Table:
    """The jobs of a database."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self.connection = connection

    def do(self, statement: str, *values: object) -> list[Row]:
        cursor = self.connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def rows(self, condition: str = "true") -> list[Row]:
        """Give the deliveries' rows, in the order in which they were put."""
        return self.do(
            "SELECT * FROM procrastinate_jobs WHERE task_name = 'sendx:deliver' "
            f"AND {condition} ORDER BY id"
        )

    def statuses(self) -> list[str]:
        return [row["status"] for row in self.rows()]

    def wait(self, condition: str, count: int) -> list[Row]:
        """Wait until so many deliveries are as they should be."""
        until = time.monotonic() + LIMIT
        while len(rows := self.rows(condition)) != count:
            assert time.monotonic() < until, self.rows()
            time.sleep(0.01)
        return rows

    async def until(self, condition: str, count: int) -> list[Row]:
        return await asyncio.to_thread(self.wait, condition, count)


@pytest.fixture
def table(database: str) -> Iterator[Table]:
    """Look at the jobs."""
    with psycopg.connect(database, autocommit=True, row_factory=dict_row) as connection:
        yield Table(connection)


def worker_of(table: Table, seconds: float) -> int:
    """Add a worker whose last sign of life is so old; give its id."""
    statement = (
        "INSERT INTO procrastinate_workers(last_heartbeat) "
        "VALUES (now() - make_interval(secs => %s)) RETURNING id"
    )
    (row,) = table.do(statement, seconds)
    number: int = row["id"]
    return number


def give(table: Table, job_id: int, worker: int | None) -> None:
    table.do(
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s",
        worker, job_id,
    )  # fmt: skip


MakeApp = Callable[..., tuple[procrastinate.App, Deliveries]]


@pytest.fixture
def make_app(database: str, fake_sendx: FakeSendX) -> MakeApp:
    """Make an app, and what puts deliveries into it; options are those of `Deliveries`."""

    def make(**options: Any) -> tuple[procrastinate.App, Deliveries]:
        connector = procrastinate.PsycopgConnector(conninfo=database, min_size=1, max_size=6)
        app = procrastinate.App(connector=connector)
        options.setdefault(
            "client", lambda: AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url)
        )
        options.setdefault("retry", QUICK)
        return app, Deliveries(app, **options)

    return make


@pytest_asyncio.fixture
async def sendx(make_app: MakeApp) -> AsyncGenerator[Deliveries]:
    """What puts deliveries, its app open, without a worker."""
    app, deliveries = make_app()
    async with app.open_async():
        yield deliveries


@contextlib.asynccontextmanager
async def working(app: procrastinate.App, **options: Any) -> AsyncGenerator["asyncio.Task[None]"]:
    """Run a worker in this event loop; it is asked to stop at the end."""
    options = {"concurrency": 4, "fetch_job_polling_interval": 0.1} | options
    async with app.open_async():
        run = app.run_worker_async(queues=["sendx"], install_signal_handlers=False, **options)
        task = asyncio.create_task(run)
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, LIMIT)


async def all_is_well(
    sendx: Deliveries, table: Table, fake: FakeSendX, *, answers: int = 1
) -> None:
    """Have a worker deliver something, so that it knows that SendX is well; leave no trace.

    After its start each of these answers lets it send twice as many at once.
    """
    for number in range(answers):
        await sendx.put({"email": f"first{number}@example.com"})
    await table.until("status = 'succeeded'", answers)
    table.do("DELETE FROM procrastinate_jobs")
    fake.reset()


async def work_off(app: procrastinate.App, **options: Any) -> None:
    """Run a worker until there is nothing to fetch."""
    async with app.open_async():
        await asyncio.wait_for(
            app.run_worker_async(
                queues=["sendx"], install_signal_handlers=False, wait=False, **options
            ),
            LIMIT,
        )


async def put_contacts(app: procrastinate.App, sendx: Deliveries, count: int) -> None:
    async with app.open_async():
        for number in range(count):
            await sendx.put({"email": f"c{number}@example.com"})


MODULE = """
import os

import procrastinate

from sendx_async import RetryPolicy
from sendx_async.procrastinate import Deliveries

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["DATABASE"]),
    worker_defaults={"fetch_job_polling_interval": 0.1, "update_heartbeat_interval": 0.2},
)
sendx = Deliveries(
    app,
    retry=RetryPolicy(12, base=0.01, cap=0.1),
    rescue_after=float(os.environ.get("RESCUE_AFTER", "60")),
)
"""


class WorkerProcess:
    """A worker started with Procrastinate's own command; what it writes is kept."""

    def __init__(self, directory: Path, environment: dict[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable, "-W", "error", "-m", "procrastinate", "--app=my_module.app",
                "worker", "--queues=sendx", "--concurrency=4", *arguments,
            ],
            cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8",
        )  # fmt: skip
        self.output = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    def ends(self) -> int:
        """Wait for its end; give its status."""
        status = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        return status

    def close(self) -> None:
        assert self.process.stdout is not None
        self.process.kill()
        self.ends()
        self.process.stdout.close()


StartWorker = Callable[..., WorkerProcess]


@pytest.fixture
def start_worker(tmp_path: Path, database: str, fake_sendx: FakeSendX) -> Generator[StartWorker]:
    """Start worker processes, whose app is in a module of its own."""
    (tmp_path / "my_module.py").write_text(MODULE)
    environment = os.environ | {
        "DATABASE": database,
        "SENDX_API_KEY": fake_sendx.api_key,
        "SENDX_BASE_URL": fake_sendx.url,
        "PYTHONPATH": str(tmp_path),
    }
    workers: list[WorkerProcess] = []

    def start(*arguments: str, **more: str) -> WorkerProcess:
        workers.append(WorkerProcess(tmp_path, environment | more, *arguments))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()
