"""What one contact costs all others in an outbox, and what finding a contact takes in a large one.

2,000 tracks about a contact each are drained behind 100,000 about a single one, and without them; a
server takes 20 ms, and 8 requests are under way at once, of which the single contact has one. A
file of the form 1 with 1,000,000 requests is opened, which indexes them. One with 5,000,000 is
purged of a contact, of which one request in the middle waits and one was put aside. In a file in
which 300,000 events wait, the first request behind them is looked for that is safe to repeat.

The files are filled by SQL, and lie in TMPDIR: some 4 GB for a moment.
"""

import asyncio
import sqlite3
import time
from pathlib import Path

from _contenders import KEY, timed
from _measure import Cost, Finding, options, ratios, report, rounds
from _outboxes import FIRST, connected, directory, fill, payload_of
from _server import server_on_another_core

from sendx_async import AsyncTrackingClient, CustomEventRequest, TrackRequest
from sendx_async.outbox import Outbox, _schema
from sendx_async.outbox import _backlog as backlog
from sendx_async.outbox._contact_index import hash_of

OF_ONE = 100_000
OTHERS = 2_000
EVENTS = 300_000
TO_UPGRADE = 1_000_000
TO_PURGE = 5_000_000

ALONE = f"{OTHERS:,} others by themselves"
BEHIND = f"{OTHERS:,} others behind {OF_ONE:,} of one contact"
UPGRADE = f"opening a file of the form 1, {TO_UPGRADE:,} requests"
PURGE = f"purge of a contact, {TO_PURGE:,} requests"
SAFE = f"the first safe request behind {EVENTS:,} events"

track = payload_of(TrackRequest(FIRST, add_tags=["new_user"], remove_tags=["vip"]))
BUSY = (hash_of("busy@company.com"),)


def put_many(path: Path, count: int, columns: str = "", values: str = "") -> None:
    """Put many by SQL: each about another contact, with values for more columns if wanted."""
    before, after = track.split(FIRST)
    with connected(path) as connection:
        connection.execute(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?) "
            f"INSERT INTO pending(put_at, payload{columns}) "
            f"SELECT ?, ? || 'jane.smith' || x || '@company.com' || ?{values} FROM n",
            (count, time.time(), before, after),
        )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def upgrade() -> Cost:
    with directory() as place:
        path = place / "outbox.db"
        with connected(path) as connection:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            connection.executescript(_schema._SCHEMA)  # noqa: SLF001 - it is of the form 1
            connection.execute("INSERT INTO about VALUES('name', '01234567')")
            connection.execute(f"PRAGMA application_id={_schema._APPLICATION}")  # noqa: SLF001
            connection.execute("PRAGMA user_version=1")
        put_many(path, TO_UPGRADE)
        return timed(Outbox(path).open, 1)


def purge() -> Cost:
    with directory() as place:
        path = place / "outbox.db"
        with Outbox(path) as outbox, connected(path) as connection:
            # Made at once afterwards: having it grow at random takes many minutes.
            connection.execute("DROP INDEX pending_contact")
            put_many(path, TO_PURGE, ", contact, is_safe", ", random(), 1")
            middle, contact = TO_PURGE // 2, f"jane.smith{TO_PURGE // 2}@company.com"
            connection.execute(
                "UPDATE pending SET contact = ? WHERE id = ?", (hash_of(contact), middle)
            )
            connection.execute("CREATE INDEX pending_contact ON pending(contact)")
            connection.execute(
                "INSERT INTO failed SELECT 1, 'dead', 0, 0, 1, 'no', payload, NULL, NULL "
                "FROM pending WHERE id = ?",
                (middle,),
            )
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

            def work() -> None:
                assert outbox.purge(contact) == 2

            return timed(work, 1)


def find_safe() -> Cost:
    event = payload_of(CustomEventRequest(FIRST, "signed_up", time=1_700_000_000))
    with directory() as place:
        path = place / "outbox.db"
        fill(path, event, EVENTS)
        with Outbox(path) as outbox:
            outbox.put_sync(TrackRequest(FIRST))  # it has to wait for an event
            outbox.put_sync(TrackRequest("joe@example.com"))
        with connected(path) as connection:

            def work() -> None:
                rows = backlog.read_safe(connection, most=1)
                assert [row.id for row in rows] == [EVENTS + 2]

            return timed(work, 1)


async def until_delivered(outbox: Outbox, base_url: str, path: Path, *, after: int) -> None:
    with connected(path) as connection:
        async with (
            AsyncTrackingClient(KEY, base_url=base_url) as client,
            outbox.draining(client, grace=1),
        ):
            while is_any(connection, after):  # noqa: ASYNC110 - the file tells it only if asked
                await asyncio.sleep(0.02)


def is_any(connection: sqlite3.Connection, after: int) -> bool:
    found = connection.execute("SELECT 1 FROM pending WHERE id > ? LIMIT 1", (after,))
    return found.fetchone() is not None


def deliver(base_url: str, of_one: int) -> Cost:
    with directory() as place:
        path = place / "outbox.db"
        with Outbox(path) as outbox:
            outbox.open()
            with connected(path) as connection:
                row = (0.0, track.replace(FIRST, "busy@company.com"))
                connection.execute("BEGIN")
                connection.executemany(
                    "INSERT INTO pending(put_at, payload) VALUES(?, ?)", [row] * of_one
                )
                connection.execute("UPDATE pending SET contact = ?, is_safe = 1", BUSY)
                connection.execute("COMMIT")
            fill(path, track, OTHERS)
            work = until_delivered(outbox, base_url, path, after=of_one)
            return timed(lambda: asyncio.run(work), OTHERS)


def main() -> None:
    arguments = options(__doc__, default_rounds=3)
    with server_on_another_core() as server:
        url = server.url("delay-20")
        costs = rounds(
            {ALONE: lambda: deliver(url, 0), BEHIND: lambda: deliver(url, OF_ONE)},
            count=arguments.rounds,
        )
    speed = {name: [cost.calls_per_second for cost in all_] for name, all_ in costs.items()}
    findings = [Finding(name, all_, "/s") for name, all_ in speed.items()]
    share = ratios(speed[BEHIND], speed[ALONE])
    findings.append(Finding(f"{BEHIND} / {ALONE}", share, "x", (">=", 0.8)))
    for name, do, goal in (
        (UPGRADE, upgrade, None),
        (PURGE, purge, ("<", 1.0)),
        (SAFE, find_safe, ("<", 1.0)),
    ):
        findings.append(Finding(name, [do().wall], "s", goal))
    report("One contact among many in an outbox", findings, json_file=arguments.json)


if __name__ == "__main__":
    main()
