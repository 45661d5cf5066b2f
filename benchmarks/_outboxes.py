"""Files of outboxes for the benchmarks: what a stored request looks like, and many of them at once.

A file is filled by SQL, in one transaction, since putting a million requests takes a minute. What
stands in it then is what `Outbox.put` would have stored, but for the numbers in the addresses.
"""

import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sendx_async import CustomEventRequest, IdentifyRequest, TrackRequest
from sendx_async.outbox import Outbox
from sendx_async.outbox._contact_index import key_of_stored

FIRST = "jane.smith0@company.com"

Storable = IdentifyRequest | TrackRequest | CustomEventRequest


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """A directory that is removed afterwards; the variable TMPDIR says on which disk."""
    with tempfile.TemporaryDirectory(prefix="outbox-") as name:
        yield Path(name)


def connected(path: Path) -> contextlib.closing[sqlite3.Connection]:
    """A connection that commits each statement, unless it is told to begin a transaction."""
    return contextlib.closing(sqlite3.connect(path, isolation_level=None))


def payload_of(request: Storable) -> str:
    """The text that an outbox stores for a request."""
    with directory() as place:
        path = place / "one.db"
        with Outbox(path, synchronous="NORMAL") as outbox:
            outbox.put_sync(request)
        with connected(path) as connection:
            (payload,) = connection.execute("SELECT payload FROM pending").fetchone()
    text: str = payload
    return text


def fill(path: Path, payload: str, count: int) -> None:
    """Have that many requests more wait in an outbox: like this one, each about another contact.

    Args:
        path: The outbox's file; it is made if there is none.
        payload: What is stored for the request, which is about the contact `FIRST`.
        count: How many.
    """
    with Outbox(path) as outbox:
        outbox.stats()
    name, _, domain = FIRST.rpartition("0@")
    before, after = payload.split(FIRST)
    now = time.time()

    def row(number: int) -> tuple[object, ...]:
        stored = f"{before}{name}{number}@{domain}{after}"
        return now, stored, *(key_of_stored(stored) or ())

    rows = map(row, range(count))
    with connected(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO pending(put_at, payload, contact, other_contact, is_safe) "
            "VALUES(?, ?, ?, ?, ?)",
            rows,
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
