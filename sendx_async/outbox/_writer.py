"""Puts requests into an outbox's file, for threads and for tasks, many in one commit if need be."""

import contextlib
import copy
import queue
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable

import anyio
import anyio.lowlevel

from sendx_async._core.errors import InvalidRequestError, OutboxError, OutboxFullError
from sendx_async._core.forks import ForkSafeLock
from sendx_async._runtime.loops import run_soon_in_this_loop
from sendx_async.outbox import _statements as rows
from sendx_async.outbox._capacity import Capacity
from sendx_async.outbox._connection import Database
from sendx_async.outbox._entry import Entry

_MOST_IN_A_COMMIT = 500
_SECONDS_IDLE = 10.0
_PUTS_BEFORE_PATIENCE = 100  # then one may move what is in the log into the file proper


class _Waiting:
    """A put that a thread of its own does for someone who waits for it."""

    __slots__ = ("entry", "error", "result", "run_soon", "tell")

    def __init__(
        self,
        entry: Entry,
        tell: Callable[[], object],
        run_soon: Callable[..., object] | None,
    ) -> None:
        self.entry = entry
        self.tell = tell
        self.run_soon = run_soon
        self.result = ""
        self.error: Exception | None = None

    def outcome(self) -> str:
        if self.error is None:
            return self.result
        try:
            raise self.error
        finally:
            self.error = None  # its traceback leads back to here


class Writer:
    """Stores requests, and gives their delivery ids.

    A thread that finds nobody else at it commits by itself. Everybody else, and nearly every task,
    has a thread do it that commits all that wait together, as they all wait for the same disk.

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
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_storing = self._is_closed = False
        self._starting = ForkSafeLock()

    def put(self, entry: Entry) -> str:
        """Store a request, and wait until it is.

        Raises:
            OutboxError: It is not stored.
            InvalidRequestError: Its id was given to another request.
        """
        # Whoever waits for the thread comes first: a thread that puts all the time would get the
        # lock again and again before the other wakes up.
        if self._is_storing or not self._queue.empty() or self._database.is_in_use:
            self._database.refuse_if_used_here()
            done = threading.Event()
            waiting = _Waiting(entry, done.set, None)
            self._hand_over(waiting)
            done.wait()
            return waiting.outcome()
        result = self._put_one(self._database, entry)
        self._arrived()
        return result

    async def put_soon(self, entry: Entry) -> str:
        """As `put`, without keeping an event loop from going on."""
        impatient = self._impatient
        if impatient is not None and self._until_patience > 0 and not impatient.is_in_use:
            self._until_patience -= 1
            try:
                result = self._put_one(impatient, entry)
            except OutboxError as error:
                if not isinstance(error.__cause__, sqlite3.OperationalError):
                    raise
            else:
                self._arrived()
                await anyio.lowlevel.checkpoint()
                return result
        self._until_patience = _PUTS_BEFORE_PATIENCE
        done = anyio.Event()
        waiting = _Waiting(entry, done.set, run_soon_in_this_loop())
        self._hand_over(waiting)
        await done.wait()
        return waiting.outcome()

    def close(self) -> None:
        """End the thread, after what it was given."""
        with self._starting.current:
            self._is_closed = True
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def _put_one(self, database: Database, entry: Entry) -> str:
        """Store one in a transaction of its own."""
        if entry.given_id is None:
            return database.read(lambda connection: self._insert(connection, entry))
        return database.write(lambda connection: self._insert(connection, entry))

    def _put_all(self, entries: list[Entry]) -> list[str]:
        if len(entries) == 1:
            return [self._put_one(self._database, entries[0])]
        return self._database.write(
            lambda connection: [self._insert(connection, entry) for entry in entries]
        )

    def _insert(self, connection: sqlite3.Connection, entry: Entry) -> str:
        result = rows.insert(connection, entry, self._capacity, self._database.file.path)
        if entry.given_id is not None:
            return result
        if self._name is None:
            self._name = rows.name_of(connection)
        return f"{self._name}-{result}"

    # The thread

    def _hand_over(self, waiting: _Waiting) -> None:
        with self._starting.current:
            if self._is_closed:
                raise OutboxError(
                    f"the outbox {self._database.file.path} is closed: make a new one"
                )
            # After a fork the parent's is none of ours, and neither is what it was given.
            if self._thread is None or not self._thread.is_alive():
                self._queue = queue.SimpleQueue()
                self._is_storing = False
                self._thread = threading.Thread(
                    target=self._work, args=(self._queue,), name="sendx_async outbox", daemon=True
                )
                self._thread.start()
            self._queue.put(waiting)

    def _work(self, waiting: "queue.SimpleQueue[_Waiting | None]") -> None:
        is_last = False
        while not is_last:
            together = self._next(waiting)
            is_last = together[-1] is None
            if together[0] is not None:
                self._store([each for each in together if each is not None])
            self._is_storing = False

    def _next(self, waiting: "queue.SimpleQueue[_Waiting | None]") -> list[_Waiting | None]:
        """Wait for what is to be stored, and take what has come with it; the last is None."""
        together: list[_Waiting | None] = []
        try:
            together.append(waiting.get(timeout=_SECONDS_IDLE))
        except queue.Empty:
            # So that an outbox that nobody has closed goes when it is forgotten. Who comes from now
            # on begins another thread, with another queue.
            with self._starting.current:
                self._thread = None
            waiting.put(None)
        self._is_storing = True
        with contextlib.suppress(queue.Empty):
            while len(together) < _MOST_IN_A_COMMIT and None not in together[-1:]:
                together.append(waiting.get_nowait())
        return together

    def _store(self, together: list[_Waiting]) -> None:
        """Store many in one transaction, or all of them that can be."""
        try:
            results = self._put_all([each.entry for each in together])
        except (InvalidRequestError, OutboxFullError) as error:
            if len(together) > 1:
                for each in together:
                    self._store([each])
                return
            together[0].error = error
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            for each in together:
                each.error = copy.copy(error)
        else:
            for each, result in zip(together, results, strict=True):
                each.result = result
            self._arrived()
        _tell(together)


def _tell(together: list[_Waiting]) -> None:
    loops: dict[Callable[..., object] | None, list[_Waiting]] = defaultdict(list)
    for each in together:
        loops[each.run_soon].append(each)
    for run_soon, here in loops.items():
        for each in here:
            if run_soon is None:
                each.tell()
            else:
                # A loop that has ended has nobody who waits.
                with contextlib.suppress(RuntimeError):
                    run_soon(each.tell)
