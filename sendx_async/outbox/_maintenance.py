"""Throws away all that an outbox holds about a contact, and what is left of it in the file."""

import sqlite3
from collections.abc import Callable

from sendx_async._core.errors import OutboxError
from sendx_async.outbox import _statements as rows
from sendx_async.outbox._connection import Database

_TABLES = ("pending", "failed")


def purge(database: Database, contact: str) -> int:
    """Throw away what is about a contact, and overwrite it; tells how many requests that were.

    Args:
        database: The file.
        contact: The address, case-folded.

    Raises:
        OutboxError: The file can't be used, or somebody reads what should be overwritten.
    """
    count = sum(_purge(database, table, contact) for table in _TABLES)
    # The log holds what was thrown away, too, until it is empty; who reads it keeps it.
    if database.read(_empty_the_log):
        raise OutboxError(
            f"{count} requests were thrown away, but somebody keeps the log of the outbox "
            f"{database.file.path} open, where they still stand: close that and purge again"
        )
    return count


def _purge(database: Database, table: str, contact: str) -> int:
    # Looked for without keeping others from writing, which would be for long where there is much.
    places: list[int] = []
    last = 0
    while True:
        found, seen = database.read(_finder(table, contact, after=last))
        if seen is None:
            break
        places += found
        last = seen

    def throw_away(connection: sqlite3.Connection) -> int:
        late, seen = rows.find_about(connection, table, contact, after=last)
        while seen is not None:  # what has come since
            places.extend(late)
            late, seen = rows.find_about(connection, table, contact, after=seen)
        return rows.delete(connection, table, places)

    return database.write(throw_away)


def _finder(
    table: str, contact: str, *, after: int
) -> Callable[[sqlite3.Connection], tuple[list[int], int | None]]:
    return lambda connection: rows.find_about(connection, table, contact, after=after)


def _empty_the_log(connection: sqlite3.Connection) -> bool:
    """Empty the log; tells whether somebody was in the way."""
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return bool(is_busy)
