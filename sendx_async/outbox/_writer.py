"""The writer of an outbox: it stores what is put, and those that wait for it share a commit."""

import sqlite3
from collections.abc import Callable
from functools import partial

import anyio
import anyio.lowlevel

from sendx_async._core.errors import OutboxError
from sendx_async._core.locks import Latch
from sendx_async._runtime.loops import run_soon_in_this_loop
from sendx_async.outbox import _statements as rows
from sendx_async.outbox._capacity import Capacity
from sendx_async.outbox._connection import Database
from sendx_async.outbox._entry import Entry
from sendx_async.outbox._group_commit import GroupCommit, Waiting

_PUTS_BEFORE_PATIENCE = 100  # then one may move what is in the log into the file proper


class Writer:
    """Stores requests, and returns their delivery ids.

    A thread commits by itself where nobody else is at it. Everything else goes to a group commit,
    because all that wait then wait for the same disk.

    A task commits by itself too, where that waits for no disk and no lock: the way over another
    thread takes twice the CPU.

    Args:
        database: The file; only for this.
        impatient: The same without waiting for locks, for use in event loops; None if a commit
            waits for the disk.
        capacity: Whether it may hold one more.
        arrived: Called after each commit, in whatever thread.
    """

    def __init__(
        self,
        database: Database,
        impatient: Database | None,
        capacity: Capacity,
        arrived: Callable[[], object],
    ) -> None:
        self._database = database
        self._impatient = impatient
        self._capacity = capacity
        self._arrived = arrived
        self._name: str | None = None
        self._until_patience = 0  # the first one opens the file, so it has to be patient
        self._group = GroupCommit(self._store_all, database.file.path)

    def put(self, entry: Entry) -> str:
        """Store a request, and wait until it is.

        Raises:
            OutboxError: It is not stored.
            InvalidRequestError: Its id was given to another request.
        """
        # Whoever waits for the group comes first: a thread that puts all the time would get the
        # lock again and again before the other wakes up.
        if self._group.is_busy or self._database.is_in_use:
            self._database.refuse_if_used_here()
            done = Latch()
            waiting: Waiting[Entry, str] = Waiting(entry, done.open)
            self._group.submit(waiting)
            done.wait()
            return waiting.outcome()
        return self._store(self._database, entry)

    async def put_soon(self, entry: Entry) -> str:
        """As `put`, without keeping an event loop from going on."""
        impatient = self._impatient
        if impatient is not None and self._until_patience > 0 and not impatient.is_in_use:
            self._until_patience -= 1
            try:
                result = self._store(impatient, entry)
            except OutboxError as error:
                if not isinstance(error.__cause__, sqlite3.OperationalError):
                    raise
            else:
                await anyio.lowlevel.checkpoint()
                return result
        self._until_patience = _PUTS_BEFORE_PATIENCE
        done = anyio.Event()
        waiting: Waiting[Entry, str] = Waiting(entry, partial(run_soon_in_this_loop(), done.set))
        self._group.submit(waiting)
        await done.wait()
        return waiting.outcome()

    def close(self) -> None:
        """Store what is under way, and nothing more."""
        self._group.close()

    def _store(self, database: Database, entry: Entry) -> str:
        """Store one in a transaction of its own."""
        use = database.read if entry.given_id is None else database.write
        result = use(lambda connection: self._insert(connection, entry))
        self._arrived()
        return result

    def _store_all(self, entries: list[Entry]) -> list[str]:
        if len(entries) == 1:
            return [self._store(self._database, entries[0])]
        results = self._database.write(
            lambda connection: [self._insert(connection, entry) for entry in entries]
        )
        self._arrived()
        return results

    def _insert(self, connection: sqlite3.Connection, entry: Entry) -> str:
        result = rows.insert(connection, entry, self._capacity, self._database.file.path)
        if entry.given_id is not None:
            return result
        if self._name is None:
            self._name = rows.name_of(connection)
        return f"{self._name}-{result}"
