"""Maintenance of an outbox: its statistics, and the erasure of all that is about a contact."""

import sqlite3
import time
from functools import partial

import attrs

from sendx_async._core.errors import OutboxError
from sendx_async.outbox import _contact_index as index
from sendx_async.outbox import _statements as rows
from sendx_async.outbox._connection import Database
from sendx_async.outbox._leader import has_leader


@attrs.frozen(kw_only=True)
class OutboxStats:
    """How an outbox is.

    Attributes:
        pending: How many requests wait for their delivery.
        dead: How many were put aside because they can't succeed.
        uncertain: How many were put aside because they may have been applied, and must not be sent
            twice.
        oldest_age: Seconds since the first of those that wait was put, or None if none waits.
        is_draining: Whether any process drains it now.
        trouble: What keeps requests from being delivered, in words, or None.
    """

    __module__ = "sendx_async.outbox"

    pending: int
    dead: int
    uncertain: int
    oldest_age: float | None
    is_draining: bool
    trouble: str | None


def stats_of(connection: sqlite3.Connection, path: str) -> OutboxStats:
    """Count what is in an outbox, and return that with its trouble."""
    pending, dead, uncertain, first = rows.count(connection)
    trouble, is_draining = rows.trouble(connection), has_leader(path)
    if pending and not is_draining:
        trouble = "no process drains this outbox"
    return OutboxStats(
        pending=pending,
        dead=dead,
        uncertain=uncertain,
        oldest_age=None if first is None else max(0.0, time.time() - first),
        is_draining=is_draining,
        trouble=trouble,
    )


def purge(database: Database, contact: str) -> int:
    """Throw away what is about a contact, and overwrite it; return how many requests that were.

    Args:
        database: The file.
        contact: The address, case-folded.

    Raises:
        OutboxError: The file can't be used, or somebody reads what should be overwritten.
    """
    count = sum(_purge(database, table, contact) for table in ("pending", "failed"))
    # The log holds what was thrown away, too, until it is empty; who reads it keeps it.
    if database.read(_empty_the_log):
        raise OutboxError(
            f"{count} requests were thrown away, but somebody keeps the log of the outbox "
            f"{database.file.path} open, where they still stand: close that and purge again"
        )
    return count


def _purge(database: Database, table: str, contact: str) -> int:
    # Looked for without keeping others from writing, which would be for long where there is much.
    found = partial(index.find_unindexed, table=table, contact=contact)
    early, last = database.read(partial(found, after=0))

    def throw_away(connection: sqlite3.Connection) -> int:
        late, _ = found(connection, after=last)  # what has come since
        known = index.find_indexed(connection, contact) if table == "pending" else []
        return rows.delete(connection, table, [*early, *late, *known])

    return database.write(throw_away)


def _empty_the_log(connection: sqlite3.Connection) -> bool:
    """Empty the log; return whether somebody was in the way."""
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return bool(is_busy)
