"""Maintenance of an outbox: its statistics, and the erasure of all that is about a contact."""

import sqlite3
import time
from collections.abc import Iterator
from functools import partial

import attrs

from sendx_async._core.errors import OutboxError
from sendx_async._runtime.real_time import monotonic
from sendx_async.outbox import _contact_index as index
from sendx_async.outbox import _statements as rows
from sendx_async.outbox._connection import Database, explained
from sendx_async.outbox._leader import silence_of_leader

_SECONDS_OF_SILENCE = 30.0  # from then on it is trouble; six signs of life are missing then


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
        trouble: What keeps requests from being stored or delivered, in words, or None. Several
            troubles stand with ``; `` between them, the most harmful first.
        silent_for: Seconds since the process that drains gave its last sign of life, which it does
            every 5 seconds, or None if none drains. More than 30 are trouble.
    """

    __module__ = "sendx_async.outbox"

    pending: int
    dead: int
    uncertain: int
    oldest_age: float | None
    is_draining: bool
    trouble: str | None
    silent_for: float | None = None

    def __getstate__(self) -> dict[str, object]:
        return attrs.asdict(self)

    def __setstate__(self, state: dict[str, object]) -> None:
        # What was pickled before there was a sign of life has none.
        for name, value in {"silent_for": None, **state}.items():
            object.__setattr__(self, name, value)


def stats_of(database: Database, impatient: Database, *, patience: float) -> OutboxStats:
    """Count what is in an outbox, and return that with its troubles.

    Args:
        database: The file.
        impatient: The same, waiting for the locks of others for a moment only.
        patience: Seconds for which the file may be locked before that is trouble.

    Raises:
        OutboxError: The file can't be used.
    """
    (pending, dead, uncertain, first), noted, silent_for = database.read(
        lambda connection: (
            rows.count(connection),
            rows.trouble(connection),
            silence_of_leader(database.file.path),
        )
    )
    problem = impatient.read(lambda connection: _write_problem(connection, patience))
    troubles = _troubles(problem, noted, is_waiting=pending > 0, silent_for=silent_for)
    return OutboxStats(
        pending=pending,
        dead=dead,
        uncertain=uncertain,
        oldest_age=None if first is None else max(0.0, time.time() - first),
        is_draining=silent_for is not None,
        trouble="; ".join(troubles) or None,
        silent_for=silent_for,
    )


def _troubles(
    problem: str | None, noted: str | None, *, is_waiting: bool, silent_for: float | None
) -> Iterator[str]:
    """Yield what keeps requests from being stored or delivered, the most harmful first."""
    if problem is not None:
        yield f"the file can't be written, {problem}"
    if silent_for is None:
        if is_waiting:
            yield "no process drains this outbox"
    elif silent_for > _SECONDS_OF_SILENCE:
        yield (
            f"the process that drains gave no sign of life for {silent_for:.0f} s: is it frozen, "
            "or its event loop blocked?"
        )
    if noted is not None:
        yield noted


def _write_problem(connection: sqlite3.Connection, patience: float) -> str | None:
    """Return why the file can't be written, or None if it can be."""
    until = monotonic() + patience
    version = rows.version(connection)
    while True:
        try:
            rows.try_to_write(connection)
        except sqlite3.Error as error:
            is_locked = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            if is_locked and rows.version(connection) != version:
                return None  # by others, who write all the time
            if not is_locked or monotonic() > until:
                return explained(error)
        else:
            return None


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
